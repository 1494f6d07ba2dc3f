"""The broker of monitor/examples/broker: a second point of enforcement, and those who cheat it."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kss
import pytest
from kss.trail import verify
from kss.trail.chain import read

FOLDER = Path(__file__).parents[2] / "monitor/examples/broker"
# What hostile programs begin with: no KSS, only the socket.
RAW = """
import os, socket, struct, sys
s = socket.socket(fileno=int(os.environ["BROKER"]))
def send(kind, token, peer, data=b""): s.send(struct.pack("<III", kind, token, peer) + data)
def receive():
    packet = s.recv(1 << 16)
    if not packet: sys.exit()
    return (*struct.unpack_from("<III", packet), packet[12:])
def tell(*words): os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def open_(name):
    text = name.encode() + b"\\0"
    return struct.pack("<IHHII", 0, 0, 0, 0, len(text)) + text
TOTAL = struct.pack("<IHH", 0, 2, 0)
CALL, REPLY, REFUSED = 1, 2, 3
DENIED, GONE, BUSY, BAD = 1, 2, 3, 4
"""
SERVE = """
while True:
    kind, token, peer, data = receive()
    if kind == CALL: send(REPLY, token, 0, data[:6] + b"\\x01\\0" + (b"\\x07" + bytes(7) if data[4] == 2 else b""))
"""


@pytest.fixture(scope="module")
def broker_module() -> Iterator[Any]:
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("broker")
    sys.path.remove(str(FOLDER))
    for name in ("broker", "wire"):
        del sys.modules[name]


Play = Callable[..., str]


@pytest.fixture
def records() -> list[Any]:
    return []


@pytest.fixture
def play(broker_module: Any, records: list[Any], capfd: Any, tmp_path: Path) -> Iterator[Play]:
    """Runs programs, (class, code) each, until those but the first have ended; what they printed."""
    brokers = []

    def run(*programs: tuple[str, str], policy: Path = FOLDER / "security.psl") -> str:
        monitor = kss.load(policy, [FOLDER / "interfaces"], audit=records.append)
        broker = broker_module.Broker(monitor, tmp_path)
        brokers.append(broker)
        started = set()
        for number, (class_name, code) in enumerate(programs):
            command = [sys.executable, "-c", RAW + code]
            if broker.start(number, f"p{number}", class_name, command):
                started.add(number)
        broker.run(started - {0})
        brokers.remove(broker)
        broker.close()
        return str(capfd.readouterr().out)

    yield run
    for broker in brokers:
        broker.close()


def test_the_shop(tmp_path: Path) -> None:
    """As its README says: every refusal is in the trail, with the rule."""
    trail = tmp_path / "audit.jsonl"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "broker.py", "shop.toml", "--audit", str(trail)],
        cwd=FOLDER,
        env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": ""},  # lines of two programs, whole
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("clerk")] == [
        "clerk: Charge(cents=995, customer=Mr. Early) -> refused: denied",
        "clerk: Open(cashier=Ada) -> done",
        "clerk: Charge(cents=995, customer=Mrs. Grey) -> receipt 1",
        "clerk: Charge(cents=5000000, customer=Mrs. Grey) -> refused: denied",
        "clerk: Charge(cents=100, customer=) -> refused: denied",
        "clerk: Charge(cents=100, customer=nobody) -> error: {'why': 1}",
        "clerk: Total() -> cents 995",
    ]
    assert [line for line in lines if line.startswith("visitor")] == [
        "visitor: Open -> refused: denied",
        "visitor: Total -> refused: denied",
    ]
    assert verify(trail).ok
    denied = [record for record in read(trail) if record["record"] == "decision"]
    clerk = [record for record in denied if record["event"]["src_name"] == "clerk"]
    assert [record["calls"][0]["method"] for record in clerk] == ["allow", "assert", "deny"]
    visitor = [record for record in denied if record["event"]["src"] == "shop.Visitor"]
    assert [record["reason"] for record in visitor] == ["default", "default"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("policy = 'no.psl'\ninclude = []\n[program]", "no.psl"),
        ("policy = ", "TOMLDecodeError"),
        ("include = []", "'policy'"),
    ],
)
def test_wrong_input_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "shop.toml").write_text(text)
    done = subprocess.run(
        [sys.executable, FOLDER / "broker.py", tmp_path / "shop.toml"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_delivered_is_what_was_judged(play: Play) -> None:
    show = "kind, token, peer, data = receive()\ntell(kind, peer, data.hex())\nsend(REPLY, token, 0, data[:6] + b'\\1\\0')\nreceive()"
    out = play(
        ("shop.Till", show),
        ("shop.Clerk", "send(CALL, 77, 0, open_('Ada'))\ntell(receive())"),
    )
    delivered, answer = out.splitlines()
    kind, peer, data = delivered.split()
    assert (kind, peer) == ("1", "1")
    assert data == bytes([0] * 8 + [0] * 4 + [4, 0, 0, 0]).hex() + b"Ada\0".hex()
    assert answer == f"(2, 77, 0, {bytes(6) + bytes([1, 0])!r})"


def test_a_malformed_message_is_not_delivered(play: Play, records: list[Any]) -> None:
    tries = [
        "b''",
        "TOTAL[:7]",
        "TOTAL + b'x'",
        "open_('Ada')[:-1]",
        "b'\\xff' * 8",
        "open_('x' * 40)",
    ]
    code = "".join(
        f"send(CALL, {n}, 0, {data})\ntell(receive()[:3])\n" for n, data in enumerate(tries)
    )
    out = play(("shop.Till", "tell(receive())"), ("shop.Clerk", code))
    assert out.splitlines() == [f"(3, {n}, 1)" for n in range(len(tries))]
    assert [record["reason"] for record in records] == ["malformed"] * len(tries)


def test_frames_that_make_no_sense(play: Play, records: list[Any]) -> None:
    code = """
