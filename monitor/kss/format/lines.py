"""Lines as they are written; comments behind them, and arrows of tests, get into columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

WIDTH = 100


@dataclass
class Line:
    """`comment` stands at the end; `arrow` is the index of a `<-` in the text, or 0."""

    indent: int
    text: str = ""
    comment: str = ""
    arrow: int = 0

    def __str__(self) -> str:
        return f"{' ' * self.indent}{self.text}{self.comment and ' ' + self.comment}"


class Lines:
    """Text in the making. The last line is the one that is written on."""

    def __init__(self) -> None:
        self.done: list[Line] = []
        self.line = Line(0)

    @property
    def column(self) -> int:
        """Where the next character would stand, from 0."""
        text = str(self.line)
        return len(text) - text.rfind("\n") - 1

    @property
    def empty(self) -> bool:
        return not self.line.text and not self.line.comment

    def add(self, text: str, space: bool) -> None:
        """`space`: one before the text, unless it is the first on its line."""
        if self.line.comment:  # it was not the last on its line
            self.line.text += f" {self.line.comment}"
            self.line.comment = ""
        self.line.text += " " + text if space and self.line.text else text

    def end(self, indent: int, blank: bool = False) -> None:
        """Begins another line; if the one at hand is empty, it is the one."""
        if not self.empty:
            self.done.append(self.line)
            if blank:
                self.done.append(Line(0))
        self.line = Line(indent)

    def __str__(self) -> str:
        lines = self.done if self.empty else [*self.done, self.line]
        for run in _runs(lines, lambda line: line.arrow):
            widest = max(line.arrow for line in run)
            if all(len(str(line)) + widest - line.arrow <= WIDTH for line in run):
                for line in run:
                    left, right = line.text[: line.arrow], line.text[line.arrow :]
                    line.text = left.ljust(widest) + right
        for run in _runs(lines, lambda line: len(line.comment)):
            widest = max(len(line.text) for line in run)
            if all(line.indent + widest + 1 + len(line.comment) <= WIDTH for line in run):
                for line in run:
                    line.text = line.text.ljust(widest)
        return "".join(f"{str(line).rstrip()}\n" for line in lines)


def _runs(lines: list[Line], has: Callable[[Line], int]) -> list[list[Line]]:
    """Neighbouring lines with the same indentation that all have it."""
    runs: list[list[Line]] = []
    before: Line | None = None
    for line in lines:
        if has(line) and "\n" not in line.text:
            if before is not None and before.indent == line.indent:
                runs[-1].append(line)
            else:
                runs.append([line])
            before = line
        else:
            before = None
    return runs
