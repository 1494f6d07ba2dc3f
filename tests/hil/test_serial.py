"""Lines to the outside, with a real other end each: sockets, pseudo terminals, files."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from khs import record, replay, runs
from khs.attached import attached
from khs.engine import unicorn
from khs.engine.device import Fault
from khs.engine.lines import Line
from khs.hil import serial
from tests.hil.test_uart import PORT_NAME, archive

ROOT = Path(__file__).parents[2]
FRAMES = 25  # a quarter of a second


class Peer:
    """The other end of a socket; what it says when the driver is ready, and what it heard."""

    def __init__(self, said: bytes, leaves: bool = False) -> None:
        self.heard = bytearray()
        self._said, self._leaves = said, leaves
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        with connection:
            while b"ready\n" not in self.heard:
                self.heard += connection.recv(64)
            connection.sendall(self._said)
            while not self._leaves and (data := connection.recv(4096)):
                self.heard += data

    def close(self) -> None:
        self._thread.join(10)
        self._server.close()


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    made: list[Peer] = []
    yield made
    for peer in made:
        peer.close()


def test_a_socket(peers: list[Peer], tmp_path: Path) -> None:
    """And the recording of that run is the same again, without the socket."""
    pytest.importorskip("serial")
    peer = Peer(b"over a socket\n")
    peers.append(peer)
    plan = runs.plan(
        archive("sabrelite"),
        frames=FRAMES,
        record=tmp_path / "kept",
        attached=attached([f"{PORT_NAME}={peer.url}"]),
    )
    told: list[str] = []
    ran = runs.run(plan, say=told.append)
    peer.close()
    assert bytes(peer.heard) == b"ready\nOVER A SOCKET\n"
    assert told == []
    assert not ran.result.reproducible
    assert ran.result.wall_s >= 0.2  # no faster than the clock on the wall
    again = record.read(tmp_path / "kept")
    assert b"".join(row[2] for row in again.inputs) == b"over a socket\n"
    replayed = replay.replay(again, replay.plan(again))
    assert replayed.equal
    assert replayed.ran.result.wall_s < ran.result.wall_s
    assert replayed.ran.result.reproducible


def test_a_peer_that_leaves(peers: list[Peer]) -> None:
    """Is told, and the run goes on to its end."""
    pytest.importorskip("serial")
    peer = Peer(b"bye\n", leaves=True)
    peers.append(peer)
    plan = runs.plan(
        archive("sabrelite"), frames=FRAMES, attached=attached([f"{PORT_NAME}={peer.url}"])
    )
    told: list[str] = []
    ran = runs.run(plan, say=told.append)
    assert ran.result.frames == FRAMES
    assert ran.devices is not None
    assert ran.devices[PORT_NAME]["sent"] == len(b"ready\nBYE\n")
    assert told[0].startswith(f"{PORT_NAME}: the line is gone, the run goes on without it: ")
    lost = [line for line in told[1:] if "did not get there" in line]
    assert len(lost) == len(told) - 1


def test_a_pseudo_terminal() -> None:
    pytest.importorskip("serial")
    master, slave = os.openpty()
    heard = bytearray()

    def talk() -> None:
        while b"ready" not in heard:
            heard.extend(os.read(master, 64))
        os.write(master, b"by tty")
        while b"BY TTY" not in heard:
            heard.extend(os.read(master, 64))

    talking = threading.Thread(target=talk, daemon=True)
    talking.start()
    where = f"{PORT_NAME}={os.ttyname(slave)}"
    runs.run(runs.plan(archive("q35"), frames=FRAMES, attached=attached([where])))
    talking.join(5)
    assert not talking.is_alive()
    os.close(master)
    os.close(slave)
    assert b"BY TTY" in heard


@pytest.mark.parametrize("board", ["sabrelite", "pc", "q35"])
def test_files(board: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"recorded\n")
    where = f"{PORT_NAME}=file:{tmp_path / 'in'},{tmp_path / 'out'}"
    plan = runs.plan(archive(board), frames=60, attached=attached([where]))
    ran = runs.run(plan)
    assert ran.result.reproducible
    assert sorted((tmp_path / "out").read_bytes()) == sorted(b"ready\nRECORDED\n")
    assert runs.run(plan).result.trace_sha256 == ran.result.trace_sha256


def test_this_terminal() -> None:
    command = [sys.executable, "-m", "khs", "run", "uart", "--serial", f"{PORT_NAME}=-"]
    done = subprocess.run(
        [*command, "--frames", str(FRAMES), "--json"],
        input=b"typed\n", capture_output=True, cwd=ROOT, timeout=60,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'monitor'}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["devices"][PORT_NAME]["received"] == 6
    assert b"TYPED\n" in done.stderr


def test_pyserial_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    with (
        pytest.raises(serial.KhsError, match=r"pip install 'khs\[hil\]'"),
        serial.opened({PORT_NAME: "loop://"}, print),
    ):
        pass


class Deaf:
    """A wire whose peer takes nothing."""

    def __init__(self) -> None:
        self.free = threading.Event()

    def read(self) -> bytes:
        self.free.wait(0.01)
        return b""

    def write(self, data: bytes) -> None:
        self.free.wait(5)

    def close(self) -> None:
        pass


def test_a_peer_that_takes_nothing() -> None:
    wire, told = Deaf(), list[str]()
    line = serial.LiveLine("a.b", wire, told.append)
    line.put(bytes(serial.PATIENCE))
    line.put(b"one more")
    wire.free.set()
    line.close()
    assert "the peer takes no more bytes" in told[0]
    assert told[1] == f"a.b: {serial.PATIENCE + 8} bytes that it sent did not get there"


class Late:
    """Gives its bytes at the third exchange."""

    live = False

    def __init__(self) -> None:
        self.asked = 0
        self.heard = b""

    def take(self) -> bytes:
        self.asked += 1
        return b"late" if self.asked == 3 else b""

    def put(self, data: bytes) -> None:
        self.heard += data

    def fault(self) -> Fault | None:
        return None


def test_bytes_are_stamped_between_declared_inputs() -> None:
    line = Late()
    lines: dict[str, Line] = {PORT_NAME: line}
    with unicorn.Machine(archive("sabrelite"), lines=lines) as machine:
        machine.run(5)
        assert machine.inputs == [(250_000, 0, b"late")]
    assert sorted(line.heard) == sorted(b"ready\nLATE")


@pytest.mark.parametrize("board", ["sabrelite", "pc", "q35"])
def test_every_byte_comes_back_however_fast(board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a pseudo terminal, with virtual time as fast as it goes, as `khs bench` measures it."""
    pytest.importorskip("serial")
    from khs.bench import hil

    monkeypatch.setattr(hil, "BYTES", 26_000)
    assert hil._echoed(board)[1]


def test_loops_that_are_measured_make_as_many_accesses_as_they_say() -> None:
    """Eight in a round of at most two instructions each and the jump back."""
    from khs.bench import hil

    ran = hil._played("pc", "device", frames=1)
    assert ran.accesses * 9 == pytest.approx(ran.ticks * 8, rel=0.01)
    assert hil._played("pc", "memory", frames=1).accesses == 0
