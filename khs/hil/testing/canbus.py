"""A CAN bus of the system under test, with the test as one of its nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from khs.errors import KhsError
from khs.hil.frames import RECORD, THERE, Database, ErrorKind, Frame, bus_error, frames
from khs.hil.testing.console import Clock, Wire
from khs.hil.testing.duration import Time
from khs.hil.testing.errors import ExpiredError

#: A frame's identifier, a message of the DBC, or whatever tells the frame that is meant.
Wanted: TypeAlias = int | str | Callable[[Frame], object]
#: Frames that are told of those that came.
_TOLD = 8


class CanWire(Wire):
    """The line of a bus: the first that it says is that somebody is there, who acknowledges."""

    def __init__(self) -> None:
        super().__init__()
        self.send(THERE)

    @property
    def text(self) -> str:
        """As candump has it."""
        return "".join(f"{frame}\n" for frame in frames(bytes(self.data)))


class CanBus:
    """`can_bus()`, or of several `can_bus("field")`. Frames of all nodes are read from where the
    last `expect` left off."""

    def __init__(self, name: str, wire: CanWire, clock: Clock, dbc: Path | None) -> None:
        self.name = name
        self._wire, self._clock = wire, clock
        self._database = None if dbc is None else Database(dbc)

    @property
    def frames(self) -> list[Frame]:
        """Those on the bus since power-on, but for the test's own."""
        return list(frames(bytes(self._wire.data)))

    def send(self, frame: Frame | str, signals: Mapping[str, float | str] | None = None) -> None:
        """A frame, or a message of the bus' DBC with all of its signals. It takes part in
        arbitration as soon as the system runs. KhsError if there is no such message."""
        if isinstance(frame, str):
            frame = self._dbc().encode(frame, signals or {})
        self._wire.send(frame.record)

    def disturb(self, frames: int = 1, kind: ErrorKind = "bit1") -> None:
        """Errors destroy the frame that is on the bus as soon as the system runs, or else the next,
        and so many in all: each is 8 errors for its sender, beyond 255 that is bus-off."""
        self._wire.send(bus_error(kind) * frames)

    def expect(self, wanted: Wanted, timeout: Time | None = None) -> Frame:
        """Runs the system until such a frame comes, and reads as far. ExpiredError if none does
        within `timeout` of virtual time, by default all that the test has left."""
        __tracebackhide__ = True
        fits = self._fits(wanted)
        try:
            found = self._clock.run_until(lambda: self._find(fits), timeout)
        except ExpiredError as error:
            raise ExpiredError(f"{self.name}: {wanted!r} did not come {self._why(error)}") from None
        assert isinstance(found, tuple)
        self._wire.read, frame = found
        assert isinstance(frame, Frame)
        return frame

    def decode(self, frame: Frame) -> tuple[str, dict[str, Any]] | None:
        """By the bus' DBC, the message and its signals; None for a frame that is none of them."""
        return self._dbc().decode(frame)

    def _find(self, fits: Callable[[Frame], object]) -> tuple[int, Frame] | None:
        at = self._wire.read
        while at + RECORD.size <= len(self._wire.data):
            record = bytes(self._wire.data[at : at + RECORD.size])
            at += RECORD.size
            for frame in frames(record):
                if fits(frame):
                    return at, frame
        return None

    def _fits(self, wanted: Wanted) -> Callable[[Frame], object]:
        if isinstance(wanted, int):
            return lambda frame: frame.id == wanted
        if isinstance(wanted, str):
            self._dbc().signals(wanted)  # there is such a message
            return lambda frame: (self.decode(frame) or ("",))[0] == wanted
        return wanted

    def _dbc(self) -> Database:
        if self._database is None:
            raise KhsError(
                f"the bus {self.name} has no DBC\n"
                f'  help: in the bench, [can.{self.name}] with dbc = "FILE"'
            )
        return self._database

    def _why(self, error: ExpiredError) -> str:
        rest = list(frames(bytes(self._wire.data[self._wire.read :])))
        told = ", ".join(map(str, rest[-_TOLD:]))
        return f"{error}; unread are {len(rest)} frames, at last {told}" if rest else \
            f"{error}; nothing came"  # fmt: skip
