"""A broker between programs on one machine, whose messages KSS judges: a point of enforcement (PEP)
outside KHS, made of Unix sockets.

    python broker.py shop.toml [--audit audit.jsonl]

The broker starts each program as an instance of its class, if the policy grants it, with one end of
a socket pair: whatever comes out of the other end is from that program, so nobody can pretend to be
another. Each message is copied once, into the broker; that copy is judged and delivered. Requests
are judged before the server sees them, answers before the client does. `wire.py` has the frames.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import subprocess
import sys
import tomllib
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kss
from kss import Subject
from kss.errors import KssError
from kss.message import header
from kss.trail import Trail
from wire import FRAME, MAX_PACKET, Kind, Reason

KERNEL = Subject("kl.core.Core", 1, "broker")
METHOD_SIZE = 6  # RIID and MID, which a message begins with
BACKLOG = 64  # calls that a server may leave unanswered
PATIENCE = 2.0  # seconds that a program has to end, each time it is told to


@dataclass(frozen=True)
class Asked:
    """A call that waits for its answer: who calls, under which token of its own, and the part of
    the message's header that names the method."""

    client: Program
    token: int
    method: bytes

    def answer(self, data: bytes) -> bytes:
        """An answer is of the method that was called, whatever the server says: one of another
        could be granted, and the client would read it as what it is not."""
        return (self.method + data[METHOD_SIZE:])[: len(data)]


