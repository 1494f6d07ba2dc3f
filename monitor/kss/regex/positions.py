"""Does a text match? The plain way, on the syntax: where may each part of the pattern end?

Sets of positions are integers: bit i is the place before byte i of the text, the last bit its end.
"""

from __future__ import annotations

from kss.regex.syntax import (
    Complement,
    Concatenation,
    Expression,
    Intersection,
    Repetition,
    Set,
    Union,
)


def matches(expression: Expression, text: bytes) -> bool:
    """Whether the expression matches the whole text."""
    return bool(_Ends(text).of(expression, 1) >> len(text) & 1)


class _Ends:
    def __init__(self, text: bytes) -> None:
        self.text = text
        self.everywhere = (2 << len(text)) - 1
        self._before: dict[int, int] = {}
        self._known: dict[tuple[int, int], int] = {}

    def of(self, expression: Expression, starts: int) -> int:
        """Every place where a match of the expression that begins at one of `starts` ends."""
        match expression:
            case Set(members):
                return (starts & self.before(members)) << 1
            case Concatenation(parts):
                for part in parts:
                    starts = self.of(part, starts)
                return starts
            case Union(parts):
                ends = 0
                for part in parts:
                    ends |= self.of(part, starts)
                return ends
            case Repetition(part, low, high):
                return self.repeated(part, low, high, starts)
            case _:  # what matches from one start does not tell what matches from another
                ends = 0
                for start in range(len(self.text) + 1):
                    if starts >> start & 1:
                        ends |= self.from_one(expression, start)
                return ends

    def before(self, members: int) -> int:
        """The places before a byte that is one of `members`."""
        if members not in self._before:
            places = (1 << i for i, byte in enumerate(self.text) if members >> byte & 1)
            self._before[members] = sum(places)
        return self._before[members]

    def repeated(self, part: Expression, low: int, high: int | None, starts: int) -> int:
        for _ in range(low):
            ends = self.of(part, starts)
            if ends == starts:
                break
            starts = ends
        reached = starts
        for _ in range(len(self.text) if high is None else high - low):
            starts = self.of(part, starts) & ~reached
            if not starts:
                break
            reached |= starts
        return reached

    def from_one(self, expression: Expression, start: int) -> int:
        """The ends of an intersection or a complement from one start."""
        key = (id(expression), start)
        if key not in self._known:
            ends = self.everywhere & -(1 << start)
            if isinstance(expression, Complement):
                ends &= ~self.of(expression.part, 1 << start)
            else:
                assert isinstance(expression, Intersection)
                for part in expression.parts:
                    ends &= self.of(part, 1 << start)
            self._known[key] = ends
        return self._known[key]
