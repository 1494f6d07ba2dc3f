"""Record: what users' own models are made of (`kss.own`). Every such model is this one, with its
definition in the configuration of its objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from kss import syntax
from kss.binary import CLAIM_WRITES, DROP_WRITES, Op
from kss.codegen.assembler import Assembler, TooComplexError
from kss.codegen.object import Arguments, Label, ObjectCode
from kss.errors import DescriptionError, Findings
from kss.models.config import Reader
from kss.models.model import Contexts, Model, Parameter, Setup, Signature, Value
from kss.own import tree
from kss.own.emit import Bodies, Operand, TooLongError
from kss.own.fold import Known
from kss.own.interpret import call as interpret
from kss.own.layout import Layout
from kss.own.settings import identity, meaning, read_settings
from kss.own.tree import Config, Definition
from kss.tree import Constant, Expression, Query, items_of
from kss.types import LiteralType, SetType, Type, VariantType

if TYPE_CHECKING:
    from kss.codegen.expressions import Expressions


MAX_REGISTERS = 96  # of the VM's 128: some are left to where the call stands


class RecordCode(ObjectCode):
    """A context is the fields' words, in order."""

    number = 5
    METHODS = ("has", "create", "drop", "load", "store")
    WRITES: ClassVar = {"drop": DROP_WRITES, "store": 2}

    @cached_property
    def layout(self) -> Layout:
        return Layout(cast(Config, self.thing.config))

    @property
    def context_words(self) -> int:
        return self.layout.words

    def config(self) -> list[int]:
        return []

    def writes(self, method: str) -> int:
        return CLAIM_WRITES + self.context_words if method == "create" else super().writes(method)

    def call(self, to: Expressions, method: str, arguments: Arguments, d: int) -> None:
        kinds = [each.type for each in self.layout.config.definition.methods[method].parameters]
        given: list[Operand] = []
        free = d + 1
        for (_, argument), kind in zip(arguments, kinds, strict=True):
            given.append(self._argument(to, argument, kind, free))
            free += given[-1] == free
        bodies = Bodies(to.out, self.layout, lambda *call: self._emit(to, *call))
        try:
            bodies.into(bodies.method(method, given, d, free), d)
        except TooLongError:  # just short enough with all arguments unknown
            raise TooComplexError(f"a call of {self.thing.name}.{method} is too long") from None

    def _emit(self, to: Expressions, method: str, d: int, a: int, operand: int) -> None:
        self.emit(to, method, d, a, operand)

    def _argument(self, to: Expressions, argument: Expression, kind: tree.Type, d: int) -> Operand:
        """A constant is known; anything else is computed into register d."""
        if isinstance(kind, tree.NameSet):
            return self._set(to, items_of(argument), kind.of, d)
        if isinstance(argument, Constant):
            value = argument.value
            return Known(self._number(value) if isinstance(value, str) else int(cast(int, value)))
        if isinstance(kind, tree.Names):
            to.select(argument, d, lambda leaf, at: self._name(to, leaf, kind, at))
        else:
            to.value(argument, d)
        return d

    def _name(self, to: Expressions, leaf: Expression, names: tree.Names, d: int) -> None:
        """A name: here its number, in another object perhaps another one."""
        if isinstance(leaf, Constant):
            to.constant(self._number(str(leaf.value)), d)
            return
        assert isinstance(leaf, Query), leaf
        to.value(leaf, d)
        other = to.objects.methods[leaf.object]
        numbers = {
            cast(int, other.label(name)): self._number(name)
            for name in self.layout.config.members(names)
        }
        if any(key != value for key, value in numbers.items()):
            self._bodies(to).chosen(d, numbers, d)

    def _set(
        self, to: Expressions, items: tuple[Expression, ...], names: tree.Names, d: int
    ) -> Operand:
        members = self.layout.config.members(names)
        known = frozenset(str(item.value) for item in items if isinstance(item, Constant))
        computed = [item for item in items if not isinstance(item, Constant)]
        bits = self.layout.bits(known, names)
        if not computed:
            return Known(bits)
        to.constant(bits, d)
        for item in computed:
            to.select(item, d + 1, lambda leaf, at: self._name(to, leaf, names, at))
            one = {self._number(name): 1 << i for i, name in enumerate(members)}
            self._bodies(to).chosen(d + 1, one, d + 1)
            to.out.emit(Op.OR, d, d, d + 1)
        return d

    def _bodies(self, to: Expressions) -> Bodies:
        return Bodies(to.out, self.layout, lambda *call: self._emit(to, *call))

    def _number(self, name: str) -> int:
        return self.layout.number(name)

    def label(self, label: Label) -> int | None:
        if isinstance(label, str):
            return self._number(label) if label in self.layout.names else None
        return super().label(label)

    def symbols(self) -> dict[str, Any]:
        fields = self.layout.config.definition.fields
        described = [[name, _described(self.layout, field.type)] for name, field in fields.items()]
        return {"fields": described, "names": self.layout.names}

    @staticmethod
    def show(symbols: dict[str, Any], context: tuple[int, ...]) -> Any:
        words = iter(context)
        return {
            name: _shown_words(kind, symbols["names"], words) for name, kind in symbols["fields"]
        }


