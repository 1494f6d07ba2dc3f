"""The server on its socket: who is served, who is turned away, and what an interrupt is for."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from khs.debug.live import serve
from khs.debug.rsp.framing import Framer, Packet, frame
from khs.debug.rsp.listen import LOOPBACK, Address, address, listen
from khs.debug.rsp.server import Server
from khs.debug.stops import Cause
from khs.errors import KhsError

from .conftest import debuggee
from .test_gdb import plain
from .toy import Toy, systems

PATIENCE = 20


class Client:
    """A debugger that says what the test wants."""

    def __init__(self, place: str) -> None:
        host, colon, port = place.rpartition(":")
        if colon:
            self.socket = socket.create_connection((host, int(port)), PATIENCE)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(place)
        self._framer, self._items = Framer(), list[object]()

    def send(self, *payloads: bytes) -> None:
        self.socket.sendall(b"".join(map(frame, payloads)))

    def reply(self) -> bytes:
        """The next packet that is no console's; b"" at the end of the stream, too."""
        while True:
            while self._items:
                item = self._items.pop(0)
                if isinstance(item, Packet) and not re.match(rb"O[0-9a-f]", item.payload):
                    return item.payload
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self._items += self._framer.feed(data)

    def ask(self, payload: bytes) -> bytes:
        self.send(payload)
        return self.reply()

    def close(self) -> None:
        self.socket.close()


@contextmanager
def serving(
    *toys: Toy, at: Address = (LOOPBACK, 0)
) -> Iterator[tuple[Server, list[str], threading.Thread]]:
    """A server of toys in a thread of its own."""
    said: list[str] = []
    server = Server(systems(*toys), at, said.append)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server, said, thread
    finally:
        server.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def endless() -> Toy:
    """It takes some minutes to run to its end."""
    return Toy(["a", "b"], 1000, 1 << 40)


def test_it_listens_on_this_machine_alone() -> None:
    assert address("1234") == ("127.0.0.1", 1234)
    assert address("0.0.0.0:0") == ("0.0.0.0", 0)
    assert address("[::1]:7") == ("::1", 7)
    for wrong in ("", "x", "1:", "70000", "-1", ":x"):
        with pytest.raises(KhsError, match="HOST"):
            address(wrong)
    with serving(endless()) as (server, _, _):
        assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d+", server.place)
        with pytest.raises(
            KhsError, match=r"cannot be served at 127\.0\.0\.1:\d+: .*in use\n  help"
        ):
            listen((LOOPBACK, int(server.place.rpartition(":")[2])))


def test_it_listens_on_a_socket_in_the_file_system(tmp_path: Path) -> None:
    place = tmp_path / "gdb"
    assert address(str(place)) == place
    assert address("./x:1") == Path("x:1")
    with serving(endless(), at=place) as (server, _, _):
        assert server.place == str(place)
        client = Client(server.place)
        assert client.ask(b"?").startswith(b"T05")
        client.close()
        with pytest.raises(
            KhsError, match=f"cannot be served at {place}: there is such a socket\n  help"
        ):
            listen(place)
    assert not place.exists()


