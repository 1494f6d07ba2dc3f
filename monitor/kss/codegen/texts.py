"""Texts of messages against patterns, by automata that answer which of several patterns matches."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kss.binary import IMMEDIATE, AutomatonRecord, Image, Op
from kss.codegen.assembler import TooComplexError
from kss.regex.automaton import Automaton, build
from kss.regex.syntax import Expression as Pattern
from kss.regex.terms import TooLargeError
from kss.tree import Constant, Expression, Place

if TYPE_CHECKING:
    from kss.codegen.expressions import Expressions

# Patterns that one automaton is tried for: what is in vain is bounded, too.
MAX_TOGETHER = 256
MAX_ANSWER = 0xFFFF


class Automata:
    """The image's automata; equal ones are stored once."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Automaton, tuple[int, ...]], int] = {}
        self._records: list[AutomatonRecord] = []
        self._transitions = array("H")

    def number(self, automaton: Automaton, answers: tuple[int, ...]) -> int:
        """The number of the automaton that answers `answers[i]` for the automaton's answer i."""
        key = (automaton, answers)
        if key not in self._numbers:
            self._numbers[key] = len(self._records)
            self._records.append(self._record(automaton, answers))
        return self._numbers[key]

    def _record(self, automaton: Automaton, answers: tuple[int, ...]) -> AutomatonRecord:
        bits, first = automaton.row_bits, len(self._transitions)
        unused = (1 << bits) - 1 - len(automaton.rows[0])
        for row, answer in zip(automaton.rows, automaton.answers, strict=True):
            starts = [target << bits for target in row]
            self._transitions.extend([answers[answer], *starts, *starts[-1:] * unused])
        column = bytes(number + 1 for number in automaton.class_of)
        counts = (len(automaton.rows), bits, automaton.start, automaton.sinks, max(answers) + 1)
        return AutomatonRecord(first, *counts, column)

    def emit(self, image: Image) -> None:
        image.automata = self._records
        image.transitions = self._transitions


def answer(
    to: Expressions, text: Expression, patterns: Sequence[Pattern], answers: Sequence[int], d: int
) -> None:
    """Leaves in register d `answers[i]`, where i is the number of the first pattern that matches
    the text, or that of patterns if none does."""
    if max(answers) > MAX_ANSWER:
        raise TooComplexError(f"a choice has more than {MAX_ANSWER} branches: nest them")
    some = [tuple(patterns[at : at + MAX_TOGETHER]) for at in range(0, len(patterns), MAX_TOGETHER)]
    parts = [part for each in some for part in _together(each)]
    to.select(text, d, lambda leaf, at: _answer_leaf(to, leaf, parts, answers, at))


def _together(patterns: tuple[Pattern, ...]) -> list[tuple[int, Automaton]]:
    """The patterns in as few automata as are small enough, each with how many patterns it has."""
    try:
        return [(len(patterns), build(patterns))]
    except TooLargeError:
        if len(patterns) == 1:
            raise TooComplexError("a pattern needs too large an automaton") from None
    middle = len(patterns) // 2
    return [*_together(patterns[:middle]), *_together(patterns[middle:])]


def _answer_leaf(
    to: Expressions,
    leaf: Expression,
    parts: Sequence[tuple[int, Automaton]],
    answers: Sequence[int],
    d: int,
) -> None:
    none = answers[-1]
    if isinstance(leaf, Constant):
        to.constant(_known(str(leaf.value).encode(), parts, answers), d)
        return
    assert isinstance(leaf, Place), leaf
    to.address_in(leaf, d)
    first, ends = 0, []
    address = d if len(parts) == 1 else to.out.use(d + 1)
    if address != d:
        to.out.emit(Op.MOVE, address, d)
    for number, (count, automaton) in enumerate(parts, start=1):
        own = (*answers[first : first + count], none)
        to.out.emit(Op.SCAN, d, address, x=to.objects.automata.number(automaton, own))
        first += count
        if number < len(parts):
            test = to.out.use(d + 2)
            to.out.emit(Op.EQ, test, d, IMMEDIATE, imm=none)
            ends.append(to.out.jump(Op.JUMP_ZERO, test))
    for end in ends:
        to.out.land(end)


def _known(text: bytes, parts: Sequence[tuple[int, Automaton]], answers: Sequence[int]) -> int:
    first = 0
    for count, automaton in parts:
        found = automaton.answer(text)
        if found < count:
            return answers[first + found]
        first += count
    return answers[-1]
