"""Interface descriptions (IDL): packages of constants, types and at most one interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lark import Token, Tree

from kss import layout
from kss.errors import Findings, did_you_mean
from kss.integers import IntegerError, evaluate
from kss.layout import Direction, WireType
from kss.source import Search, Source, parse, read_source

MAX_MESSAGE = 16 << 20  # bytes; the largest limit of KasperskyOS kernels
MAX_DEPTH = 32
MAX_METHODS = 1 << 16  # mid is 16 bits wide

_INTEGERS = [layout.Integer(bits, signed) for signed in (False, True) for bits in (8, 16, 32, 64)]
BUILT_IN: dict[str, WireType] = {str(kind): kind for kind in _INTEGERS}
BUILT_IN["Handle"] = layout.Handle()


@dataclass(frozen=True, slots=True)
class NamedType:
    type: WireType
    depth: int


@dataclass
class Package:
    """What one IDL file declares; the names it imports are not part of it."""

    name: str
    path: Path
    constants: dict[str, int] = field(default_factory=dict)
    types: dict[str, NamedType] = field(default_factory=dict)
    interface: layout.Interface | None = None
    broken: bool = False


class Packages:
    """Loads packages, each once. A package with findings is `broken`, and so is who imports it."""

    def __init__(self, search: Search, findings: Findings) -> None:
        self._search = search
        self._findings = findings
        self._loaded: dict[str, Package | None] = {}
        self._loading: list[str] = []

    def load(self, name: str) -> Package | None:
        """The package; None if there is no such file (the caller reports) or after a finding."""
        if name not in self._loaded:
            self._loading.append(name)
            self._loaded[name] = self._read(name)
            self._loading.pop()
        return self._loaded[name]

    def is_loading(self, name: str) -> bool:
        return name in self._loading

    def suggestion(self, name: str) -> str:
        return did_you_mean(
            name,
            self._search.names(".idl"),
            f"{name.replace('.', '/')}.idl in an include directory",
        )

    def exists(self, name: str) -> bool:
        return self._find(name) is not None

    def _find(self, name: str) -> Path | None:
        if exact := self._search.exact(name, ".idl"):
            return exact
        flat = (path for path in self._search.flat(name, ".idl") if declares(path, "idl", name))
        return next(flat, None)

    def _read(self, name: str) -> Package | None:
        path = self._find(name)
        source = read_source(path, self._findings) if path else None
        tree = parse("idl", source, self._findings) if source else None
        if path is None or source is None or tree is None:
            return None
        before = len(self._findings.items)
        package = Package(name, path)
        Reader(source, package, self, self._findings).read(tree)
        added = self._findings.items[before:]
        package.broken |= any(finding.severity == "error" for finding in added)
        return package


def declares(path: Path, grammar: str, name: str) -> bool:
    """Whether a file found by its last name part alone declares the whole name."""
    findings = Findings()
    source = read_source(path, findings)
    tree = parse(grammar, source, findings) if source else None
    if tree is None:
        return False
    head = tree.children[0]
    declared = head.children[0] if isinstance(head, Tree) else head
    return str(declared) == name


class Reader:
    """Turns one syntax tree into a package."""

    def __init__(
        self, source: Source, package: Package, packages: Packages, findings: Findings
    ) -> None:
        self.source = source
        self.package = package
        self.packages = packages
        self.findings = findings
        self.constants: dict[str, int] = {}
        self.types: dict[str, NamedType] = {n: NamedType(t, 1) for n, t in BUILT_IN.items()}
        self.origin: dict[str, str] = {}

    def error(self, rule: str, token: Token, message: str, help: str = "") -> None:
        self.findings.error(rule, self.source.at(token), message, help, str(token))

    def read(self, tree: Tree[Token]) -> None:
        name, *rest = tree.children
        assert isinstance(name, Token)
        if name != self.package.name:
            self.error(
                "IDL-001",
                name,
                f"the package is called {name}, its file is looked up as {self.package.name}",
                f"package {self.package.name}",
            )
        for item in rest:
            assert isinstance(item, Tree)
            getattr(self, f"_{item.data.strip('_')}")(item)

    # ---- declarations

    def _import(self, tree: Tree[Token]) -> None:
        (name,) = _tokens(tree)
        if self.packages.is_loading(name):
            self.error("IDL-012", name, f"package {name} imports this one", "split the package")
            return
        package = self.packages.load(name)
        if package is None:
            if not self.packages.exists(name):
                help = self.packages.suggestion(name)
                self.error("IDL-011", name, f"there is no package {name}", help)
            self.package.broken = True
            return
        self.package.broken |= package.broken
        for known in (*package.constants, *package.types):
            if self._fresh(name, known, f"package {name}"):
                if known in package.constants:
                    self.constants[known] = package.constants[known]
                else:
                    self.types[known] = package.types[known]

    def _fresh(self, at: Token, name: str, origin: str) -> bool:
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

    def _const(self, tree: Tree[Token]) -> None:
        kind, name, expression = tree.children
        assert isinstance(kind, Token) and isinstance(name, Token)
        value = self._integer(expression, name)
        wire = BUILT_IN.get(str(kind))
        if not isinstance(wire, layout.Integer):
            help = did_you_mean(kind, [n for n in BUILT_IN if n != "Handle"])
            self.error("IDL-002", kind, f"{kind} is not an integer type", help)
        elif value is not None and not _fits(value, wire):
            self.error(
                "IDL-005", name, f"{value} does not fit {kind}", f"{kind} holds {_range(wire)}"
            )
        if self._fresh(name, str(name), "this package"):
            self.constants[str(name)] = self.package.constants[str(name)] = value or 0

    def _typedef(self, tree: Tree[Token]) -> None:
        kind, name = tree.children
        assert isinstance(name, Token)
        self._declare(name, self._type(kind))

    def _struct(self, tree: Tree[Token]) -> None:
        name, fields, depth = self._members(tree)
        if fields:
            self._declare(name, self._checked(name, layout.make_struct(str(name), fields), depth))

    def _union(self, tree: Tree[Token]) -> None:
        name, members, depth = self._members(tree)
        if members:
            self._declare(name, self._checked(name, layout.make_union(str(name), members), depth))

    def _members(self, tree: Tree[Token]) -> tuple[Token, list[tuple[str, WireType]], int]:
        name, *fields = tree.children
        assert isinstance(name, Token)
        members: dict[str, WireType] = {}
        depth = 0
        for item in fields:
            assert isinstance(item, Tree)
            kind, member = item.children
            assert isinstance(member, Token)
            named = self._type(kind)
            depth = max(depth, named.depth)
            if member in members:
                self.error("IDL-004", member, f"{name} has two members {member}", "rename one")
            members[str(member)] = named.type
        if not members:
            self.error("IDL-013", name, f"{name} has no members", "declare at least one")
        return name, list(members.items()), depth

    def _declare(self, name: Token, named: NamedType) -> None:
        if self._fresh(name, str(name), "this package"):
            self.types[str(name)] = self.package.types[str(name)] = named

    def _interface(self, tree: Tree[Token]) -> None:
        methods: list[layout.Method] = []
        if self.package.interface is not None:
            at = self.source.position(tree.meta.start_pos)
            self.findings.error(
                "IDL-010", at, "a package has one interface at most", "use two packages"
            )
            return
        for item in tree.children[:MAX_METHODS]:
            assert isinstance(item, Tree)
            methods.append(self._method(item, len(methods), {m.name for m in methods}))
        if len(tree.children) > MAX_METHODS:
            at = self.source.position(tree.meta.start_pos)
            self.findings.error("IDL-014", at, f"more than {MAX_METHODS} methods")
        self.package.interface = layout.Interface(self.package.name, tuple(methods))

    def _method(self, tree: Tree[Token], mid: int, taken: set[str]) -> layout.Method:
        name, *parameters = tree.children
        assert isinstance(name, Token)
        if name in taken:
            self.error("IDL-004", name, f"the interface has two methods {name}", "rename one")
        if "_" in name:
            self.findings.warning(
                "EDL-008", self.source.at(name), f"method name {name} has an underscore", "", name
            )
        sides: dict[Direction, list[tuple[str, WireType]]] = {side: [] for side in Direction}
        seen: set[str] = set()
        last = Direction.IN
        for item in parameters:
            if item is None:
                continue
            assert isinstance(item, Tree)
            word, kind, parameter = item.children
            assert isinstance(word, Token) and isinstance(parameter, Token)
            side = Direction[word.upper()]
            if side < last:
                self.findings.warning(
                    "IDL-009",
                    self.source.at(word),
                    f"{word} parameter {parameter} stands after an {last.name.lower()} parameter",
                    "the order is in, out, error",
                    str(word),
                )
            last = max(last, side)
            if parameter in seen:
                self.error(
                    "IDL-004", parameter, f"{name} has two parameters {parameter}", "rename one"
                )
            seen.add(str(parameter))
            sides[side].append((str(parameter), self._type(kind).type))
        messages = [layout.make_message(side, sides[side]) for side in Direction]
        if any(message.size + message.arena > MAX_MESSAGE for message in messages):
            help = f"a message has at most {MAX_MESSAGE} bytes, constant part and arena"
            self.error("IDL-008", name, f"a message of {name} is too large", help)
        return layout.Method(str(name), mid, *messages)

    # ---- types

    def _type(self, tree: Token | Tree[Token] | None) -> NamedType:
        assert isinstance(tree, Tree)
        first = tree.children[0]
        if tree.data == "named":
            assert isinstance(first, Token)
            if first not in self.types:
                help = did_you_mean(first, self.types)
                self.error("IDL-002", first, f"unknown type {first}", help)
            return self.types.get(first, NamedType(BUILT_IN["UInt32"], 1))
        count = self._size(tree.children[-1], tree)
        at = Token("NAME", str(tree.data))
        at.line, at.column = tree.meta.line, tree.meta.column
        if tree.data in ("bytes", "string"):
            limited = layout.Bytes(count) if tree.data == "bytes" else layout.String(count)
            return self._checked(at, limited, 0)
        element = self._type(first)
        array = layout.Array if tree.data == "array" else layout.Sequence
        return self._checked(at, array(element.type, count), element.depth)

    def _size(self, tree: Token | Tree[Token] | None, kind: Tree[Token]) -> int:
        at = Token("INT", str(kind.data))
        at.line, at.column = kind.meta.line, kind.meta.column
        value = self._integer(tree, at)
        if value is not None and value < 1:
            self.error("IDL-007", at, f"a {kind.data} of size {value}", "the size is at least 1")
        return max(value or 1, 1)

    def _checked(self, at: Token, kind: WireType, depth: int) -> NamedType:
        if kind.size + kind.arena > MAX_MESSAGE or depth >= MAX_DEPTH:
            help = f"at most {MAX_MESSAGE} bytes and {MAX_DEPTH} types within each other"
            self.error("IDL-008", at, f"{at} is too large or too deep", help)
            return NamedType(BUILT_IN["UInt32"], 1)
        return NamedType(kind, depth + 1)

    def _integer(self, tree: Token | Tree[Token] | None, at: Token) -> int | None:
        try:
            return evaluate(tree, self._constant)
        except IntegerError as error:
            token = error.token or at
            self.error(error.rule, token, str(error), error.help)
            return None

    def _constant(self, name: Token) -> int:
        if name not in self.constants:
            help = did_you_mean(name, self.constants, "declare it before this line")
            raise IntegerError(f"unknown constant {name}", name, help, "IDL-003")
        return self.constants[name]


def _tokens(tree: Tree[Token]) -> list[Token]:
    return [child for child in tree.children if isinstance(child, Token)]


def _fits(value: int, kind: layout.Integer) -> bool:
    low = -(1 << (kind.bits - 1)) if kind.signed else 0
    return low <= value < low + (1 << kind.bits)


def _range(kind: layout.Integer) -> str:
    low = -(1 << (kind.bits - 1)) if kind.signed else 0
    return f"{low} to {low + (1 << kind.bits) - 1}"
