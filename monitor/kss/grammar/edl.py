"""Process classes and components: what an .edl or .cdl file says, names not yet looked up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from kss.errors import Findings
from kss.grammar.parser import Parser
from kss.grammar.tokens import IDL_OPERATORS
from kss.source import Source
from kss.syntax import Span, Word


@dataclass(frozen=True, slots=True)
class Entries:
    """`components { name : type ... }` or `endpoints { name : interface ... }`."""

    part: Literal["components", "endpoints"]
    span: Span
    entries: tuple[tuple[Word, Word], ...]


@dataclass(frozen=True, slots=True)
class Security:
    span: Span
    interface: Word


Part: TypeAlias = Entries | Security


@dataclass(frozen=True, slots=True)
class Head:
    kind: Literal["task class", "component"]
    name: Word


@dataclass(frozen=True, slots=True)
class DescriptionText:
    """Not `sound`: there are syntax errors; `head` is None if one is there."""

    head: Head | None
    parts: tuple[Part, ...]
    sound: bool

    @property
    def name(self) -> Word | None:
        return self.head.name if self.head else None


def parse_description(source: Source, findings: Findings) -> DescriptionText:
    """What an .edl or .cdl file says."""
    parser = DescriptionParser(source, findings)
    head = parser.heading(parser.head)
    parts = tuple(parser.declarations(parser.part))
    return DescriptionText(head, parts, parser.sound)


class DescriptionParser(Parser):
    operators: ClassVar[list[str]] = IDL_OPERATORS
    starters = frozenset(("components", "endpoints", "interfaces", "security"))

    def head(self) -> Head:
        if self.accept_word("component"):
            return Head("component", self.word())
        if not self.accept_word("entity"):
            self.need_word("task")
            self.need_word("class")
        return Head("task class", self.word())

    def part(self) -> Part:
        start = self.start()
        if self.accept_word("security"):
            head = self.since(start)
            return Security(head, self.word())
        if not self.see_word(*sorted(self.starters)):
            raise self.unexpected()
        part: Literal["components", "endpoints"]
        part = "components" if self.text == "components" else "endpoints"
        self.advance()
        head = self.since(start)
        self.open("{")
        return Entries(part, head, self.until("}", self._entry))

    def _entry(self) -> tuple[Word, Word]:
        name = self.plain_word()
        self.need(":")
        return name, self.word()
