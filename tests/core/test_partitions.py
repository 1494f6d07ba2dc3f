"""Partitions: the start chain, modes, restarts and what survives them."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from tests.core import host, systems
from tests.core.host import COLD_START, IDLE, NORMAL, WARM_START, Call, Code, Script, run
from tests.core.systems import (
    CODE,
    CONSTANTS,
    DATA,
    KEEP,
    QUEUING,
    SAMPLING,
    SHARED,
    Channel,
    Partition,
    System,
    initial,
    message,
)

A, B = Partition("test.A"), Partition("test.B")
ONE = [(1000, [(0, 0, 1000)])]
TWO = [(1000, [(0, 0, 500), (1, 500, 500)])]
CONTROLLER = Partition("test.A", privileges=("partition-control",))

FLOW = """
policy object life : Flow {
    type State = "young" | "old"
    config = { states : ["young", "old"], initial : "young", transitions : { "young" : ["old"] } }
}
"""


TRIAL = 0x80000000  # of an event that could not be carried out


def verdicts(done: host.Run, kind: int) -> list[host.Event]:
    return [event for event in done.of(host.VERDICT) if event.kind == kind]


# ---- the start chain -----------------------------------------------------------------


def test_the_start_chain_is_that_of_kasperskyos() -> None:
    done = run(System([A, B], TWO), Script(), 10)
    starts = verdicts(done, host.EXECUTE)
    assert [event.sids for event in starts] == [(1, 1), (1, 2), (2, 3), (2, 4)]
    assert [event.ends[1] for event in starts] == [host.NONE, host.NONE, 0, 1]
    assert [(e.code, e.value) for e in done.of(host.START)] == [(COLD_START, 0)] * 2
    assert done.events[0].type == host.BOOT and done.events[0].args == (1_000_000, 2)


@pytest.mark.parametrize("granted", [0, 1])
def test_without_a_start_chain_nothing_boots(granted: int) -> None:
    rules = "".join(systems.BOOT.splitlines(keepends=True)[:granted])
    policy = systems.policy(systems.EVERYTHING, boot=rules)
    done = run(System([A, B], TWO), Script(), 10000, policies=[policy])
    assert done.stopped and done.now == 0
    assert [event.code for event in done.of(host.STOP)] == [3]
    assert len(verdicts(done, host.EXECUTE)) == granted + 1
    assert done.of(host.START) == []


@pytest.mark.parametrize(
    ("system", "binary", "status"),
    [
        (System([Partition("test.Unknown")], ONE), systems.policy(), 3),
        (System([A], ONE, kernel_class="kl.core.Other"), systems.policy(), 3),
        (System([A], ONE), systems.policy()[:-1], 2),
        (System([A], ONE), bytes(64), 2),
        (System([A], ONE, policy_state=16), systems.policy(FLOW + systems.EVERYTHING), 4),
    ],
)
def test_a_policy_that_cannot_judge_the_system(
    system: System, binary: bytes, status: int, tmp_path: Path
) -> None:
    (tmp_path / "config").write_bytes(system.config())
    (tmp_path / "policy").write_bytes(binary)
    command = [host.build(sanitize=True), "run", tmp_path / "config", tmp_path / "policy"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"boot: status {status}\n"


def test_a_denied_start_leaves_the_partition_idle() -> None:
    rules = systems.EVERYTHING.replace("src=Einit", "src=Einit, dst=test.A")
    for action in (systems.COLD, systems.WARM, systems.IDLE, systems.LOG, systems.IGNORE):
        system = System([A, B], TWO, default_health=(systems.PARTITION, action))
        script = Script()
        script.start(0).run(10).call(Call.NOP)
        done = run(system, script, 5000, policies=[systems.policy(rules)])
        health = [(e.tick, e.partition, e.code, e.args[1]) for e in done.of(host.HEALTH)]
        assert health == [(0, 1, systems.START_DENIED, systems.INITIALISING)]
        assert (done.views[1].mode, done.views[1].sid) == (IDLE, 0)
        assert (done.views[1].ticks, done.views[1].idle) == (0, 2500)
        assert done.codes(0) == [Code.OK]
        assert len(verdicts(done, host.EXECUTE)) == 4


def test_a_denied_start_can_stop_the_module() -> None:
    rules = systems.EVERYTHING.replace("src=Einit", "src=Einit, dst=test.B")
    system = System([A, B], TWO, health={systems.START_DENIED: (systems.MODULE, systems.STOP)})
    done = run(system, Script(), 5000, policies=[systems.policy(rules)])
    assert done.stopped and done.now == 0
    assert done.events[-1].type == host.STOP and done.events[-1].code == 2
    assert len(verdicts(done, host.EXECUTE)) == 3  # the second partition's never came


# ---- modes ---------------------------------------------------------------------------------


def test_modes_a_partition_may_enter() -> None:
    script = Script()
    guest = script.start(0).call(Call.PARTITION_MODE_SET, 4)
    guest.call(Call.PARTITION_MODE_SET, WARM_START)
    guest.normal().normal().call(Call.PARTITION_STATUS, DATA).peek(DATA, 32)
    guest.call(Call.PARTITION_MODE_SET, WARM_START)
    warm = script.start(0, 2).call(Call.PARTITION_STATUS, DATA).peek(DATA, 32)
    warm.call(Call.PARTITION_MODE_SET, WARM_START)
    cold = script.start(0, 3).call(Call.PARTITION_MODE_SET, COLD_START)
    cold = script.start(0, 4).call(Call.PARTITION_MODE_SET, IDLE)
    done = run(System([A], ONE), script, 3000)
    expected = [Code.INVALID_PARAM, Code.INVALID_MODE, Code.OK, Code.NO_ACTION, *[Code.OK] * 4]
    assert done.codes(0, Call.PARTITION_MODE_SET) == expected
    modes = [(event.code, event.value) for event in done.of(host.MODE)]
    assert modes == [
        (COLD_START, IDLE),
        (NORMAL, COLD_START),
        (WARM_START, NORMAL),
        (COLD_START, WARM_START),
        (IDLE, COLD_START),
    ]
    starts = [(event.code, event.value) for event in done.of(host.START)]
    assert starts == [(COLD_START, 0), (WARM_START, 1), (WARM_START, 1), (COLD_START, 1)]
    status = [struct.unpack("<IIIIQQ", data) for data in done.peeked(0)]
    assert status == [(NORMAL, 0, 0, 0, 0, 0), (WARM_START, 1, 1, 0, 0, 0)]
    view = done.views[0]
    assert (view.mode, view.sid, view.restarts) == (IDLE, 0, 3)
    assert view.ticks + view.idle == 3000
    assert len(cold) == 1


def test_a_denied_mode_changes_nothing() -> None:
    rules = systems.STARTS + (
        "request dst=kl.core.Core, endpoint=partition.Partition, method=SetMode {\n"
        "    assert (message.mode == 3)\n}\n"
    )
    script = Script()
    guest = script.start(0).normal()
    for mode in (COLD_START, WARM_START, IDLE):
        guest.call(Call.PARTITION_MODE_SET, mode)
    done = run(System([A], ONE), script, 1000, policies=[systems.policy(rules)])
    assert done.codes(0) == [Code.OK, Code.DENIED, Code.DENIED, Code.DENIED]
    assert (done.views[0].mode, done.views[0].restarts) == (NORMAL, 0)
    assert (done.views[0].granted, done.views[0].denied) == (1, 3)


# ---- what a restart forgets and keeps --------------------------------------------------------


def restart(mode: int) -> tuple[System, Script]:
    """A partition that leaves traces everywhere, restarts, and looks around."""
    script = Script()
    guest = script.start(0).normal()
    for address in (DATA, DATA + systems.PAGE, KEEP, SHARED):
        guest.poke(address, b"written by guest")
    guest.call(Call.TIMER_SET, 300, 100).call(Call.INTERRUPT_ATTACH, CODE, 1)
    guest.call(Call.INTERRUPT_MASK, 6).run(50).call(Call.PARTITION_MODE_SET, mode)
    after = script.start(0, 2)
    for address in (CODE, CONSTANTS, DATA, DATA + systems.PAGE, KEEP, SHARED):
        after.peek(address, 16)
    after.call(Call.INTERRUPT_MASK, 0).call(Call.INTERRUPT_ATTACH, CODE, 0).run(2000)
    after.call(Call.INTERRUPT_RETURN)
    script.handler(0, CODE).call(Call.INTERRUPT_RETURN)
    return System([A], ONE), script


@pytest.mark.parametrize("mode", [COLD_START, WARM_START])
def test_memory_after_a_restart(mode: int) -> None:
    done = run(*restart(mode), 5000)
    written = b"written by guest"
    kept = written if mode == WARM_START else initial(4)
    assert done.peeked(0) == [initial(1), initial(2), initial(3), bytes(16), kept, written]


@pytest.mark.parametrize("mode", [COLD_START, WARM_START])
def test_a_restart_forgets_timers_masks_and_handlers(mode: int) -> None:
    done = run(*restart(mode), 5000)
    assert done.of(host.INTERRUPT) == []
    assert done.results(0, Call.INTERRUPT_MASK)[-1][1:] == (Code.OK, 0)
    assert done.codes(0, Call.INTERRUPT_RETURN) == [Code.INVALID_MODE]


def test_a_restart_forgets_pending_interrupts_and_the_running_handler() -> None:
    script = Script()
    guest = script.start(0).normal().call(Call.INTERRUPT_ATTACH, CODE, 0)
    guest.call(Call.TIMER_SET, 10, 10).run(5000)
    # in the handler the next one becomes pending; then a restart
    script.handler(0, CODE).run(50).call(Call.PARTITION_MODE_SET, COLD_START)
    again = script.start(0, 2).call(Call.INTERRUPT_RETURN)
    again.call(Call.INTERRUPT_ATTACH, CODE, 0).run(100)
    done = run(System([A], ONE), script, 1000)
    assert len(done.of(host.INTERRUPT)) == 1
    assert done.codes(0, Call.INTERRUPT_RETURN) == [Code.INVALID_MODE]


def test_lives_after_cold_restarts_are_the_same_as_the_first() -> None:
    script = Script()
    guest = script.start(0).peek(DATA, 256).peek(KEEP, 32).poke(DATA, message(1, 2))
    guest.poke(KEEP, b"used").call(Call.PORT_STATUS, 1, DATA + 128).call(
        Call.PORT_READ, 0, DATA, 16, DATA
    )
    guest.call(Call.PORT_RECEIVE, 1, DATA, 16, 0).normal().call(Call.INTERRUPT_ATTACH, CODE, 1)
    guest.call(Call.TIMER_SET, 30, 20).run(50).call(Call.PORT_RECEIVE, 1, DATA, 16, 1000)
    guest.call(Call.PORT_RECEIVE, 1, DATA, 16, 5).call(Call.WAIT).call(Call.SECURITY, DATA, 16)
    guest.call(Call.PORT_SEND, 2, DATA, 16).run(60).call(Call.PARTITION_MODE_SET, COLD_START)
    script.handler(0, CODE).run(3).call(Call.INTERRUPT_RETURN)
    script.start(0, 4).run(1)
    channels = [
        Channel(SAMPLING, 1, (0,), systems.REPORT),
        Channel(QUEUING, 1, (0,), systems.ALARM, depth=2),
        Channel(QUEUING, 0, (1,), systems.ALARM, depth=9),
    ]
    system = System([A, B], [(10**6, [(0, 0, 10**6)])], channels)
    done = run(system, script, 10000)
    starts = done.of(host.START, 0)
    assert len(starts) == 4
    lives: list[list[object]] = [[], [], [], []]
    for event in done.events:
        if event.partition == 0 and event.visible:
            life = sum(start.tick < event.tick for start in starts) - 1
            when = (event.tick - starts[life].tick, event.local - starts[life].local)
            what = (event.type, event.number, event.code, event.value, event.args, event.data)
            lives[life].append((*when, *what))
    assert lives[0] == lives[1] == lives[2] and len(lives[0]) > 20
    peeked = done.peeked(0)
    assert peeked[:2] == peeked[2:4] == peeked[4:6]


def test_costs_survive_a_restart() -> None:
    script = Script()
    script.start(0).run(9).call(Call.PARTITION_MODE_SET, COLD_START)
    script.start(0, 2).call(Call.NOP)
    done = run(System([A], ONE, costs=(100, 0, 20)), script, 1000)
    assert [tick for tick, _, _ in done.results(0)] == [10, 10 + 120 + 1]


def test_sampling_outputs_keep_their_value_and_age() -> None:
    channel = Channel(SAMPLING, 0, (1,), systems.REPORT)
    script = Script()
    script.start(0).poke(DATA, message(3, 4)).run(99).call(Call.PORT_WRITE, 0, DATA, 16).run(
        50
    ).call(Call.PARTITION_MODE_SET, COLD_START)
    script.start(0, 2).run(5)
    guest = script.start(1)
    for _ in range(2):
        guest.run(99).call(Call.PORT_READ, 0, DATA, 16, DATA + 16).peek(DATA + 8, 24)
        guest.call(Call.PARTITION_MODE_SET, COLD_START)
    script.start(1, 3).run(1)
    done = run(System([A, B], TWO, [channel]), script, 2000)
    read = [struct.unpack("<IIIIQ", data) for data in done.peeked(1)]
    # neither the writer's restart nor the reader's own takes it away
    assert read == [(3, 4, 16, 1, 500_000), (3, 4, 16, 1, 601_000)]


def test_queuing_inputs_are_emptied_and_sent_messages_stay() -> None:
    channel = Channel(QUEUING, 0, (1,), systems.ALARM, depth=4)
    script = Script()
    guest = script.start(0).poke(DATA, message(1, 2))
    for _ in range(5):
        guest.call(Call.PORT_SEND, 0, DATA, 16)
    guest.call(Call.PARTITION_MODE_SET, COLD_START)
    script.start(0, 2).run(1)
    reader = script.start(1).call(Call.PORT_STATUS, 0, DATA + 64).peek(DATA + 64, 24)
    reader.call(Call.PORT_RECEIVE, 0, DATA, 16, 0).call(Call.PARTITION_MODE_SET, COLD_START)
    script.start(1, 2).call(Call.PORT_STATUS, 0, DATA + 64).peek(DATA + 64, 24).call(
        Call.PORT_RECEIVE, 0, DATA, 16, 0
    )
    done = run(System([A, B], TWO, [channel]), script, 1000)
    assert done.codes(0, Call.PORT_SEND) == [Code.OK] * 4 + [Code.NOT_AVAILABLE]
    status = [struct.unpack("<6I", data) for data in done.peeked(1)]
    assert status == [(1, 1, 16, 4, 4, 1), (1, 1, 16, 4, 0, 0)]
    assert done.codes(1, Call.PORT_RECEIVE) == [Code.OK, Code.NOT_AVAILABLE]


def test_a_restart_empties_outside_inputs() -> None:
    partition = Partition("test.A", inputs=((16, 4),))
    script = Script()
    script.start(0).run(100).call(Call.INPUT_RECEIVE, 0, DATA, 16, 0).call(
        Call.PARTITION_MODE_SET, COLD_START
    )
    script.start(0, 2).call(Call.INPUT_RECEIVE, 0, DATA, 16, 0)
    arriving = [(10, 0, b"one"), (20, 0, b"two"), (30, 0, b"three")]
    done = run(System([partition], ONE), script, 1000, inputs=arriving)
    assert done.codes(0, Call.INPUT_RECEIVE) == [Code.OK, Code.NOT_AVAILABLE]


# ---- SIDs and security contexts ------------------------------------------------------------------


def test_every_start_has_a_new_sid() -> None:
    script = Script()
    script.start(0).run(20).call(Call.PARTITION_MODE_SET, COLD_START)
    script.start(0, 6).run(1)
    done = run(System([A, B], TWO), script, 5000)
    sids = [event.sids[1] for event in verdicts(done, host.EXECUTE)]
    assert sids == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert done.views[0].sid == 9 and done.views[1].sid == 4


def pool(size: int) -> bytes:
    """A policy whose start of test.A takes a context out of a pool of this size."""
    rules = FLOW + "execute src=Einit, dst=test.A { life.init { sid : dst_sid } }\n"
    rules += "execute src=Einit, dst=test.B { grant () }\n" + systems.KERNEL
    return systems.policy(rules, max_sids=size)


@pytest.mark.parametrize("mode", [COLD_START, WARM_START])
def test_a_thousand_restarts_with_a_pool_of_one(mode: int) -> None:
    script = Script()
    script.start(0).normal().call(Call.PARTITION_MODE_SET, mode)
    script.start(0, 1001).run(1)
    done = run(System([A, B], TWO), script, 5000, policies=[pool(1)])
    assert done.views[0].restarts == 1000 and done.views[0].mode == mode
    assert done.of(host.HEALTH) == []
    assert done.views[0].sid == 1004


def test_a_pool_that_is_used_up_denies_the_start() -> None:
    done = run(System([A, A], TWO), Script(), 5000, policies=[pool(1)])
    assert [(e.partition, e.code) for e in done.of(host.HEALTH)] == [(1, systems.START_DENIED)]
    assert [view.mode for view in done.views] == [COLD_START, IDLE]


def test_contexts_of_a_stopped_or_denied_partition_are_released() -> None:
    # the second start is denied; its dead SID's place is free for the other partition
    rules = FLOW + (
        "execute src=Einit, dst=test.A { life.init { sid : dst_sid } }\n"
        "execute src=test.B, dst=test.A { life.init { sid : dst_sid } }\n"
        "execute src=Einit, dst=test.B { grant () }\n"
    )
    policies = [systems.policy(rules + systems.KERNEL, max_sids=1)]
    controller = Partition("test.B", privileges=("partition-control",))
    script = Script()
    guest = script.start(2).call(Call.PARTITION_RESTART, 1, COLD_START)
    guest.call(Call.PARTITION_RESTART, 0, IDLE).call(Call.PARTITION_RESTART, 1, COLD_START)
    guest.call(Call.PARTITION_RESTART, 0, COLD_START).call(Call.PARTITION_RESTART, 1, IDLE)
    guest.call(Call.PARTITION_RESTART, 0, COLD_START)
    system = System([A, A, controller], [(1000, [(2, 0, 1000)])])
    done = run(system, script, 1000, policies=policies)
    assert done.codes(2) == [Code.OK] * 6
    events = [(e.partition, e.code) for e in done.of(host.MODE) if e.tick > 0]
    assert events == [(0, IDLE), (1, COLD_START), (1, IDLE), (0, COLD_START)]
    assert [e.partition for e in done.of(host.HEALTH)] == [1, 1, 0]


# ---- one partition restarts another -----------------------------------------------------------------


def control(*calls: tuple[int, int]) -> Script:
    script = Script()
    guest = script.start(0)
    for target, mode in calls:
        guest.run(9).call(Call.PARTITION_RESTART, target, mode)
    script.start(1).run(100).call(Call.NOP)
    return script


def test_a_controller_restarts_and_stops_others() -> None:
    script = control((1, COLD_START), (1, IDLE), (1, WARM_START), (1, COLD_START))
    done = run(System([CONTROLLER, B], TWO), script, 1000)
    assert done.codes(0) == [Code.OK] * 4
    starts = [e.sids for e in verdicts(done, host.EXECUTE)][4:]
    assert starts == [(3, 5), (3, 6), (3, 7)]  # the controller starts it, not Einit
    assert [(e.tick, e.code) for e in done.of(host.START, 1)][1:] == [
        (10, COLD_START),
        (30, WARM_START),
        (40, COLD_START),
    ]
    assert (done.views[1].restarts, done.views[1].mode) == (3, COLD_START)
    assert done.results(1) == [(601, Code.OK, 0)]


@pytest.mark.parametrize("target", [0, 1], ids=["oneself", "another"])
def test_no_warm_start_out_of_a_cold_one(target: int) -> None:
    """What a warm start keeps is not made yet. It is judged all the same, without moving state:
    who is denied does not learn the other's mode."""
    script = control((target, WARM_START))
    done = run(System([CONTROLLER, B], TWO), script, 1000)
    assert done.codes(0) == [Code.INVALID_MODE]
    assert [view.restarts for view in done.views] == [0, 0]
    assert [event.value for event in verdicts(done, host.REQUEST | TRIAL)] == [1]
    denying = systems.policy(systems.STARTS)
    done = run(System([CONTROLLER, B], TWO), script, 1000, policies=[denying])
    assert done.codes(0) == [Code.DENIED]


def test_a_warm_start_of_oneself() -> None:
    script = Script()
    script.start(0).normal().call(Call.PARTITION_RESTART, 0, WARM_START)
    script.start(0, 2).call(Call.PARTITION_RESTART, 0, WARM_START)
    script.start(0, 3).run(1)
    done = run(System([CONTROLLER, B], TWO), script, 900)
    assert [event.code for event in done.of(host.START, 0)] == [COLD_START, WARM_START, WARM_START]


def test_who_may_restart_whom_how() -> None:
    script = control((2, COLD_START), (1, NORMAL), (1, 7), (host.NONE, IDLE))
    done = run(System([CONTROLLER, B], TWO), script, 1000)
    assert done.codes(0) == [Code.INVALID_PARAM] * 4
    done = run(System([A, B], TWO), control((1, COLD_START)), 1000)
    assert done.codes(0) == [Code.INVALID_CONFIG]
    denying = systems.policy(systems.STARTS)
    done = run(System([CONTROLLER, B], TWO), control((1, IDLE)), 1000, policies=[denying])
    assert done.codes(0) == [Code.DENIED]
    assert done.views[1].mode == COLD_START and done.views[1].restarts == 0
