"""Synchronous calls: judged before delivery, first come first served, never a hang."""

from __future__ import annotations

import struct

import pytest

from tests.core import host, systems
from tests.core.host import COLD_START, IDLE, Call, Code, Guest, Script, run
from tests.core.systems import (
    CALLS,
    CODE,
    DATA,
    SERVICE,
    SHARED,
    Channel,
    Partition,
    System,
    message,
)

A, B, C, D = (Partition(f"test.{letter}") for letter in "ABCD")
CONTROLLER = Partition("test.A", privileges=("partition-control",))
THREE = [(900, [(0, 0, 300), (1, 300, 300), (2, 600, 300)])]
ASK, ANSWER, INFO, REPLY = DATA, DATA + 256, DATA + 512, DATA + 768
LONG = 1_000_000
OUT, ERR = 1, 2

# partition 0 is the server; 1 and 2 are its clients, through their port 0
SYSTEM = System([CONTROLLER, B, C], THREE, [Channel(CALLS, n, (0,), SERVICE) for n in (1, 2)])


def ask(guest: Guest, question: int, timeout: int = LONG, port: int = 0) -> Guest:
    guest.poke(ASK, message(question, 0)).call(Call.CALL, port, ASK, 16, ANSWER, 64, timeout)
    return guest.peek(ANSWER, 16)


def recv(guest: Guest, timeout: int = LONG, capacity: int = 64) -> Guest:
    guest.call(Call.RECV, ASK, capacity, INFO, timeout)
    return guest


def reply(guest: Guest, answer: int, flags: int = OUT, token: str = f"@{INFO}") -> Guest:
    guest.poke(REPLY, message(answer, 0, flags=flags))
    return guest.call(Call.REPLY, token, REPLY, 16)


def server(script: Script, answer: int = 40) -> Guest:
    guest = script.start(0)
    recv(guest)
    guest.peek(ASK, 16).peek(INFO, 16)
    reply(guest, answer)
    return guest.jump()


def answers(done: host.Run, partition: int) -> list[int]:
    return [struct.unpack("<I", data[8:12])[0] for data in done.peeked(partition)]


def test_a_call_and_its_reply() -> None:
    script = Script()
    server(script)
    ask(script.start(1).run(49), 7)
    done = run(SYSTEM, script, 1800)
    # the server wakes at 350 and runs from 900 on: its reply is its first tick
    assert done.results(1) == [(901, Code.OK, 16)]
    assert done.peeked(1) == [message(40, 0, riid=SERVICE, flags=OUT)]
    assert done.results(0, Call.RECV) == [(350, Code.OK, 16)]
    assert done.results(0, Call.REPLY) == [(901, Code.OK, 0)]
    request, info = done.peeked(0)
    assert request == message(7, 0, riid=SERVICE)
    token, port, riid, mid = struct.unpack("<4I", info)
    assert (token & 0xFFF, port, riid, mid) == (1, 0, SERVICE, 0)
    verdicts = [(e.kind, e.ends, e.value) for e in done.of(host.VERDICT) if e.kind != host.EXECUTE]
    assert verdicts == [(host.REQUEST, (1, 0), 1), (host.RESPONSE, (0, 1), 1)]
    # what was delivered is in the traces of both
    assert [e.data for e in done.of(host.RESUME, 0)] == [request + info]
    assert [e.data for e in done.of(host.RESUME, 1)] == [done.peeked(1)[0]]


def test_clients_are_served_in_the_order_of_their_calls() -> None:
    """The client with the higher number calls first."""
    script = Script()
    guest = script.start(0).run(599)
    for answer in (100, 200):
        recv(guest).peek(ASK, 16)
        reply(guest, answer)
    ask(script.start(1).run(309), 11)
    ask(script.start(2).run(10), 22)
    done = run(SYSTEM, script, 3600)
    assert answers(done, 0) == [22, 11]
    assert answers(done, 2) == [100] and answers(done, 1) == [200]


def test_there_is_no_window_donation() -> None:
    """The server runs in its own windows, whoever waits for it."""
    script = Script()
    server(script)
    ask(script.start(1), 1)
    busy, idle = (script.start(2), Script())
    busy.run(10).call(Call.NOP).jump()
    server(idle)
    idle.start(2).run(10).call(Call.NOP).jump()
    called, alone = run(SYSTEM, script, 1800), run(SYSTEM, idle, 1800)
    assert called.visible(2) == alone.visible(2)
    assert called.views[1].idle == 299


