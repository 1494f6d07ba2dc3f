"""What a debugger changed in a run, as a recording keeps it.

    [{"tick", "settled", "partition", "what": register's name, "mode" or address, "bytes": in hex}]

in the order in which it was done. What is no guest's to change is not changed by a file either, see
`Course`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from khs.debug.registers import BY_ARCH
from khs.engine.changes import BEGIN, MODE, Change, Position
from khs.image.archive import encode_json
from khs.trace.kinds import Mode


def encode(changes: Sequence[Change]) -> bytes:
    """The file."""
    return encode_json(
        [
            {
                "tick": change.position.tick,
                "settled": change.position.settled,
                "partition": change.partition,
                "what": change.what,
                "bytes": change.value.hex(),
            }
            for change in changes
        ]
    )


def decode(data: bytes, arch: str, partitions: int) -> tuple[Change, ...]:
    """The file's changes, for a system of so many partitions. ValueError, KeyError, TypeError or
    RecursionError if it has none of such."""
    changes = tuple(_change(row, arch, partitions) for row in json.loads(data))
    if any(a.position > b.position for a, b in pairwise((Change(BEGIN, 0, 0, b""), *changes))):
        raise ValueError("changes are not in the order of the run")
    return changes


def _change(row: Any, arch: str, partitions: int) -> Change:
    tick, settled, partition, what = (row[k] for k in ("tick", "settled", "partition", "what"))
    value = bytes.fromhex(row["bytes"])
    if not (_count(tick, 1 << 56) and isinstance(settled, bool)):
        raise ValueError("a position is none")
    if not _count(partition, partitions):
        raise ValueError(f"partition {partition!r} is none of the system")
    if what == MODE:
        if int.from_bytes(value, "little") >= Mode.NORMAL or len(value) != 4 or not settled:
            raise ValueError("a mode is none that is set from outside")
    elif isinstance(what, str):
        if what not in BY_ARCH[arch] or len(value) != BY_ARCH[arch][what].size:
            raise ValueError(f"{what!r} is no register of {len(value)} bytes")
    elif not _count(what, 1 << 64):
        raise ValueError("an address is none")
    return Change(Position(tick, settled), partition, what, value)


def _count(value: object, end: int) -> bool:
    return type(value) is int and 0 <= value < end
