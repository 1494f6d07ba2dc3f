"""Policies replaced in a running system."""

from __future__ import annotations

import pytest
from kss.binary import seal

from tests.core import host, systems
from tests.core.host import COLD_START, IDLE, Call, Code, Guest, Script, run
from tests.core.systems import (
    CALLS,
    CODE,
    DATA,
    PAGE,
    REPORT,
    SAMPLING,
    SERVICE,
    Channel,
    Partition,
    System,
    message,
)

SWAPPER = Partition("test.A", privileges=("policy-swap",))
B, C = Partition("test.B"), Partition("test.C")
FRAME = [(300, [(0, 0, 100), (1, 100, 100), (2, 200, 100)])]
SYSTEM = System([SWAPPER, B, C], FRAME, [Channel(SAMPLING, 1, (2,), REPORT)])
LONG = 1_000_000

BASE = systems.STARTS + systems.KERNEL
OPEN = systems.policy(BASE + systems.PORTS + systems.REPLIES)
CLOSED = systems.policy(BASE)


def writer(script: Script, partition: int = 1) -> None:
    guest = script.start(partition).poke(DATA, message(1, 2))
    guest.call(Call.PORT_WRITE, 0, DATA, 16).wait().jump()


def swap(script: Script, *numbers: int, partition: int = 0) -> Guest:
    guest = script.start(partition).run(9)
    for number in numbers:
        guest.call(Call.POLICY_SWAP, number)
    return guest


def applied(done: host.Run) -> list[tuple[int, int, int]]:
    return [(event.tick, event.code, event.value) for event in done.of(host.POLICY)]


def test_a_swap_takes_effect_at_the_major_frame() -> None:
    script = Script()
    swap(script, 1)
    writer(script)
    done = run(SYSTEM, script, 900, policies=[OPEN, CLOSED])
    assert done.codes(0) == [Code.OK]
    assert applied(done) == [(300, 1, 0)]
    assert done.codes(1, Call.PORT_WRITE) == [Code.OK, Code.DENIED, Code.DENIED]
    sequence = [e.args[0] >> 32 for e in done.of(host.VERDICT) if e.partition == 1]
    assert sequence == [0, 1, 1]


def test_a_swap_from_outside_takes_effect_at_its_major_frame() -> None:
    script = Script()
    writer(script)
    done = run(SYSTEM, script, 1200, policies=[OPEN, CLOSED], inputs=[(1, 1), (2, 0), (0, 1)])
    assert [(tick, number) for tick, number, _ in applied(done)] == [(300, 1), (600, 0)]
    codes = done.codes(1, Call.PORT_WRITE)
    assert codes == [Code.OK, Code.DENIED, Code.OK, Code.OK]


def test_frames_count_whatever_the_schedule() -> None:
    """Frame 3 of frames of 300, 50 and 50 ticks, and then of 300 again."""
    everything = Partition("test.A", privileges=("policy-swap", "schedule-switch"))
    schedules = [*FRAME, (50, [(0, 0, 50)])]
    script = Script()
    script.start(0).call(Call.SCHEDULE_SWITCH, 1).wait().wait().call(Call.SCHEDULE_SWITCH, 0)
    inputs = [(3, 1), (4, 0)]
    system = System([everything, B, C], schedules)
    done = run(system, script, 1200, policies=[OPEN, CLOSED], inputs=inputs)
    assert [event.tick for event in done.of(host.SCHEDULE)] == [300, 400]
    assert [(tick, number) for tick, number, _ in applied(done)] == [(400, 1), (700, 0)]


def test_a_swap_from_outside_replaces_one_that_a_partition_asked_for() -> None:
    for outside, expected in ((2, [(300, 2, 0)]), (3, [(300, 3, host.NONE)])):
        script = Script()
        swap(script, 1)
        policies = [OPEN, CLOSED, OPEN, OPEN[:-8]]
        done = run(SYSTEM, script, 900, policies=policies, inputs=[(1, outside)])
        assert applied(done) == expected


def test_the_last_request_before_the_frame_counts() -> None:
    script = Script()
    swap(script, 1, 2)
    done = run(SYSTEM, script, 900, policies=[OPEN, CLOSED, OPEN])
    assert [(tick, number) for tick, number, _ in applied(done)] == [(300, 2)]