def test_a_call_times_out_at_its_tick() -> None:
    script = Script()
    script.start(0).run(10_000)
    ask(script.start(1).run(9), 1, timeout=250).call(Call.NOP)
    done = run(SYSTEM, script, 1800)
    assert done.results(1) == [(560, Code.TIMED_OUT, 0), (561, Code.OK, 0)]
    # the request is withdrawn: the server finds nothing
    late = Script()
    recv(late.start(0).run(310), timeout=0)
    ask(late.start(1).run(9), 1, timeout=250)
    done = run(SYSTEM, late, 1800)
    assert done.codes(0, Call.RECV) == [Code.NOT_AVAILABLE]


def test_a_reply_after_the_timeout_finds_no_call() -> None:
    script = Script()
    guest = recv(script.start(0)).run(500)
    reply(guest, 1)
    ask(script.start(1), 1, timeout=100)
    done = run(SYSTEM, script, 3600)
    assert done.codes(1) == [Code.TIMED_OUT]
    assert done.codes(0, Call.REPLY) == [Code.NO_CALL]


def test_a_receive_times_out_and_polls() -> None:
    script = Script()
    recv(recv(script.start(0).run(9), timeout=0), timeout=100).call(Call.NOP)
    done = run(SYSTEM, script, 900)
    assert done.results(0) == [
        (10, Code.NOT_AVAILABLE, 0),
        (111, Code.TIMED_OUT, 0),
        (112, Code.OK, 0),
    ]


# ---- tokens -----------------------------------------------------------------------------


def test_a_token_is_good_for_one_reply() -> None:
    script = Script()
    guest = recv(script.start(0))
    for _ in range(2):
        reply(guest, 1)
    for token in ("0", "2", "1", "4095", "8193", str(host.NONE)):
        reply(guest, 1, token=token)
    ask(script.start(1), 1)
    done = run(SYSTEM, script, 1800)
    assert done.codes(0, Call.REPLY) == [Code.OK] + [Code.NO_CALL] * 7


def test_an_old_token_does_not_answer_a_new_call() -> None:
    script = Script()
    guest = recv(script.start(0)).peek(INFO, 4)
    reply(guest, 1)
    guest.call(Call.RECV, ASK, 64, INFO + 64, LONG)
    reply(guest, 66)  # with the first token
    reply(guest, 2, token=f"@{INFO + 64}")
    client = script.start(1)
    ask(ask(client, 1), 2)
    done = run(SYSTEM, script, 5000)
    assert done.codes(0, Call.REPLY) == [Code.OK, Code.NO_CALL, Code.OK]
    assert answers(done, 1) == [1, 2]


def test_only_the_server_of_a_call_may_answer_it() -> None:
    """Two servers; the second guesses the token of a call to the first."""
    channels = [Channel(CALLS, 1, (0,), SERVICE), Channel(CALLS, 1, (2,), SERVICE)]
    script = Script()
    recv(script.start(0)).run(10_000)
    ask(script.start(1), 1, timeout=2000)
    guest = script.start(2)
    for token in range(1, 20, 1):
        reply(guest, 1, token=str(token))
    reply(guest, 1, token=str(1 | 1 << 12))
    done = run(System([A, B, C], THREE, channels), script, 5000)
    assert set(done.codes(2)) == {Code.NO_CALL}
    assert done.codes(1) == [Code.TIMED_OUT]


# ---- restarts -----------------------------------------------------------------------------


def restart_server(received: bool, mode: int, by_itself: bool) -> host.Run:
    script = Script()
    guest = recv(script.start(0)) if received else script.start(0).run(600)
    if by_itself:
        guest.run(10).call(Call.PARTITION_MODE_SET, mode)
    script.start(0, 2).run(1)
    ask(script.start(1), 1).call(Call.NOP)
    if not by_itself:
        script.start(2).run(150).call(Call.PARTITION_RESTART, 0, mode)
    system = System([B, B, CONTROLLER], THREE, [Channel(CALLS, 1, (0,), SERVICE, mid=0)])
    return run(system, script, 3600)


@pytest.mark.parametrize("by_itself", [True, False])
@pytest.mark.parametrize("mode", [COLD_START, IDLE])
@pytest.mark.parametrize("received", [True, False])
def test_a_server_s_restart_ends_the_call(received: bool, mode: int, by_itself: bool) -> None:
    done = restart_server(received, mode, by_itself)
    assert done.codes(1) == [Code.PEER_RESTARTED, Code.OK]


