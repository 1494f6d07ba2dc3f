"""Virtual interrupts: one level, masked in the handler, a pending bit each."""

from __future__ import annotations

import pytest

from tests.core import host, systems
from tests.core.host import Call, Code, Guest, Script, run
from tests.core.systems import (
    ALARM,
    CALLS,
    CODE,
    CONSTANTS,
    DATA,
    QUEUING,
    SERVICE,
    Channel,
    Partition,
    System,
    message,
)

A = Partition("test.A", inputs=((16, 4),))
B = Partition("test.B")
ALONE = [(1000, [(0, 0, 1000)])]
TIMER, INPUT, ERROR = range(3)
WAITS = 1


def handler(script: Script, ticks: int = 5) -> None:
    script.handler(0, CODE).run(ticks - 1).call(Call.INTERRUPT_RETURN)


def attach(script: Script, flags: int = 0) -> Guest:
    return script.start(0).call(Call.INTERRUPT_ATTACH, CODE, flags)


def interrupts(done: host.Run) -> list[tuple[int, int]]:
    return [(event.tick, event.code) for event in done.of(host.INTERRUPT)]


def test_the_handler_runs_and_the_context_comes_back() -> None:
    script = Script()
    attach(script).call(Call.TIMER_SET, 100, 0).run(500).call(Call.NOP)
    handler(script)
    done = run(System([A], ALONE), script, 1000)
    assert interrupts(done) == [(102, TIMER)]
    assert done.results(0, Call.INTERRUPT_RETURN) == [(107, Code.OK, 0)]
    # 500 ticks of its own, five of the handler
    assert done.results(0, Call.NOP) == [(2 + 500 + 5 + 1, Code.OK, 0)]


def test_a_result_is_not_lost_in_the_handler() -> None:
    """A hypercall's result registers are part of the interrupted context."""
    script = Script()
    guest = attach(script).call(Call.TIMER_SET, 2, 0).call(Call.INTERRUPT_MASK, 4)
    guest.call(Call.INTERRUPT_MASK, 6)  # its value is 4; the interrupt comes with it
    guest.call(Call.INTERRUPT_MASK, "result")
    handler(script)
    done = run(System([A], ALONE), script, 100)
    assert interrupts(done) == [(4, TIMER)]
    masks = [event for event in done.of(host.HYPERCALL) if event.number == Call.INTERRUPT_MASK]
    assert [event.value for event in masks] == [0, 4, 6]
    assert masks[-1].args == (4,)


def test_a_periodic_timer_is_exact() -> None:
    script = Script()
    attach(script).call(Call.TIMER_SET, 50, 70).run(10_000)
    handler(script)
    done = run(System([A], ALONE), script, 500)
    assert interrupts(done) == [(52 + 70 * n, TIMER) for n in range(7)]


def test_a_timer_stops_and_is_set_anew() -> None:
    script = Script()
    guest = attach(script).call(Call.TIMER_SET, 50, 50).run(120).call(Call.TIMER_SET, 0, 0)
    guest.run(200).call(Call.TIMER_SET, 30, 0).run(500).call(Call.TIMER_SET, 0, 1)
    handler(script, 1)
    done = run(System([A], ALONE), script, 1000)
    assert [tick for tick, _ in interrupts(done)] == [52, 102, 356]
    assert done.codes(0, Call.TIMER_SET) == [Code.OK] * 3 + [Code.INVALID_PARAM]


@pytest.mark.parametrize(("hz", "ticks"), [(125_000_000, 1250), (300_000, 3), (999_983, 10)])
def test_a_timer_never_comes_early(hz: int, ticks: int) -> None:
    """10 us: 1250 ticks, or 3, or 9.99983 rounded up."""
    script = Script()
    attach(script).call(Call.TIMER_SET, 10, 0)
    handler(script)
    done = run(System([A], [(10_000, [(0, 0, 10_000)])], clock_hz=hz), script, 5000)
    assert interrupts(done) == [(2 + ticks, TIMER)]


