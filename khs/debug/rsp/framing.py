"""Bytes of the remote serial protocol: packets out of a stream, and into it. Knows no socket.

A packet is `$` payload `#` checksum; `+` and `-` acknowledge, 0x03 is an interrupt.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

#: Bytes of a packet's payload at most; gdb is told so, and longer ones are damage.
PACKET_MOST = 20_000
_ESCAPED = frozenset(b"#$}*")
_INTERRUPT = 0x03


class Signal(Enum):
    """What comes in one byte; DAMAGED: a packet that is none, to be sent again."""

    ACK = b"+"
    NAK = b"-"
    INTERRUPT = b"\x03"
    DAMAGED = b""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that came whole; escapes are undone."""

    payload: bytes


Item = Packet | Signal


class MalformedError(ValueError):
    """A packet that is not of the shape that it must have; the text says which."""


class Framer:
    """Takes a stream apart, wherever it was cut."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._skips = False  # the packet under way is too long: up to its end all is lost

    def feed(self, data: bytes) -> list[Item]:
        """What has come whole with these bytes, in order."""
        self._held += data
        found: list[Item] = []
        while (item := self._next()) is not None:
            found.append(item)
        return found

    def _next(self) -> Item | None:
        held = self._held
        while held:
            if self._skips or held[0] == ord("$"):
                return self._packet()
            signal = _SIGNALS.get(held.pop(0))
            if signal is not None:
                return signal
        return None

    def _packet(self) -> Item | None:
        """The packet that the bytes held begin with, None while its end is missing."""
        held = self._held
        start = 0 if self._skips else 1
        end = held.find(b"#")
        again = held.find(b"$", start, end if end >= 0 else len(held))
        if again >= 0:  # the end of this one was lost, another has begun
            del held[:again]
            self._skips = False
            return Signal.DAMAGED
        if end < 0 or len(held) < end + 3:
            if len(held) > PACKET_MOST + 4:
                del held[: len(held) if end < 0 else end]
                self._skips = True
            return None
        body, tail = bytes(held[start:end]), bytes(held[end + 1 : end + 3])
        del held[: end + 3]
        skipped, self._skips = self._skips, False
        if skipped or len(body) > PACKET_MOST or tail.lower() != b"%02x" % checksum(body):
            return Signal.DAMAGED
        payload = unescape(body)
        return Signal.DAMAGED if payload is None else Packet(payload)


_SIGNALS = {signal.value[0]: signal for signal in (Signal.ACK, Signal.NAK, Signal.INTERRUPT)}


def checksum(body: bytes) -> int:
    return sum(body) & 0xFF


def frame(payload: bytes) -> bytes:
    """A packet of this payload, which is escaped already where it is binary."""
    return b"$%b#%02x" % (payload, checksum(payload))


def escape(data: bytes) -> bytes:
    """Binary data as part of a payload."""
    if not _ESCAPED.intersection(data):
        return data
    return b"".join(b"}%c" % (byte ^ 0x20) if byte in _ESCAPED else b"%c" % byte for byte in data)


def unescape(body: bytes) -> bytes | None:
    """The data that was escaped; None if it ends within an escape."""
    parts = body.split(b"}")
    out = bytearray(parts[0])
    at = 1
    while at < len(parts):
        part = parts[at]
        if part:
            out.append(part[0] ^ 0x20)
            out += part[1:]
        elif at + 1 < len(parts):  # an escaped `}` that was not written as `}]`
            out.append(ord("}") ^ 0x20)
            at += 1
            out += parts[at]
        else:
            return None
        at += 1
    return bytes(out)


def number(text: bytes, most: int = (1 << 64) - 1) -> int:
    """A number in hexadecimal digits; MalformedError unless it is one, and `most` at most."""
    if not text or len(text) > 32 or text.strip(b"0123456789abcdefABCDEF"):
        raise MalformedError(f"no hexadecimal number: {shown(text)}")
    value = int(text, 16)
    if value > most:
        raise MalformedError(f"{value:#x} is more than {most:#x}")
    return value


def numbers(text: bytes, separator: bytes = b",") -> list[int]:
    return [number(part) for part in text.split(separator)]


def unhex(text: bytes) -> bytes:
    """Bytes out of pairs of digits; MalformedError unless they are that."""
    try:
        if any(byte in b" \t\n\r\x0b\x0c" for byte in text):
            raise ValueError
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        raise MalformedError(f"no pairs of hexadecimal digits: {shown(text)}") from None


def shown(text: bytes) -> str:
    """The beginning of hostile bytes, as part of a message."""
    return repr(text[:40])[1:]


def failure(message: str) -> bytes:
    """A reply that tells gdb why not: on one line, without what would end the packet."""
    clean = " ".join(message.split())
    return b"E." + "".join(c if c not in "#$}*" else "?" for c in clean).encode("ascii", "replace")
