"""A run whose every name and text is an attack on the page."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from khs.trace import events
from tests.trace.conftest import make_record
from tests.trace.run import RUN, RUN_HEADER, ms

#: What must arrive as text and as nothing else.
ATTACK = "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=2'>"


def rows(records: Iterable[bytes]) -> Iterator[tuple[bytes, events.Event]]:
    """As Reader.rows has them."""
    return ((record, events.decode(record)) for record in records)


def hostile_header() -> dict[str, Any]:
    """Names of partitions, methods, rules and files that a browser would like to run."""
    header = copy.deepcopy(RUN_HEADER)
    header["manifest"] = {"system": ATTACK, "board": '"><b>', "sha256": ATTACK}
    header["run"] = {"engine": ATTACK, "seed": ATTACK}
    header["names"]["partitions"] = [f"c{ATTACK}", f"s{ATTACK}"]
    header["names"]["policies"] = [ATTACK, "\ud800"]
    policy = header["policies"][0]
    policy["rules"][0] |= {"file": ATTACK, "text": ATTACK}
    policy["bindings"][2] |= {"file": ATTACK, "text": ATTACK}
    policy["classes"][1]["name"] = f"demo.Server{ATTACK}"
    policy["bindings"][2]["dst"] = f"demo.Server{ATTACK}"
    return header


def hostile_records() -> list[bytes]:
    """The small run, and a guest that writes markup to console and health monitor."""
    text = ATTACK.encode() + b"\x1b[2J\0\xff\n"
    return [
        *RUN,
        make_record(11, tick=ms(32), partition=0, data=text),
        make_record(8, tick=ms(32), partition=0, code=1, value=1, args=[1, 1, 0], data=text),
    ]
