"""The health monitor: error x system state -> level and action; limits; process level."""

from __future__ import annotations

import struct

import pytest

from tests.core import host, systems
from tests.core.host import COLD_START, IDLE, NORMAL, WARM_START, Call, Code, Script, run
from tests.core.systems import CODE, DATA, GUARD, KEEP, Partition, System

A, B = Partition("test.A"), Partition("test.B")
REPORTER = Partition("test.A", privileges=("health-log",))
TWO = [(1000, [(0, 0, 500), (1, 500, 500)])]

FAULTS = [
    (1, DATA - 4, systems.MEMORY),
    (2, DATA - 4, systems.MEMORY),
    (1, GUARD, systems.STACK),
    (2, GUARD + systems.PAGE - 1, systems.STACK),
    (2, GUARD + systems.PAGE, systems.MEMORY),
    (2, GUARD - 1, systems.MEMORY),
    (3, GUARD, systems.MEMORY),
    (4, 0, systems.ILLEGAL),
    (5, 0, systems.ILLEGAL),
    (6, 0, systems.NUMERIC),
    (7, 0, systems.ILLEGAL),
    (8, 0, systems.ILLEGAL),
    (9, 0, systems.MEMORY),
    (10, 0, systems.ILLEGAL),
    (11, 0, systems.HARDWARE),
    (99, 0, systems.ILLEGAL),
]


@pytest.mark.parametrize(("fault", "address", "error"), FAULTS)
def test_a_fault_is_a_health_error(fault: int, address: int, error: int) -> None:
    script = Script()
    script.start(0).run(7).fault(fault, address, 1)
    script.start(0, 2).run(1)
    done = run(System([A, B], TWO), script, 900)
    [event] = done.of(host.FAULT)
    assert (event.tick, event.code, event.args) == (7, fault, (1, address, 1))
    [health] = done.of(host.HEALTH)
    assert (health.tick, health.partition, health.code, health.value) == (7, 0, error, systems.COLD)
    assert done.views[0].faults == 1 and done.views[0].restarts == 1


ACTIONS = {
    systems.IGNORE: (NORMAL, 0),
    systems.LOG: (NORMAL, 0),
    systems.WARM: (WARM_START, 1),
    systems.COLD: (COLD_START, 1),
    systems.IDLE: (IDLE, 0),
    systems.STOP: (NORMAL, 0),
}


FITTING = [
    *((systems.PROCESS, action) for action in (systems.LOG, *range(systems.WARM, systems.STOP))),
    *((systems.PARTITION, action) for action in ACTIONS),
    *((systems.MODULE, action) for action in (systems.IGNORE, systems.LOG, systems.STOP)),
]


@pytest.mark.parametrize(("level", "action"), FITTING)
@pytest.mark.parametrize("state", [systems.INITIALISING, systems.RUNNING])
def test_the_table_decides_by_error_and_state(level: int, action: int, state: int) -> None:
    """Every other cell of the table would show in the outcome."""
    other = systems.LOG if action == systems.IDLE else systems.IDLE
    system = System(
        [REPORTER, B],
        TWO,
        health={(0, systems.APPLICATION, state): (level, action)},
        default_health=(systems.PARTITION, other),
    )
    script = Script()
    guest = script.start(0).poke(DATA, b"help!")
    if state == systems.RUNNING:
        guest.normal()
    guest.call(Call.ERROR_RAISE, 42, DATA, 5).run(20).call(Call.NOP)
    script.start(0, 2).run(1)
    done = run(system, script, 900)
    if state == systems.INITIALISING and action == systems.WARM:
        action = systems.COLD  # out of a cold start there is nothing to keep yet
    mode, restarts = ACTIONS[action]
    if state == systems.INITIALISING and mode == NORMAL:
        mode = COLD_START
    assert (done.views[0].mode, done.views[0].restarts) == (mode, restarts)
    assert done.stopped == (action == systems.STOP)
    health = [(e.code, e.value, e.args, e.data) for e in done.of(host.HEALTH)]
    expected = (systems.APPLICATION, action, (level, state, 42), b"help!")
    assert health == ([] if action == systems.IGNORE else [expected])
    starts = [(e.code, e.value) for e in done.of(host.START, 0)][1:]
    assert starts == ([(mode, 2)] if restarts else [])
    assert (done.codes(0, Call.NOP) == [Code.OK]) == (action in (systems.IGNORE, systems.LOG))


