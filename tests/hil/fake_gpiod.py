"""The part of the package gpiod that khs.hil.gpio_lines uses, with a chip that tests hold in their
hands. tests/hil/test_gpio.py checks it against the package, where that is installed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any


class Direction(Enum):
    INPUT = 1
    OUTPUT = 2


class Edge(Enum):
    BOTH = 3


class Value(Enum):
    INACTIVE = 0
    ACTIVE = 1


@dataclass
class LineSettings:
    direction: Direction = Direction.INPUT
    edge_detection: Edge | None = None
    output_value: Value = Value.INACTIVE


class EdgeEvent:
    class Type(Enum):
        RISING_EDGE = 1
        FALLING_EDGE = 2

    def __init__(self, line_offset: int, rising: bool) -> None:
        self.line_offset = line_offset
        self.event_type = self.Type.RISING_EDGE if rising else self.Type.FALLING_EDGE


class Chip:
    """Lines and their levels; `drive` is somebody outside, `unplug` takes it away."""

    def __init__(self, levels: Mapping[int, int]) -> None:
        self.levels = dict(levels)
        self.outputs: list[tuple[int, int]] = []  # what was driven, in its order
        self.released = False
        self._events: list[EdgeEvent] = []
        self._gone = False
        self._changed = threading.Condition()
        self.fd, self._bell = os.pipe()

    def drive(self, line: int, level: int) -> None:
        with self._changed:
            self.levels[line] = level
            self._events.append(EdgeEvent(line, bool(level)))
        os.write(self._bell, b"!")

    def unplug(self) -> None:
        self._gone = True
        os.write(self._bell, b"!")

    def wait_for(self, count: int) -> list[tuple[int, int]]:
        """Until so many outputs were driven."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.outputs) >= count, 10)
            return list(self.outputs)

    # ---- gpiod.LineRequest

    def get_values(self, lines: Iterable[int]) -> list[Value]:
        return [Value(self.levels[line]) for line in lines]

    def read_edge_events(self) -> list[EdgeEvent]:
        if self._gone:
            raise OSError(19, "No such device")
        os.read(self.fd, 1)
        with self._changed:
            events, self._events = self._events, []
        return events

    def _put(self, line: int, value: Value) -> None:
        if self._gone:
            raise OSError(19, "No such device")
        with self._changed:
            self.outputs.append((line, value.value))
            self._changed.notify_all()

    def reconfigure_lines(self, config: Mapping[int, LineSettings]) -> None:
        for line, settings in config.items():
            assert settings.direction is Direction.OUTPUT
            self._put(line, settings.output_value)

    def set_values(self, values: Mapping[int, Value]) -> None:
        for line, value in values.items():
            self._put(line, value)

    def release(self) -> None:
        self.released = True


def module(chips: Mapping[str, Chip]) -> Any:
    """In the place of the package."""

    def request_lines(
        path: str, *, consumer: str, config: Mapping[tuple[int, ...], LineSettings]
    ) -> Chip:
        assert consumer == "khs"
        (lines,) = config
        if path not in chips:
            raise FileNotFoundError(2, "No such file or directory")
        if not set(lines) <= set(chips[path].levels):
            raise ValueError("line offset out of range")
        return chips[path]

    line = SimpleNamespace(Direction=Direction, Edge=Edge, Value=Value)
    return SimpleNamespace(
        line=line, LineSettings=LineSettings, EdgeEvent=EdgeEvent, request_lines=request_lines
    )
