"""The event stream: complete, in order, the same however it is drained and sliced."""

from __future__ import annotations

import pytest

from khs.abi import hypercalls
from tests.core import fuzz, host, systems
from tests.core.host import Call, Code, Script, run
from tests.core.systems import (
    ALARM,
    CALLS,
    DATA,
    QUEUING,
    REPORT,
    SAMPLING,
    SERVICE,
    Channel,
    Partition,
    System,
    message,
)

A = Partition("test.A", privileges=tuple(systems.PRIVILEGES), period=500, deadline=400)
B = Partition("test.B", inputs=((16, 2),))
CHANNELS = [
    Channel(SAMPLING, 0, (1, 2), REPORT),
    Channel(QUEUING, 1, (0, 2), ALARM, depth=2),
    Channel(CALLS, 2, (1,), SERVICE),
]
SYSTEM = System(
    [A, B, Partition("test.C")],
    [(500, [(0, 0, 200), (1, 200, 150), (2, 400, 100)]), (300, [(2, 0, 100), (0, 100, 200)])],
    CHANNELS,
    costs=(3, 1, 2),
)
INPUTS = [(n * 37, 0, bytes([n % 251] * (n % 16))) for n in range(150)]


def lively() -> Script:
    """Three partitions that do a bit of everything, for ever."""
    script = Script()
    guest = script.start(0).normal().poke(DATA, message(1, 2))
    guest.call(Call.TIMER_SET, 40, 70).call(Call.INTERRUPT_ATTACH, systems.CODE, 1)
    guest.call(Call.PORT_WRITE, 0, DATA, 16).call(Call.CONSOLE_WRITE, DATA, 40).run(20)
    guest.call(Call.PORT_RECEIVE, 1, DATA + 64, 64, 100).call(Call.SCHEDULE_SWITCH, 1).run(13)
    guest.call(Call.PERIOD_WAIT).call(Call.POLICY_SWAP, 1).call(Call.SCHEDULE_SWITCH, 0)
    guest.call(Call.PARTITION_RESTART, 2, 1).call(Call.ERROR_RAISE, 1, DATA, 9).jump(4)
    script.handler(0, systems.CODE).run(3).call(Call.INTERRUPT_RETURN)
    guest = script.start(1).poke(DATA, message(1, 2))
    guest.call(Call.PORT_SEND, 1, DATA, 16).call(Call.INPUT_RECEIVE, 0, DATA + 64, 64, 50)
    guest.call(Call.RECV, DATA + 128, 64, DATA + 256, 200).poke(DATA + 512, message(3, 0, flags=1))
    guest.call(Call.REPLY, f"@{DATA + 256}", DATA + 512, 16).jump()
    guest = script.start(2).poke(DATA, message(1, 2))
    guest.call(Call.CALL, 2, DATA, 16, DATA + 64, 64, 300).wait().fault(6)
    return script


@pytest.fixture(scope="module")
def whole() -> host.Run:
    return run(SYSTEM, lively(), 20_000, policies=[systems.policy()] * 2, inputs=INPUTS)


def test_the_system_is_lively(whole: host.Run) -> None:
    """What follows is worth something only if all kinds of events are there."""
    missing = {host.STOP}
    assert {event.type for event in whole.events} == set(range(1, 16)) - missing
    assert len(whole.events) > 2000


@pytest.mark.parametrize("slice", [1, 7, 499, 500, 501, 12_345])
def test_any_slices_give_the_same_events(whole: host.Run, slice: int) -> None:
    sliced = run(
        SYSTEM, lively(), 20_000, policies=[systems.policy()] * 2, inputs=INPUTS, slice=slice
    )
    assert sliced.stream == whole.stream
    assert sliced.views == whole.views and sliced.observed == whole.observed


@pytest.mark.parametrize("ring", [1, 8, 4096, 1 << 20])
def test_any_ring_gives_the_same_events(whole: host.Run, ring: int) -> None:
    """`ring` bytes more than the smallest one."""
    smallest = int(host.execute(["sizes", *_files()]).split()[2])
    drained = run(
        SYSTEM,
        lively(),
        20_000,
        policies=[systems.policy()] * 2,
        inputs=INPUTS,
        ring=smallest + ring,
    )
    assert drained.stream == whole.stream


