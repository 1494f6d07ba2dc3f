"""Sampling and queuing ports: one judged event a reader, no silent loss."""

from __future__ import annotations

import struct

import pytest

from tests.core import host, systems
from tests.core.host import COLD_START, IDLE, Call, Code, Guest, Script, run
from tests.core.systems import (
    ALARM,
    CALLS,
    CODE,
    CONSTANTS,
    DATA,
    QUEUING,
    REPORT,
    SAMPLING,
    SERVICE,
    SHARED,
    WIDE,
    Channel,
    Partition,
    System,
    message,
)

A, B, C, D = (Partition(f"test.{letter}") for letter in "ABCD")
CONTROLLER = Partition("test.D", privileges=("partition-control",))
FOUR = [(400, [(n, 100 * n, 100) for n in range(4)])]
LONG = 1_000_000
INFO = DATA + 1024


def fan_out(kind: int, depth: int = 0, to: tuple[int, ...] = (1, 2)) -> System:
    """Partition 0 writes, `to` read."""
    channel = Channel(kind, 0, to, REPORT if kind == SAMPLING else ALARM, depth=depth)
    return System([A, B, C, D], FOUR, [channel])


def write(guest: Guest, kind: int, *values: int) -> Guest:
    call = Call.PORT_WRITE if kind == SAMPLING else Call.PORT_SEND
    for value in values:
        guest.poke(DATA, message(value, 0)).call(call, 0, DATA, 16)
    return guest


def take(guest: Guest, times: int = 1, timeout: int = 0, capacity: int = 64) -> Guest:
    for _ in range(times):
        guest.call(Call.PORT_RECEIVE, 0, DATA, capacity, timeout).peek(DATA, 16)
    return guest


def granting(*readers: str) -> bytes:
    """Messages go to these classes only."""
    rules = "".join(f"request src=test.A, dst=test.{name} {{ grant () }}\n" for name in readers)
    return systems.policy(systems.STARTS + systems.KERNEL + rules)


# ---- who gets it --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SAMPLING, QUEUING])
@pytest.mark.parametrize(
    ("readers", "code", "mask"),
    [
        ("BC", Code.OK, 3),
        ("B", Code.PARTIAL, 1),
        ("C", Code.PARTIAL, 2),
        ("D", Code.DENIED, 0),
    ],
)
def test_the_return_code_says_who_got_it(kind: int, readers: str, code: int, mask: int) -> None:
    script = Script()
    write(script.start(0), kind, 5)
    for n in (1, 2):
        guest = script.start(n)
        if kind == SAMPLING:
            guest.call(Call.PORT_READ, 0, DATA, 64, INFO)
        else:
            take(guest)
    done = run(fan_out(kind, depth=3), script, 400, policies=[granting(*readers)])
    assert done.results(0)[0][1:] == (code, mask)
    got = [Code.OK if mask >> n & 1 else Code.NOT_AVAILABLE for n in range(2)]
    assert [done.codes(1)[0], done.codes(2)[0]] == got
    events = [e for e in done.of(host.VERDICT) if e.kind == host.REQUEST]
    assert [e.ends for e in events] == [(0, 1), (0, 2)]
    assert [e.value for e in events] == [mask & 1, mask >> 1]
    assert (done.views[0].granted, done.views[0].denied) == (mask.bit_count(), 2 - mask.bit_count())


def test_a_channel_may_have_thirty_two_readers() -> None:
    partitions = [A] + [B] * 32
    channel = Channel(SAMPLING, 0, tuple(range(1, 33)), REPORT)
    system = System(partitions, [(100, [(0, 0, 100)])], [channel])
    script = Script()
    write(script.start(0), SAMPLING, 1)
    assert run(system, script, 100).results(0) == [(1, Code.OK, 0xFFFFFFFF)]


