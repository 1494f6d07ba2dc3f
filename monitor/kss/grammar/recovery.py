"""After a syntax error: where the next declaration begins, and what the broken one hides."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from kss.grammar.tokens import BAD, NAME, Tokens

ANYTHING = "@"  # as an opener: of a placeholder that is not expanded
_OPENING, _CLOSING = frozenset(("(", "[", "{", ".[")), frozenset((")", "]", "}"))
_ELSEWHERE = 1 << 30  # indentation of a token that is not the first on its line

# After these a word is a name, whatever it is.
_NAMING = frozenset("use EDL class object profile default type audit package import".split())


@dataclass(frozen=True, slots=True)
class Hidden:
    """A declaration with a syntax error: the word that opens it ("EDL" for `use EDL`, "" if none of
    the language comes near), and the names in its head, which it may have been meant to declare."""

    opener: str
    names: frozenset[str]


class Recovery:
    """Looks for declarations among the tokens of a file. `starters` are the words that open one,
    `inner` those of them that also stand within others."""

    def __init__(
        self, text: str, tokens: Tokens, starters: frozenset[str], inner: frozenset[str]
    ) -> None:
        self._text = text
        self._tokens = tokens
        self._kinds, self._texts = tokens.kinds, tokens.texts
        self._starters, self._inner = starters, inner

    def resume(self, first: int, least: int, error: int) -> int:
        """The word that seems to begin the next declaration, from token `least` on: one outside of
        the brackets of the broken one, which begins at `first`, or one that begins its line where
        the broken one began. Before the token in `error` it is one of the latter only: there a
        bracket is not closed."""
        depth, column = 0, self._column(first)
        for index in range(first, len(self._kinds)):
            kind = self._kinds[index]
            if index >= least and self._begins(index):
                here = self._column(index)
                if index >= error and (depth <= 0 or here <= column):
                    return index
                if here <= column and here < _ELSEWHERE and self._texts[index] not in self._inner:
                    return index
            if kind in _OPENING:
                depth += 1
            elif kind in _CLOSING:
                depth -= 1
        return len(self._kinds) - 1

    def hidden(self, first: int, end: int) -> Iterator[Hidden]:
        """What the tokens from `first` up to `end`, which are skipped, may have declared."""
        starts = [first, *(i for i in range(first + 1, end) if self._begins(i)), end]
        for start, stop in pairwise(starts):
            yield self._one(start, stop)

    def _one(self, start: int, stop: int) -> Hidden:
        names: set[str] = set()
        opener = self._opener(self._texts[start])
        if opener == "use" and self._texts[start + 1] == "EDL":
            opener = "EDL"
        for index in range(start, stop):
            kind = self._kinds[index]
            if kind == BAD and self._texts[index] == "@":
                opener = ANYTHING
            if kind in _OPENING:
                break
            if kind == NAME and self._kinds[index - 1] != "=":
                names.add(self._texts[index])
        return Hidden(opener, frozenset(names) - self._starters - _NAMING)

    def _opener(self, word: str) -> str:
        if word in self._starters:
            return word
        close = difflib.get_close_matches(word[:100], sorted(self._starters), n=1, cutoff=0.6)
        return close[0] if close else ""

    def _begins(self, index: int) -> bool:
        word = self._kinds[index] == NAME and self._texts[index] in self._starters
        if not word or index == 0:
            return word
        return self._kinds[index - 1] not in ("=", ":", ",") and (
            self._texts[index - 1] not in _NAMING
        )

    def _column(self, index: int) -> int:
        """How far a token is indented; large if another stands before it on the line."""
        start = self._tokens.starts[index]
        line = self._text.rfind("\n", 0, start) + 1
        indent = self._text[line:start]
        return len(indent) if not indent.strip() else _ELSEWHERE