@pytest.mark.parametrize("action", [systems.IGNORE, systems.LOG])
def test_a_fault_that_is_let_be_blocks_the_partition(action: int) -> None:
    """The same instruction would fault again, for ever at no cost in time."""
    controller = Partition("test.A", privileges=("partition-control",))
    system = System([B, controller], TWO, health={systems.NUMERIC: (systems.PARTITION, action)})
    script = Script()
    script.start(0).normal().call(Call.INTERRUPT_ATTACH, CODE, 1).call(
        Call.TIMER_SET, 100, 100
    ).fault(6)
    script.start(0, 2).run(10).call(Call.NOP)
    script.start(1).run(99).call(Call.PARTITION_RESTART, 0, COLD_START)
    done = run(system, script, 2000)
    assert len(done.of(host.FAULT)) == 1 and done.of(host.INTERRUPT) == []
    assert done.views[0].halted == 0
    before = run(system, script, 500).views[0]
    assert (before.mode, before.halted, before.blocked) == (NORMAL, 1, host.NONE)
    assert done.results(0, Call.NOP) == [(1011, Code.OK, 0)]
    assert len(done.of(host.HEALTH)) == (action == systems.LOG)


def test_a_blocked_partition_s_missed_deadline_acts_on_it() -> None:
    """Its own handler cannot run any more: the table's action is taken."""
    partition = Partition("test.A", period=1000, deadline=100)
    health = {
        systems.NUMERIC: (systems.PARTITION, systems.LOG),
        systems.DEADLINE: (systems.PROCESS, systems.COLD),
    }
    script = Script()
    script.start(0).normal().call(Call.INTERRUPT_ATTACH, CODE, 0).call(Call.PERIOD_WAIT).fault(6)
    script.start(0, 2).run(1)
    done = run(System([partition, B], TWO, health=health), script, 2000)
    health_events = [(e.tick, e.code, e.value) for e in done.of(host.HEALTH)]
    assert health_events == [
        (1000, systems.NUMERIC, systems.LOG),
        (1100, systems.DEADLINE, systems.COLD),
    ]


def test_process_level_goes_to_the_handler_of_an_error_that_leaves_it_running() -> None:
    table = {systems.APPLICATION: (systems.PROCESS, systems.COLD)}
    script = Script()
    guest = script.start(0).call(Call.INTERRUPT_ATTACH, CODE, 0)
    guest.call(Call.ERROR_RAISE, 1, 0, 0).run(9).call(Call.NOP)
    script.handler(0, CODE).run(5).call(Call.INTERRUPT_RETURN)
    script.start(0, 2).run(1)
    done = run(System([REPORTER, B], TWO, health=table), script, 900)
    assert [(e.tick, e.code) for e in done.of(host.INTERRUPT)] == [(2, 2)]
    assert [(e.value, e.args[0]) for e in done.of(host.HEALTH)] == [(systems.LOG, systems.PROCESS)]
    assert done.views[0].restarts == 0
    assert done.results(0, Call.NOP) == [(2 + 6 + 9 + 1, Code.OK, 0)]
    # at partition level, or without a handler, the table's action is taken
    partition_level = {systems.APPLICATION: (systems.PARTITION, systems.COLD)}
    done = run(System([REPORTER, B], TWO, health=partition_level), script, 900)
    assert done.views[0].restarts == 1 and done.of(host.INTERRUPT) == []
    alone = Script()
    alone.start(0).call(Call.ERROR_RAISE, 1, 0, 0)
    alone.start(0, 2).run(1)
    done = run(System([REPORTER, B], TWO, health=table), alone, 900)
    assert done.views[0].restarts == 1


def test_a_fault_never_goes_to_the_handler() -> None:
    table = {systems.NUMERIC: (systems.PARTITION, systems.WARM)}
    script = Script()
    script.start(0).normal().call(Call.INTERRUPT_ATTACH, CODE, 0).fault(6)
    script.start(0, 2).run(1)
    done = run(System([A, B], TWO, health=table), script, 900)
    assert done.of(host.INTERRUPT) == [] and done.views[0].mode == WARM_START


def test_a_warm_restart_out_of_a_cold_start_is_a_cold_one() -> None:
    """ARINC 653: a partition that has not got that far has nothing to keep."""
    table = {systems.NUMERIC: (systems.PARTITION, systems.WARM)}
    script = Script()
    script.start(0).poke(KEEP, b"first").run(1).fault(6)  # in COLD_START
    script.start(0, 2).peek(KEEP, 5).poke(KEEP, b"second").normal().fault(6)
    script.start(0, 3).peek(KEEP, 6).fault(6)  # in WARM_START
    script.start(0, 4).peek(KEEP, 6).run(1)
    done = run(System([A, B], TWO, health=table), script, 900)
    assert [e.value for e in done.of(host.HEALTH)] == [systems.COLD, systems.WARM, systems.WARM]
    assert [e.code for e in done.of(host.START, 0)] == [COLD_START] * 2 + [WARM_START] * 2
    assert done.peeked(0) == [systems.initial(4)[:5], b"second", b"second"]


