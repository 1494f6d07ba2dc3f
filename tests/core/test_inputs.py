"""Bytes from outside: at their tick, in order, and what does not fit is an event."""

from __future__ import annotations

import pytest

from tests.core import host, systems
from tests.core.host import IDLE, Call, Code, Guest, Script, run
from tests.core.systems import CODE, CONSTANTS, DATA, Partition, System

READER = Partition("test.A", inputs=((16, 2), (8, 1)))
B = Partition("test.B", inputs=((4, 1),))
TWO = [(1000, [(0, 0, 500), (1, 500, 500)])]
SYSTEM = System([READER, B], TWO)
LOG = System([READER, B], TWO, default_health=(systems.PARTITION, systems.LOG))
LONG = 1_000_000


def take(guest: Guest, times: int = 1, number: int = 0, timeout: int = 0) -> Guest:
    for _ in range(times):
        guest.call(Call.INPUT_RECEIVE, number, DATA, 64, timeout).peek(DATA, 4)
    return guest


def test_input_becomes_visible_at_its_tick() -> None:
    script = Script()
    guest = script.start(0).run(98)
    take(guest, 3)
    done = run(SYSTEM, script, 1000, inputs=[(100, 0, b"data")])
    assert [r[:2] for r in done.results(0)] == [
        (99, Code.NOT_AVAILABLE),
        (100, Code.NOT_AVAILABLE),  # the trap that ends with tick 100 comes before it
        (101, Code.OK),
    ]
    [event] = done.of(host.INPUT)
    assert (event.tick, event.partition, event.code, event.value) == (100, 0, 0, 0)
    assert event.data == b"data" and not event.visible


def test_a_waiting_partition_gets_it_at_once() -> None:
    script = Script()
    take(script.start(0).run(9), 1, timeout=LONG)
    done = run(SYSTEM, script, 1200, inputs=[(700, 0, b"late")])
    assert done.results(0) == [(700, Code.OK, 4)]
    assert done.peeked(0) == [b"late"]
    [resumed] = done.of(host.RESUME, 0)
    assert resumed.visible and resumed.data == b"late"


def test_inputs_come_in_order_and_apart() -> None:
    script = Script()
    guest = take(take(script.start(0).run(99), 2, number=0), 2, number=1)
    take(guest.run(1), 1, number=2)
    take(script.start(1), 1)
    arriving = [(5, 0, b"one "), (5, 1, b"own "), (5, 2, b"B's "), (6, 0, b"two ")]
    done = run(SYSTEM, script, 1000, inputs=arriving)
    assert done.peeked(0)[:3] == [b"one ", b"two ", b"own "]
    assert done.codes(0) == [Code.OK] * 3 + [Code.NOT_AVAILABLE, Code.INVALID_PARAM]
    assert done.peeked(1) == [b"B's "]
    assert [event.code for event in done.of(host.INPUT)] == [0, 1, 2, 0]


def test_what_does_not_fit_is_an_event_and_an_error() -> None:
    script = Script()
    take(script.start(0).run(99), 3)
    arriving = [(n, 0, bytes([n] * 4)) for n in (1, 2, 3)]  # the queue holds two
    arriving.append((4, 1, b"too long!"))
    done = run(LOG, script, 1000, inputs=arriving)
    assert [(e.tick, e.value) for e in done.of(host.INPUT)] == [(1, 0), (2, 0), (3, 1), (4, 1)]
    errors = [(e.tick, e.partition, e.code) for e in done.of(host.HEALTH)]
    assert errors == [(3, 0, systems.OVERFLOW), (4, 0, systems.OVERFLOW)]
    assert done.codes(0) == [Code.OK, Code.OK, Code.NOT_AVAILABLE]
    assert done.peeked(0)[:2] == [bytes([1] * 4), bytes([2] * 4)]


def test_input_to_a_stopped_partition_is_lost_with_an_event() -> None:
    script = Script()
    script.start(0).call(Call.PARTITION_MODE_SET, IDLE)
    done = run(LOG, script, 1000, inputs=[(9, 0, b"gone")])
    assert [(e.tick, e.value) for e in done.of(host.INPUT)] == [(9, 1)]
    assert done.of(host.HEALTH) == []


def test_input_for_nobody() -> None:
    script = Script()
    take(script.start(0).run(99), 2)
    arriving = [(5, 3, b"none"), (6, host.NONE, b"none"), (8, 0, b"data")]
    done = run(SYSTEM, script, 1000, inputs=arriving)
    assert [(e.tick, e.code) for e in done.of(host.INPUT)] == [(8, 0)]
    assert done.codes(0) == [Code.OK, Code.NOT_AVAILABLE]


def test_empty_input_is_input() -> None:
    script = Script()
    script.start(0).run(10).call(Call.INPUT_RECEIVE, 0, 0, 0, 0)
    done = run(SYSTEM, script, 100, inputs=[(5, 0, b"")])
    assert done.results(0) == [(11, Code.OK, 0)]


def test_input_raises_an_interrupt_unless_it_is_waited_for() -> None:
    script = Script()
    take(script.start(0).call(Call.INTERRUPT_ATTACH, CODE, 0), 1, timeout=LONG)
    script.handler(0, CODE).call(Call.INTERRUPT_RETURN)
    done = run(SYSTEM, script, 400, inputs=[(50, 0, b"one "), (90, 0, b"two ")])
    assert [(e.tick, e.code) for e in done.of(host.INTERRUPT)] == [(90, 1)]


def test_arguments() -> None:
    script = Script()
    guest = script.start(0).run(10)
    for arguments in (
        (2, DATA, 8, 0),
        (1 << 32, DATA, 8, 0),
        (0, CONSTANTS, 8, 0),
        (0, DATA, 3, 0),
    ):
        guest.call(Call.INPUT_RECEIVE, *arguments)
    take(guest)
    done = run(SYSTEM, script, 400, inputs=[(5, 0, b"data")])
    expected = [Code.INVALID_PARAM, Code.INVALID_PARAM, Code.BAD_POINTER, Code.BAD_LENGTH, Code.OK]
    assert done.codes(0) == expected


@pytest.mark.parametrize("others", [[], [(50, 2, b"B's "), (50, 2, b"more")], [(50, 0, b"a")]])
def test_a_neighbour_s_input_at_the_same_tick_changes_nothing(
    others: list[tuple[int, int, bytes]],
) -> None:
    """Partition 0 waits for an input that comes at the tick of its timeout."""
    script = Script()
    script.start(0).run(9).call(Call.INPUT_RECEIVE, 1, DATA, 64, 40)
    done = run(LOG, script, 400, inputs=[*others, (50, 1, b"mine")])
    assert done.results(0) == [(50, Code.OK, 4)]
