"""Instructions stepped through a gdb server, ours and QEMU's, by one client that does nothing else.

python -m khs.bench.stepping PLACE    the client, a process of its own beside either server
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from khs import runs
from khs.bench.figures import Figure
from khs.bench.load import BOARDS, Load
from khs.debug.rsp.framing import Framer, Packet, Signal, frame
from khs.debug.rsp.server import Server
from khs.debug.rsp.systems import Systems
from khs.debug.rsp.world import World
from khs.debug.target import Target
from khs.engine.qemu.board import ICOUNT, Board
from khs.engine.qemu.control import Debugging, Listener
from khs.errors import EngineError
from khs.image import Archive

WINDOW = 100_000  # ticks
STEPS, TRIES, ROUNDS = 1_000, 3, 3
_PATIENCE = 20.0


class Client:
    """Speaks to any gdb server; says nothing twice that need not be acknowledged."""

    def __init__(self, place: str) -> None:
        host, colon, port = place.rpartition(":")
        if colon:
            self._socket = socket.create_connection((host, int(port)), _PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(_PATIENCE)
            self._socket.connect(place)
        self._framer, self._acknowledges = Framer(), True
        if b"QStartNoAckMode+" in self.ask(b"qSupported:multiprocess+"):
            self.ask(b"QStartNoAckMode")
            self._acknowledges = False
        self.ask(b"?")

    def close(self) -> None:
        self._socket.close()

    def ask(self, payload: bytes) -> bytes:
        """The reply. EngineError if the server is gone."""
        self._socket.sendall(frame(payload))
        while True:
            data = self._socket.recv(65536)
            if not data:
                raise EngineError("the gdb server has closed the connection")
            for item in self._framer.feed(data):
                if isinstance(item, Packet):
                    if self._acknowledges:
                        self._socket.sendall(Signal.ACK.value)
                    return item.payload

    def steps(self) -> float:
        """A second's instructions, in the best of a few tries."""
        step = (Signal.ACK.value if self._acknowledges else b"") + frame(b"vCont;s")
        best, taken = 0.0, self._socket
        for _ in range(TRIES):
            began = time.perf_counter()
            for _ in range(STEPS):
                taken.sendall(step)
                reply = taken.recv(4096)
                while reply[-3:-2] != b"#":  # its checksum is the end
                    more = taken.recv(4096)
                    if not more:
                        raise EngineError("the gdb server has closed the connection")
                    reply += more
                if b"$T05" not in reply:
                    raise EngineError("the gdb server does not step")
            best = max(best, STEPS / (time.perf_counter() - began))
        return best


def measured(place: str) -> float:
    """What the client finds there."""
    command = [sys.executable, "-m", __name__, place]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(f"the client at {place} failed: {done.stderr.strip()[-300:]}")
    return float(done.stdout)


def stepping() -> Iterator[Figure]:
    """On each architecture whose QEMU is here."""
    for arch in BOARDS:
        archive = Load(arch, "compute", WINDOW).archive()
        try:
            Board.of(archive.manifest).find_qemu()
        except EngineError:
            continue
        pairs = [(_ours(archive), _qemu(archive)) for _ in range(ROUNDS)]
        ours, theirs = (max(speeds) for speeds in zip(*pairs, strict=True))
        yield Figure.at_least(
            2.0,
            section="debug",
            name="raw stepping beside QEMU's gdbstub",
            arch=arch,
            value=ours,
            unit="steps/s",
            baseline=theirs,
            ratio=ours / theirs,
        )


def _ours(archive: Archive) -> float:
    plan = runs.plan(archive, frames=1000, seed=1)
    with Target(plan) as target, tempfile.TemporaryDirectory(prefix="khs-bench-") as work:
        systems = Systems(World([target]), [plan])
        server = Server(systems, Path(work) / "gdb", lambda text: None)
        serving = threading.Thread(target=server.run)
        serving.start()
        try:
            return measured(server.place)
        finally:
            server.close()
            serving.join()


def _qemu(archive: Archive) -> float:
    """The same on the board: its firmware, from its first instruction. On TCP it would wait for
    acknowledgements of the network's, 40 ms a step; so both have sockets in the file system."""
    found = list[float]()

    def measure() -> None:
        found.append(measured(listener.place))

    with tempfile.TemporaryDirectory(prefix="khs-bench-") as work:
        listener = Listener(Path(work) / "gdb")
        try:
            control = Debugging(listener, ICOUNT, lambda: asyncio.to_thread(measure), stays=True)
            plan = runs.plan(archive, frames=1, seed=1, engine="qemu")
            runs.run(replace(plan, control=control))
        finally:
            listener.close()
    return found[0]


if __name__ == "__main__":
    client = Client(sys.argv[1])
    print(client.steps())
    client.close()
