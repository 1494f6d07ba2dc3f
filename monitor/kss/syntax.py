"""What a policy file says, before any name is looked up: the abstract syntax of PSL and PAL.

Chains of operators are kept flat (`a + b - c` is one node), so that no walk recurses deeper than
the brackets nest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from kss.errors import Location
from kss.events import Kind
from kss.source import Source


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node stands, as indices of characters of its file, and its text."""

    source: Source
    start: int
    end: int

    @property
    def at(self) -> Location:
        return self.source.position(self.start)

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Word:
    """A name, possibly dotted."""

    value: str
    span: Span

    @property
    def parts(self) -> list[str]:
        return self.value.split(".")


# ---- expressions -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Literal:
    """int, bool, str, or None for unit."""

    value: int | bool | str | None
    span: Span

    @property
    def is_block(self) -> bool:
        """Whether it is written as a regex block."""
        return self.span.text.startswith("```")


@dataclass(frozen=True, slots=True)
class Name:
    word: Word

    @property
    def span(self) -> Span:
        return self.word.span


@dataclass(frozen=True, slots=True)
class Entry:
    """`key` is an int only where the file has an integer."""

    key: str | int
    quoted: bool
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Dict:
    entries: tuple[Entry, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class List:
    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """`object.method argument`; the argument of `method ()` is the unit literal."""

    name: Word
    argument: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Access:
    """Fields (Word) and elements (Expression) reached from `base`, in order."""

    base: Expression
    steps: tuple[Word | Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Chain:
    """Operators of one precedence level; `==>` groups from the right, the others from the left."""

    operators: tuple[str, ...]
    operands: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Prefix:
    """`!` and `~`, outermost first."""

    operators: tuple[str, ...]
    operand: Expression
    span: Span


Expression: TypeAlias = Literal | Name | Dict | List | Call | Access | Chain | Prefix


# ---- types -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NamedType:
    word: Word
    arguments: tuple[TypeSyntax, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class LiteralType:
    value: int | str | None
    span: Span


@dataclass(frozen=True, slots=True)
class VariantType:
    alternatives: tuple[TypeSyntax, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class RecordType:
    fields: tuple[tuple[Word, TypeSyntax], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class TupleType:
    items: tuple[TypeSyntax, ...]
    span: Span


TypeSyntax: TypeAlias = NamedType | LiteralType | VariantType | RecordType | TupleType


# ---- bindings --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selector:
    key: Word
    value: Word


@dataclass(frozen=True, slots=True)
class AuditReference:
    profile: Word
    span: Span


@dataclass(frozen=True, slots=True)
class Match:
    selectors: tuple[Selector, ...]
    items: tuple[Item, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Branch:
    """`label` is None for `_`."""

    label: Literal | None
    items: tuple[Item, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Choice:
    scrutinee: Expression
    branches: tuple[Branch, ...]
    span: Span


Item: TypeAlias = AuditReference | Call | Match | Choice


@dataclass(frozen=True, slots=True)
class Binding:
    kind: Kind
    selectors: tuple[Selector, ...]
    items: tuple[Item, ...]
    span: Span


# ---- declarations ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExecuteInterface:
    name: Word


@dataclass(frozen=True, slots=True)
class UseFile:
    """`use a.b._`; `path` is `a.b`, or empty after a finding."""

    path: str
    span: Span


@dataclass(frozen=True, slots=True)
class UseClass:
    """`use EDL X` is `task class X : X`."""

    name: Word
    described_by: Word


@dataclass(frozen=True, slots=True)
class TypeDeclaration:
    name: Word
    type: TypeSyntax
    span: Span


@dataclass(frozen=True, slots=True)
class Configuration:
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class ObjectDeclaration:
    name: Word
    model: Word
    types: tuple[TypeDeclaration, ...]
    configurations: tuple[Configuration, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class AuditDefault:
    profile: Word
    level: int
    span: Span


@dataclass(frozen=True, slots=True)
class AuditProfile:
    name: Word
    value: Dict
    span: Span


# ---- policy tests ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TestEvent:
    """`server` and `method` of the short form `client ~> server : path.Method` are selectors."""

    kind: Kind
    selectors: tuple[Selector, ...]
    message: Dict | None
    span: Span


@dataclass(frozen=True, slots=True)
class TestCase:
    variable: Word | None
    expect: str
    title: str
    event: TestEvent


@dataclass(frozen=True, slots=True)
class TestSequence:
    title: str
    cases: tuple[TestCase, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class TestSet:
    title: str
    setup: tuple[TestCase, ...]
    sequences: tuple[TestSequence, ...]
    finally_: tuple[TestCase, ...]
    span: Span


Declaration: TypeAlias = (
    ExecuteInterface
    | UseFile
    | UseClass
    | TypeDeclaration
    | ObjectDeclaration
    | AuditDefault
    | AuditProfile
    | Binding
    | TestSet
)