def test_who_may_swap() -> None:
    script = Script()
    swap(script, 1)
    unprivileged = System([Partition("test.A"), B, C], FRAME)
    done = run(unprivileged, script, 900, policies=[OPEN, CLOSED])
    assert done.codes(0) == [Code.INVALID_CONFIG] and applied(done) == []
    done = run(SYSTEM, script, 900, policies=[systems.policy(systems.STARTS), OPEN])
    assert done.codes(0) == [Code.DENIED] and applied(done) == []
    judged = [e for e in done.of(host.VERDICT) if e.kind == host.REQUEST]
    assert [e.data[8:12] for e in judged] == [bytes([1, 0, 0, 0])]  # it sees the number asked for


# ---- bad policies --------------------------------------------------------------------------


def spoilt(at: int) -> bytes:
    """Its checksum says that all is well."""
    data = bytearray(OPEN)
    data[at] ^= 0x80
    return seal(bytes(data))


STATEFUL = """
policy object life : Flow {
    type State = "young" | "old"
    config = { states : ["young", "old"], initial : "young", transitions : { "young" : ["old"] } }
}
"""
LARGE = systems.policy(STATEFUL + BASE, max_sids=1 << 13)

BAD_IMAGE, BAD_CLASS, NO_MEMORY = 2, 3, 4  # enum khs_status
BAD = {
    "short": OPEN[:-8],
    "empty": b"",
    "magic": spoilt(0),
    "version": spoilt(4),
    "table": spoilt(40),
    "a flipped bit": OPEN[:-5] + bytes([OPEN[-5] ^ 1]) + OPEN[-4:],
    "too much state": LARGE,
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_policy_leaves_the_old_one_in_force(name: str) -> None:
    script = Script()
    swap(script, 1)
    writer(script)
    done = run(SYSTEM, script, 900, policies=[OPEN, BAD[name]])
    assert done.codes(0) == [Code.BAD_POLICY]
    assert applied(done) == [(10, 1, host.NONE)]
    assert done.codes(1, Call.PORT_WRITE) == [Code.OK] * 3
    status, needed, reserved = done.of(host.POLICY)[0].args
    assert status == (NO_MEMORY if name == "too much state" else BAD_IMAGE)
    assert (needed > reserved) == (name == "too much state")
    assert reserved == (SYSTEM.policy_state if name == "too much state" else 0)


def test_a_policy_that_does_not_know_the_system_is_refused() -> None:
    system = System([SWAPPER, Partition("test.Z"), C], FRAME)
    known = systems.policy("use EDL test.Z\n" + BASE, classes=("test.Z",))
    script = Script()
    swap(script, 1)
    done = run(system, script, 900, policies=[known, OPEN])
    assert done.codes(0) == [Code.BAD_POLICY]
    assert [event.args for event in done.of(host.POLICY)] == [(BAD_CLASS, 0, 0)]


def test_a_number_that_does_not_exist() -> None:
    script = Script()
    swap(script, 7, 8, host.NONE)
    done = run(SYSTEM, script, 900, policies=[OPEN, CLOSED], inputs=[(2, 7)])
    # 7 is of the archive, as the configuration says, and not there
    assert done.codes(0) == [Code.BAD_POLICY, Code.INVALID_PARAM, Code.INVALID_PARAM]
    assert [(tick, value) for tick, _, value in applied(done)] == [
        (10, host.NONE),
        (600, host.NONE),
    ]


def test_partitions_do_not_see_policies_from_outside() -> None:
    """Or one could take a policy before its frame."""
    script = Script()
    swap(script, 1)
    writer(script)
    system = System([SWAPPER, B, C], FRAME, SYSTEM.channels, policies=1)
    done = run(system, script, 900, policies=[OPEN, CLOSED], inputs=[(2, 1)])
    assert done.codes(0) == [Code.INVALID_PARAM]
    assert done.codes(1, Call.PORT_WRITE) == [Code.OK, Code.OK, Code.DENIED]


def test_a_bad_request_takes_an_earlier_one_back() -> None:
    script = Script()
    swap(script, 1, 2)
    done = run(SYSTEM, script, 900, policies=[OPEN, CLOSED, OPEN[:-8]])
    assert done.codes(0) == [Code.OK, Code.BAD_POLICY]
    assert applied(done) == [(11, 2, host.NONE)]


# ---- a policy that a partition passes -------------------------------------------------------------


def passing(image: bytes, *, length: int | None = None, at: int = DATA) -> host.Run:
    size = len(image) if length is None else length
    script = Script()
    guest = script.start(0)
    for offset in range(0, len(image), 2048):
        guest.poke(DATA + offset, image[offset : offset + 2048])
    guest.call(Call.POLICY_INSTALL, at, size).poke(DATA, bytes(64))
    writer(script)
    return run(SYSTEM, script, 900, policies=[OPEN])


def test_a_partition_passes_a_policy() -> None:
    done = passing(CLOSED)
    assert done.codes(0) == [Code.OK]
    assert applied(done) == [(300, host.NONE, 0)]  # the kernel's own copy: the guest's is spoilt
    assert done.codes(1, Call.PORT_WRITE) == [Code.OK, Code.DENIED, Code.DENIED]


@pytest.mark.parametrize(
    ("length", "at", "code"),
    [
        (0, DATA, Code.BAD_LENGTH),
        (len(CLOSED) - 1, DATA, Code.BAD_POLICY),
        (1, DATA, Code.BAD_POLICY),
        (len(CLOSED), DATA + 8, Code.BAD_POLICY),
        (len(CLOSED), DATA + systems.DATA_SIZE - 16, Code.BAD_POINTER),
        (PAGE, CODE + 1, Code.BAD_POINTER),
        (16385, DATA, Code.BAD_LENGTH),
        (host.NONE, DATA, Code.BAD_LENGTH),
    ],
)
def test_a_passed_policy_that_is_no_good(length: int, at: int, code: int) -> None:
    done = passing(CLOSED, length=length, at=at)
    assert done.codes(0) == [code]
    assert done.codes(1, Call.PORT_WRITE) == [Code.OK] * 3


REVIEWED = (
    systems.STARTS + "request dst=kl.core.Core, method=Swap { assert (message.policy == 1) }\n"
)


def test_a_rule_about_the_archive_s_policies_does_not_grant_a_passed_one() -> None:
    """What is judged is what is done: an image is asked for as such, with its size."""
    script = Script()
    guest = script.start(0).poke(DATA, CLOSED[:2048]).call(Call.POLICY_SWAP, 1, DATA, len(CLOSED))
    guest.call(Call.POLICY_INSTALL, DATA, len(CLOSED)).call(Call.POLICY_SWAP, 0)
    done = run(SYSTEM, script, 900, policies=[systems.policy(REVIEWED), CLOSED])
    assert done.codes(0) == [Code.OK, Code.DENIED, Code.DENIED]
    assert applied(done) == [(300, 1, 0)]
    asked = [e.data for e in done.of(host.VERDICT, 0) if e.kind == host.REQUEST]
    sized = message(len(CLOSED), riid=5, mid=1)
    assert asked == [message(1, riid=5), sized, message(0, riid=5)]


# ---- calls in flight ------------------------------------------------------------------------------

CALLING = System([SWAPPER, B, C], FRAME, [Channel(CALLS, 2, (1,), SERVICE)])
ASK, INFO = DATA, DATA + 512


def calling(late: int, policies: list[bytes]) -> host.Run:
    """Partition 2 calls at 201; partition 1 receives in frame `late` and replies at once."""
    script = Script()
    swap(script, 1)
    guest = script.start(1).wait()
    for _ in range(late - 1):
        guest.wait()
    guest.call(Call.RECV, ASK, 64, INFO, LONG).run(1)
    guest.poke(DATA, message(5, 0, flags=1)).call(Call.REPLY, f"@{INFO}", DATA, 16)
    client = script.start(2).poke(DATA, message(1, 0))
    client.call(Call.CALL, 0, DATA, 16, DATA + 64, 64, LONG)
    return run(CALLING, script, 1500, policies=policies)


def test_a_call_granted_before_the_swap_is_judged_again_at_delivery() -> None:
    done = calling(1, [OPEN, CLOSED])
    requests = [(e.tick, e.value) for e in done.of(host.VERDICT, 2) if e.kind == host.REQUEST]
    assert requests == [(201, 1), (401, 0)]
    assert done.results(2) == [(401, Code.DENIED, 0)]
    assert done.codes(1, Call.RECV) == []  # it waits on
    assert done.views[1].blocked == Call.RECV


def test_a_call_granted_before_the_swap_is_delivered_if_granted_again() -> None:
    done = calling(1, [OPEN, OPEN])
    requests = [(e.tick, e.value) for e in done.of(host.VERDICT, 2) if e.kind == host.REQUEST]
    assert requests == [(201, 1), (401, 1)]
    assert done.codes(2) == [Code.OK] and done.codes(1) == [Code.OK, Code.OK]


def test_judging_again_is_paid_by_the_server() -> None:
    done = calling(1, [OPEN, OPEN])
    costly = System([SWAPPER, B, C], FRAME, CALLING.channels, costs=(0, 0, 10))
    script = Script()
    swap(script, 1)
    script.start(1).wait().call(Call.RECV, ASK, 64, INFO, LONG).call(Call.NOP)
    client = script.start(2).poke(DATA, message(1, 0))
    client.call(Call.CALL, 0, DATA, 16, DATA + 64, 64, LONG)
    done = run(costly, script, 1500, policies=[OPEN, OPEN])
    assert done.results(1) == [(401, Code.OK, 16), (412, Code.OK, 0)]


def test_a_reply_is_judged_by_the_policy_then_in_force() -> None:
    no_replies = systems.policy(BASE + systems.PORTS)
    script = Script()
    swap(script, 1)
    guest = script.start(1).call(Call.RECV, ASK, 64, INFO, LONG)
    guest.poke(DATA, message(5, 0, flags=1)).call(Call.REPLY, f"@{INFO}", DATA, 16)
    client = script.start(2).poke(DATA, message(1, 0))
    client.call(Call.CALL, 0, DATA, 16, DATA + 64, 64, LONG)
    done = run(CALLING, script, 1500, policies=[OPEN, no_replies])
    # received at 201, before the swap: it is not judged again, its reply is
    assert done.codes(1) == [Code.OK, Code.DENIED]
    assert done.codes(2) == [Code.DENIED]
    replies = [(e.tick, e.value) for e in done.of(host.VERDICT) if e.kind == host.RESPONSE]
    assert replies == [(401, 0)]


# ---- state ----------------------------------------------------------------------------------------

USING = (
    "execute src=Einit, dst=test.A { life.init { sid : dst_sid } }\n"
    "execute src=test.A, dst=test.A { life.init { sid : dst_sid } }\n"
    "execute src=Einit, dst=test.B { life.init { sid : dst_sid } }\n"
    "execute src=Einit, dst=test.C { life.init { sid : dst_sid } }\n"
    + systems.KERNEL
    + "request dst=test.C, interface=test.Report {\n"
    '    choice (message.value) { 1 : life.enter { sid : src_sid, state : "old" }\n'
    '    _ : life.allow { sid : src_sid, states : ["young"] } }\n}\n'
)
OTHER = STATEFUL.replace('"young" : ["old"]', '"young" : ["old", "young"]')


def several(count: int) -> str:
    """Objects with a state each."""
    one = 'type State = "only" config = { states : ["only"], initial : "only", transitions : {} }'
    return "".join(f"policy object more{n} : Flow {{ {one} }}\n" for n in range(count))


@pytest.mark.parametrize(
    ("second", "kept", "code"),
    [
        (STATEFUL + USING, [1], Code.DENIED),  # still old
        (STATEFUL.replace("life", "soul") + USING.replace("life", "soul"), [0], Code.DENIED),
        (OTHER + USING, [0], Code.DENIED),
        (STATEFUL + OTHER.replace("life", "more") + USING, [1, 0], Code.DENIED),
        (several(9) + STATEFUL + USING, [0] * 9 + [1], Code.DENIED),
    ],
)
def test_state_is_kept_by_name_model_types_and_configuration(
    second: str, kept: list[int], code: int
) -> None:
    """The writer grows old, then may not write; with a state that was reset it has no context."""
    script = Script()
    swap(script, 1)
    guest = script.start(1).poke(DATA, message(1, 2)).call(Call.PORT_WRITE, 0, DATA, 16)
    guest.poke(DATA, message(2, 2)).call(Call.PORT_WRITE, 0, DATA, 16).wait()
    guest.call(Call.PORT_WRITE, 0, DATA, 16)
    policies = [systems.policy(STATEFUL + USING), systems.policy(second)]
    done = run(SYSTEM, script, 600, policies=policies)
    assert done.codes(1, Call.PORT_WRITE) == [Code.OK, Code.DENIED, code]
    assert applied(done) == [(300, 1, sum(kept))]
    [swapped] = done.of(host.POLICY)
    assert swapped.args == (1, len(kept))
    assert [swapped.data[n // 8] >> n % 8 & 1 for n in range(len(kept))] == kept
    assert len(swapped.data) == (len(kept) + 7) // 8
    assert done.of(host.VERDICT, 1)[-1].code == host.BY_RULES


def test_more_objects_than_a_message_has_bits_for() -> None:
    """The report is cut off, its number is not: 512 bytes are the largest message here."""
    policies = [systems.policy(several(4100) + BASE, max_sids=1)] * 2
    system = System([SWAPPER, B, C], FRAME, SYSTEM.channels, policy_state=1 << 20)
    script = Script()
    swap(script, 1)
    [swapped] = run(system, script, 600, policies=policies).of(host.POLICY)
    assert (swapped.value, swapped.args) == (4100, (1, 4100))
    assert swapped.data == b"\xff" * 512


def test_state_kept_is_the_state_at_the_frame_not_at_the_request() -> None:
    system = System([SWAPPER, B, C], FRAME, SYSTEM.channels)
    script = Script()
    swap(script, 1)  # at 10; the writer acts at 101
    guest = script.start(1).poke(DATA, message(1, 2)).call(Call.PORT_WRITE, 0, DATA, 16).wait()
    guest.poke(DATA, message(2, 2)).call(Call.PORT_WRITE, 0, DATA, 16)
    binary = systems.policy(STATEFUL + USING)
    done = run(system, script, 600, policies=[binary, binary])
    assert done.codes(1, Call.PORT_WRITE) == [Code.OK, Code.DENIED]


def test_a_start_denied_by_a_new_policy() -> None:
    """A restart under a policy that does not grant it: idle, health event, contexts released."""
    restarter = Partition("test.A", privileges=("policy-swap", "partition-control"))
    system = System([restarter, B, C], FRAME)
    denying = USING.replace("execute src=Einit, dst=test.B", "execute src=Einit, dst=test.D")
    script = Script()
    swap(script, 1).wait().run(1)
    script.start(1).wait().call(Call.PARTITION_MODE_SET, COLD_START)
    policies = [systems.policy(STATEFUL + USING), systems.policy(STATEFUL + denying)]
    done = run(system, script, 900, policies=policies)
    assert done.views[1].mode == IDLE and done.views[1].sid == 0
    [health] = done.of(host.HEALTH)
    assert (health.partition, health.code, health.value) == (1, systems.START_DENIED, systems.IDLE)


def test_a_swap_to_the_policy_in_force_changes_nothing_but_the_sequence() -> None:
    script = Script()
    swap(script, 0)
    writer(script)
    done = run(SYSTEM, script, 900, policies=[systems.policy(STATEFUL + BASE + systems.PORTS)])
    assert applied(done) == [(300, 0, 1)]
    assert done.codes(1, Call.PORT_WRITE) == [Code.OK] * 3


# ---- the security interface --------------------------------------------------------------------------


def test_a_partition_asks_through_its_security_interface() -> None:
    rule = "security src=test.A, method=Check { assert (message.value < 10) }\n"
    script = Script()
    guest = script.start(0)
    for data in (
        message(9),
        message(10),
        message(9, mid=1),
        message(9, riid=1),
        message(9, flags=1),
    ):
        guest.poke(DATA, data).call(Call.SECURITY, DATA, 16)
    guest.call(Call.SECURITY, DATA, 7).call(Call.SECURITY, DATA, 513)
    guest.call(Call.SECURITY, DATA - 1, 16)
    script.start(1).poke(DATA, message(9)).call(Call.SECURITY, DATA, 16)
    done = run(SYSTEM, script, 300, policies=[systems.policy(BASE + rule)])
    assert done.codes(0) == [
        Code.OK,
        *[Code.DENIED] * 4,
        Code.BAD_LENGTH,
        Code.BAD_LENGTH,
        Code.BAD_POINTER,
    ]
    assert done.codes(1) == [Code.DENIED]
    events = [e for e in done.of(host.VERDICT) if e.kind == host.SECURITY]
    reasons = [host.BY_RULES] * 2 + [host.MALFORMED] * 3 + [host.BY_DEFAULT]
    assert [e.code for e in events] == reasons
    assert {e.sids[1] for e in events} == {0} and {e.ends[1] for e in events} == {host.NONE}


def test_the_kernel_s_services_are_requests_to_it() -> None:
    """Each is judged, with what was asked for in the message; denied, nothing happens."""
    everything = Partition("test.A", privileges=tuple(systems.PRIVILEGES))
    calls = [
        (Call.PARTITION_MODE_SET, (2,), 0, 0),
        (Call.PARTITION_RESTART, (1, 1), 0, 1),
        (Call.SCHEDULE_SWITCH, (1,), 1, 0),
        (Call.ERROR_RAISE, (7, DATA, 3), 2, 0),
        (Call.MODULE_STOP, (), 3, 0),
        (Call.CONSOLE_WRITE, (DATA, 3), 4, 0),
        (Call.POLICY_SWAP, (0,), 5, 0),
        (Call.POLICY_INSTALL, (DATA, 3), 5, 1),
    ]
    script = Script()
    guest = script.start(0).poke(DATA, b"abc")
    for call, arguments, _, _ in calls[1:]:
        guest.call(call, *arguments)
    system = System([everything, B], [(1000, [(0, 0, 1000)]), (900, [(0, 0, 900)])])
    denying = systems.policy(systems.STARTS)
    done = run(system, script, 5000, policies=[denying])
    assert done.codes(0) == [Code.DENIED] * 7
    asked = [e for e in done.of(host.VERDICT) if e.kind == host.REQUEST]
    heads = [(e.data[0], e.data[4], e.data[6]) for e in asked]
    assert heads == [(riid, mid, 0) for _, _, riid, mid in calls[1:]]
    assert {e.sids for e in asked} == {(3, 1)}
    assert {e.code for e in asked} == {host.BY_DEFAULT}  # every one conforms to its interface
    assert asked[2].data[8:12] == bytes([7, 0, 0, 0]) and asked[2].data[24:] == b"abc"
    assert asked[4].data[16:] == b"abc"
    types = {event.type for event in done.events}
    assert types == {host.BOOT, host.START, host.MODE, host.VERDICT, host.AUDIT, host.HYPERCALL}


def test_a_service_s_message_has_no_rest_of_the_one_before() -> None:
    script = Script()
    guest = script.start(0).poke(DATA, b"\xff" * 64).call(Call.SECURITY, DATA, 64)
    guest.call(Call.PARTITION_MODE_SET, 3).call(Call.SECURITY, DATA, 64)
    guest.call(Call.POLICY_SWAP, 0)
    done = run(SYSTEM, script, 100)
    asked = [e.data for e in done.of(host.VERDICT, 0) if e.kind == host.REQUEST]
    assert asked == [message(3, riid=0), message(0, riid=5)]


def test_output_goes_to_the_console_if_granted() -> None:
    script = Script()
    guest = script.start(0).poke(DATA, b"hello\0\xff world")
    guest.call(Call.CONSOLE_WRITE, DATA, 13).call(Call.CONSOLE_WRITE, DATA, 0)
    guest.call(Call.CONSOLE_WRITE, DATA, 256).call(Call.CONSOLE_WRITE, DATA, 257)
    guest.call(Call.CONSOLE_WRITE, DATA - 1, 2)
    done = run(SYSTEM, script, 300)
    assert done.codes(0) == [Code.OK] * 3 + [Code.BAD_LENGTH, Code.BAD_POINTER]
    texts = [event.data for event in done.of(host.CONSOLE)]
    assert texts[:2] == [b"hello\0\xff world", b""] and len(texts[2]) == 256
    assert [event.code for event in done.of(host.VERDICT, 0)] == [host.BY_RULES] * 3
