"""What is told of a run so far, beside what its events say one by one."""

from __future__ import annotations

from itertools import pairwise

import pytest

from khs import runs
from khs.debug.rsp.past import Past
from khs.debug.stops import Position
from khs.debug.target import Target
from khs.engine.log import Log
from khs.engine.stepping import Batch
from khs.image import open_system
from khs.resources import shipped
from khs.trace import decode
from khs.trace.events import Verdict
from khs.trace.kinds import EventType
from khs.trace.messages import Messages, causal

FRAMES = 90
GATEWAY = shipped("images") / "iot-gateway"


@pytest.fixture(scope="module")
def attacked() -> runs.Plan:
    return runs.plan(open_system(GATEWAY, [GATEWAY / "attack.toml"]), frames=FRAMES)


def depths(past: Past) -> dict[tuple[int, int], int]:
    """Of the queues of ports, by channel and reader, out of all that was sent and taken."""
    messages, found = Messages(past.outline), {}
    for event in causal(past.events()):
        found.update(messages.moved(event).depths)
    return {(each[1], each[2]): depth for each, depth in found.items() if each[0] == "port"}


def test_counts_queues_and_calls_are_those_of_the_events(attacked: runs.Plan) -> None:
    with Target(attacked) as target:
        past, seen = Past(target, attacked.header), 0
        end = target.go().position.tick
        for step in (*range(0, end, end // 17), end, end // 2):
            target.go_to(Position(step))
            records = target.events()
            assert list(target.latest()) == records[::-1]
            verdicts = [event for event in map(decode, records) if isinstance(event, Verdict)]
            granted = sum(event.granted for event in verdicts)
            assert target.verdicts() == {"granted": granted, "denied": len(verdicts) - granted}
            assert past.last_verdict(None) == len(verdicts)
            for (channel, reader), depth in depths(past).items():
                if past.outline.channels[channel].kind == "queuing":
                    assert target.queued(channel, reader) == depth
                    seen += depth
            told = past.calls(5)
            numbers = [number for call in told for number, _ in call.verdicts]
            assert all(b == a + 1 for a, b in pairwise(numbers))
            if numbers and target.position.settled:
                assert numbers[-1] <= len(verdicts)
    assert seen, "no queue held anything"


def test_what_a_partition_waits_in_for_long_is_told_by_name(
    attacked: runs.Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Target(attacked) as target:
        past = Past(target, attacked.header)
        target.go_to(Position(200_000))
        blocked = {n: target.view(n).blocked for n in range(len(target.names))}
        waiting = [(n, number) for n, number in blocked.items() if number < 1 << 16]
        assert waiting
        assert all(" ms in khs_" in past.waits(*each) for each in waiting)
        monkeypatch.setattr("khs.debug.rsp.past._LONG_AGO", 0)
        assert all(past.waits(*each).startswith("waits in khs_") for each in waiting)


def test_only_stretches_with_swaps_are_read_for_them() -> None:
    """Records: a head of 28 bytes up to the type, as in khs/core/event.h, and padding."""

    def record(kind: EventType, number: int) -> bytes:
        head = number.to_bytes(8, "little") + (1024).to_bytes(4, "little") + bytes(12)
        return (head + int(kind).to_bytes(2, "little")).ljust(1024, b"\0")

    log, swap = Log(), frozenset({int(EventType.POLICY)})
    numbers = set()
    for number in range(2000):
        swaps = number % 700 == 9
        kind = EventType.POLICY if swaps else EventType.WAIT
        numbers |= {number} if swaps else set()
        log.add(Batch(record(kind, number), 1, swaps=int(swaps)))
    assert {int.from_bytes(each[:8], "little") for each in log.read(0, swap)} == numbers
    latest = log.backwards()
    assert [int.from_bytes(next(latest)[:8], "little") for _ in range(300)] == [
        *range(1999, 1699, -1)
    ]
    assert log.here.swaps == len(numbers)
    log.close()
