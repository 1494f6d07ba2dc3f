"""Tables as wide as the screen: cells that are too wide are folded, behind marks if there are."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence

LOG_WIDTH = 120
_GAP = 2
_LEAST = 8


def width() -> int:
    """Characters in a line: of the terminal, or as a log likes it."""
    if sys.stdout.isatty():
        return max(shutil.get_terminal_size().columns, 40)
    return LOG_WIDTH


def fitted(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """How wide each column may be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + _GAP * (len(widths) - 1) > room and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1
    return widths


def lines(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """A row as one line, or as several if a cell is too wide for its column."""
    cells = [_folded(cell, most) for cell, most in zip(row, widths, strict=True)]
    for number in range(max(map(len, cells))):
        parts = [cell[number] if number < len(cell) else "" for cell in cells]
        padded = (part.ljust(most) for part, most in zip(parts, widths, strict=True))
        yield (" " * _GAP).join(padded).rstrip()


def _folded(text: str, most: int) -> list[str]:
    found = []
    while len(text) > most:
        at = next((at for mark in " /." if (at := text.rfind(mark, 0, most) + 1)), most)
        found.append(text[:at].rstrip())
        text = text[at:]
    return [*found, text]
