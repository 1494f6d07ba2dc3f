"""Texts of messages, by examples: one for each way in which a policy can tell texts apart.

All that a policy asks of a text is whether it is in a language (a label, a pattern), and how long
it is. Texts that agree in all of these are one class, and an example stands for it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cached_property

from kss.analysis.values import Choices
from kss.regex.automaton import Automaton, build
from kss.regex.syntax import Expression as Language
from kss.regex.terms import TooLargeError

MOST_STEPS = 50_000
MOST_EXAMPLES = 600

_States = tuple[int, ...]


class Texts:
    """Examples of texts for some languages. `lengths` are bounds that sizes are compared with: no
    comparison tells lengths between two of them apart. Not `exact`: sizes are computed with."""

    def __init__(
        self, languages: Iterable[Language], lengths: Iterable[int] = (), exact: bool = True
    ) -> None:
        self._exact = exact
        self._automata: list[Automaton] = []
        for language in dict.fromkeys(languages):
            try:
                self._automata.append(build((language,)))
            except TooLargeError:
                self._exact = False
        self._cuts = sorted({cut for n in lengths for cut in (n, n + 1) if cut > 0})
        self._found: dict[int, Choices] = {}

    @cached_property
    def _bytes(self) -> list[int]:
        return _representatives(self._automata)

    def of(self, limit: int) -> Choices:
        """Examples of texts of at most `limit` bytes, without zeros; partial if there may be texts
        that none of them stands for."""
        if limit not in self._found:
            self._found[limit] = self._examples(limit)
        return self._found[limit]

    def _examples(self, limit: int) -> Choices:
        """Length by length, until nothing new is reached where lengths no longer matter."""
        layer: dict[_States, bytes] = {tuple(each.start for each in self._automata): b""}
        seen: set[_States] = set()
        found: dict[tuple[_States, int], bytes] = {}
        steps = 0
        for length in range(limit + 1):
            cell = bisect_right(self._cuts, length)
            for states, text in layer.items():
                found.setdefault((self._answers(states), cell), text)
            if cell == len(self._cuts):
                if seen >= set(layer):
                    break
                seen |= set(layer)
            steps += len(layer) * len(self._bytes)
            if steps > MOST_STEPS:
                return self._choices(found.values(), limit, partial=True)
            layer = self._longer(layer)
        return self._choices(found.values(), limit, partial=not self._exact)

    def _choices(self, found: Iterable[bytes], limit: int, partial: bool) -> Choices:
        """If these are not all, with examples of the first languages before them."""
        texts = tuple(found)
        if not partial and len(texts) <= MOST_EXAMPLES:
            return Choices(texts)
        examples = (each.example(0) for each in self._automata[:MOST_EXAMPLES])
        first = [text for text in examples if text is not None and len(text) <= limit]
        listed = dict.fromkeys((*(text for text in first if b"\0" not in text), *texts))
        return Choices(tuple(listed)[:MOST_EXAMPLES], partial=True)

    def _longer(self, layer: dict[_States, bytes]) -> dict[_States, bytes]:
        found: dict[_States, bytes] = {}
        for states, text in layer.items():
            for byte in self._bytes:
                moved = tuple(
                    each.rows[state][each.class_of[byte]]
                    for each, state in zip(self._automata, states, strict=True)
                )
                found.setdefault(moved, text + bytes([byte]))
        return found

    def _answers(self, states: _States) -> _States:
        pairs = zip(self._automata, states, strict=True)
        return tuple(each.answers[state] for each, state in pairs)


def _representatives(automata: Sequence[Automaton]) -> list[int]:
    """A byte for each class of bytes that all automata treat alike; a text holds no zero."""
    classes: dict[tuple[int, ...], int] = {}
    for byte in sorted(range(1, 256), key=_strangeness):
        classes.setdefault(tuple(each.class_of[byte] for each in automata), byte)
    return list(classes.values())


def _strangeness(byte: int) -> tuple[int, int]:
    """Letters and digits first, then what can be printed."""
    plain = byte < 128 and chr(byte).isalnum()
    return (0 if plain else 1 if 32 <= byte < 127 else 2, byte)