def test_a_partition_may_read_what_it_writes() -> None:
    system = System([A], [(100, [(0, 0, 100)])], [Channel(QUEUING, 0, (0,), ALARM, depth=1)])
    script = Script()
    guest = write(script.start(0), QUEUING, 77)
    guest.call(Call.PORT_RECEIVE, 1, DATA, 64, 0).peek(DATA, 16)
    done = run(system, script, 100)
    assert done.codes(0) == [Code.OK, Code.OK]
    assert done.peeked(0) == [message(77, 0, riid=ALARM)]


@pytest.mark.parametrize("kind", [SAMPLING, QUEUING])
def test_the_channel_says_what_a_message_is(kind: int) -> None:
    """Each reader sees its own endpoint id; what the writer puts in the header does not count."""
    script = Script()
    guest = script.start(0).poke(DATA, message(5, 6, riid=99, mid=98, flags=2))
    guest.call(Call.PORT_WRITE if kind == SAMPLING else Call.PORT_SEND, 0, DATA, 16)
    reader = script.start(1)
    if kind == SAMPLING:
        reader.call(Call.PORT_READ, 0, DATA, 64, INFO).peek(DATA, 16)
    else:
        take(reader)
    done = run(fan_out(kind, depth=1), script, 400)
    assert done.peeked(1) == [message(5, 6, riid=REPORT if kind == SAMPLING else ALARM)]


@pytest.mark.parametrize("kind", [SAMPLING, QUEUING])
def test_content_is_judged_for_each_message(kind: int) -> None:
    interface, field = ("Report", "value") if kind == SAMPLING else ("Alarm", "code")
    rule = f"request src=test.A, interface=test.{interface} {{ assert (message.{field} < 10) }}\n"
    policy = systems.policy(systems.STARTS + rule)
    script = Script()
    write(script.start(0), kind, 9, 10, 3)
    done = run(fan_out(kind, depth=4), script, 400, policies=[policy])
    assert done.codes(0) == [Code.OK, Code.DENIED, Code.OK]


def test_a_malformed_message_reaches_nobody() -> None:
    script = Script()
    script.start(0).poke(DATA, message(1, 1)).call(Call.PORT_WRITE, 0, DATA, 8)
    done = run(fan_out(SAMPLING), script, 400)
    assert done.codes(0) == [Code.DENIED]
    events = [e for e in done.of(host.VERDICT) if e.kind == host.REQUEST]
    assert [(e.code, e.value) for e in events] == [(host.MALFORMED, 0)] * 2


def test_what_is_judged_is_what_is_delivered() -> None:
    rule = "request src=test.A, interface=test.Alarm { assert (message.code < 10) }\n"
    script = Script()
    script.start(0).poke(SHARED, message(7, 0)).call(Call.PORT_SEND, 0, SHARED, 16)
    script.start(1).poke(SHARED, message(666, 0)).run(1)
    take(script.start(2))
    policy = systems.policy(systems.STARTS + rule)
    done = run(fan_out(QUEUING, depth=1), script, 400, policies=[policy])
    assert done.peeked(2) == [message(7, 0, riid=ALARM)]


# ---- queues -------------------------------------------------------------------------------


def test_messages_come_in_the_order_they_were_sent() -> None:
    script = Script()
    sender = script.start(0)
    for at in range(0, 60, 3):  # more than the queue holds, in several frames
        write(sender, QUEUING, at, at + 1, at + 2).run(97)
    take(script.start(1), 3).wait().jump(0)
    done = run(fan_out(QUEUING, depth=3, to=(1,)), script, 400 * 22)
    assert set(done.codes(0)) == {Code.OK}
    taken = [data for data, code in zip(done.peeked(1), done.codes(1), strict=True) if not code]
    assert [struct.unpack("<I", data[8:12])[0] for data in taken] == list(range(60))