def test_a_client_s_restart_ends_the_call() -> None:
    script = Script()
    guest = recv(script.start(0)).run(600)
    reply(guest, 1)
    recv(guest, timeout=0)
    ask(script.start(1), 1)
    script.start(1, 2).run(1)
    script.start(2).run(10).call(Call.PARTITION_RESTART, 1, COLD_START)
    system = System([B, B, CONTROLLER], THREE, [Channel(CALLS, 1, (0,), SERVICE)])
    done = run(system, script, 3600)
    assert done.codes(0) == [Code.OK, Code.PEER_RESTARTED, Code.NOT_AVAILABLE]
    assert done.codes(1) == []


def test_a_waiting_request_of_a_restarted_client_is_withdrawn() -> None:
    script = Script()
    recv(script.start(0).run(700), timeout=0)
    ask(script.start(1), 1)
    script.start(1, 2).run(1)
    script.start(2).run(10).call(Call.PARTITION_RESTART, 1, COLD_START)
    system = System([B, B, CONTROLLER], THREE, [Channel(CALLS, 1, (0,), SERVICE)])
    assert run(system, script, 3600).codes(0) == [Code.NOT_AVAILABLE]


def test_a_stopped_server_is_not_available() -> None:
    script = Script()
    script.start(0).call(Call.PARTITION_MODE_SET, IDLE)
    ask(script.start(1), 1)
    done = run(SYSTEM, script, 900)
    assert done.codes(1) == [Code.NOT_AVAILABLE]
    assert done.views[1].granted == 1


def test_who_is_denied_learns_nothing_of_a_stopped_server() -> None:
    script = Script()
    script.start(0).call(Call.PARTITION_MODE_SET, IDLE)
    ask(script.start(1), 1)
    done = run(SYSTEM, script, 900, policies=[systems.policy(systems.STARTS + systems.KERNEL)])
    assert done.codes(1) == [Code.DENIED]


# ---- cycles -----------------------------------------------------------------------------------


def ring(*edges: tuple[int, int]) -> System:
    """Partitions that may call each other; port n of a caller is its n-th edge."""
    windows = [(400, [(n, 100 * n, 100) for n in range(4)])]
    return System([A, B, C, D], windows, [Channel(CALLS, a, (b,), SERVICE) for a, b in edges])


def caller(script: Script, partition: int, *ports: int) -> None:
    guest = script.start(partition)
    for port in ports:
        ask(guest, 1, timeout=3000, port=port)


def test_a_partition_cannot_call_itself() -> None:
    script = Script()
    caller(script, 0, 0)
    assert run(ring((0, 0)), script, 400).codes(0) == [Code.WOULD_DEADLOCK]


@pytest.mark.parametrize("length", [2, 3, 4])
def test_a_cycle_of_calls_is_refused(length: int) -> None:
    edges = [(n, (n + 1) % length) for n in range(length)]
    system = ring(*edges)
    script = Script()
    for n in range(length):
        caller(script, n, system.port(n, n))
    done = run(system, script, 400)
    assert done.codes(length - 1) == [Code.WOULD_DEADLOCK]
    assert done.views[length - 1].granted == 1  # judged, but the policy's state stays
    for n in range(length - 1):
        assert done.codes(n) == []


def test_a_chain_that_ends_is_no_cycle() -> None:
    system = ring((0, 1), (1, 2), (2, 3))
    script = Script()
    for n in range(3):
        caller(script, n, system.port(n, n))
    done = run(system, script, 1000)
    assert [done.codes(n) for n in range(3)] == [[], [], []]


def test_a_cycle_is_one_only_as_long_as_the_calls_last() -> None:
    system = ring((0, 1), (1, 0))
    script = Script()
    ask(script.start(0), 1, timeout=150, port=system.port(0, 0))
    guest = ask(script.start(1), 1, timeout=10, port=system.port(1, 1)).run(60)
    ask(guest, 1, timeout=10, port=system.port(1, 1))
    done = run(system, script, 1200)
    # 0 waits for 1 until 151
    assert done.codes(0) == [Code.TIMED_OUT]
    assert done.results(1) == [(101, Code.WOULD_DEADLOCK, 0), (172, Code.TIMED_OUT, 0)]


# ---- verdicts -------------------------------------------------------------------------------------


def rules(*lines: str) -> bytes:
    return systems.policy(systems.STARTS + systems.KERNEL + "".join(f"{line}\n" for line in lines))


ASKABLE = "request dst=test.A, endpoint=service, method=Ask { assert (message.question < 10) }"


