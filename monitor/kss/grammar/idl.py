"""Interface descriptions: what a package says, names not yet looked up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from kss import syntax
from kss.errors import Findings
from kss.grammar.expressions import Levels, Operands
from kss.grammar.parser import Parser, SyntaxStop
from kss.grammar.recovery import Hidden
from kss.grammar.tokens import END, IDL_OPERATORS, INT, NAME
from kss.source import Source
from kss.syntax import Span, Word

_LEVELS: Levels = (
    frozenset("|"), frozenset("^"), frozenset("&"), frozenset(("<<", ">>")),
    frozenset("+-"), frozenset("*/%"),
)  # fmt: skip
_JOINING = frozenset().union(*_LEVELS)
_GENERIC = ("bytes", "string", "array", "sequence", "handle")


@dataclass(frozen=True, slots=True)
class TypeName:
    word: Word


@dataclass(frozen=True, slots=True)
class GenericType:
    """`bytes<N>`, `string<N>`, `array<T, N>`, `sequence<T, N>`; `handle<Interface>` has no size."""

    kind: Word
    element: TypeUse | None
    size: syntax.Expression | None


TypeUse: TypeAlias = TypeName | GenericType


@dataclass(frozen=True, slots=True)
class Import:
    name: Word


@dataclass(frozen=True, slots=True)
class Const:
    type: Word
    name: Word
    value: syntax.Expression


@dataclass(frozen=True, slots=True)
class Typedef:
    type: TypeUse
    name: Word


@dataclass(frozen=True, slots=True)
class Record:
    kind: Literal["struct", "union"]
    name: Word
    members: tuple[tuple[TypeUse, Word], ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    direction: Word
    type: TypeUse
    name: Word


@dataclass(frozen=True, slots=True)
class MethodDeclaration:
    name: Word
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class InterfaceDeclaration:
    span: Span
    methods: tuple[MethodDeclaration, ...]


Declaration: TypeAlias = Import | Const | Typedef | Record | InterfaceDeclaration


@dataclass(frozen=True, slots=True)
class PackageText:
    """Not `sound`: there are syntax errors; `name` is None if one is in the head, `hidden` are the
    declarations that have one."""

    name: Word | None
    declarations: tuple[Declaration, ...]
    hidden: tuple[Hidden, ...]
    sound: bool


def parse_package(source: Source, findings: Findings) -> PackageText:
    """What an .idl file says."""
    parser = PackageParser(source, findings)
    name = parser.heading(parser.head)
    declarations = tuple(parser.declarations(parser.declaration))
    return PackageText(name, declarations, tuple(parser.hidden), parser.sound)


class PackageParser(Parser):
    operators: ClassVar[list[str]] = IDL_OPERATORS
    integer_rule = "IDL-006"
    starters = frozenset(("import", "const", "typedef", "struct", "union", "interface"))

    def head(self) -> Word:
        self.need_word("package")
        return self.word()

    def declaration(self) -> Declaration:
        start = self.start()
        if self.accept_word("import"):
            return Import(self.word())
        if self.accept_word("const"):
            kind, name = self.word(), self.plain_word()
            self.need("=")
            value = self._expression()
            self.need(";")
            return Const(kind, name, value)
        if self.accept_word("typedef"):
            return Typedef(*self._field())
        if self.accept_word("struct"):
            return self._record("struct")
        if self.accept_word("union"):
            return self._record("union")
        self.need_word("interface")
        head = self.since(start)
        self.open("{")
        methods: list[MethodDeclaration] = []
        while not self.see("}"):
            methods += self._method()
        self.close("}")
        return InterfaceDeclaration(head, tuple(methods))

    def _record(self, kind: Literal["struct", "union"]) -> Record:
        name = self.plain_word()
        self.open("{")
        members = self.until("}", self._field)
        self.accept(";")
        return Record(kind, name, members)

    def _field(self) -> tuple[TypeUse, Word]:
        kind = self._type()
        name = self.plain_word()
        self.need(";")
        return kind, name

    # ---- methods

    def _method(self) -> list[MethodDeclaration]:
        """A method; none after a syntax error, up to the ';' behind it."""
        depth = self._depth
        try:
            name = self.plain_word()
            self.open("(")
            parameters = self._parameters()
            self.need(";")
        except SyntaxStop:
            self.sound = False
            self._depth = depth
            while not self.see(";"):
                if self.kind in ("}", END) or self.see_word(*self.starters):
                    raise
                self.advance()
            self.advance()
            return []
        return [MethodDeclaration(name, parameters)]

    def _parameters(self) -> tuple[Parameter, ...]:
        """With commas between them only."""
        found: list[Parameter] = []
        if not self.see(")"):
            found.append(self._parameter())
            while self.accept(","):
                found.append(self._parameter())
        self.close(")")
        return tuple(found)

    def _parameter(self) -> Parameter:
        if not self.see_word("in", "out", "error"):
            raise self.unexpected()
        direction = self.word()
        return Parameter(direction, self._type(), self.plain_word())

    # ---- types and integers

    def _type(self) -> TypeUse:
        kind = self.word()
        if self.kind != "<" or kind.value not in _GENERIC:
            return TypeName(kind)
        element = size = None
        self.open("<")
        if kind.value in ("array", "sequence"):
            element = self._type()
            self.need(",")
        if kind.value == "handle":
            element = TypeName(self.word())
        else:
            size = self._expression()
        self.close(">")
        return GenericType(kind, element, size)

    def _expression(self) -> syntax.Expression:
        start = self.start()
        operands = Operands(self._unary(), self.since(start))
        while self.kind in _JOINING:
            sign = self.kind
            self.advance()
            start = self.start()
            value = self._unary()
            operands.add(sign, value, self.since(start))
        return operands.grouped(_LEVELS)

    def _unary(self) -> syntax.Expression:
        start = self.start()
        signs: list[str] = []
        while self.kind in ("-", "+", "~"):
            signs.append(self.kind)
            self.advance()
        value = self._power()
        return syntax.Prefix(tuple(signs), value, self.since(start)) if signs else value

    def _power(self) -> syntax.Expression:
        start = self.start()
        operands = [self._atom()]
        while self.accept("**"):
            operands.append(self._atom())
        if len(operands) == 1:
            return operands[0]
        return syntax.Chain(("**",) * (len(operands) - 1), tuple(operands), self.since(start))

    def _atom(self) -> syntax.Expression:
        if self.kind == "(":
            self.open("(")
            inner = self._expression()
            self.close(")")
            return inner
        if self.kind == INT:
            start = self.start()
            return syntax.Literal(self.integer(), self.since(start))
        if not self.see(NAME):
            self._tried += [INT, "("]
            raise self.unexpected()
        return syntax.Name(self.word())
