"""What guests write to their consoles, line by line while they write it."""

from __future__ import annotations

from collections.abc import Callable

from khs.trace.events import Console
from khs.trace.names import Names
from khs.trace.text import printable

#: A line that is longer is shown in parts: a guest need not end one.
LONGEST = 1024


class ConsoleLines:
    """Puts the pieces that guests write together to lines: `logger: reading 1: 20.0 degrees`."""

    def __init__(self, names: Names, show: Callable[[str], object]) -> None:
        self._names, self._show = names, show
        self._begun: dict[int | None, bytes] = {}

    def add(self, event: Console) -> None:
        """Shows the lines that `event` ends."""
        *lines, rest = (self._begun.pop(event.partition, b"") + event.text).split(b"\n")
        while len(rest) > LONGEST:
            lines.append(rest[:LONGEST])
            rest = rest[LONGEST:]
        for line in lines:
            self._line(event.partition, line)
        if rest:
            self._begun[event.partition] = rest

    def close(self) -> None:
        """Shows the lines that nobody ended, in the order in which they were begun."""
        for partition, rest in self._begun.items():
            self._line(partition, rest)
        self._begun.clear()

    def _line(self, partition: int | None, line: bytes) -> None:
        self._show(f"{self._names.partition(partition)}: {printable(line)}")