@pytest.mark.parametrize(("question", "code"), [(9, Code.OK), (10, Code.DENIED)])
def test_a_request_is_judged_before_the_server_sees_it(question: int, code: int) -> None:
    script = Script()
    server(script)
    ask(script.start(1), question)
    policy = rules(ASKABLE, "response src=test.A { grant () }")
    done = run(SYSTEM, script, 1800, policies=[policy])
    assert done.codes(1) == [code]
    assert len(done.results(0, Call.RECV)) == (code == Code.OK)


REPLIES = (
    "response src=test.A, endpoint=service, method=Ask { assert (message.answer != 13) }",
    "error src=test.A, endpoint=service, method=Ask { assert (message.reason != 13) }",
)


@pytest.mark.parametrize("flags", [OUT, ERR])
@pytest.mark.parametrize(("answer", "code"), [(12, Code.OK), (13, Code.DENIED)])
def test_replies_are_judged_before_the_client_sees_them(flags: int, answer: int, code: int) -> None:
    script = Script()
    reply(recv(script.start(0)), answer, flags=flags)
    ask(script.start(1), 1)
    done = run(SYSTEM, script, 1800, policies=[rules(ASKABLE, *REPLIES)])
    assert done.codes(0, Call.REPLY) == [code] and done.codes(1) == [code]
    kinds = [e.kind for e in done.of(host.VERDICT) if e.kind not in (host.EXECUTE, host.REQUEST)]
    assert kinds == [host.ERROR if flags == ERR else host.RESPONSE]
    expected = message(answer, 0, riid=SERVICE, flags=flags) if code == Code.OK else None
    assert (done.peeked(1)[0] == expected) == (code == Code.OK)


def test_a_malformed_message_is_denied_with_its_reason() -> None:
    script = Script()
    server(script)
    guest = script.start(1)
    for bad in (message(1, 0, mid=9), message(1, 0, flags=OUT), message(1, flags=7)):
        guest.poke(ASK, bad.ljust(16, b"\0")).call(Call.CALL, 0, ASK, 16, ANSWER, 64, LONG)
    guest.call(Call.CALL, 0, ASK, 8, ANSWER, 64, LONG)
    done = run(SYSTEM, script, 900)
    assert done.codes(1) == [Code.DENIED] * 4
    denied = [e for e in done.of(host.VERDICT) if e.kind == host.REQUEST]
    assert {(e.code, e.value) for e in denied} == {(host.MALFORMED, 0)}


def test_a_reply_answers_what_was_asked() -> None:
    """The header's endpoint and method are the kernel's, whatever the server writes there."""
    script = Script()
    guest = recv(script.start(0))
    guest.poke(REPLY, message(5, 0, riid=77, mid=88, flags=OUT))
    guest.call(Call.REPLY, f"@{INFO}", REPLY, 16)
    client = script.start(1).poke(ASK, message(1, 0, riid=55))
    client.call(Call.CALL, 0, ASK, 16, ANSWER, 64, LONG).peek(ANSWER, 16)
    done = run(SYSTEM, script, 1800)
    assert done.codes(1) == [Code.OK]
    assert done.peeked(1) == [message(5, 0, riid=SERVICE, flags=OUT)]


def test_what_is_judged_is_what_is_delivered() -> None:
    """The request lies in shared memory, and its other owner changes it before the server runs."""
    script = Script()
    guest = script.start(1).poke(SHARED, message(7, 0))
    guest.call(Call.CALL, 0, SHARED, 16, ANSWER, 64, LONG)
    script.start(2).poke(SHARED, message(999, 999))
    recv(script.start(0).run(301)).peek(ASK, 16)
    policy = rules(ASKABLE, "response src=test.A { grant () }")
    done = run(SYSTEM, script, 1800, policies=[policy])
    assert done.peeked(0) == [message(7, 0, riid=SERVICE)]
    assert done.codes(0, Call.RECV) == [Code.OK]


# ---- arguments --------------------------------------------------------------------------------------


