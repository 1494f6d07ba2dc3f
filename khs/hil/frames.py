"""CAN frames, as devices of KHS have them outside: Linux' struct can_frame, 16 bytes each; and what
they say by a DBC."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from khs.errors import KhsError, shown

EXTENDED, REMOTE, ERROR = 0x8000_0000, 0x4000_0000, 0x2000_0000
RECORD = struct.Struct("<IB3x8s")

#: Records to a bus: there is somebody outside, who acknowledges frames; there is nobody any more
#: (CAN_ERR_RESTARTED and CAN_ERR_ACK of Linux).
THERE = RECORD.pack(ERROR | 0x100, 8, bytes(8))
GONE = RECORD.pack(ERROR | 0x20, 8, bytes(8))
#: A report of an error that destroyed a frame: CAN_ERR_PROT of Linux.
PROTOCOL = 0x08

#: What a sender sees of an error: another bit than its own 0 or 1, a part that has no such form,
#: more than five bits of a kind. CAN_ERR_PROT_BIT0, BIT1, FORM and STUFF of Linux.
ErrorKind = Literal["bit0", "bit1", "form", "stuff"]
_KINDS: dict[str, int] = {"form": 0x02, "stuff": 0x04, "bit0": 0x08, "bit1": 0x10}
#: A part of a frame, CAN_ERR_PROT_LOC_DATA; the others are those of the SJA1000's error code
#: capture.
IN_DATA = 0x0A


def bus_error(kind: ErrorKind = "bit1", place: int = IN_DATA) -> bytes:
    """A record to a bus: an error destroys the frame that is on it, or the next one. `place` is
    what controllers tell of it, 1 to 31. ValueError for what is none."""
    if kind not in _KINDS:
        raise ValueError(f"there is no error {kind}; there are {', '.join(sorted(_KINDS))}")
    if not 0 < place < 32:
        raise ValueError(f"{place} is no place in a frame: 1 to 31")
    return RECORD.pack(ERROR | PROTOCOL, 8, bytes([0, 0, _KINDS[kind], place]))


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of CAN 2.0. A remote one has no data, but asks for `size` bytes. ValueError for what
    is none."""

    id: int
    data: bytes = b""
    extended: bool = False
    remote: bool = False
    size: int = -1  # default: that of the data

    def __post_init__(self) -> None:
        if self.size < 0:
            object.__setattr__(self, "size", len(self.data))
        if not 0 <= self.id < 1 << (29 if self.extended else 11):
            raise ValueError(f"{self.id:#x} is no identifier of {29 if self.extended else 11} bits")
        if self.size > 8 or len(self.data) != (0 if self.remote else self.size):
            raise ValueError("a frame has up to 8 bytes, a remote one a size alone")

    @property
    def record(self) -> bytes:
        flags = EXTENDED * self.extended | REMOTE * self.remote
        return RECORD.pack(self.id | flags, self.size, self.data)

    def __str__(self) -> str:
        """As candump has it: 123#DEADBEEF, 00000123#, 7FF#R4."""
        data = f"R{self.size}" if self.remote else self.data.hex().upper()
        return f"{self.id:0{8 if self.extended else 3}X}#{data}"


def frames(records: bytes) -> Iterator[Frame]:
    """Those in whole records; what says something of errors is none."""
    for at in range(0, len(records) - RECORD.size + 1, RECORD.size):
        number, size, data = RECORD.unpack_from(records, at)
        extended, remote = bool(number & EXTENDED), bool(number & REMOTE)
        if not number & ERROR:
            own = number & (0x1FFF_FFFF if extended else 0x7FF)
            size = min(size, 8)
            yield Frame(own, b"" if remote else data[:size], extended, remote, size)


class Database:
    """The messages and signals of a DBC, or of what else cantools reads. KhsError if it cannot be
    read, or there is no such message or signal."""

    def __init__(self, path: Path) -> None:
        try:
            import cantools
        except ImportError as error:
            raise KhsError(
                f"{shown(path)}: cantools is missing\n  help: pip install 'khs[hil]'"
            ) from error
        try:
            self._database: Any = cantools.database.load_file(path)
        except (OSError, cantools.Error, UnicodeDecodeError, ValueError) as error:
            what = str(error).splitlines()[0]
            raise KhsError(f"{shown(path)}: cannot be read: {what}") from error
        self._path = path

    def encode(self, message: str, signals: Mapping[str, float | str]) -> Frame:
        """A frame with all signals of the message."""
        about = self._message(message)
        try:
            data = bytes(about.encode(dict(signals)))
        except (ValueError, KeyError, OverflowError, self._error) as error:
            raise KhsError(f"{shown(self._path)}: {message}: {error}") from error
        return Frame(about.frame_id, data, about.is_extended_frame)

    def decode(self, frame: Frame) -> tuple[str, dict[str, Any]] | None:
        """The message and its signals; None for a frame that is none of them."""
        for about in self._database.messages:
            if (about.frame_id, about.is_extended_frame) == (frame.id, frame.extended):
                break
        else:
            return None
        try:
            return about.name, dict(about.decode(frame.data))
        except (ValueError, self._error):
            return None

    def show(self, frame: Frame) -> str:
        """The frame and what it says: 123#2A00 Status(Rpm=42)"""
        told = self.decode(frame)
        if told is None:
            return str(frame)
        signals = ", ".join(f"{name}={value}" for name, value in told[1].items())
        return f"{frame} {told[0]}({signals})"

    def signals(self, message: str) -> list[str]:
        """Names of a message's signals."""
        return [signal.name for signal in self._message(message).signals]

    def nearest(self, message: str, signal: str, value: float) -> float:
        """What a signal can say that is nearest to the value, in the range that the DBC has for it
        and in its bits."""
        about = self._message(message).get_signal_by_name(signal)
        if about.choices and any(value == _scaled(about, raw) for raw in about.choices):
            return value
        low, high = _range(about)
        return low if value < low else high if value > high else value

    def _message(self, name: str) -> Any:
        try:
            return self._database.get_message_by_name(name)
        except KeyError as error:
            known = ", ".join(about.name for about in self._database.messages)
            raise KhsError(
                f"{shown(self._path)}: there is no message {name}\n  help: there are {known}"
            ) from error

    @property
    def _error(self) -> type[Exception]:
        import cantools

        return cantools.Error


def _scaled(signal: Any, raw: int) -> float:
    return float(signal.conversion.raw_to_scaled(raw, decode_choices=False))


def _range(signal: Any) -> tuple[float, float]:
    low = -math.inf if signal.minimum is None else float(signal.minimum)
    high = math.inf if signal.maximum is None else float(signal.maximum)
    if signal.is_float:
        most = {16: 65504.0, 32: (2 - 2**-23) * 2.0**127}.get(signal.length, sys.float_info.max)
        return max(low, -most), min(high, most)
    raw = (-(1 << signal.length - 1) if signal.is_signed else 0,
           (1 << signal.length - signal.is_signed) - 1)  # fmt: skip
    ends = sorted(_scaled(signal, each) for each in raw)
    return max(low, ends[0]), min(high, ends[1])
