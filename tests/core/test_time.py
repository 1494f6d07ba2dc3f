"""Time: windows, costs, periods and deadlines, schedules."""

from __future__ import annotations

import struct

import pytest

from tests.core import host, systems
from tests.core.host import Call, Code, Script, run
from tests.core.systems import DATA, QUEUING, SAMPLING, Channel, Partition, System, message

A, B = Partition("test.A"), Partition("test.B")
FRAME = (1000, [(0, 0, 300), (1, 400, 500)])


def busy(script: Script, partition: int, pace: int = 10) -> None:
    """Asks for nothing every `pace` ticks, for ever."""
    script.start(partition).run(pace - 2).call(Call.NOP).jump()


def test_windows_are_exact() -> None:
    script = Script()
    busy(script, 0, 7)
    busy(script, 1, 11)
    done = run(System([A, B], [FRAME]), script, 3000)
    for partition, start, length, pace in ((0, 0, 300, 7), (1, 400, 500, 11)):
        ticks = [tick for tick, _, _ in done.results(partition)]
        # the nth trap retires pace*n-1 ticks of its own windows after the start
        own = [pace * n + pace - 1 for n in range(length * 3 // pace + 1)]
        expected = [(t - 1) // length * 1000 + start + (t - 1) % length + 1 for t in own]
        assert ticks == [tick for tick in expected if tick <= 3000]
        view = done.views[partition]
        assert (view.ticks, view.idle) == (3 * length, 0)
    assert (done.now, done.frames, done.frame_end) == (3000, 3, 4000)


def test_windows_are_not_work_conserving() -> None:
    alone, waiting = Script(), Script()
    for script in (alone, waiting):
        busy(script, 1)
    busy(alone, 0)
    waiting.start(0).wait().jump()
    first, second = (run(System([A, B], [FRAME]), script, 5000) for script in (alone, waiting))
    assert first.visible(1) == second.visible(1)
    assert first.views[1] == second.views[1]
    view = second.views[0]
    assert view.idle == 5 * 300 - view.ticks
    assert view.ticks == 5 * 2 - 1  # each frame: the jump and the wait; the first one only waits


def test_waiting_ends_with_the_next_window() -> None:
    script = Script()
    script.start(0).run(5).wait().call(Call.NOP).call(Call.WAIT).call(Call.NOP)
    windows = (1000, [(0, 100, 200), (0, 300, 50), (0, 600, 10)])
    done = run(System([A], [windows]), script, 1000)
    assert done.results(0, Call.NOP) == [(301, 0, 0), (601, 0, 0)]
    assert done.results(0, Call.WAIT) == [(600, 0, 0)]
    assert [event.tick for event in done.of(host.WAIT, 0)] == [106]


@pytest.mark.parametrize("costs", [(10, 3, 7), (0, 0, 0), (1, 0, 0), (0, 100, 0), (0, 0, 1)])
def test_a_hypercall_costs_what_the_board_says(costs: tuple[int, int, int]) -> None:
    call, copy, verdict = costs
    channel = Channel(SAMPLING, 0, (1, 2), systems.WIDE, size=64)
    system = System([A, B, B], [(100000, [(0, 0, 100000)])], [channel], costs=costs)
    script = Script()
    guest = script.start(0).poke(DATA, systems.wide(1))
    guest.call(Call.NOP).call(Call.PORT_WRITE, 0, DATA, 64).call(Call.CONSOLE_WRITE, DATA, 65)
    guest.call(Call.NOP)
    done = run(system, script, 100000)
    ticks = [tick for tick, _, _ in done.results(0)]
    spent = [call, call + copy + 2 * verdict, call + 2 * copy + verdict]
    assert ticks == [1, 2 + spent[0], 3 + sum(spent[:2]), 4 + sum(spent)]
    assert done.codes(0) == [Code.OK] * 4


def test_costs_are_paid_in_the_partition_s_own_windows() -> None:
    script = Script()
    script.start(0).run(8).call(Call.NOP).call(Call.NOP)
    busy(script, 1)
    system = System([A, B], [(100, [(0, 0, 10), (1, 10, 90)])], costs=(25, 0, 0))
    done = run(system, script, 1000)
    # 1 tick is left of the first window, 10 of each of the next two, 4 of the fourth
    assert [tick for tick, _, _ in done.results(0)] == [9, 305]
    assert [event.local for event in done.of(host.HYPERCALL, 0)] == [9, 9 + 25 + 1]
    assert done.views[0].ticks == 100
    neighbour = run(system, idle_beside_busy(), 1000)
    assert neighbour.visible(1) == done.visible(1)


def idle_beside_busy() -> Script:
    script = Script()
    script.start(0).wait()
    busy(script, 1)
    return script


def test_a_blocked_receive_pays_for_its_copy() -> None:
    channel = Channel(QUEUING, 0, (1,), systems.WIDE, size=64, depth=2)
    system = System([A, B], [(1000, [(0, 0, 500), (1, 500, 500)])], [channel], costs=(10, 5, 0))
    early, late = Script(), Script()
    for script in (early, late):
        script.start(0).run(200).poke(DATA, systems.wide(1)).call(Call.PORT_SEND, 0, DATA, 64)
    early.start(1).call(Call.PORT_RECEIVE, 0, DATA, 64, 100000).call(Call.NOP)
    late.start(1).run(500).call(Call.PORT_RECEIVE, 0, DATA, 64, 100000).call(Call.NOP)
    # what was received at once costs as much as what was waited for
    for script, expected in ((early, 1 + 10 + 5 + 1), (late, 500 + 1 + 10 + 5 + 1)):
        done = run(system, script, 3000)
        assert done.codes(1) == [Code.OK, Code.OK]
        assert done.of(host.HYPERCALL, 1)[1].local == expected


def test_time_is_nanoseconds_since_boot() -> None:
    script = Script()
    guest = script.start(0)
    for _ in range(3):
        guest.run(999).call(Call.TIME_GET, DATA).peek(DATA, 8)
    for hz in (125_000_000, 1_000_000, 999_983, 9_999_999_999):
        done = run(System([A], [(10000, [(0, 0, 10000)])], clock_hz=hz), script, 4000)
        times = [struct.unpack("<Q", data)[0] for data in done.peeked(0)]
        assert times == [n * 1000 * 10**9 // hz for n in (1, 2, 3)]


# ---- periods and deadlines -------------------------------------------------------


def periodic(deadline: int, *works: int, phase: int = 100) -> tuple[System, Script]:
    """A partition with a period of 1000 ticks that works so long in its periods."""
    partition = Partition("test.A", period=1000, deadline=deadline, phase=phase)
    system = System(
        [partition],
        [(1000, [(0, 0, 1000)])],
        health={systems.DEADLINE: (systems.PARTITION, systems.LOG)},
    )
    script = Script()
    guest = script.start(0).normal().call(Call.PERIOD_WAIT)
    for work in works * 4:
        guest.run(work - 1).call(Call.PERIOD_WAIT)
    return system, script


def missed(done: host.Run) -> list[int]:
    return [event.tick for event in done.of(host.HEALTH) if event.code == systems.DEADLINE]


def test_releases_are_at_phase_plus_periods() -> None:
    done = run(*periodic(0, 10), 3500)
    waits = done.results(0, Call.PERIOD_WAIT)
    assert [tick for tick, _, _ in waits] == [100, 1100, 2100, 3100]
    view = done.views[0]
    assert (view.met, view.missed) == (0, 0)


@pytest.mark.parametrize(("work", "late"), [(299, False), (300, False), (301, True)])
def test_a_deadline_is_met_up_to_its_last_tick(work: int, late: bool) -> None:
    done = run(*periodic(300, work), 3099)
    assert missed(done) == ([400, 1400, 2400] if late else [])
    view = done.views[0]
    assert (view.met, view.missed) == ((0, 3) if late else (3, 0))


def test_a_deadline_that_ends_with_the_period() -> None:
    done = run(*periodic(1000, 999, 1000, 1001), 5000)
    # the third release is at 2100, its work is not done at 3100, where the fourth's should begin
    assert missed(done) == [3100, 4100]


@pytest.mark.parametrize(
    ("work", "met", "late"),
    [
        (1001, 0, [400, 1400, 2400, 3400]),  # over a release by a tick: every other one never runs
        (1250, 0, [400, 1400, 2400, 3400]),  # within what would be the second deadline
        (2001, 0, [400, 1400, 2400, 3400]),
        (300, 4, []),
    ],
)
def test_a_release_whose_own_work_never_ran_is_missed(work: int, met: int, late: list[int]) -> None:
    """Work that ends after a later release was the earlier one's: nothing did the later one's."""
    done = run(*periodic(300, work), 4050)
    assert missed(done) == late
    view = done.views[0]
    assert (view.met, view.missed) == (met, len(late))


def test_an_overlong_job_costs_the_releases_it_runs_over_and_no_more() -> None:
    done = run(*periodic(300, 100, 1250, 100), 5050)
    # released at 100, 1100 (until 2350, over 2100), 3100, 4100: the last works on what fits
    assert missed(done) == [1400, 2400]
    assert (done.views[0].met, done.views[0].missed) == (3, 2)


def test_no_deadline_before_normal_mode() -> None:
    system, _ = periodic(300, 10)
    initialising = Script()
    initialising.start(0).run(5000)
    done = run(system, initialising, 5000)
    assert missed(done) == [] and done.views[0].missed == 0


def test_the_first_deadline_is_that_of_the_first_release() -> None:
    system, _ = periodic(300, 10)
    script = Script()
    script.start(0).run(1199).normal()
    done = run(system, script, 4000)
    assert missed(done) == [2400, 3400]


def test_waiting_for_a_period_wants_a_period_and_normal_mode() -> None:
    system, _ = periodic(300, 10)
    script = Script()
    script.start(0).call(Call.PERIOD_WAIT)
    assert run(system, script, 100).codes(0) == [Code.INVALID_MODE]
    aperiodic = Script()
    aperiodic.start(0).normal().call(Call.PERIOD_WAIT)
    done = run(System([A], [(1000, [(0, 0, 1000)])]), aperiodic, 100)
    assert done.codes(0, Call.PERIOD_WAIT) == [Code.INVALID_CONFIG]


# ---- schedules -----------------------------------------------------------------------

SCHEDULES = [(1000, [(0, 0, 500), (1, 500, 500)]), (600, [(1, 0, 400), (0, 400, 200)])]


def switching(*steps: tuple[int, int]) -> Script:
    """Partition 0 runs so long, then asks for a schedule, in turn; partition 1 is busy."""
    script = Script()
    guest = script.start(0)
    for ticks, schedule in steps:
        guest.run(ticks).call(Call.SCHEDULE_SWITCH, schedule).call(Call.SCHEDULE_STATUS, DATA)
        guest.peek(DATA, 16)
    busy(script, 1)
    return script


SWITCHER = Partition("test.A", privileges=("schedule-switch",))


def test_a_schedule_is_switched_at_the_major_frame() -> None:
    done = run(System([SWITCHER, B], SCHEDULES), switching((100, 1), (500, 0)), 5000)
    assert done.codes(0, Call.SCHEDULE_SWITCH) == [Code.OK, Code.OK]
    switches = [(event.tick, event.code, event.value) for event in done.of(host.SCHEDULE)]
    # partition 0's next 500 ticks: 398 in the first frame, 102 from 1400 on
    assert switches == [(1000, 1, 0), (1600, 0, 1)]
    status = [struct.unpack("<IIQ", data) for data in done.peeked(0)]
    assert status == [(0, 1, 0), (1, 0, 1000 * 1000)]
    assert done.schedule == 0
    assert done.views[1].ticks == 500 + 400 + 3 * 500
    assert (done.frames, done.frame_end) == (5, 5600)


def test_a_switch_can_be_taken_back_before_the_frame_ends() -> None:
    done = run(System([SWITCHER, B], SCHEDULES), switching((10, 1), (10, 0)), 3000)
    assert done.codes(0, Call.SCHEDULE_SWITCH) == [Code.OK, Code.OK]
    assert done.of(host.SCHEDULE) == []


def test_a_switch_in_the_last_tick_of_a_frame_counts() -> None:
    one = [(1000, [(0, 0, 1000)]), (400, [(0, 0, 100)])]
    script = Script()
    script.start(0).run(999).call(Call.SCHEDULE_SWITCH, 1)
    done = run(System([SWITCHER], one), script, 2000)
    assert [event.tick for event in done.of(host.SCHEDULE)] == [1000]


def test_who_may_switch_to_what() -> None:
    done = run(System([SWITCHER, B], SCHEDULES), switching((1, 0), (1, 2), (1, 1), (1, 1)), 900)
    codes = [Code.NO_ACTION, Code.INVALID_PARAM, Code.OK, Code.NO_ACTION]
    assert done.codes(0, Call.SCHEDULE_SWITCH) == codes
    assert len([e for e in done.of(host.VERDICT) if e.kind == host.REQUEST]) == 1
    done = run(System([A, B], SCHEDULES), switching((1, 1)), 3000)
    assert done.codes(0, Call.SCHEDULE_SWITCH) == [Code.INVALID_CONFIG]
    denying = systems.policy(systems.STARTS)
    done = run(System([SWITCHER, B], SCHEDULES), switching((1, 1)), 3000, policies=[denying])
    assert done.codes(0, Call.SCHEDULE_SWITCH) == [Code.DENIED]
    assert done.of(host.SCHEDULE) == []


def test_sampling_values_are_valid_for_their_refresh_period() -> None:
    channel = Channel(SAMPLING, 0, (1,), systems.REPORT, refresh=150)
    system = System([A, B], [(1000, [(0, 0, 500), (1, 500, 500)])], [channel])
    script = Script()
    script.start(0).run(399).poke(DATA, message(7, 8)).call(Call.PORT_WRITE, 0, DATA, 16)
    guest = script.start(1).run(49)
    for _ in range(2):
        guest.call(Call.PORT_READ, 0, DATA, 16, DATA + 16).peek(DATA, 32)
    done = run(system, script, 900)
    read = [(data[8:16], *struct.unpack("<IIQ", data[16:])) for data in done.peeked(1)]
    body = struct.pack("<II", 7, 8)
    assert read == [(body, 16, 1, 150_000), (body, 16, 0, 151_000)]
