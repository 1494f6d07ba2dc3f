"""Lines of a Linux GPIO chip as a wire of records, by the `gpiod` package (2.1 or later).

libgpiod is not made for several threads: one waits for the descriptor alone, and a lock keeps the
calls apart.
"""

from __future__ import annotations

import select
import struct
import threading
from collections.abc import Mapping
from typing import Any

from khs.errors import KhsError

_RECORD = struct.Struct("<II")
_LOOK_S = 0.05


class GpioLines:
    """Lines by pin. Every OSError of gpiod's is the chip's end."""

    def __init__(self, gpiod: Any, chip: str, lines: Mapping[int, int]) -> None:
        self._gpiod, self._lines = gpiod, lines
        self._pins = {line: pin for pin, line in lines.items()}
        self._lock = threading.Lock()
        self._driven: set[int] = set()
        self._told = False
        self._part = b""
        direction, edges = gpiod.line.Direction.INPUT, gpiod.line.Edge.BOTH
        settings = gpiod.LineSettings(direction=direction, edge_detection=edges)
        self._request = gpiod.request_lines(
            chip, consumer="khs", config={tuple(lines.values()): settings}
        )

    def read(self) -> bytes:
        """Levels first, then each edge."""
        if not self._told:
            self._told = True
            return self._levels()
        if not select.select([self._request.fd], [], [], _LOOK_S)[0]:
            return b""
        with self._lock:
            events = self._request.read_edge_events()
        rising = self._gpiod.EdgeEvent.Type.RISING_EDGE
        found = ((self._pins[each.line_offset], each.event_type is rising) for each in events)
        return b"".join(_RECORD.pack(1 << pin, level << pin) for pin, level in found)

    def _levels(self) -> bytes:
        pins = [pin for pin in self._lines if pin not in self._driven]
        active = self._gpiod.line.Value.ACTIVE
        with self._lock:
            values = self._request.get_values([self._lines[pin] for pin in pins])
        levels = sum((value is active) << pin for pin, value in zip(pins, values, strict=True))
        return _RECORD.pack(sum(1 << pin for pin in pins), levels)

    def write(self, data: bytes) -> None:
        """Pins without a line lead nowhere."""
        data = self._part + data
        whole = len(data) - len(data) % _RECORD.size
        self._part = data[whole:]
        for mask, levels in _RECORD.iter_unpack(data[:whole]):
            for pin in self._lines:
                if mask >> pin & 1:
                    self._drive(pin, bool(levels >> pin & 1))

    def _drive(self, pin: int, level: bool) -> None:
        module, line = self._gpiod.line, self._lines[pin]
        value = module.Value.ACTIVE if level else module.Value.INACTIVE
        with self._lock:
            if pin in self._driven:
                self._request.set_values({line: value})
                return
            settings = self._gpiod.LineSettings(
                direction=module.Direction.OUTPUT, output_value=value
            )
            self._request.reconfigure_lines({line: settings})
            self._driven.add(pin)

    def close(self) -> None:
        with self._lock:
            self._request.release()


def open_lines(name: str, chip: str, lines: Mapping[int, int]) -> GpioLines:
    """KhsError if the chip, one of its lines, or the package is not there."""
    try:
        import gpiod
    except ImportError as error:
        raise KhsError(
            f"--gpio {name}: the package gpiod is missing\n  help: pip install 'khs[hil]'"
        ) from error
    try:
        return GpioLines(gpiod, chip, lines)
    except (OSError, ValueError) as error:
        told = ", ".join(map(str, lines.values()))
        raise KhsError(
            f"--gpio {name}: lines {told} of {chip} cannot be had: {error}\n"
            "  help: gpiodetect shows the chips, gpioinfo their lines and who has them"
        ) from error