def test_overflow_is_an_error_to_the_writer() -> None:
    script = Script()
    write(script.start(0), QUEUING, *range(5))
    take(script.start(1), 1)
    script.start(2).call(Call.PORT_STATUS, 0, DATA).peek(DATA, 24)
    done = run(fan_out(QUEUING, depth=3), script, 400)
    assert done.codes(0) == [Code.OK] * 3 + [Code.NOT_AVAILABLE] * 2
    assert struct.unpack("<6I", done.peeked(2)[0]) == (QUEUING, 1, 16, 3, 3, 2)
    # one reader has room again, the other has not
    later = Script()
    write(write(later.start(0), QUEUING, *range(3)).run(97), QUEUING, 9, 10)
    take(later.start(1), 1)
    done = run(fan_out(QUEUING, depth=3), later, 800)
    assert [result[1:] for result in done.results(0)[3:]] == [
        (Code.PARTIAL, 1),
        (Code.NOT_AVAILABLE, 0),
    ]


def test_what_overflows_does_not_change_the_policy_s_state() -> None:
    """A message that ages its reader is granted but does not fit: the reader stays young."""
    rules = (
        "policy object life : Flow {\n"
        '    type State = "young" | "old"\n'
        '    config = { states : ["young", "old"], initial : "young",\n'
        '        transitions : { "young" : ["old"] } }\n}\n'
        "execute src=Einit { life.init { sid : dst_sid } }\n"
        "request src=test.A, dst=test.B, interface=test.Alarm {\n"
        '    choice (message.code) { 1 : life.enter { sid : dst_sid, state : "old" }\n'
        '    _ : life.allow { sid : dst_sid, states : ["young"] } }\n}\n'
    )
    script = Script()
    write(write(script.start(0), QUEUING, 2, 1).wait(), QUEUING, 2)
    take(script.start(1))
    policies = [systems.policy(rules)]
    done = run(fan_out(QUEUING, depth=1, to=(1,)), script, 800, policies=policies)
    assert done.codes(0, Call.PORT_SEND) == [Code.OK, Code.NOT_AVAILABLE, Code.OK]
    assert len([e for e in done.of(host.VERDICT) if e.kind & 0xFF == host.REQUEST]) == 3


def test_who_is_denied_learns_nothing_of_a_full_queue() -> None:
    rules = "request src=test.A, dst=test.B, interface=test.Alarm { assert (message.code == 1) }\n"
    script = Script()
    write(script.start(0), QUEUING, 1, 1, 2)
    policies = [systems.policy(systems.STARTS + rules)]
    done = run(fan_out(QUEUING, depth=1, to=(1,)), script, 400, policies=policies)
    assert done.codes(0, Call.PORT_SEND) == [Code.OK, Code.NOT_AVAILABLE, Code.DENIED]


def test_none_got_it_for_different_reasons() -> None:
    """One queue is full, the other reader's is denied: that is no plain denial."""
    script = Script()
    write(script.start(0), QUEUING, 1, 2)
    done = run(fan_out(QUEUING, depth=1), script, 400, policies=[granting("B")])
    assert [result[1:] for result in done.results(0)] == [
        (Code.PARTIAL, 1),
        (Code.NOT_AVAILABLE, 0),
    ]


def test_a_waiting_reader_gets_the_message_at_once() -> None:
    script = Script()
    write(script.start(0).run(149), QUEUING, 4, 5)
    take(script.start(1), 2, timeout=LONG)
    done = run(fan_out(QUEUING, depth=1, to=(1,)), script, 1200)
    # the reader waits from 101 on and takes the first message; the second fills the queue
    assert done.codes(0) == [Code.OK, Code.OK]
    assert done.results(1)[0] == (450, Code.OK, 16)
    assert [data[8] for data in done.peeked(1)] == [4, 5]


def test_a_receive_polls_times_out_and_is_refused_a_small_buffer() -> None:
    script = Script()
    take(take(script.start(1)), timeout=30)
    done = run(fan_out(QUEUING, depth=1, to=(1,)), script, 300)
    assert done.results(1) == [(101, Code.NOT_AVAILABLE, 0), (132, Code.TIMED_OUT, 0)]
    small = Script()
    write(small.start(0), QUEUING, 8)
    take(take(small.start(1), capacity=15), capacity=16)
    done = run(fan_out(QUEUING, depth=1, to=(1,)), small, 300)
    assert done.codes(1) == [Code.BAD_LENGTH, Code.OK]
    blocked = Script()
    write(blocked.start(0).run(100), QUEUING, 8)
    take(take(blocked.start(1), timeout=LONG, capacity=15), capacity=16)
    done = run(fan_out(QUEUING, depth=1, to=(1,)), blocked, 600)
    assert done.codes(1) == [Code.BAD_LENGTH, Code.OK]


