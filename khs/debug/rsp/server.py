"""Serves one gdb at a time, on a TCP port of this machine alone unless told otherwise, or on a
socket in the file system, which its folder's owner alone can reach.

The thread that calls `run` does everything while nothing moves: it reads, turns others away, and
does what packets ask for. While the systems move a second thread looks after the sockets now and
then, so that an interrupt comes through; a step is over before, and is not held up by it.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from khs.debug.rsp.framing import Framer, Packet, Signal, failure, frame
from khs.debug.rsp.listen import Address, listen
from khs.debug.rsp.motion import MOVES
from khs.debug.rsp.session import Session
from khs.debug.rsp.systems import Systems
from khs.debug.stops import Cause

_READ = 1 << 16
_PATIENCE = 20.0  # seconds for a client to take what it is sent
_GLANCE = 0.01  # seconds between two looks while the systems move
_IDLE = 100  # such looks at nothing
_AT_ONCE = 0.0003  # seconds
_TURNED_MOST = 16
_BUSY = frame(failure("another debugger is connected"))

Say = Callable[[str], object]


@dataclass
class _Client:
    """`moves`: packets that have come and will move the systems. `interrupted`: while nothing did.
    `last`: the reply, to repeat."""

    socket: socket.socket
    framer: Framer = field(default_factory=Framer)
    last: bytes = b""
    moves: int = 0
    interrupted: bool = False
    session: Session | None = None
    _sending: threading.Lock = field(default_factory=threading.Lock)

    @property
    def acknowledges(self) -> bool:
        return self.session is None or self.session.acknowledges

    def send(self, data: bytes) -> None:
        """A client that is gone, or that takes nothing, loses it; the reader will notice."""
        with self._sending:
            try:
                self.socket.sendall(data)
            except OSError:
                with suppress(OSError):
                    self.socket.shutdown(socket.SHUT_RDWR)


class Server:
    """Listens at once; `place` is what gdb connects to. `attached`: a gdb that ends lets the run go
    on. KhsError if there is no such address."""

    def __init__(self, systems: Systems, address: Address, say: Say, attached: bool = True) -> None:
        self._systems, self._say, self._attached = systems, say, attached
        self._listener, self.place = listen(address)
        self._address = address
        self._work: deque[tuple[_Client, bytes | None]] = deque()
        self._wake, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._client: _Client | None = None
        self._turned: set[socket.socket] = set()
        self._reading = threading.Lock()
        self._moving, self._moves = threading.Event(), 0
        self._closing = self._finishing = False
        self._ended = threading.Event()

    def run(self) -> bool:
        """Serves until the run is over and gdb is gone, until gdb kills it, or `close`. True if the
        run went to its end."""
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, lambda ready: None)
        watcher = threading.Thread(target=self._watch, name="khs-gdb-watch", daemon=True)
        watcher.start()
        try:
            while not self._closing:
                self._expect()
                while not self._work and not self._closing:
                    self._look(None)
                if self._closing or not self._serve(*self._work.popleft()):
                    break
        finally:
            self.close()
            self._ended.set()
            self._moving.set()
            watcher.join()
            self._free()
        return all(each.stop.cause is Cause.END for each in self._systems.world.targets)

    def _watch(self) -> None:
        """Looks after the sockets while one move takes its time. It is not woken for each move,
        which would hold up steps: it sleeps only once nothing has moved for a while."""
        seen, idle = -1, 0
        while not self._ended.wait(_GLANCE):
            idle = 0 if self._moving.is_set() or seen != self._moves else idle + 1
            if idle > _IDLE:
                self._moving.wait()
            if seen == self._moves:
                with self._reading:
                    if self._moving.is_set():
                        self._look(0)
            seen = self._moves

    def _free(self) -> None:
        clients = [self._client.socket] if self._client else []
        sockets = (self._listener, self._wake, self._woken, *self._turned, *clients)
        for each in sockets:
            each.close()
        self._selector.close()
        if isinstance(self._address, Path):
            self._address.unlink(missing_ok=True)

    def leave(self) -> None:
        """gdb is gone for good: ends `run`, unless it let the systems go on to their end."""
        if not self._finishing:
            self.close()

    def close(self) -> None:
        """Ends `run` soon; from any thread, at any time."""
        self._closing = True
        self._systems.world.interrupt()
        with suppress(OSError):
            self._wake.send(b"x")

    def _serve(self, client: _Client, packet: bytes | None) -> bool:
        """Whether to go on. `packet` is None once the client is gone."""
        if client.session is None:
            client.session = Session(
                self._systems, lambda body: client.send(frame(body)), self._attached
            )
        session = client.session
        if packet is None:
            return self._gone(session)
        if packet.startswith(MOVES):
            reply = self._moved(client, session, packet)
        else:
            reply = session.handle(packet)
        client.last = frame(reply)
        self._finishing = session.over and not session.killed
        if packet != b"k":
            client.send(client.last)
        return not session.over or self._end(session)

    def _moved(self, client: _Client, session: Session, packet: bytes) -> bytes:
        """The reply to a packet that moves the systems; an interrupt meanwhile is for this move, as
        is one before: gdb may send it ahead of its own packet (Remote Protocol, Interrupts)."""
        client.moves -= 1
        self._begin()
        if client.interrupted:
            self._systems.world.interrupt()
        client.interrupted = False
        try:
            return session.handle(packet)
        finally:
            self._moving.clear()
            with self._reading:
                if not self._closing:
                    self._systems.world.listen()

    def _begin(self) -> None:
        self._moves += 1
        self._moving.set()

    def _gone(self, session: Session) -> bool:
        """gdb has left without a word, or after it killed something: then the run is over."""
        session.points.clear()
        session.points.apply()
        if session.killed or all(
            each.stop.cause is Cause.END for each in self._systems.world.targets
        ):
            return False
        self._say("gdb has gone, the run stands where it was and waits for another")
        return not self._closing

    def _end(self, session: Session) -> bool:
        """gdb has let go of every process: the run goes on to its end, unless it was killed."""
        session.points.clear()
        session.points.apply()
        if not session.killed:
            self._begin()
            while not self._closing and self._systems.world.go().stop.cause is not Cause.END:
                pass
        return False

    # ---- sockets

    def _expect(self) -> None:
        """Who steps sends the next packet at once: waking up for it takes longer than a step."""
        begin = time.perf_counter()
        while not self._work and not self._closing and time.perf_counter() - begin < _AT_ONCE:
            self._look(0)

    def _look(self, patience: float | None) -> None:
        """Takes what has come, or waits for it."""
        for key, _ in self._selector.select(patience):
            key.data(key.fileobj)

    def _accept(self, listener: socket.socket) -> None:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        with suppress(OSError):  # not for a socket in the file system
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.settimeout(_PATIENCE)
        if self._client is None:
            self._client = _Client(accepted)
            self._selector.register(accepted, selectors.EVENT_READ, self._receive)
        elif len(self._turned) < _TURNED_MOST:
            self._turned.add(accepted)
            self._selector.register(accepted, selectors.EVENT_READ, self._refuse)
        else:
            accepted.close()

    def _refuse(self, turned: socket.socket) -> None:
        """Tells a second client why, once it has asked something, and closes."""
        with suppress(OSError):
            if turned.recv(_READ):
                turned.sendall(b"+" + _BUSY)
                turned.shutdown(socket.SHUT_WR)
                return
        self._selector.unregister(turned)
        self._turned.discard(turned)
        turned.close()

    def _receive(self, ready: socket.socket) -> None:
        client = self._client
        assert client is not None
        try:
            data = ready.recv(_READ)
        except OSError:
            data = b""
        if data:
            for item in client.framer.feed(data):
                self._take(client, item)
            return
        self._selector.unregister(ready)
        self._client = None
        if self._moving.is_set() or client.moves:
            self._systems.world.interrupt()
        ready.close()
        self._work.append((client, None))

    def _take(self, client: _Client, item: Packet | Signal) -> None:
        if item is Signal.INTERRUPT:
            if self._moving.is_set() or client.moves:
                self._systems.world.interrupt()
            else:
                client.interrupted = True
        elif item is Signal.NAK:
            client.send(client.last)
        elif isinstance(item, Packet):
            if client.acknowledges:
                client.send(Signal.ACK.value)
            client.moves += item.payload.startswith(MOVES)
            self._work.append((client, item.payload))
        elif item is Signal.DAMAGED and client.acknowledges:
            client.send(Signal.NAK.value)
