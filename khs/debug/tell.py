"""Puts a verdict that gdb stopped at into words, like `khs trace`: gdb runs this module.

    python -m khs.debug.tell FOLDER POLICY REASON SIZE

FOLDER holds what gdb dumped: the arguments of the verdict's record and its message, SIZE bytes.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from khs.debug.script import MESSAGE, NAMES, VERDICT
from khs.trace import Names, decode
from khs.trace.events import MODULE, Verdict
from khs.trace.kinds import EventType
from khs.trace.text import describe

#: struct khs_event of khs/core/event.h
_HEAD = struct.Struct("<QIHHQHHIIHHII")


def verdict(arguments: bytes, message: bytes, reason: int) -> Verdict:
    """The denial whose record the kernel is about to write."""
    body = arguments + message
    size = _HEAD.size + -(-len(body) // 8) * 8
    words, kind = len(arguments) // 8, int(EventType.VERDICT)
    head = _HEAD.pack(0, size, MODULE, 0, 0, kind, 0, reason, 0, words, 0, len(message), 0)
    found = decode((head + body).ljust(size, b"\0"))
    assert isinstance(found, Verdict)
    return replace(found, sequence=0)  # of the one policy that is known


def words(header: Mapping[str, Any], policy: int, found: Verdict) -> str:
    """Who was denied what, and why. `policy`: the number of the one in force."""
    maps = header["policies"][policy : policy + 1]
    names = Names.from_header({**header, "policies": maps})
    return f"{names.partition(found.source)}  {describe(found, names)}"


def main(arguments: Sequence[str]) -> None:
    folder = Path(arguments[0])
    policy, reason, size = map(int, arguments[1:])
    header = json.loads((folder / NAMES).read_text(encoding="utf-8"))
    message = (folder / MESSAGE).read_bytes() if size else b""
    found = verdict((folder / VERDICT).read_bytes(), message, reason)
    print(words(header, policy, found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