# ---- sampling ------------------------------------------------------------------------------


def read(guest: Guest, times: int = 1, capacity: int = 64) -> Guest:
    for _ in range(times):
        guest.call(Call.PORT_READ, 0, DATA, capacity, INFO).peek(DATA, 16).peek(INFO, 16)
    return guest


def test_a_sampling_port_holds_the_last_value() -> None:
    script = Script()
    write(script.start(0).run(108), SAMPLING, 1, 2, 3)
    read(read(script.start(1)).wait(), 2)
    done = run(fan_out(SAMPLING, to=(1,)), script, 800)
    assert done.codes(1) == [Code.NOT_AVAILABLE, Code.OK, Code.OK]
    values, infos = done.peeked(1)[::2], done.peeked(1)[1::2]
    assert values[1:] == [message(3, 0, riid=REPORT)] * 2
    assert [struct.unpack("<IIQ", info) for info in infos[1:]] == [
        (16, 1, 90_000),  # written at 411, read at 501
        (16, 1, 91_000),
    ]


def test_a_denied_value_leaves_the_old_one_and_its_age() -> None:
    rule = "request src=test.A, interface=test.Report { assert (message.value < 10) }\n"
    script = Script()
    write(script.start(0), SAMPLING, 1, 11)
    read(script.start(1))
    policy = systems.policy(systems.STARTS + rule)
    done = run(fan_out(SAMPLING, to=(1,)), script, 400, policies=[policy])
    value, info = done.peeked(1)
    assert value == message(1, 0, riid=REPORT)
    assert struct.unpack("<IIQ", info)[2] == 100_000


def test_reading_into_a_small_buffer() -> None:
    script = Script()
    write(script.start(0), SAMPLING, 1)
    read(script.start(1), capacity=15)
    done = run(fan_out(SAMPLING, to=(1,)), script, 400)
    assert done.codes(1) == [Code.BAD_LENGTH]
    assert done.peeked(1) == [systems.initial(7), bytes(16)]


# ---- stopped readers ------------------------------------------------------------------------


def stopping(kind: int, stop: bool) -> host.Run:
    """Partition 3 stops the reader 1 (or does not) and starts it later."""
    channel = Channel(kind, 0, (1, 2), REPORT if kind == SAMPLING else ALARM, depth=9)
    system = System([A, B, C, CONTROLLER], FOUR, [channel], costs=(3, 1, 2))
    script = Script()
    sender = script.start(0)
    for n in range(4):
        write(sender, kind, n).wait()
    reader = script.start(1, 2)
    if kind == SAMPLING:
        read(reader)
    else:
        take(reader, 2)
    controller = script.start(3)
    if stop:
        controller.call(Call.PARTITION_RESTART, 1, IDLE).wait().wait()
        controller.call(Call.PARTITION_RESTART, 1, COLD_START)
    policy = systems.EVERYTHING + "execute src=test.D { grant () }\n"
    return run(system, script, 2000, policies=[systems.policy(policy)])


@pytest.mark.parametrize("kind", [SAMPLING, QUEUING])
def test_a_writer_does_not_see_that_its_reader_is_stopped(kind: int) -> None:
    stopped, running = stopping(kind, True), stopping(kind, False)
    assert [view.restarts for view in stopped.views] == [0, 1, 0, 0]
    assert stopped.visible(0) == running.visible(0)
    assert stopped.views[0] == running.views[0]


def test_a_start_empties_the_queue_and_keeps_the_sample() -> None:
    queuing, sampling = stopping(QUEUING, True), stopping(SAMPLING, True)
    # the start is in the third frame, the fourth message comes after it
    assert queuing.codes(1) == [Code.OK, Code.NOT_AVAILABLE]
    assert queuing.peeked(1)[0][8] == 3
    assert sampling.codes(1) == [Code.OK]