def test_interrupts_are_masked_in_the_handler() -> None:
    """What comes meanwhile is a pending bit, delivered once when the handler returns."""
    script = Script()
    attach(script).call(Call.TIMER_SET, 10, 10).run(1000)
    handler(script, 35)
    done = run(System([A], ALONE), script, 200)
    assert interrupts(done)[:4] == [(12, TIMER), (47, TIMER), (82, TIMER), (117, TIMER)]


def test_pending_interrupts_come_in_the_order_of_their_numbers() -> None:
    script = Script()
    attach(script).call(Call.INTERRUPT_MASK, 3).call(Call.TIMER_SET, 50, 0).run(100).call(
        Call.INTERRUPT_MASK, 0
    ).call(Call.NOP)
    handler(script)
    done = run(System([A], ALONE), script, 1000, inputs=[(20, 0, b"x")])
    assert interrupts(done) == [(104, TIMER), (109, INPUT)]
    assert done.results(0, Call.NOP) == [(104 + 5 + 5 + 1, Code.OK, 0)]


def test_a_mask_holds_back_only_its_own() -> None:
    script = Script()
    attach(script).call(Call.INTERRUPT_MASK, 1 << TIMER).call(Call.TIMER_SET, 10, 0).run(500)
    handler(script)
    done = run(System([A], ALONE), script, 1000, inputs=[(20, 0, b"x")])
    assert interrupts(done) == [(20, INPUT)]


def test_an_interrupt_before_the_handler_is_attached_waits_for_it() -> None:
    script = Script()
    script.start(0).call(Call.TIMER_SET, 10, 0).run(50).call(Call.INTERRUPT_ATTACH, CODE, 0)
    handler(script)
    done = run(System([A], ALONE), script, 1000)
    assert interrupts(done) == [(52, TIMER)]


def test_a_detached_handler_gets_nothing() -> None:
    script = Script()
    attach(script).call(Call.TIMER_SET, 50, 0).call(Call.INTERRUPT_ATTACH, 0, 0).run(200)
    handler(script)
    assert interrupts(run(System([A], ALONE), script, 1000)) == []


def test_an_interrupt_out_of_the_window_waits_for_it() -> None:
    system = System([A, B], [(1000, [(0, 0, 100), (1, 100, 900)])])
    script = Script()
    attach(script).call(Call.TIMER_SET, 500, 0)
    handler(script)
    assert interrupts(run(system, script, 3000)) == [(1000, TIMER)]


# ---- waits ------------------------------------------------------------------------------------


def test_an_interrupt_ends_a_wait_for_interrupts() -> None:
    """The idle instruction and khs_wait, whatever the flags."""
    script = Script()
    guest = attach(script).call(Call.TIMER_SET, 100, 100).wait().call(Call.NOP).call(Call.WAIT)
    guest.call(Call.NOP)
    handler(script)
    done = run(System([A], ALONE), script, 1000)
    assert interrupts(done)[:2] == [(102, TIMER), (202, TIMER)]
    assert done.results(0, Call.NOP) == [(108, Code.OK, 0), (208, Code.OK, 0)]
    assert done.results(0, Call.WAIT) == [(202, Code.OK, 0)]


def test_a_masked_interrupt_does_not() -> None:
    script = Script()
    guest = attach(script).call(Call.INTERRUPT_MASK, 1).call(Call.TIMER_SET, 100, 0).wait()
    guest.call(Call.NOP)
    handler(script)
    done = run(System([A], ALONE), script, 1500)
    assert done.results(0, Call.NOP) == [(1001, Code.OK, 0)]


CHANNELS = [Channel(CALLS, 0, (1,), SERVICE), Channel(QUEUING, 1, (0,), ALARM, depth=1)]
SYSTEM = System(
    [Partition("test.A", period=5000, inputs=((16, 1),)), B],
    [(1000, [(0, 0, 900), (1, 900, 100)])],
    [*CHANNELS, Channel(CALLS, 1, (0,), SERVICE)],
)
WAITING = [
    (Call.CALL, (0, DATA, 16, DATA + 64, 64, 700)),
    (Call.RECV, (DATA, 64, DATA + 512, 700)),
    (Call.PORT_RECEIVE, (1, DATA, 64, 700)),
    (Call.INPUT_RECEIVE, (0, DATA, 64, 700)),
    (Call.PERIOD_WAIT, ()),
]


