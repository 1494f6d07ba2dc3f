"""What stands between tokens: comments, and how many line ends are where."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kss.grammar.tokens import Tokens

_COMMENT = re.compile(r"//[^\n]*|/\*[\s\S]*?\*/")
_TAB = 4


@dataclass(frozen=True, slots=True)
class Comment:
    """`before`, `after`: line ends between it and its neighbours; `column` it begins in, from 0."""

    text: str
    before: int
    after: int
    column: int

    @property
    def breaks(self) -> bool:
        """Whether it cannot stand in the middle of a line."""
        return bool(self.before or self.after or "\n" in self.text) or self.text.startswith("//")

    def at(self, column: int) -> str:
        """Its text when it begins there; lines within it keep their places under the first."""
        first, *rest = self.text.split("\n")
        lines = [first.rstrip()]
        for line in rest:
            bare = line.strip()
            indent = len(line.expandtabs(_TAB)) - len(line.expandtabs(_TAB).lstrip())
            lines.append(" " * max(indent + column - self.column, 0) + bare if bare else "")
        return "\n".join(lines)


class Gaps:
    """The tokens' texts, and for each of them what stands before it.

    `original` is what the file says, `readable` the same for the lexer (`mask.masked`).
    """

    def __init__(self, original: str, readable: str, tokens: Tokens) -> None:
        self.kinds = tokens.kinds
        ends = [start + len(text) for start, text in zip(tokens.starts, tokens.texts, strict=True)]
        self.texts = [original[a:b] for a, b in zip(tokens.starts, ends, strict=True)]
        self.comments: list[list[Comment]] = []
        self.newlines: list[int] = []  # before each token, behind the last comment there
        self.broken: list[bool] = []  # whether a line ends anywhere between it and the one before
        starts = [*tokens.starts[:-1], len(original)]
        for start, end in zip([0, *ends[:-1]], starts, strict=True):
            self._add(original, readable, start, end)

    def _add(self, original: str, readable: str, start: int, end: int) -> None:
        comments: list[Comment] = []
        found = list(_COMMENT.finditer(readable, start, end))
        at = start
        for index, match in enumerate(found):
            following = found[index + 1].start() if index + 1 < len(found) else end
            line = original.rfind("\n", 0, match.start()) + 1
            column = len(original[line : match.start()].expandtabs(_TAB))
            before = original.count("\n", at, match.start())
            after = original.count("\n", match.end(), following)
            text = original[match.start() : match.end()].rstrip()
            comments.append(Comment(text, before, after, column))
            at = match.end()
        self.comments.append(comments)
        self.newlines.append(original.count("\n", at, end))
        self.broken.append("\n" in original[start:end])

    def content(self) -> list[tuple[str, str]]:
        """Everything but white space, in order."""
        found: list[tuple[str, str]] = []
        for kind, text, comments in zip(self.kinds, self.texts, self.comments, strict=True):
            found += [("comment", "\n".join(map(str.strip, c.text.split("\n")))) for c in comments]
            found.append((kind, text))
        return found