s.send(b"?")
tell(receive()[:3])
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
s.send(bytes((1 << 16) + 5))
tell(receive()[:3])
send(9, 5, 0)
tell(receive()[:3])
send(REPLY, 6, 0, TOTAL)
tell(receive()[:3])
send(CALL, 7, 99, TOTAL)
tell(receive()[:3])
send(CALL, 8, 1, TOTAL)
tell(receive()[:3])
"""
    out = play(("shop.Till", SERVE), ("shop.Clerk", code))
    bad, gone = 4, 2
    expected = [(0, bad), (0, bad), (5, bad), (6, bad), (7, gone), (8, bad)]
    assert out.splitlines() == [f"(3, {token}, {reason})" for token, reason in expected]
    assert records == []


def test_nobody_answers_for_another(play: Play, records: list[Any]) -> None:
    """One clerk tries every token while the till keeps the other's call; it answers when it has
    been called by both."""
    till = """
calls = [receive(), receive()]
for kind, token, peer, data in calls:
    send(REPLY, token, 0, data[:6] + b"\\x01\\0" + bytes([peer]) + bytes(7))
receive()
"""
    forger = """
for token in range(50):
    send(REPLY, token, 0, TOTAL[:6] + b"\\x01\\0" + bytes(8))
    tell("forged", receive()[2])
send(CALL, 1, 0, TOTAL)
receive()
"""
    clerk = "send(CALL, 1, 0, TOTAL)\ntell('answer', receive()[3][8])"
    out = play(("shop.Till", till), ("shop.Clerk", clerk), ("shop.Clerk", forger))
    assert out.count("forged 4\n") == 50
    assert "answer 1\n" in out


def test_an_answer_is_judged_too(play: Play, records: list[Any]) -> None:
    """An error of 0 is against the policy; so is an error where only answers are granted."""
    serve = """
kind, token, peer, data = receive()
send(REPLY, token, 0, data[:6] + b"\\x01\\0")
kind, token, peer, data = receive()
send(REPLY, token, 0, data[:6] + b"\\x02\\0" + bytes(8))
tell("till", receive()[:3])
receive()
"""
    charge = "struct.pack('<IHHIIII', 0, 1, 0, 5, 0, 4, 0) + b'Ada\\0'"
    client = f"send(CALL, 1, 0, open_('Ada'))\nreceive()\nsend(CALL, 2, 0, {charge})\ntell('clerk', receive()[:3])"
    out = play(("shop.Till", serve), ("shop.Clerk", client))
    assert sorted(out.splitlines()) == ["clerk (3, 2, 1)", "till (3, 2, 1)"]
    assert [(r["event"]["kind"], r["calls"][0]["method"]) for r in records] == [("error", "assert")]


def test_an_answer_is_of_the_method_that_was_called(play: Play, records: list[Any]) -> None:
    """A total, which the till may tell, is none to who opened it: it has a field too many. An
    answer that fits, but says that it is of another method, is one of the method called."""
    serve = """