@dataclass(eq=False)
class Program:
    """A program that runs. `calls` are those it was given and has not answered, by the broker's
    tokens."""

    number: int
    subject: Subject
    process: subprocess.Popen[bytes]
    socket: socket.socket
    calls: dict[int, Asked] = field(default_factory=dict)
    calling: bool = False  # one call at a time

    def send(self, kind: Kind, token: int, peer: int = 0, data: bytes = b"") -> None:
        """Sends what `ready` has said there is room for; a refusal may be lost on one who does not
        read."""
        with suppress(OSError):  # it is full or gone: the event loop will see the latter
            self.socket.send(FRAME.pack(kind, token, peer) + data)

    def ready(self) -> bool:
        """Whether it takes a message now."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_WRITE)
            return bool(selector.select(0))


class Broker:
    def __init__(self, monitor: kss.Monitor, folder: Path) -> None:
        """`folder` is where programs run. Raises KssError if the policy does not let the broker
        itself run."""
        self._monitor, self._folder = monitor, folder
        self._ended: list[subprocess.Popen[bytes]] = []
        self._programs: dict[int, Program] = {}
        self._selector = selectors.DefaultSelector()
        self._sid = KERNEL.sid
        self._token = 0
        if not (decision := monitor.judge("execute", KERNEL, KERNEL)):
            raise KssError(f"the policy does not let the broker run: {decision.why}")

    def start(
        self, number: int, name: str, class_name: str, command: list[str], **environment: str
    ) -> bool:
        """Starts a program, if the policy grants it."""
        self._sid += 1
        subject = Subject(class_name, self._sid, name)
        if not (decision := self._monitor.judge("execute", KERNEL, subject)):
            print(f"broker: {name} is not started: {decision.why}", file=sys.stderr)
            return False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            told = {**os.environ, **environment, "BROKER": str(theirs.fileno())}
            process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], cwd=self._folder, env=told
            )
        ours.setblocking(False)
        self._programs[number] = program = Program(number, subject, process, ours)
        self._selector.register(ours, selectors.EVENT_READ, program)
        return True

    def run(self, until: set[int]) -> None:
        """Carries messages until the programs with these numbers have ended."""
        while until & self._programs.keys():
            for key, _ in self._selector.select():
                self._take(key.data)

    def close(self) -> None:
        """Ends all programs: they find their sockets closed, and may finish what they do."""
        for program in list(self._programs.values()):
            self._end(program)
        for process in self._ended:
            for end in (process.terminate, process.kill):
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    end()
            process.wait()
        self._selector.close()

    # ---- messages

    def _take(self, program: Program) -> None:
        """One packet of a program."""
        try:
            packet = program.socket.recv(MAX_PACKET + 1)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            self._end(program)
        elif len(packet) < FRAME.size or len(packet) > MAX_PACKET:
            program.send(Kind.REFUSED, 0, Reason.BAD)
        else:
            kind, token, peer = FRAME.unpack_from(packet)
            data = packet[FRAME.size :]
            if kind == Kind.CALL:
                self._call(program, token, peer, data)
            elif kind == Kind.REPLY:
                self._reply(program, token, data)
            else:
                program.send(Kind.REFUSED, token, Reason.BAD)

    def _call(self, client: Program, token: int, peer: int, data: bytes) -> None:
        """Judged whether it can be delivered or not, so that who is denied learns nothing else."""
        server = self._programs.get(peer)
        if server is None or server is client or client.calling:
            client.send(Kind.REFUSED, token, Reason.GONE if server is None else Reason.BAD)
            return
        room = len(server.calls) < BACKLOG and server.ready()
        granted = self._monitor.judge(
            "request", client.subject, server.subject, data, trial=not room
        )
        if not granted or not room:
            client.send(Kind.REFUSED, token, Reason.BUSY if granted else Reason.DENIED)
            return
        self._token += 1
        server.calls[self._token % (1 << 32)] = Asked(client, token, data[:METHOD_SIZE])
        client.calling = True
        server.send(Kind.CALL, self._token % (1 << 32), client.number, data)

    def _reply(self, server: Program, token: int, data: bytes) -> None:
        if token not in server.calls:
            server.send(Kind.REFUSED, token, Reason.BAD)
            return
        asked = server.calls.pop(token)
        client = asked.client
        client.calling = False
        if client.number not in self._programs:
            server.send(Kind.REFUSED, token, Reason.GONE)
            return
        data = asked.answer(data)
        kind: Any = "error" if len(data) >= 8 and header(data)[2] == 2 else "response"
        room = client.ready()
        granted = self._monitor.judge(kind, server.subject, client.subject, data, trial=not room)
        if granted and room:
            client.send(Kind.REPLY, asked.token, 0, data)
        else:
            server.send(Kind.REFUSED, token, Reason.BUSY if granted else Reason.DENIED)
            client.send(Kind.REFUSED, asked.token, Reason.DENIED)

    def _end(self, program: Program) -> None:
        """A program is gone, with all that the policy kept about it; who waits for it is told."""
        del self._programs[program.number]
        self._selector.unregister(program.socket)
        program.socket.close()
        self._ended.append(program.process)
        self._monitor.release(program.subject.sid)
        for asked in program.calls.values():
            asked.client.calling = False
            asked.client.send(Kind.REFUSED, asked.token, Reason.GONE)


def main() -> int:
    parser = argparse.ArgumentParser(description="Programs that talk through KSS.")
    parser.add_argument("system", type=Path, help="a file like shop.toml")
    parser.add_argument(
        "--audit", type=Path, help="append what the policy has recorded to this file"
    )
    options = parser.parse_args()
    folder = options.system.parent
    try:
        described = tomllib.loads(options.system.read_text(encoding="utf-8"))
        with ExitStack() as stack:
            trail = stack.enter_context(Trail(options.audit)) if options.audit else None
            monitor = kss.load(
                folder / described["policy"],
                [folder / name for name in described["include"]],
                audit=trail.append if trail else None,
            )
            broker = Broker(monitor, folder)
            stack.callback(broker.close)
            _start_all(broker, described["program"])
    except (KssError, OSError, tomllib.TOMLDecodeError, KeyError) as error:
        print(f"broker: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


def _start_all(broker: Broker, programs: dict[str, Any]) -> None:
    """Runs until every program but the first, which serves the others, has ended."""
    numbers = ",".join(f"{name}={number}" for number, name in enumerate(programs))
    started = [
        number
        for number, (name, told) in enumerate(programs.items())
        if broker.start(number, name, told["class"], told["command"], PROGRAMS=numbers)
    ]
    broker.run(set(started[1:]))


if __name__ == "__main__":
    sys.exit(main())
