"""A master outside who lets virtual time pass, over a unix socket: docs/hil-protocol.md.

Each side sends JSON documents, one a line. The run stands while the master has not said how far it
may go; what he writes is an input of the run at the tick where it stands.
"""

from __future__ import annotations

import json
import os
import select
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from khs.config.rules import suggest
from khs.engine.lines import Exchange
from khs.errors import KhsError, shown

VERSION = 1
#: Bytes of a line, and of what is read or written at once.
LINE_MOST, BYTES_MOST = 1 << 20, 1 << 18
#: Bytes of a device that wait to be read.
WAITING_MOST = 1 << 20
#: Snapshots that are kept at a time.
CHECKPOINTS_MOST = 64
_LOOK_S = 0.1
#: What a second master is greeted with.
_BUSY = {"khs": "hil", "version": VERSION, "error": "another master is there"}
_TICKS_MOST = 1 << 56


_Command: TypeAlias = Callable[[Mapping[str, Any]], dict[str, Any]]


class _RequestError(Exception):
    """What is wrong with a request, as the master is told."""


class _GoneError(Exception):
    """There is nobody any more."""


class Door:
    """The socket, where one master at a time is let in. KhsError if it cannot be made."""

    def __init__(self, path: str, say: Callable[[str], object]) -> None:
        self._path, self._say = Path(path), say
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._peer: socket.socket | None = None
        self._data = b""
        before = os.umask(0o177)  # nobody else's
        try:
            self._listening.bind(path)
        except OSError as error:
            self._listening.close()
            help = "help: a path that does not exist yet, of at most 107 bytes"
            why = error.strerror or str(error)
            raise KhsError(f"--pace outside:{shown(path)}: {why}\n  {help}") from error
        finally:
            os.umask(before)
        self._listening.listen(1)

    def close(self) -> None:
        if self._peer is not None:
            self._peer.close()
        self._listening.close()
        with suppress(OSError):
            self._path.unlink()

    def admit(self, greeting: Mapping[str, Any], stopping: Callable[[], bool]) -> None:
        """Waits for a master; _GoneError if the run is to end first."""
        if self._peer is not None:
            return
        self._say(f"a master is awaited at {shown(self._path)}")
        while not self._is_ready(self._listening, stopping):
            pass
        self._peer = self._listening.accept()[0]
        self.send(greeting)

    def _is_ready(self, on: socket.socket, stopping: Callable[[], bool]) -> bool:
        """After a moment at most; _GoneError if the run is to end."""
        if stopping():
            raise _GoneError("interrupted")
        return bool(select.select([on], [], [], _LOOK_S)[0])

    def _refuse(self) -> None:
        """Whoever else came in the meantime."""
        while select.select([self._listening], [], [], 0)[0]:
            with self._listening.accept()[0] as other, suppress(OSError):
                other.sendall(json.dumps(_BUSY).encode() + b"\n")

    def line(self, stopping: Callable[[], bool]) -> bytes:
        """The next one; _GoneError if there is none."""
        assert self._peer is not None
        while b"\n" not in self._data:
            if len(self._data) > LINE_MOST:
                raise _GoneError(f"the master sent a line of more than {LINE_MOST} bytes")
            self._refuse()
            if not self._is_ready(self._peer, stopping):
                continue
            try:
                data = self._peer.recv(65536)
            except OSError as error:
                raise _GoneError(f"the master has gone: {error.strerror}") from error
            if not data:
                raise _GoneError("the master has gone without quit")
            self._data += data
        line, _, self._data = self._data.partition(b"\n")
        return line

    def send(self, document: Mapping[str, Any]) -> None:
        assert self._peer is not None
        try:
            self._peer.sendall(json.dumps(document).encode() + b"\n")
        except OSError as error:
            raise _GoneError(f"the master has gone: {error.strerror}") from error