answers = [b"1234567", struct.pack("<IHH", 9, 2, 1), struct.pack("<IHHQ", 0, 2, 1, 7)]
while True:
    kind, token, peer, data = receive()
    if kind == CALL: send(REPLY, token, 0, answers.pop())
"""
    client = "".join(f"send(CALL, {n}, 0, open_('Ada'))\ntell(*receive())\n" for n in range(3))
    out = play(("shop.Till", serve), ("shop.Clerk", client))
    assert out.splitlines() == ["3 0 1 b''", f"2 1 0 {bytes(6) + bytes([1, 0])!r}", "3 2 1 b''"]
    assert [record["reason"] for record in records] == ["malformed", "malformed"]
    assert records[0]["event"]["method"] == "Open"


def test_a_server_that_goes_is_told_to_who_waits(play: Play) -> None:
    client = (
        "send(CALL, 1, 0, TOTAL)\ntell(receive()[:3])\nsend(CALL, 2, 0, TOTAL)\ntell(receive()[:3])"
    )
    out = play(("shop.Till", "receive()"), ("shop.Clerk", client))
    assert out.splitlines() == ["(3, 1, 2)", "(3, 2, 2)"]


def test_a_server_that_does_not_read_stops_nobody(
    play: Play, broker_module: Any, monkeypatch: pytest.MonkeyPatch, records: list[Any]
) -> None:
    """What cannot be delivered is judged all the same, but moves no state."""
    monkeypatch.setattr(broker_module, "BACKLOG", 0)
    client = "send(CALL, 1, 0, open_('Ada'))\ntell(receive()[:3])"
    visitor = "send(CALL, 1, 0, open_('Eve'))\ntell(receive()[:3])"
    out = play(("shop.Till", "receive()"), ("shop.Clerk", client), ("shop.Visitor", visitor))
    assert sorted(out.splitlines()) == ["(3, 1, 1)", "(3, 1, 3)"]
    assert [record["event"]["src"] for record in records] == ["shop.Visitor"]


def test_a_program_may_finish_what_it_does(play: Play) -> None:
    """One that is told to end, and one that does not listen."""
    till = "s.recv(1)\nn = sum(range(3_000_000))\ntell('closed the drawer')"
    assert play(("shop.Till", till), ("shop.Clerk", "")) == "closed the drawer\n"


def test_a_program_that_does_not_end_is_ended(
    play: Play, broker_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "PATIENCE", 0.1)
    till = (
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "kind, token, peer, data = receive()\ntell('called')\n"
        "send(REPLY, token, 0, data[:6] + b'\\1\\0' + bytes(8))\nwhile True: signal.pause()"
    )
    clerk = "send(CALL, 1, 0, TOTAL)\nreceive()"
    assert play(("shop.Till", till), ("shop.Clerk", clerk)) == "called\n"


def test_one_call_at_a_time(play: Play) -> None:
    client = "send(CALL, 1, 0, TOTAL)\nsend(CALL, 2, 0, TOTAL)\ntell(receive()[:3])"
    out = play(("shop.Till", "receive()\nreceive()"), ("shop.Clerk", client))
    assert out == "(3, 2, 4)\n"


def test_programs_that_the_policy_does_not_start(
    play: Play, tmp_path: Path, capfd: Any, broker_module: Any
) -> None:
    text = (FOLDER / "security.psl").read_text()
    strict = tmp_path / "strict.psl"
    strict.write_text(text.replace("execute src=kl.core.Core, dst=shop.Visitor { grant () }", ""))
    out = play(("shop.Till", SERVE), ("shop.Visitor", "tell('I run')"), policy=strict)
    assert out == ""
    strict.write_text(text.replace("dst=kl.core.Core { grant () }", "dst=kl.core.Core { deny () }"))
    with pytest.raises(kss.errors.KssError, match=r"does not let the broker run: .*strict\.psl:"):
        play(policy=strict)


def test_state_of_a_program_goes_with_it(broker_module: Any, tmp_path: Path) -> None:
    monitor = kss.load(FOLDER / "security.psl", [FOLDER / "interfaces"])
    broker = broker_module.Broker(monitor, tmp_path)
    assert broker.start(0, "till", "shop.Till", [sys.executable, "-c", ""])
    assert monitor.state() == {"drawer": {2: "shut"}}
    broker.run({0})
    assert monitor.state() == {"drawer": {}}
    broker.close()