def test_arguments_of_a_call() -> None:
    script = Script()
    guest = script.start(1)
    for arguments, _ in (
        cases := [
            ((9, ASK, 16, ANSWER, 64, LONG), Code.INVALID_PARAM),
            ((1 << 32, ASK, 16, ANSWER, 64, LONG), Code.INVALID_PARAM),
            ((0, ASK, 16, ANSWER, 64, 0), Code.INVALID_PARAM),
            ((0, ASK, 7, ANSWER, 64, LONG), Code.BAD_LENGTH),
            ((0, ASK, 17, ANSWER, 64, LONG), Code.BAD_LENGTH),
            ((0, DATA - 1, 16, ANSWER, 64, LONG), Code.BAD_POINTER),
            ((0, DATA + systems.DATA_SIZE - 15, 16, ANSWER, 64, LONG), Code.BAD_POINTER),
            ((0, ASK, 16, CODE, 64, LONG), Code.BAD_POINTER),
            ((0, ASK, 16, DATA + systems.DATA_SIZE - 63, 64, LONG), Code.BAD_POINTER),
            ((0, (1 << 64) - 8, 16, ANSWER, 64, LONG), Code.BAD_POINTER),
            ((0, ASK, 16, ANSWER, host.NONE, LONG), Code.BAD_POINTER),
        ]
    ):
        guest.call(Call.CALL, *arguments)
    script.start(0).call(Call.CALL, 0, ASK, 16, ANSWER, 64, LONG)
    done = run(SYSTEM, script, 900)
    assert done.codes(1) == [code for _, code in cases]
    assert done.codes(0) == [Code.INVALID_CONFIG]  # its end of the channel is the server's
    assert done.views[1].granted + done.views[1].denied == 0


def test_a_server_s_buffer_that_is_too_small() -> None:
    script = Script()
    recv(recv(script.start(0), capacity=15), capacity=16)
    ask(script.start(1), 1)
    done = run(SYSTEM, script, 1800)
    assert done.codes(0) == [Code.BAD_LENGTH, Code.OK]


def test_a_client_s_buffer_that_is_too_small() -> None:
    script = Script()
    server(script)
    guest = script.start(1).poke(ASK, message(1, 0))
    guest.call(Call.CALL, 0, ASK, 16, ANSWER, 15, LONG).peek(ANSWER, 16)
    done = run(SYSTEM, script, 1800)
    assert done.codes(0, Call.REPLY) == [Code.PEER_BUFFER] and done.codes(1) == [Code.BAD_LENGTH]
    assert done.peeked(1) == [bytes(16)]
    assert [e for e in done.of(host.VERDICT) if e.kind == host.RESPONSE] == []


def test_a_reply_s_own_length_leaves_the_call_open() -> None:
    """Unlike a client's small buffer, which the server cannot mend."""
    script = Script()
    guest = recv(script.start(0))
    for length in (7, 17):
        guest.call(Call.REPLY, f"@{INFO}", REPLY, length)
    reply(guest, 40)
    ask(script.start(1), 7)
    done = run(SYSTEM, script, 1800)
    assert done.codes(0, Call.REPLY) == [Code.BAD_LENGTH, Code.BAD_LENGTH, Code.OK]
    assert done.codes(1) == [Code.OK]


def test_a_call_without_patience_reaches_nobody() -> None:
    """It could only time out, and the server would have its request all the same."""
    script = Script()
    server(script)
    ask(script.start(1), 7, timeout=0)
    done = run(SYSTEM, script, 1800)
    assert done.codes(1) == [Code.INVALID_PARAM]
    assert done.codes(0) == [] and done.views[0].blocked == Call.RECV
    assert done.views[1].granted + done.views[1].denied == 0


def test_a_client_s_buffer_that_just_fits() -> None:
    script = Script()
    server(script)
    guest = script.start(1).poke(ASK, message(1, 0))
    guest.call(Call.CALL, 0, ASK, 16, DATA + systems.DATA_SIZE - 16, 16, LONG)
    assert run(SYSTEM, script, 1800).codes(1) == [Code.OK]


def test_a_reply_of_a_header_alone_is_judged() -> None:
    script = Script()
    recv(script.start(0)).call(Call.REPLY, f"@{INFO}", REPLY, 8)
    ask(script.start(1), 1)
    done = run(SYSTEM, script, 1800)
    assert done.codes(0, Call.REPLY) == [Code.DENIED] and done.codes(1) == [Code.DENIED]


def test_a_reply_with_bad_arguments_leaves_the_call_open() -> None:
    script = Script()
    guest = recv(script.start(0))
    guest.call(Call.REPLY, f"@{INFO}", REPLY, 17).call(Call.REPLY, f"@{INFO}", DATA - 1, 16)
    guest.call(Call.REPLY, f"@{INFO}", REPLY, 7)
    reply(guest, 3)
    ask(script.start(1), 1)
    done = run(SYSTEM, script, 1800)
    expected = [Code.BAD_LENGTH, Code.BAD_POINTER, Code.BAD_LENGTH, Code.OK]
    assert done.codes(0, Call.REPLY) == expected and answers(done, 1) == [3]


def test_only_a_server_receives() -> None:
    script = Script()
    recv(script.start(2), timeout=10)
    assert run(SYSTEM, script, 900).codes(2) == [Code.INVALID_CONFIG]