# ---- what the handler is told ----------------------------------------------------------------

STATUS = struct.Struct("<4IQ128s")
INSIDE = dict.fromkeys(systems.HANDLED, (systems.PROCESS, systems.COLD))


def statuses(done: host.Run) -> list[tuple[int, int, int, int, bytes]]:
    """(error, detail, lost, ns, text) of each that was taken."""
    taken = [STATUS.unpack(data) for data in done.peeked(0)]
    assert all(not any(text[length:]) for _, _, _, length, _, text in taken)
    return [(e, detail, lost, ns, text[:n]) for e, detail, lost, n, ns, text in taken]


def test_the_handler_learns_which_error_it_was() -> None:
    """Oldest first, each once: a deadline, two application errors, an input that overflowed."""
    partition = Partition(
        "test.A", period=1000, deadline=100, privileges=("health-log",), inputs=((8, 1), (8, 1))
    )
    script = Script()
    guest = script.start(0).poke(DATA, b"too hot").normal().call(Call.INTERRUPT_ATTACH, CODE, 0)
    guest.call(Call.ERROR_RAISE, 42, DATA, 7).call(Call.ERROR_RAISE, 43, DATA, 0)
    guest.call(Call.PERIOD_WAIT).run(2000)
    handler = script.handler(0, CODE).call(Call.INTERRUPT_MASK, 4).run(100)
    for _ in range(5):
        handler.poke(DATA, bytes(STATUS.size)).call(Call.ERROR_STATUS, DATA).peek(DATA, STATUS.size)
    done = run(
        System([partition], [(2000, [(0, 0, 2000)])], health=INSIDE),
        script,
        1900,
        inputs=[(5, 1, b"one"), (6, 1, b"two")],
    )
    assert done.codes(0, Call.ERROR_STATUS) == [Code.OK, Code.OK] + [Code.NOT_AVAILABLE] * 3
    assert statuses(done)[:3] == [
        (systems.APPLICATION, 42, 0, 3000, b"too hot"),
        (systems.OVERFLOW, 1, 0, 6000, b""),
        (0, 0, 0, 0, b""),
    ]


def test_errors_that_the_handler_does_not_look_at_are_counted() -> None:
    script = Script()
    guest = script.start(0).call(Call.INTERRUPT_ATTACH, CODE, 0).call(Call.INTERRUPT_MASK, 7)
    for number in range(11):
        guest.call(Call.ERROR_RAISE, number, 0, 0)
    for _ in range(9):
        guest.call(Call.ERROR_STATUS, DATA).peek(DATA, STATUS.size)
    guest.call(Call.ERROR_RAISE, 99, 0, 0).call(Call.ERROR_STATUS, DATA).peek(DATA, STATUS.size)
    done = run(System([REPORTER, B], TWO, health=INSIDE), script, 400)
    codes = done.codes(0, Call.ERROR_STATUS)
    assert codes == [Code.OK] * 8 + [Code.NOT_AVAILABLE, Code.OK]
    told = [(detail, lost) for _, detail, lost, _, _ in statuses(done)]
    assert told[:8] == [(0, 3)] + [(n, 0) for n in range(1, 8)]
    assert told[9] == (99, 0)


def test_a_restart_forgets_what_the_handler_was_to_be_told() -> None:
    script = Script()
    guest = script.start(0).normal().call(Call.INTERRUPT_ATTACH, CODE, 0)
    guest.call(Call.INTERRUPT_MASK, 7).call(Call.ERROR_RAISE, 1, 0, 0)
    guest.call(Call.PARTITION_MODE_SET, WARM_START)
    script.start(0, 2).call(Call.ERROR_STATUS, DATA)
    script.start(1).call(Call.ERROR_STATUS, CODE)
    done = run(System([REPORTER, B], TWO, health=INSIDE), script, 900)
    assert done.codes(0, Call.ERROR_STATUS) == [Code.NOT_AVAILABLE]
    assert done.codes(1) == [Code.BAD_POINTER]


def test_what_goes_to_the_table_is_not_told_inside() -> None:
    script = Script()
    script.start(0).call(Call.ERROR_RAISE, 1, 0, 0).call(Call.ERROR_STATUS, DATA)
    logged = {systems.APPLICATION: (systems.PARTITION, systems.LOG)}
    done = run(System([REPORTER, B], TWO, health=logged), script, 400)
    assert done.codes(0) == [Code.OK, Code.NOT_AVAILABLE]


# ---- limits --------------------------------------------------------------------------------