class Record(Model):
    """As it is found by its name; `kss.objects` makes one for each definition."""

    name = "Record"
    file = ""
    stateful = True
    declarable = False
    code = RecordCode

    def __init__(self, definition: Definition | None = None) -> None:
        self.definition = definition

    def configure(
        self,
        declaration: syntax.ObjectDeclaration,
        types: Mapping[str, Type],
        findings: Findings,
    ) -> Setup | None:
        assert self.definition
        config = read_settings(self.definition, Reader(declaration, findings))
        if config is None:
            return None
        for name in self.definition.methods:
            if not _is_short(config, name, declaration):
                at = declaration.name
                message = f"{at.value}.{name} becomes too many instructions or registers"
                help = "fewer rounds of loops, shorter lists of names, or several methods"
                findings.error("MODEL-009", at.span.at, message, help, at.value)
                return None
        return Setup(config, identity(config))

    def called(self, config: object) -> str:
        return cast(Config, config).definition.name

    def signatures(self, types: Mapping[str, Type], config: object) -> Mapping[str, Signature]:
        assert isinstance(config, Config)
        found: dict[str, Signature] = {}
        for name, method in config.definition.methods.items():
            if isinstance(method.result, tree.NameSet):
                continue  # for other methods only
            pairs = [(each.name, _outside(config, each.type)) for each in method.parameters]
            result = None if method.result is None else _outside(config, method.result)
            parameters = tuple(Parameter(*pair) for pair in pairs)
            found[name] = Signature(parameters, bool(parameters), result)
        return found

    def call(
        self, config: object, contexts: Contexts, method: str, arguments: dict[str, Value]
    ) -> Value:
        given = {
            name: frozenset(value) if isinstance(value, list | tuple) else value
            for name, value in arguments.items()
        }
        return interpret(cast(Config, config), contexts, method, given)

    def meaning(self, config: object, method: str) -> str | None:
        return meaning(cast(Config, config), method)

    def show(self, config: object, context: Any) -> Any:
        assert isinstance(config, Config)
        pairs = zip(config.definition.fields.items(), context, strict=True)
        return {
            name: sorted(value) if isinstance(value, frozenset) else value
            for (name, _), value in pairs
        }


def _outside(config: Config, kind: tree.Type) -> Type:
    """What a policy takes a type for."""
    if isinstance(kind, tree.NameSet):
        return SetType(_outside(config, kind.of))
    if isinstance(kind, tree.Names):
        return VariantType(tuple(LiteralType(name) for name in config.members(kind)))
    return kind


def _is_short(config: Config, name: str, declaration: syntax.ObjectDeclaration) -> bool:
    """Whether a call with arguments that are not known can be compiled."""
    out = Assembler(declaration.name.span.at)
    count = len(config.definition.methods[name].parameters)

    def call(method: str, d: int, a: int, operand: int) -> None:
        out.emit(Op.CALL, d, a, imm=operand)

    try:
        Bodies(out, Layout(config), call).method(name, range(1, count + 1), 0, count + 1)
    except (TooLongError, DescriptionError):
        return False
    return out.registers <= MAX_REGISTERS


# ---- contexts as words ---------------------------------------------------------


def _described(layout: Layout, kind: tree.Type) -> Any:
    match kind:
        case tree.NameSet(names):
            return {"set": layout.config.members(names)}
        case tree.Names():
            return "name"
    return str(kind)


def _shown_words(kind: Any, names: Sequence[str], words: Iterator[int]) -> Any:
    value = next(words)
    match kind:
        case {"set": members}:
            value |= next(words) << 32
            return sorted(name for i, name in enumerate(members) if value >> i & 1)
        case "name":
            return names[value]
        case "Boolean":
            return bool(value)
    bits = 32
    if str(kind).endswith("64"):
        bits, value = 64, value | next(words) << 32
    return value - (1 << bits) if kind[0] == "S" and value >> (bits - 1) else value