def _files() -> list[str]:
    folder = systems.folder()
    (folder / "lively.bin").write_bytes(SYSTEM.config())
    return [str(folder / "lively.bin")]


def test_a_ring_that_is_too_small_is_refused() -> None:
    smallest = int(host.execute(["sizes", *_files()]).split()[2])
    with pytest.raises(AssertionError, match="status 4"):
        run(SYSTEM, Script(), 100, ring=smallest - 1)


def test_the_smallest_ring_holds_the_widest_write() -> None:
    """32 verdicts with the largest message each, through a channel that is not the first."""
    wide = Channel(SAMPLING, 0, (1,) * 32, REPORT, size=512)
    system = System([A, B], [(100, [(0, 0, 100)])], [Channel(SAMPLING, 0, (1,), REPORT), wide])
    script = Script()
    guest = script.start(0)
    for _ in range(3):
        guest.call(Call.PORT_WRITE, 1, DATA, 512)
    done = run(system, script, 100)
    assert done.codes(0) == [Code.DENIED] * 3
    verdicts = [event for event in done.of(host.VERDICT) if event.kind == host.REQUEST]
    assert [len(event.data) for event in verdicts] == [512] * 96


def test_events_are_complete(whole: host.Run) -> None:
    for number, view in enumerate(whole.views):
        calls = whole.of(host.HYPERCALL, number)
        assert view.hypercalls == len(calls)
        verdicts = whole.of(host.VERDICT, number)
        assert view.granted == sum(event.value for event in verdicts)
        assert view.denied == len(verdicts) - view.granted
        assert view.faults == len(whole.of(host.FAULT, number))


def test_a_blocked_hypercall_shows_twice() -> None:
    script = Script()
    script.start(0).call(Call.PORT_RECEIVE, 1, DATA, 16, 50)
    done = run(SYSTEM, script, 150)
    events = [(e.type, e.number, e.code) for e in done.events if e.partition == 0 and e.visible]
    number = int(Call.PORT_RECEIVE)
    assert events == [(host.HYPERCALL, number, host.NONE), (host.RESUME, number, Code.TIMED_OUT)]


@pytest.mark.parametrize(
    "number", [len(hypercalls.HYPERCALLS), 99, 255, 65_535, 65_536 + 5, 1 << 31, host.NONE]
)
def test_unknown_hypercalls(number: int) -> None:
    script = Script()
    script.start(0).call(number, 1, 2, 3).call(Call.NOP)
    done = run(SYSTEM, script, 150)
    first, second = done.of(host.HYPERCALL, 0)
    assert (first.code, first.value, first.args) == (Code.UNKNOWN, 0, (number,))
    assert first.number == min(number, 65_535)
    # and it costs what any hypercall costs
    assert (second.tick, second.code) == (1 + 3 + 1, Code.OK)


def test_arguments_are_recorded_as_passed() -> None:
    """All of each hypercall's, and no more."""
    script = Script()
    guest = script.start(0)
    quiet = [call for call in hypercalls.HYPERCALLS if call.name[4:] not in ("wait", "period_wait")]
    values = [(1 << 63) + n for n in range(6)]
    for call in quiet:
        guest.call(call.number, *values[: len(call.arguments)])
    denying = systems.policy(systems.STARTS)
    done = run(
        System([A, B, B], [(9000, [(0, 0, 9000)])], CHANNELS[:2]), script, 9000, policies=[denying]
    )
    recorded = [(event.number, event.args) for event in done.of(host.HYPERCALL, 0)]
    assert recorded == [(c.number, tuple(values[: len(c.arguments)])) for c in quiet]


