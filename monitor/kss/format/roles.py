"""What the grammar knows of the tokens: the parsers, listened to while they read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from kss import syntax
from kss.errors import Findings
from kss.grammar.edl import DescriptionParser
from kss.grammar.idl import MethodDeclaration, PackageParser, Parameter
from kss.grammar.parser import Parser, SyntaxStop
from kss.grammar.psl import PolicyParser
from kss.grammar.tokens import Tokens
from kss.source import Source

FILE = -1  # as the bracket around declarations
T = TypeVar("T")


@dataclass
class Roles:
    """Indices of tokens: `pairs` of brackets; `parts` first tokens of what is listed in a bracket;
    `arrows` the first of two that make an arrow; `signs` before one value; `joined` to both
    neighbours; `after` without a space before them; `wraps` where a long line may be broken;
    `methods` the brackets around parameters of an interface's methods; `closers` those of `pairs`.
    `apart`: what is in braces is never on one line."""

    tokens: Tokens
    operators: list[str]
    apart: bool
    pairs: dict[int, int] = field(default_factory=dict)
    parts: dict[int, list[int]] = field(default_factory=lambda: {FILE: [0]})
    arrows: set[int] = field(default_factory=set)
    signs: set[int] = field(default_factory=set)
    joined: set[int] = field(default_factory=set)
    after: set[int] = field(default_factory=set)
    wraps: set[int] = field(default_factory=set)
    methods: set[int] = field(default_factory=set)
    closers: set[int] = field(default_factory=set)


class _Listener(Parser):
    """Notes brackets and their parts."""

    apart: ClassVar[bool] = True

    def __init__(self, source: Source, findings: Findings) -> None:
        super().__init__(source, findings)
        self.roles = Roles(self._tokens, self.operators, self.apart)
        self._open = [FILE]

    def open(self, bracket: str) -> None:
        self._open.append(self.index)
        self.roles.parts[self.index] = []
        super().open(bracket)

    def close(self, bracket: str) -> None:
        index = self.index
        super().close(bracket)
        self.roles.pairs[self._open.pop()] = index
        self.roles.closers.add(index)

    def until(self, bracket: str, part: Callable[[], T]) -> tuple[T, ...]:
        return super().until(bracket, self._noted(part))

    def listed(self, bracket: str, part: Callable[[], T]) -> tuple[T, ...]:
        return super().listed(bracket, self._noted(part))

    def declarations(self, parse: Callable[[], T]) -> Iterator[T]:
        return super().declarations(self._noted(parse))

    def _noted(self, part: Callable[[], T]) -> Callable[[], T]:
        def noted() -> T:
            self._begin(self.index)
            return part()

        return noted

    def _begin(self, index: int) -> None:
        """Notes the first token of a part of the bracket that is open."""
        parts = self.roles.parts[self._open[-1]]
        if not parts or parts[-1] < index:
            parts.append(index)


class _PolicyListener(_Listener, PolicyParser):
    apart = False

    def declaration(self) -> syntax.Declaration:
        if self.text == "execute" and self.ahead()[0] == ":":  # execute: kl.core.Execute
            self.roles.after.add(self.index + 1)
        return super().declaration()

    def accept_arrow(self, arrow: str) -> bool:
        index = self.index
        found = super().accept_arrow(arrow)
        if found:
            self.roles.arrows.add(index)
        return found

    def literal(self) -> syntax.Literal:
        if self.kind == "-":
            self.roles.signs.add(self.index)
        return super().literal()

    def _plain_type(self) -> syntax.TypeSyntax:
        if self.index and self._kinds[self.index - 1] == "|":
            self.roles.wraps.add(self.index)
        return super()._plain_type()

    def _selector(self) -> syntax.Selector:
        self._note_selector(self.index)
        return super()._selector()

    def _note_selector(self, index: int) -> None:
        self.roles.wraps.add(index)
        self.roles.joined.add(index + 1)

    # ---- tests

    def _cases(self) -> tuple[syntax.TestCase, ...]:
        if self._texts[self.index - 1] in ("setup", "finally"):
            self._begin(self.index - 1)
        return super()._cases()

    def _sequence(self) -> syntax.TestSequence:
        self._begin(self.index)
        return super()._sequence()

    def _long(self) -> syntax.TestEvent:
        start = self.index
        event = super()._long()
        for index in range(start, self.index):
            if self._kinds[index] == "=":
                self._note_selector(index - 1)
        return event


class _DescriptionListener(_Listener, DescriptionParser):
    pass


class _PackageListener(_Listener, PackageParser):
    def _method(self) -> list[MethodDeclaration]:
        self._begin(self.index)
        self.roles.methods.add(self.index + 1)
        return super()._method()

    def _parameter(self) -> Parameter:
        self._begin(self.index)
        return super()._parameter()

    def _unary(self) -> syntax.Expression:
        index = self.index
        while self._kinds[index] in ("-", "+", "~"):
            self.roles.signs.add(index)
            index += 1
        return super()._unary()


def of_policy(source: Source, findings: Findings) -> Roles | None:
    parser = _PolicyListener(source, findings)
    return _read(parser, lambda: None, parser.declaration)


def of_description(source: Source, findings: Findings) -> Roles | None:
    parser = _DescriptionListener(source, findings)
    return _read(parser, parser.head, parser.part)


def of_package(source: Source, findings: Findings) -> Roles | None:
    parser = _PackageListener(source, findings)
    return _read(parser, parser.head, parser.declaration)


def _read(
    parser: _Listener, head: Callable[[], object], part: Callable[[], object]
) -> Roles | None:
    """None after a syntax error."""
    try:
        head()
    except SyntaxStop:
        return None
    for _ in parser.declarations(part):
        pass
    return parser.roles if parser.sound else None
