"""Interface descriptions (IDL): packages of constants, types and at most one interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kss import layout, syntax
from kss.cycles import Cycles
from kss.errors import Findings, did_you_mean
from kss.grammar.idl import (
    Const,
    Declaration,
    GenericType,
    Import,
    InterfaceDeclaration,
    MethodDeclaration,
    PackageText,
    Record,
    Typedef,
    TypeUse,
)
from kss.grammar.recovery import ANYTHING, Hidden
from kss.integers import IntegerError, evaluate
from kss.layout import Direction, WireType
from kss.stubs import OPAQUE
from kss.syntax import Span, Word

if TYPE_CHECKING:
    from kss.packages import Packages

MAX_MESSAGE = 16 << 20  # bytes; the largest limit of KasperskyOS kernels
MAX_DEPTH = 32
MAX_IMPORTS = 64  # packages that import each other in a row
MAX_METHODS = 1 << 16  # mid is 16 bits wide

_INTEGERS = [layout.Integer(bits, signed) for signed in (False, True) for bits in (8, 16, 32, 64)]
BUILT_IN: dict[str, WireType] = {str(kind): kind for kind in _INTEGERS}
BUILT_IN["Handle"] = layout.Handle()
# Types of later SDKs that this version does not lay out, and what to write in their place.
_LATER = {
    "UIntSize": "write UInt32 or UInt64: messages are the same on every architecture",
    "UIntPtr": "write UInt32 or UInt64: messages are the same on every architecture",
    "handle": "write Handle: handles are not bound to an interface",
}


class _MissingError(Exception):
    """A constant of a package that is not there."""


@dataclass(frozen=True, slots=True)
class NamedType:
    type: WireType
    depth: int


@dataclass
class Package:
    """What one IDL file declares; the names it imports are not part of it."""

    name: str
    path: Path
    constants: dict[str, int | None] = field(default_factory=dict)
    types: dict[str, NamedType] = field(default_factory=dict)
    interface: layout.Interface | None = None
    lost_interface: bool = False  # a declaration with a syntax error may be one
    broken: bool = False
    lacking: bool = False  # it imports what is not there: its unknown names are taken on trust
    # What declarations with syntax errors may declare; `ANYTHING` among it if they do not tell.
    hidden: set[str] = field(default_factory=set)


class Reader:
    """Turns what a file says into a package."""

    def __init__(
        self, text: PackageText, package: Package, packages: Packages, findings: Findings
    ) -> None:
        self.text = text
        self.package = package
        self.packages = packages
        self.findings = findings
        self.constants: dict[str, int | None] = {}  # None: of a missing file
        self.types: dict[str, NamedType] = {n: NamedType(t, 1) for n, t in BUILT_IN.items()}
        self.origin: dict[str, str] = {}
        self.declared = {d.name.value for d in text.declarations if isinstance(d, Typedef | Record)}
        self.declaring = ""  # the type whose declaration is being read
        self._cycles = Cycles(text.declarations)
        self._recurring: set[frozenset[str]] = set()  # the types of each cycle that is told
        self.hidden: set[str] = set()  # here and in what is imported
        for item in text.hidden:
            self._hide(item)

    def error(self, rule: str, at: Word | Span, message: str, help: str = "") -> None:
        span = at.span if isinstance(at, Word) else at
        self.findings.error(rule, span.at, message, help, span.text)

    def _hide(self, broken: Hidden) -> None:
        """Uses of what a declaration with a syntax error may declare are no findings."""
        names = broken.names - set(BUILT_IN) - self.declared
        if broken.opener in ("interface", "", ANYTHING):
            self.package.lost_interface = True
        if broken.opener == "import":
            self.package.lacking = True
        elif broken.opener != "interface":
            unknown = broken.opener == ANYTHING or not names
            self.package.hidden |= {ANYTHING} if unknown else names
            self.hidden |= self.package.hidden

    def _excused(self, name: str) -> bool:
        """Whether something that cannot be read may declare a name."""
        return self.package.lacking or bool(self.hidden & {name, ANYTHING})

    def read(self) -> None:
        name = self.text.name
        if name is not None and name.value != self.package.name:
            self.error(
                "IDL-001",
                name,
                f"the package is called {name.value}, its file is looked up as {self.package.name}",
                f"package {self.package.name}",
            )
        for declaration in self.text.declarations:
            self._declaration(declaration)

    # ---- declarations

    def _declaration(self, declaration: Declaration) -> None:
        match declaration:
            case Import(name):
                self._import(name)
            case Const():
                self._const(declaration)
            case Typedef(kind, name):
                self.declaring = name.value
                self._declare(name, self._type(kind))
            case Record():
                self._record(declaration)
            case InterfaceDeclaration():
                self._interface(declaration)
        self.declaring = ""

    def _import(self, word: Word) -> None:
        name = word.value
        if self.packages.is_loading(name):
            self.error("IDL-012", word, f"package {name} imports this one", "split the package")
            return
        if self.packages.depth >= MAX_IMPORTS:
            message = f"more than {MAX_IMPORTS} packages import each other in a row"
            self.error("IDL-017", word, message, "import fewer")
            return
        package = self.packages.load(name)
        if package is None:
            if not self.packages.exists(name):
                help = self.packages.suggestion(name)
                if self.packages.stubs.take("package", name, word.span.at, help):
                    self.package.lacking = True
                    return
                self.error("IDL-011", word, f"there is no package {name}", help)
            self.package.broken = self.package.lacking = True
            return
        self.package.broken |= package.broken
        self.hidden |= package.hidden
        for known in (*package.constants, *package.types):
            if self._fresh(word, known, f"package {name}"):
                if known in package.constants:
                    self.constants[known] = package.constants[known]
                else:
                    self.types[known] = package.types[known]

    def _fresh(self, at: Word, name: str, origin: str) -> bool:
        """Notes a declared name; False (and a finding) if it is taken."""
        if name in BUILT_IN:
            self.error("IDL-004", at, f"{name} is a built-in type", "choose another name")
            return False
        if name in self.origin:
            if self.origin[name] != origin or origin == "this package":
                where = self.origin[name]
                self.error("IDL-004", at, f"{name} is already declared in {where}", "rename one")
            return False
        self.origin[name] = origin
        return True

    def _const(self, declaration: Const) -> None:
        kind, name = declaration.type, declaration.name
        value, known = self._integer(declaration.value, name.span)
        wire = BUILT_IN.get(kind.value)
        if not isinstance(wire, layout.Integer):
            help = did_you_mean(kind.value, [n for n in BUILT_IN if n != "Handle"])
            self.error("IDL-002", kind, f"{kind.value} is not an integer type", help)
        elif not _fits(value, wire):
            message = f"{value} does not fit {kind.value}"
            self.error("IDL-005", name, message, f"{kind.value} holds {_range(wire)}")
        if self._fresh(name, name.value, "this package"):
            self.package.constants[name.value] = value if known else None
            self.constants[name.value] = self.package.constants[name.value]

    def _record(self, declaration: Record) -> None:
        name = declaration.name
        self.declaring = name.value
        members: dict[str, WireType] = {}
        depth = 0
        for kind, member in declaration.members:
            named = self._type(kind)
            depth = max(depth, named.depth)
            if member.value in members:
                message = f"{name.value} has two members {member.value}"
                self.error("IDL-004", member, message, "rename one")
            members[member.value] = named.type
        if not members:
            message = f"{name.value} has no members"
            self.error("IDL-013", name, message, "declare at least one")
            return
        make = layout.make_struct if declaration.kind == "struct" else layout.make_union
        made = make(name.value, list(members.items()))
        self._declare(name, self._checked(name.span, made, depth))

    def _declare(self, name: Word, named: NamedType) -> None:
        if self._fresh(name, name.value, "this package"):
            self.types[name.value] = self.package.types[name.value] = named

    def _interface(self, declaration: InterfaceDeclaration) -> None:
        if self.package.interface is not None:
            message = "a package has one interface at most"
            self.error("IDL-010", declaration.span, message, "use two packages")
            return
        methods: list[layout.Method] = []
        taken: set[str] = set()
        for method in declaration.methods[:MAX_METHODS]:
            methods.append(self._method(method, len(methods), taken))
            taken.add(method.name.value)
        if len(declaration.methods) > MAX_METHODS:
            message = f"more than {MAX_METHODS} methods"
            self.error("IDL-014", declaration.span, message, "use two packages")
        self.package.interface = layout.Interface(self.package.name, tuple(methods))

    def _method(self, declaration: MethodDeclaration, mid: int, taken: set[str]) -> layout.Method:
        name = declaration.name
        if name.value in taken:
            message = f"the interface has two methods {name.value}"
            self.error("IDL-004", name, message, "rename one")
        if "_" in name.value:
            message = f"method name {name.value} has an underscore"
            help = "KasperskyOS has no underscores in them"
            self.findings.warning("EDL-008", name.span.at, message, help, name.value)
        sides: dict[Direction, list[tuple[str, WireType]]] = {side: [] for side in Direction}
        seen: set[str] = set()
        last = Direction.IN
        for item in declaration.parameters:
            word, parameter = item.direction, item.name
            side = Direction[word.value.upper()]
            if side < last:
                message = (
                    f"{word.value} parameter {parameter.value} stands after an"
                    f" {last.name.lower()} parameter"
                )
                help = "the order is in, out, error"
                self.findings.warning("IDL-009", word.span.at, message, help, word.value)
            last = max(last, side)
            if parameter.value in seen:
                message = f"{name.value} has two parameters {parameter.value}"
                self.error("IDL-004", parameter, message, "rename one")
            seen.add(parameter.value)
            sides[side].append((parameter.value, self._type(item.type).type))
        messages = [layout.make_message(side, sides[side]) for side in Direction]
        if any(message.size + message.arena > MAX_MESSAGE for message in messages):
            help = f"a message has at most {MAX_MESSAGE} bytes, constant part and arena"
            self.error("IDL-008", name, f"a message of {name.value} is too large", help)
        return layout.Method(name.value, mid, *messages)

    # ---- types

    def _type(self, use: TypeUse) -> NamedType:
        if not isinstance(use, GenericType):
            return self._named(use.word)
        kind = use.kind
        if kind.value in _LATER or use.size is None:
            return self._later(kind)
        count = self._size(use.size, kind)
        if count is None:
            return NamedType(OPAQUE, 1)
        if use.element is None:
            limited = layout.Bytes(count) if kind.value == "bytes" else layout.String(count)
            return self._checked(kind.span, limited, 0)
        element = self._type(use.element)
        array = layout.Array if kind.value == "array" else layout.Sequence
        return self._checked(kind.span, array(element.type, count), element.depth)

    def _named(self, word: Word) -> NamedType:
        name = word.value
        if name in self.types:
            return self.types[name]
        if name in _LATER:
            return self._later(word)
        if name not in self.declared and self._excused(name):
            return NamedType(OPAQUE, 1)
        if name in self.declared:
            self._too_early(word)
        else:
            help = did_you_mean(name, self.types)
            self.error("IDL-002", word, f"unknown type {name}", help)
        return NamedType(BUILT_IN["UInt32"], 1)

    def _too_early(self, word: Word) -> None:
        """Reports the use of a type that is not declared yet; one that cannot be, once."""
        way = self._cycles.through(self.declaring, word.value) if self.declaring else ()
        if not way:
            message = f"{word.value} is declared only further down"
            self.error("IDL-002", word, message, "declare it before this line")
        elif frozenset(way) not in self._recurring:
            self._recurring.add(frozenset(way))
            message = f"{way[0]} contains itself: {' -> '.join(way)}"
            help = "no type may: a message has a largest size; send a sequence with indices instead"
            self.error("IDL-016", word, message, help)

    def _later(self, word: Word) -> NamedType:
        message = f"{word.value} is a type of a later SDK, which this version does not know"
        self.error("IDL-015", word, message, _LATER[word.value])
        return NamedType(BUILT_IN["UInt32"], 1)

    def _size(self, node: syntax.Expression, kind: Word) -> int | None:
        """None if a missing file has it."""
        errors = self.findings.errors
        value, known = self._integer(node, kind.span)
        if value < 1 and self.findings.errors == errors:
            message = f"{kind.value} of size {value}"
            self.error("IDL-007", kind, message, "the size is at least 1")
        return max(value, 1) if known else None

    def _checked(self, at: Span, kind: WireType, depth: int) -> NamedType:
        if kind.size + kind.arena > MAX_MESSAGE or depth >= MAX_DEPTH:
            help = f"at most {MAX_MESSAGE} bytes and {MAX_DEPTH} types within each other"
            self.error("IDL-008", at, f"{at.text} is too large or too deep", help)
            return NamedType(BUILT_IN["UInt32"], 1)
        return NamedType(kind, depth + 1)

    def _integer(self, node: syntax.Expression, at: Span) -> tuple[int, bool]:
        """The value, and whether it is known: False if it hangs on a missing file. 1 after a
        finding."""
        try:
            return evaluate(node, self._constant), True
        except _MissingError:
            return 1, False
        except IntegerError as error:
            self.error(error.rule, error.span or at, str(error), error.help)
            return 1, True

    def _constant(self, name: Word) -> int:
        value = self.constants.get(name.value)
        if value is not None:
            return value
        if name.value in self.constants or self._excused(name.value):
            raise _MissingError
        help = did_you_mean(name.value, self.constants, "declare it before this line")
        raise IntegerError(f"unknown constant {name.value}", name.span, help, "IDL-003")


def _fits(value: int, kind: layout.Integer) -> bool:
    low = -(1 << (kind.bits - 1)) if kind.signed else 0
    return low <= value < low + (1 << kind.bits)


def _range(kind: layout.Integer) -> str:
    low = -(1 << (kind.bits - 1)) if kind.signed else 0
    return f"{low} to {low + (1 << kind.bits) - 1}"
