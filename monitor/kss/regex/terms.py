"""Expressions in normal form, each kept once, and their derivatives.

The derivative of an expression by a byte matches what may follow that byte (Brzozowski 1964). Up to
order, grouping and repetition of alternatives, which normal form takes away, an expression has
finitely many derivatives: they are the states of a deterministic automaton.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from kss.regex import syntax
from kss.regex.syntax import ALL_BYTES

Kind = IntEnum("Kind", "SET CHAIN REPEAT UNION NOT")


class TooLargeError(Exception):
    """The work that a pattern may cause is used up."""


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """SET of `members`; CHAIN of no part (the empty text), or of two, the first of which is no
    chain; REPEAT of a part from `low` to `high` times; UNION of parts in the order of their
    numbers; NOT a part. Equal terms of one factory are the same object.
    """

    number: int
    nullable: bool  # matches the empty text
    first: int  # the bytes that begin other texts that may match, as a set
    kind: Kind
    parts: tuple[Term, ...] = ()
    members: int = 0
    low: int = 0
    high: int | None = 0


class Terms:
    """The factory. `steps` is the work that is left; a step takes about a microsecond."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._known: dict[object, Term] = {}
        self._derivatives: dict[tuple[Term, int], Term] = {}
        self.nothing = self.set(0)
        self.empty = self._make(Kind.CHAIN, True, 0)
        self.everything = self.repeat(self.set(ALL_BYTES), 0, None)

    def _make(
        self,
        kind: Kind,
        nullable: bool,
        first: int,
        parts: tuple[Term, ...] = (),
        members: int = 0,
        low: int = 0,
        high: int | None = 0,
    ) -> Term:
        self.spend(1)
        key = (kind, parts, members, low, high)
        found = self._known.get(key)
        if found is None:
            found = Term(len(self._known), nullable, first, kind, parts, members, low, high)
            self._known[key] = found
        return found

    def spend(self, steps: int) -> None:
        """Raises TooLargeError if so much work is not left."""
        self.steps -= steps
        if self.steps < 0:
            raise TooLargeError

    # ---- normal form

    def of(self, expression: syntax.Expression) -> Term:
        match expression:
            case syntax.Set(members):
                return self.set(members)
            case syntax.Concatenation(parts):
                found = self.empty
                for part in reversed(parts):
                    found = self.chain(self.of(part), found)
                return found
            case syntax.Union(parts):
                return self.union(self.of(part) for part in parts)
            case syntax.Intersection(parts):
                return self.complement(self.union(self.complement(self.of(p)) for p in parts))
            case syntax.Complement(part):
                return self.complement(self.of(part))
            case syntax.Repetition(part, low, high):
                return self.repeat(self.of(part), low, high)

    def set(self, members: int) -> Term:
        return self._make(Kind.SET, False, members, members=members)

    def chain(self, first: Term, rest: Term) -> Term:
        if first is self.nothing or rest is self.nothing:
            return self.nothing
        if rest is self.empty:
            return first
        if first.kind is Kind.UNION:
            return self.union(self.chain(part, rest) for part in first.parts)
        spine: list[Term] = []
        while first.kind is Kind.CHAIN and first is not self.empty:
            head, first = first.parts
            spine.append(head)
        if first is not self.empty:
            spine.append(first)
        for part in reversed(spine):
            begin = part.first | rest.first if part.nullable else part.first
            rest = self._make(Kind.CHAIN, part.nullable and rest.nullable, begin, (part, rest))
        return rest

    def union(self, parts: Iterable[Term]) -> Term:
        found: set[Term] = set()
        members = 0
        for part in parts:
            for each in part.parts if part.kind is Kind.UNION else (part,):
                if each.kind is Kind.SET:
                    members |= each.members
                else:
                    found.add(each)
        if members:
            found.add(self.set(members))
        if self.everything in found:
            return self.everything
        if self.empty in found and any(each.nullable for each in found if each is not self.empty):
            found.remove(self.empty)
        if len(found) < 2:
            return found.pop() if found else self.nothing
        self.spend(len(found))
        ordered = tuple(sorted(found, key=lambda each: each.number))
        nullable, begin = False, 0
        for each in ordered:
            nullable |= each.nullable
            begin |= each.first
        return self._make(Kind.UNION, nullable, begin, ordered)

    def complement(self, part: Term) -> Term:
        if part is self.nothing:
            return self.everything
        if part is self.everything:
            return self.nothing
        if part.kind is Kind.NOT:
            return part.parts[0]
        return self._make(Kind.NOT, not part.nullable, ALL_BYTES, (part,))

    def repeat(self, part: Term, low: int, high: int | None) -> Term:
        if part.nullable:
            low = 0
        if part.kind is Kind.REPEAT and part.low <= 1 and low == 0 and high is None:
            part = part.parts[0]
        if part is self.nothing and low:
            return self.nothing
        if part is self.nothing or part is self.empty or high == 0:
            return self.empty
        if low == high == 1:
            return part
        return self._make(Kind.REPEAT, low == 0, part.first, (part,), low=low, high=high)

    # ---- derivatives

    def derivative(self, term: Term, byte: int) -> Term:
        """What may follow the byte."""
        if not term.first >> byte & 1:
            return self.nothing
        key = (term, byte)
        found = self._derivatives.get(key)
        if found is None:
            self._derivatives[key] = found = self._derive(term, byte)
        return found

    def _derive(self, term: Term, byte: int) -> Term:
        match term.kind:
            case Kind.SET:
                return self.empty
            case Kind.UNION:
                taking = [part for part in term.parts if part.first >> byte & 1]
                if len(taking) == 1:
                    return self.derivative(taking[0], byte)
                return self.union(self.derivative(part, byte) for part in taking)
            case Kind.NOT:
                return self.complement(self.derivative(term.parts[0], byte))
            case Kind.REPEAT:
                (part,) = term.parts
                high = None if term.high is None else term.high - 1
                rest = self.repeat(part, max(term.low - 1, 0), high)
                return self.chain(self.derivative(part, byte), rest)
            case Kind.CHAIN:
                return self.union(self._along(term, byte))

    def _along(self, term: Term, byte: int) -> Iterable[Term]:
        """A chain's derivatives: the byte is taken by any part that only nullable ones precede."""
        while term.kind is Kind.CHAIN and term is not self.empty:
            self.spend(1)
            first, rest = term.parts
            yield self.chain(self.derivative(first, byte), rest)
            if not first.nullable:
                return
            term = rest
        if term is not self.empty:
            yield self.derivative(term, byte)
