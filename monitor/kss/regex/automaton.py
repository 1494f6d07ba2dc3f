"""Patterns to one deterministic automaton, minimal, over classes of bytes.

It tells in one pass which of several patterns matches a text: the first one in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kss.regex.minimise import blocks
from kss.regex.syntax import (
    ALL_BYTES,
    Complement,
    Concatenation,
    Expression,
    Intersection,
    Repetition,
    Set,
    Union,
)
from kss.regex.terms import Term, Terms, TooLargeError

# Of the table that the policy VM reads: in a row stand an answer and a transition for each class,
# rounded up to a power of two.
MAX_TRANSITIONS = 1 << 16
MAX_STEPS = 500_000

# What is left of the patterns that may still match: (number of the pattern, term), ascending.
State = tuple[tuple[int, Term], ...]


@dataclass(frozen=True, slots=True)
class Automaton:
    """`class_of[byte]` is the byte's class, `rows[state][class]` the next state, `answers[state]`
    the number of the first pattern that matches if the text ends there, or the number of patterns
    if none does. States below `sinks` lead to themselves only. `steps` is the work it took.
    """

    class_of: bytes
    rows: tuple[tuple[int, ...], ...]
    answers: tuple[int, ...]
    start: int
    sinks: int
    steps: int

    @property
    def row_bits(self) -> int:
        """log2 of the entries of a row in the policy VM."""
        return len(self.rows[0]).bit_length()

    def answer(self, text: bytes) -> int:
        state = self.start
        for byte in text:
            state = self.rows[state][self.class_of[byte]]
        return self.answers[state]

    def example(self, answer: int) -> bytes | None:
        """A shortest text with this answer, None if there is none."""
        typical = [_typical(self.class_of, number) for number in range(len(self.rows[0]))]
        before = {self.start: (self.start, 0)}
        for state in (queue := [self.start]):  # grows on the way
            if self.answers[state] == answer:
                found = bytearray()
                while state != self.start:
                    state, byte = before[state]
                    found.append(byte)
                return bytes(reversed(found))
            for byte, target in zip(typical, self.rows[state], strict=True):
                if target not in before:
                    before[target] = (state, byte)
                    queue.append(target)
        return None


def _typical(class_of: bytes, number: int) -> int:
    """A byte of the class: a letter or digit if there is one, else one that can be printed."""
    members = [byte for byte, of in enumerate(class_of) if of == number]
    plain = [byte for byte in members if chr(byte).isalnum() and byte < 128]
    printed = [byte for byte in members if 32 < byte < 127]
    return (plain or printed or members)[0]


@lru_cache(maxsize=1024)
def build(patterns: tuple[Expression, ...]) -> Automaton:
    """Raises TooLargeError if it takes more than MAX_STEPS or exceeds MAX_TRANSITIONS."""
    terms = Terms(MAX_STEPS)
    classes = _classes(patterns)
    rows, answers = _explore(terms, patterns, classes)
    found = _numbered(rows, answers, blocks(rows, answers), classes, MAX_STEPS - terms.steps)
    if len(found.rows) << found.row_bits > MAX_TRANSITIONS:
        raise TooLargeError
    return found


# ---- classes of bytes --------------------------------------------------------


def _classes(patterns: Iterable[Expression]) -> list[int]:
    """Bytes that no pattern tells apart, as sets."""
    classes = [ALL_BYTES]
    for members in sorted({each for pattern in patterns for each in _sets(pattern)}):
        parts = [part for old in classes for part in (old & members, old & ~members)]
        classes = [part for part in parts if part]
    return classes


def _sets(expression: Expression) -> Iterable[int]:
    match expression:
        case Set(members):
            yield members
        case Concatenation(parts) | Union(parts) | Intersection(parts):
            for part in parts:
                yield from _sets(part)
        case Complement(part) | Repetition(part):
            yield from _sets(part)


# ---- states --------------------------------------------------------------------


def _explore(
    terms: Terms, patterns: Sequence[Expression], classes: Sequence[int]
) -> tuple[list[list[int]], list[int]]:
    """Every state that can be reached from state 0: its row and its answer."""
    typical = [(members & -members).bit_length() - 1 for members in classes]
    start = _alive(terms, ((i, terms.of(pattern)) for i, pattern in enumerate(patterns)))
    numbers = {start: 0}
    rows: list[list[int]] = []
    answers: list[int] = []
    for state in (queue := [start]):  # grows on the way
        begin = 0
        for _, term in state:
            begin |= term.first
        row: list[int] = []
        for byte in typical:
            target: State = ()
            if begin >> byte & 1:
                terms.spend(len(state))
                moved = [(number, terms.derivative(term, byte)) for number, term in state]
                target = _alive(terms, moved)
            if target not in numbers:
                numbers[target] = len(queue)
                queue.append(target)
            row.append(numbers[target])
        terms.spend(len(row))
        rows.append(row)
        matching = (number for number, term in state if term.nullable)
        answers.append(next(matching, len(patterns)))
    return rows, answers


def _alive(terms: Terms, state: Iterable[tuple[int, Term]]) -> State:
    """Without patterns that no longer match, or come after one that always does."""
    found: list[tuple[int, Term]] = []
    for number, term in state:
        if term is not terms.nothing:
            found.append((number, term))
        if term is terms.everything:
            break
    return tuple(found)


# ---- the minimal automaton -----------------------------------------------------


def _numbered(
    rows: list[list[int]], answers: list[int], block_of: list[int], classes: list[int], steps: int
) -> Automaton:
    """One state a block, sinks first, then in the order in which texts reach them; columns that
    are alike become one."""
    one_of = {block: state for state, block in reversed(list(enumerate(block_of)))}
    moves = {block: [block_of[target] for target in rows[one_of[block]]] for block in one_of}
    reached = list(dict.fromkeys(block_of))  # states are numbered as they are reached
    sinks = dict.fromkeys(block for block in reached if set(moves[block]) == {block})
    order = [*sinks, *(block for block in reached if block not in sinks)]
    number = {block: index for index, block in enumerate(order)}
    columns: dict[tuple[int, ...], int] = {}
    class_of = bytearray(256)
    for index, members in enumerate(classes):
        column = tuple(number[moves[block][index]] for block in order)
        merged = columns.setdefault(column, len(columns))
        while members:
            lowest = members & -members
            class_of[lowest.bit_length() - 1] = merged
            members ^= lowest
    made = tuple(zip(*columns, strict=True))
    kept = tuple(answers[one_of[block]] for block in order)
    return Automaton(bytes(class_of), made, kept, number[block_of[0]], len(sinks), steps)