# ---- arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "arguments", "code"),
    [
        (Call.PORT_WRITE, (4, DATA, 16), Code.INVALID_PARAM),
        (Call.PORT_WRITE, (1 << 32, DATA, 16), Code.INVALID_PARAM),
        (Call.PORT_WRITE, (1, DATA, 16), Code.INVALID_CONFIG),  # queuing
        (Call.PORT_WRITE, (2, DATA, 16), Code.INVALID_CONFIG),  # for reading
        (Call.PORT_WRITE, (3, DATA, 16), Code.INVALID_CONFIG),  # calls
        (Call.PORT_SEND, (0, DATA, 16), Code.INVALID_CONFIG),
        (Call.PORT_READ, (0, DATA, 16, INFO), Code.INVALID_CONFIG),
        (Call.PORT_RECEIVE, (2, DATA, 16, 0), Code.INVALID_CONFIG),
        (Call.PORT_WRITE, (0, DATA, 7), Code.BAD_LENGTH),
        (Call.PORT_WRITE, (0, DATA, 65), Code.BAD_LENGTH),
        (Call.PORT_WRITE, (0, DATA, host.NONE), Code.BAD_LENGTH),
        (Call.PORT_WRITE, (0, DATA - 8, 16), Code.BAD_POINTER),
        (Call.PORT_WRITE, (0, DATA + systems.DATA_SIZE - 15, 16), Code.BAD_POINTER),
        (Call.PORT_WRITE, (0, (1 << 64) - 16, 16), Code.BAD_POINTER),
        (Call.PORT_WRITE, (0, CODE + systems.PAGE - 16, 17), Code.BAD_POINTER),
        (Call.PORT_WRITE, (0, CONSTANTS, 16), Code.DENIED),  # may be read, is not granted
        (Call.PORT_READ, (2, CONSTANTS, 16, INFO), Code.BAD_POINTER),
        (Call.PORT_READ, (2, DATA, 16, CODE), Code.BAD_POINTER),
        (Call.PORT_READ, (2, DATA, 16, DATA + systems.DATA_SIZE - 15), Code.BAD_POINTER),
        (Call.PORT_READ, (2, DATA, 16, INFO), Code.NOT_AVAILABLE),
        (Call.PORT_STATUS, (4, DATA), Code.INVALID_PARAM),
        (Call.PORT_STATUS, (0, CONSTANTS), Code.BAD_POINTER),
    ],
)
def test_arguments(call: int, arguments: tuple[int, ...], code: int) -> None:
    channels = [
        Channel(SAMPLING, 0, (1,), WIDE, size=64),
        Channel(QUEUING, 0, (1,), ALARM, depth=1),
        Channel(SAMPLING, 1, (0,), REPORT),
        Channel(CALLS, 0, (1,), SERVICE),
    ]
    script = Script()
    script.start(0).call(call, *arguments)
    policy = systems.policy(systems.STARTS)
    done = run(System([A, B], [(100, [(0, 0, 100)])], channels), script, 100, policies=[policy])
    assert done.codes(0) == [code]
    assert done.views[0].denied == (code == Code.DENIED)


def test_the_status_of_every_kind_of_port() -> None:
    channels = [
        Channel(SAMPLING, 0, (1,), WIDE, size=64),
        Channel(QUEUING, 0, (1,), ALARM, depth=7),
        Channel(CALLS, 1, (0,), SERVICE),
    ]
    script = Script()
    guest = script.start(0)
    for port in range(3):
        guest.call(Call.PORT_STATUS, port, DATA).peek(DATA, 24)
    done = run(System([A, B], [(100, [(0, 0, 100)])], channels), script, 100)
    assert [struct.unpack("<6I", data) for data in done.peeked(0)] == [
        (SAMPLING, 0, 64, 0, 0, 0),
        (QUEUING, 0, 16, 7, 0, 0),
        (CALLS, 1, 16, 0, 0, 0),
    ]