def test_where_it_cannot_listen_it_says_what_would_be_right(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    for wrong, why in (
        (tmp_path / ("x" * 200), "too long"),
        (plain, "that is a file, no socket\n  help: a path where nothing is"),
        (tmp_path, "that is a folder, no socket"),
        (tmp_path / "none" / "x.sock", f"there is no folder {tmp_path}/none\n  help: a path in a"),
        (plain / "x.sock", f"there is no folder {plain}\n"),
        (("no host", 1), "there is no host 'no host'\n  help"),
        (("192.0.2.1", 1234), "that is no address of this machine\n  help: 1234"),
    ):
        with pytest.raises(KhsError, match=re.escape(why)):
            listen(wrong)


def test_a_second_client_is_told_and_the_first_is_not_disturbed() -> None:
    with serving(endless()) as (server, _, _):
        first, second = Client(server.place), Client(server.place)
        assert first.ask(b"?").startswith(b"T05")
        assert second.ask(b"qSupported:multiprocess+") == b"E.another debugger is connected"
        with pytest.raises(EOFError):
            second.reply()
        assert first.ask(b"?").startswith(b"T05")
        second.close()
        first.close()


@pytest.mark.parametrize("early", [False, True])
def test_an_interrupt_stops_whatever_runs(early: bool) -> None:
    """Also if it comes together with the packet that starts it."""
    toy = endless()
    with serving(toy) as (server, _, _):
        client = Client(server.place)
        for _ in range(5):
            client.socket.sendall(frame(b"vCont;c") + (b"\x03" if early else b""))
            if not early:
                client.socket.sendall(b"\x03")
            assert client.reply().startswith(b"T02thread:p")
        tick = toy.position.tick
        assert client.ask(b"?").startswith(b"T05")
        assert toy.position.tick == tick, "virtual time stands still"
        client.close()


def test_an_interrupt_while_nothing_moves_is_for_the_next_move() -> None:
    """gdb sends it ahead of `vCont` if Ctrl-C comes early (Remote Protocol, Interrupts)."""
    toy = endless()
    with serving(toy) as (server, _, _):
        client = Client(server.place)
        client.socket.sendall(b"\x03\x03")
        assert client.ask(b"?").startswith(b"T05")
        assert client.ask(b"vCont;c").startswith(b"T02thread:p")
        assert client.ask(b"vCont;s:p1.1").startswith(b"T05thread:p1.1"), "one is enough"
        client.close()


def test_a_damaged_packet_is_asked_for_again_and_a_reply_is_repeated() -> None:
    with serving(endless()) as (server, _, _):
        client = Client(server.place)
        client.socket.sendall(b"$?#00")
        assert client.socket.recv(1) == b"-"
        first = client.ask(b"?")
        client.socket.sendall(b"-")
        assert client.reply() == first
        client.close()


def test_a_client_that_dies_leaves_the_run_where_it_was() -> None:
    toy = endless()
    with serving(toy) as (server, said, _):
        first = Client(server.place)
        first.send(b"QStartNoAckMode", b"Hgp1.1", b"Z0,40000010,4", b"vCont;c")
        replies = [first.reply() for _ in range(4)]
        assert replies[3].startswith(b"T05")
        first.send(b"vCont;c", b"vCont;c")
        first.close()  # while it runs, perhaps
        second = Client(server.place)
        while second.ask(b"?").startswith(b"E."):  # the first one's end is not known yet
            second.close()
            second = Client(server.place)
        tick = toy.position.tick
        assert second.ask(b"vCont;s:p1.1").startswith(b"T05")
        assert toy.position.tick > tick
        assert all(not each for each in toy.breakpoints.values()), "its breakpoints went with it"
        assert said == ["gdb has gone, the run stands where it was and waits for another"]
        second.close()


def test_killed_it_ends_and_detached_it_runs_to_its_end() -> None:
    toy = endless()
    with serving(toy) as (server, _, thread):
        client = Client(server.place)
        client.send(b"k")
        thread.join(PATIENCE)
        client.close()
        assert not thread.is_alive() and toy.stop.cause is not Cause.END
    short = Toy(["a", "b"], 1000, 500)
    with serving(short) as (server, _, thread):
        client = Client(server.place)
        client.send(b"Z0,40000010,4")
        assert client.reply() == b"OK"
        assert client.ask(b"D;1") == b"OK"
        assert client.ask(b"D;2") == b"OK"
        thread.join(PATIENCE)
        client.close()
        assert not thread.is_alive() and short.stop.cause is Cause.END


# ---- khs run --gdb


def test_a_run_that_was_only_looked_at_comes_to_its_hash() -> None:
    from .conftest import gdbs

    gdb = gdbs()["debian"]
    if gdb is None:
        pytest.skip("there is no gdb-multiarch")
    said: list[str] = []
    started: list[subprocess.Popen[str]] = []
    files: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if file := re.search(r"gdb-multiarch -x (\S+)", text):
            files.append(Path(file[1]).read_text(encoding="utf-8"))
        if place := re.search(r"target remote (\S+)'", text):
            commands = [f"target remote {place[1]}", "stepi 0", "break khs_trap", "stepi"]
            commands += ["info registers", "backtrace", "info threads", "p $_inferior"]
            arguments = [part for each in commands for part in ("-ex", each)]
            started.append(
                subprocess.Popen(
                    [gdb, "-nx", "-batch", *arguments], stdout=-1, stderr=-2, text=True
                )
            )

    outcome = serve([debuggee()], (LOOPBACK, 0), say)
    text, _ = started[0].communicate(timeout=PATIENCE)
    assert re.search(r"Reading /iot-gateway/sensor\.elf from remote target", text), "vFile"
    assert re.search(r"#0 +(0x\w+ in )?_start \(\)", text), "symbols came through it"
    assert "[Inferior 5 (process 5) detached]" in text
    assert said[0].startswith("gdb is awaited at 127.0.0.1:")
    assert "define why" in files[0] and said[0].split()[4].rstrip(";") in files[0]
    assert (outcome.ended, outcome.changed) == (True, False)
    assert outcome.rans[0].result.trace_sha256 == plain(None)