@pytest.mark.parametrize(("call", "arguments"), WAITING)
@pytest.mark.parametrize("flags", [0, WAITS])
def test_a_blocking_hypercall_is_interrupted_if_that_was_asked_for(
    call: int, arguments: tuple[int, ...], flags: int
) -> None:
    script = Script()
    guest = attach(script, flags).normal().poke(DATA, message(1, 1))
    guest.call(Call.TIMER_SET, 97, 0).call(call, *arguments).call(Call.NOP)
    handler(script)
    done = run(SYSTEM, script, 6000)
    tick, code, _ = done.results(0, call)[0]
    if flags == WAITS:
        assert (tick, code) == (100, Code.INTERRUPTED)
        assert interrupts(done) == [(100, TIMER)]
    else:
        period = call == Call.PERIOD_WAIT
        assert (tick, code) == ((5000, Code.OK) if period else (704, Code.TIMED_OUT))
        assert interrupts(done) == [(tick, TIMER)]
    assert done.codes(0, Call.NOP) == [Code.OK]


def test_an_interrupted_call_is_withdrawn() -> None:
    script = Script()
    guest = attach(script, WAITS).poke(DATA, message(1, 1)).call(Call.TIMER_SET, 97, 0)
    guest.call(Call.CALL, 0, DATA, 16, DATA + 64, 64, 100_000)
    handler(script)
    script.start(1).call(Call.RECV, DATA, 64, DATA + 512, 0)
    done = run(SYSTEM, script, 1000)
    assert done.codes(0, Call.CALL) == [Code.INTERRUPTED]
    assert done.codes(1) == [Code.NOT_AVAILABLE]


def test_a_masked_interrupt_interrupts_nothing() -> None:
    script = Script()
    guest = attach(script, WAITS).call(Call.INTERRUPT_MASK, 1).call(Call.TIMER_SET, 97, 0)
    guest.call(Call.PORT_RECEIVE, 1, DATA, 64, 700)
    handler(script)
    assert run(SYSTEM, script, 1000).codes(0, Call.PORT_RECEIVE) == [Code.TIMED_OUT]


def test_the_handler_itself_may_wait() -> None:
    script = Script()
    attach(script, WAITS).call(Call.TIMER_SET, 50, 60).run(1000)
    script.handler(0, CODE).call(Call.PORT_RECEIVE, 1, DATA, 64, 200).call(Call.INTERRUPT_RETURN)
    done = run(SYSTEM, script, 400)
    # masked in the handler, further interrupts do not end its wait
    assert done.results(0, Call.PORT_RECEIVE)[0][:2] == (253, Code.TIMED_OUT)
    assert interrupts(done)[:2] == [(52, TIMER), (254, TIMER)]


# ---- arguments -----------------------------------------------------------------------------------


def test_arguments() -> None:
    script = Script()
    guest = script.start(0).call(Call.INTERRUPT_RETURN).call(Call.INTERRUPT_ATTACH, CODE, 2)
    guest.call(Call.INTERRUPT_ATTACH, DATA, 0).call(Call.INTERRUPT_ATTACH, CONSTANTS, 0)
    guest.call(Call.INTERRUPT_ATTACH, CODE + systems.PAGE, 0)
    guest.call(Call.INTERRUPT_ATTACH, CODE + systems.PAGE - 1, 0)
    guest.call(Call.INTERRUPT_ATTACH, (1 << 64) - 1, 0).call(Call.INTERRUPT_ATTACH, 0, 1)
    done = run(System([A], ALONE), script, 1000)
    bad = Code.BAD_POINTER
    expected = [Code.INVALID_MODE, Code.INVALID_PARAM, bad, bad, bad, Code.OK, bad, Code.OK]
    assert done.codes(0) == expected