def test_all_that_a_partition_observed_is_in_its_own_trace() -> None:
    """Messages, and behind them what the kernel wrote beside them: equal traces, equal runs."""
    health = {systems.APPLICATION: (systems.PROCESS, systems.LOG)}
    writer = System(
        [A, Partition("test.B", inputs=((16, 2),)), Partition("test.C")],
        [(900, [(2, 0, 300), (0, 300, 300), (1, 600, 300)])],
        [Channel(SAMPLING, 2, (0,), REPORT, refresh=500), Channel(CALLS, 2, (0,), SERVICE)],
        health=health,
    )
    info = DATA + 256
    script = Script()
    client = script.start(2).poke(DATA, message(7, 8)).call(Call.PORT_WRITE, 0, DATA, 16)
    client.call(Call.CALL, 1, DATA, 16, DATA + 64, 64, 10_000)
    guest = script.start(0).call(Call.INTERRUPT_ATTACH, systems.CODE, 0)
    guest.call(Call.INTERRUPT_MASK, 7).poke(DATA, b"help").call(Call.ERROR_RAISE, 5, DATA, 4)
    calls: list[tuple[int, tuple[int, ...], int]] = [
        (Call.TIME_GET, (info,), 0),
        (Call.PARTITION_STATUS, (info,), 0),
        (Call.SCHEDULE_STATUS, (info,), 0),
        (Call.PORT_STATUS, (0, info), 0),
        (Call.PORT_READ, (0, DATA, 64, info), 16),
        (Call.RECV, (DATA, 64, info, 0), 16),
        (Call.ERROR_STATUS, (info,), 0),
    ]
    sizes = {each.name: each.size for each in hypercalls.STRUCTS}
    for number, arguments, length in calls:
        struct = next(a.of for a in hypercalls.HYPERCALLS[number].arguments if a.kind == "struct")
        guest.poke(DATA, b"\xee" * 512).call(number, *arguments)
        guest.peek(DATA, length).peek(info, sizes[struct])
    rows = {
        each.name for each in hypercalls.HYPERCALLS for a in each.arguments if a.kind == "struct"
    }
    assert rows == {hypercalls.HYPERCALLS[number].name for number, _, _ in calls}

    done = run(writer, script, 900)
    wrote = {number for number, _, _ in calls}
    records = [event for event in done.of(host.HYPERCALL, 0) if event.number in wrote]
    assert [event.code for event in records] == [Code.OK] * len(calls)
    seen = done.peeked(0)
    assert not any(b"\xee" in each for each in seen)  # all of it was written
    assert [event.data for event in records] == [
        message + struct for message, struct in zip(seen[::2], seen[1::2], strict=True)
    ]
    assert [event.value for event in records] == [length for _, _, length in calls]


def test_nothing_is_recorded_of_what_was_not_written() -> None:
    script = Script()
    guest = script.start(0).call(Call.TIME_GET, systems.CODE).call(Call.PORT_STATUS, 9, DATA)
    guest.call(Call.ERROR_STATUS, DATA)
    done = run(SYSTEM, script, 150)
    assert [event.data for event in done.of(host.HYPERCALL, 0)] == [b""] * 3


def test_the_module_s_events_belong_to_nobody(whole: host.Run) -> None:
    for event in whole.events:
        if event.type in (host.BOOT, host.SCHEDULE, host.POLICY):
            assert event.partition == host.MODULE and not event.visible and event.local == 0
        if event.visible:
            assert event.partition < 3


@pytest.mark.parametrize("seed", range(1, 41))
def test_random_guests(seed: int) -> None:
    """Sanitizers, invariants, slices, snapshots: see fake/fuzz.c."""
    with fuzz.files(seed, 400_000) as arguments:
        mode = ["fuzz", *arguments, "--seed", seed, "--steps", 4000, "--until", 400_000]
        assert host.execute(mode).startswith("returns ")


def test_hypercalls_return_what_their_table_says() -> None:
    """No code but OK and those listed, whatever random guests do."""
    returned: set[tuple[int, int]] = set()
    for seed in range(200, 230):
        with fuzz.files(seed, 400_000) as arguments:
            mode = ["fuzz", *arguments, "--seed", seed, "--steps", 4000, "--until", 400_000]
            lines = host.execute([*mode, "--statistics"]).splitlines()
        for line in lines:
            if line.startswith("hypercall "):
                head, _, codes = line.partition("codes")
                number = int(head.split()[1].rstrip(":"))
                returned |= {(number, int(each.partition(":")[0])) for each in codes.split()}
    listed = {
        (call.number, Code[name]) for call in hypercalls.HYPERCALLS for name in ("OK", *call.errors)
    }
    known = {pair for pair in returned if pair[0] < len(hypercalls.HYPERCALLS)}
    assert known <= listed, known - listed
    assert len(known) > 80
