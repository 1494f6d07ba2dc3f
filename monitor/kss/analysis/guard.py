"""Guards: what must hold for an event to be granted.

A guard is what is left of the rules that apply to an interaction once its names are known and
constants are folded. An event is granted if no rule denies it whatever happens (`refused`), every
part holds, and at least one rule is called: `called` here, or in a branch that is taken. What
cannot be evaluated does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from kss import tree
from kss.tree import Expression


@dataclass(frozen=True, slots=True)
class Holds:
    """A condition of the message."""

    site: int
    condition: Expression


@dataclass(frozen=True, slots=True)
class Evaluable:
    """A value that must be computed without an error."""

    site: int
    value: Expression


@dataclass(frozen=True, slots=True)
class Grants:
    """A rule on state must grant; it may change the state."""

    site: int
    rule: tree.Rule


@dataclass(frozen=True, slots=True)
class Cases:
    """The guard of the branch that the value takes: the first with its label, else `default` (None:
    the value always has one of the labels)."""

    site: int
    value: Expression
    branches: tuple[tuple[int | bool | str, Guard], ...]
    default: Guard | None

    @property
    def guards(self) -> tuple[Guard, ...]:
        default = () if self.default is None else (self.default,)
        return (*(guard for _, guard in self.branches), *default)

    def guard(self, branch: int | None) -> Guard:
        """That of a branch, by its place; None stands for the default."""
        if branch is not None:
            return self.branches[branch][1]
        return self.default or Guard(called=True, refused=self.site)

    @property
    def labels(self) -> list[int | bool | str]:
        return [label for label, _ in self.branches]


Part: TypeAlias = Holds | Evaluable | Grants | Cases


@dataclass(frozen=True, slots=True)
class Guard:
    """`granting` are the sites of rules that always grant, `refused` is that of one that never
    does."""

    parts: tuple[Part, ...] = ()
    called: bool = False
    refused: int | None = None
    granting: tuple[int, ...] = ()


def expressions(guard: Guard) -> Iterator[Expression]:
    """Every expression of a guard, not those within them."""
    for part in guard.parts:
        match part:
            case Holds(_, value) | Evaluable(_, value):
                yield value
            case Grants(_, rule):
                yield from (value for _, value in rule.arguments)
            case Cases(_, value):
                yield value
                for inner in part.guards:
                    yield from expressions(inner)


def cases(guard: Guard) -> Iterator[Cases]:
    """Every choice of a guard."""
    for part in guard.parts:
        if isinstance(part, Cases):
            yield part
            for inner in part.guards:
                yield from cases(inner)


def sites(guard: Guard) -> Iterator[int]:
    """The rules that matter, in order."""
    yield from guard.granting
    if guard.refused is not None:
        yield guard.refused
    for part in guard.parts:
        yield part.site
        for inner in part.guards if isinstance(part, Cases) else ():
            yield from sites(inner)