def faulting(limit: tuple[int, int, int] | None, pace: int) -> host.Run:
    """A partition alone that faults every `pace` ticks; the fault takes one of them."""
    script = Script()
    script.start(0).run(pace - 1).fault(6)
    system = System([Partition("test.A", limit=limit)], [(10**6, [(0, 0, 10**6)])])
    return run(system, script, 10_000)


@pytest.mark.parametrize(
    ("limit", "pace", "restarts"),
    [
        (None, 100, 100),
        ((3, 1000, systems.IDLE), 100, 3),
        ((3, 300, systems.IDLE), 100, 3),  # the fourth comes 300 ticks after the first
        ((3, 299, systems.IDLE), 100, 100),
        ((0, 1, systems.IDLE), 100, 0),
        ((16, 10_000, systems.IDLE), 100, 16),
        ((1, 99, systems.IDLE), 100, 100),
        (None, 1, 10_000),  # the first instruction of all: time passes all the same
        ((1, 100, systems.LOG), 100, 1),
    ],
)
def test_restarts_are_limited(limit: tuple[int, int, int] | None, pace: int, restarts: int) -> None:
    done = faulting(limit, pace)
    view = done.views[0]
    assert view.restarts == restarts
    actions = [event.value for event in done.of(host.HEALTH)]
    if len(actions) == restarts:
        assert set(actions) == {systems.COLD}
        assert view.mode == COLD_START
    else:
        assert limit is not None
        assert actions == [systems.COLD] * restarts + [limit[2]]
        assert view.mode == (IDLE if limit[2] == systems.IDLE else COLD_START)


def test_a_limit_can_stop_the_module() -> None:
    done = faulting((2, 1000, systems.STOP), 10)
    assert done.stopped and done.now == 29
    assert [event.code for event in done.of(host.STOP)] == [2]
    assert done.events[-1].type == host.STOP


def test_restarts_asked_for_do_not_count() -> None:
    script = Script()
    script.start(0).run(5).call(Call.PARTITION_MODE_SET, COLD_START)
    script.start(0, 10).run(5).fault(6)
    system = System(
        [Partition("test.A", limit=(1, 10**5, systems.IDLE))], [(10**6, [(0, 0, 10**6)])]
    )
    done = run(system, script, 10_000)
    assert done.views[0].restarts == 10


# ---- who may raise, who may stop ---------------------------------------------------------------


def test_raising_wants_the_privilege_a_text_and_a_grant() -> None:
    script = Script()
    guest = script.start(0).call(Call.ERROR_RAISE, 1, DATA, 129)
    guest.call(Call.ERROR_RAISE, 1, DATA - 1, 2).call(Call.ERROR_RAISE, 1, DATA, 128)
    system = System([REPORTER, B], TWO, default_health=(systems.PARTITION, systems.LOG))
    done = run(system, script, 900)
    assert done.codes(0) == [Code.BAD_LENGTH, Code.BAD_POINTER, Code.OK]
    assert [(e.code, len(e.data)) for e in done.of(host.HEALTH)] == [(systems.APPLICATION, 128)]
    done = run(System([A, B], TWO), script, 900)
    assert done.codes(0) == [Code.INVALID_CONFIG] * 3
    denying = systems.policy(systems.STARTS)
    done = run(system, script, 900, policies=[denying])
    assert done.codes(0)[-1] == Code.DENIED and done.of(host.HEALTH) == []


def test_a_module_stop_is_the_last_event() -> None:
    stopper = Partition("test.A", privileges=("module-stop",))
    script = Script()
    script.start(0).run(10).call(Call.MODULE_STOP)
    script.start(1).call(Call.NOP)
    done = run(System([stopper, B], TWO), script, 5000)
    assert done.stopped and done.now == 11
    assert done.events[-1].type == host.STOP and done.events[-1].code == 1
    done = run(System([A, B], TWO), script, 900)
    assert not done.stopped and done.codes(0) == [Code.INVALID_CONFIG]
    done = run(System([stopper, B], TWO), script, 900, policies=[systems.policy(systems.STARTS)])
    assert not done.stopped and done.codes(0) == [Code.DENIED]


def test_nothing_is_done_after_a_stop_at_the_same_tick() -> None:
    """Two deadlines at one tick: the first stops the module."""
    partition = Partition("test.A", period=1000, deadline=50)
    system = System(
        [partition, partition],
        TWO,
        health={systems.DEADLINE: (systems.MODULE, systems.STOP)},
    )
    script = Script()
    for number in (0, 1):
        script.start(number).normal()
    done = run(system, script, 5000)
    assert done.stopped and done.now == 1050
    assert [e.type for e in done.events if e.tick == 1050] == [host.HEALTH, host.STOP]