class Master:
    """`failure`: why there is no master any more, who did not quit."""

    def __init__(
        self, exchange: Exchange, door: Door, manifest: Mapping[str, Any], goes_back: bool
    ) -> None:
        """`goes_back`: events are kept by nobody who could not forget them."""
        self.failure = ""
        self._exchange, self._door, self._goes_back = exchange, door, goes_back
        self._names: Mapping[str, Any] = manifest["names"]
        self._about = {"khs": "hil", "version": VERSION, "system": manifest["system"],
                       "board": manifest["board"], "clock_hz": exchange.clock_hz,
                       "partitions": self._names["partitions"], "regions": self._names["regions"],
                       "devices": list(exchange.devices.ports)}  # fmt: skip
        self._heard: dict[str, bytearray] = {name: bytearray() for name in exchange.devices.ports}
        self._lost: dict[str, int] = {}
        self._kept: dict[int, Any] = {}
        self._made = 0
        self._until: int | None = None
        self._pending: Any = None
        self._is_over = self.has_quit = False
        exchange.live = True
        self._commands: dict[str, tuple[_Command, tuple[str, ...]]] = {  # and what each takes
            "time": (lambda asked: self._time(), ()),
            "run_for": (self._run_for, ("ns", "ticks")),
            "region_read": (self._region_read, ("region", "offset", "size")),
            "region_write": (self._region_write, ("region", "offset", "data")),
            "memory_read": (self._memory_read, ("partition", "address", "size")),
            "device_read": (self._device_read, ("device",)),
            "device_write": (self._device_write, ("device", "data")),
            "checkpoint": (lambda asked: self._checkpoint(), ()),
            "restore": (self._restore, ("checkpoint",)),
            "forget": (self._forget, ("checkpoint",)),
            "quit": (lambda asked: self._quit(), ()),
        }

    # ------------------------------------------------------------ as a party

    def next(self, tick: int) -> int:
        return _TICKS_MOST if self._until is None else self._until

    def hear(self, name: str, data: bytes) -> None:
        waiting = self._heard[name]
        room = WAITING_MOST - len(waiting)
        waiting += data[:room]
        if len(data) > room:
            self._lost[name] = self._lost.get(name, 0) + len(data) - room

    def save(self) -> Any:
        return {name: bytes(data) for name, data in self._heard.items()}, dict(self._lost)

    def restore(self, saved: Any, tick: int) -> None:
        heard, lost = saved
        self._heard = {name: bytearray(data) for name, data in heard.items()}
        self._lost = dict(lost)

    def meet(self, tick: int) -> None:
        if self._is_over:
            return
        self._until = None
        try:
            self._door.admit(self._about, self._exchange.stopping)
            self._done()
            while self._until is None and not self._is_over:
                self._answer(self._door.line(self._exchange.stopping))
        except _GoneError as gone:
            self._is_over = True
            if not self._exchange.stopping():
                self.failure = str(gone)
                self._exchange.stop()

    def end(self) -> None:
        """The run is over; whoever waits for it is told."""
        with suppress(_GoneError):
            self._done(ended=True)
        for kept in self._kept.values():
            self._exchange.machine.forget(kept)
        self._kept.clear()

    def _done(self, ended: bool = False) -> None:
        """The answer to the one who let it run."""
        pending, self._pending = self._pending, None
        if pending is not None:
            self._door.send({"id": pending[0], "ok": True, **self._time(), "ended": ended})

    # ------------------------------------------------------------ requests

    def _answer(self, line: bytes) -> None:
        number: Any = None
        try:
            asked = _document(line)
            number = asked.get("id")
            told = self._command(asked)(asked)
        except (_RequestError, KhsError) as error:
            self._door.send({"id": number, "ok": False, "error": str(error)})
            return
        if self._until is not None:
            self._pending = (number,)
        else:
            self._door.send({"id": number, "ok": True, **told})

    def _command(self, asked: Mapping[str, Any]) -> _Command:
        if asked.get("id") is None:
            raise _RequestError("a request has an id, which its answer has, too")
        do = str(asked.get("do"))
        if do not in self._commands:
            raise _RequestError(f"no such command; {suggest(do, self._commands, 'there are')}")
        command, takes = self._commands[do]
        for key in asked:
            if key not in ("id", "do", *takes):
                help = suggest(key, takes, "it takes") if takes else "it takes nothing"
                raise _RequestError(f"{do}: no such key {key!r}; {help}")
        return command

    def _tick(self) -> int:
        return int(self._exchange.host.status().tick)

    def _time(self) -> dict[str, Any]:
        status = self._exchange.host.status()
        tick = int(status.tick)
        ns = tick * 1_000_000_000 // self._exchange.clock_hz
        return {"tick": tick, "ns": ns, "frames": int(status.frames)}

    def _run_for(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if ("ns" in asked) == ("ticks" in asked):
            raise _RequestError("run_for takes ns or ticks")
        if "ns" in asked:
            ticks = _number(asked, "ns", _TICKS_MOST) * self._exchange.clock_hz // 1_000_000_000
        else:
            ticks = _number(asked, "ticks", _TICKS_MOST)
        if ticks < 1:
            raise _RequestError("that is less than a tick")
        self._until = min(self._tick() + ticks, _TICKS_MOST)
        return {}

    def _region(self, asked: Mapping[str, Any]) -> int:
        return _index(asked, "region", self._names["regions"])

    def _region_read(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        offset, size = _number(asked, "offset"), _number(asked, "size", BYTES_MOST)
        data = self._exchange.host.read_region(self._region(asked), offset, size)
        if data is None:
            raise _RequestError("that lies outside the region")
        return {"data": data.hex()}

    def _region_write(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        region, offset, data = self._region(asked), _number(asked, "offset"), _data(asked)
        target = self._exchange.host.region_target(region)
        if target is None:
            raise _RequestError("the region holds code, which never changes")
        if self._exchange.host.read_region(region, offset, len(data)) is None:
            raise _RequestError("that lies outside the region")
        self._exchange.add(self._tick(), target, offset.to_bytes(8, "little") + data)
        return {}

    def _memory_read(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """By the addresses of a partition; less if not all of it is mapped."""
        partition = _index(asked, "partition", self._names["partitions"])
        size = _number(asked, "size", BYTES_MOST)
        data = self._exchange.host.read(partition, _number(asked, "address"), size)
        return {"data": data.hex()}

    def _device(self, asked: Mapping[str, Any]) -> str:
        names = list(self._heard)
        return names[_index(asked, "device", names)]

    def _device_read(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        name = self._device(asked)
        waiting, self._heard[name] = bytes(self._heard[name]), bytearray()
        return {"data": waiting.hex(), "lost": self._lost.pop(name, 0)}

    def _device_write(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._exchange.put(self._device(asked), self._tick(), _data(asked))
        return {}

    def _check_goes_back(self) -> None:
        if not self._goes_back:
            raise _RequestError("a run with a trace or an audit trail does not go back")

    def _checkpoint(self) -> dict[str, Any]:
        self._check_goes_back()
        if len(self._kept) >= CHECKPOINTS_MOST:
            raise _RequestError(f"there are {CHECKPOINTS_MOST} checkpoints; forget one")
        self._made += 1
        self._kept[self._made] = self._exchange.machine.keep()
        return {"checkpoint": self._made, **self._time()}

    def _restore(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._exchange.machine.restore(self._kept[self._checkpoint_of(asked)])
        return self._time()

    def _forget(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._exchange.machine.forget(self._kept.pop(self._checkpoint_of(asked)))
        return {}

    def _checkpoint_of(self, asked: Mapping[str, Any]) -> int:
        number = _number(asked, "checkpoint")
        if number not in self._kept:
            raise _RequestError(f"there is no checkpoint {number}")
        return number

    def _quit(self) -> dict[str, Any]:
        """The run ends with its frame."""
        self._is_over = self.has_quit = True
        self._exchange.finish()
        return self._time()


def _document(line: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _RequestError(f"no JSON: {error}") from error
    if not isinstance(asked, dict):
        raise _RequestError("a request is an object with id and do")
    return asked


def _number(asked: Mapping[str, Any], key: str, most: int = (1 << 64) - 1) -> int:
    value = asked.get(key)
    if type(value) is not int or not 0 <= value <= most:
        raise _RequestError(f"{key} is an integer from 0 to {most}")
    return value


def _index(asked: Mapping[str, Any], key: str, names: list[str]) -> int:
    name = asked.get(key)
    if name not in names:
        raise _RequestError(f"there is no {key} {name!r}; {suggest(str(name), names, 'there are')}")
    return names.index(name)


def _data(asked: Mapping[str, Any]) -> bytes:
    text = asked.get("data")
    try:
        data = bytes.fromhex(text) if isinstance(text, str) else None
    except ValueError:
        data = None
    if data is None or not 0 < len(data) <= BYTES_MOST:
        raise _RequestError(f"data is 1 to {BYTES_MOST} bytes in hex")
    return data
