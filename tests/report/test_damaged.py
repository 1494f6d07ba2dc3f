"""Records that no kernel wrote: whatever decodes is drawn and told, the rest is a TraceError."""

from __future__ import annotations

import random
from collections.abc import Iterator

from khs.errors import TraceError
from khs.report import collect, page
from khs.trace import events, perfetto
from tests.trace import pftrace
from tests.trace.run import RUN, RUN_HEADER

from .conftest import rows


def damaged(seed: int) -> Iterator[bytes]:
    """The small run with records changed, repeated, out of order; those that decode."""
    chance = random.Random(seed)
    for _ in range(60):
        record = bytearray(chance.choice(RUN))
        for _ in range(chance.randrange(4)):
            at = chance.choice([n for n in range(len(record)) if n not in range(8, 12)])
            record[at] = chance.choice((0, 1, 2, 0x7F, 0xFF, chance.randrange(256)))
        try:
            events.decode(record)
        except TraceError:
            continue
        yield bytes(record)


def test_what_decodes_is_drawn_and_told() -> None:
    seen = 0
    for seed in range(60):
        records = list(damaged(seed))
        seen += len(records)
        packets: list[bytes] = []
        perfetto.draw(RUN_HEADER, map(events.decode, records), packets.append)
        assert pftrace.fields(b"".join(packets))[1]
        assert page(collect(RUN_HEADER, rows(records))).endswith("</html>\n")
    assert seen > 2000, "most do"
