"""Mic: mandatory integrity control, on a chain of levels or a lattice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import starmap
from typing import TYPE_CHECKING, Any, ClassVar, cast

from kss import syntax
from kss.binary import CLAIM_WRITES, DROP_WRITES, Op
from kss.codegen import names
from kss.codegen.object import Arguments, Label, ObjectCode
from kss.errors import Findings, did_you_mean, listed
from kss.models.config import Reader
from kss.models.integrity import Integrity, Level, MicConfig, RuleCall
from kss.models.model import (
    Contexts,
    EvaluationError,
    Labelled,
    Model,
    Parameter,
    Setup,
    Signature,
    Typing,
    Value,
    argument_of,
)
from kss.tree import (
    Apply,
    Constant,
    ConstantValue,
    Expression,
    ListValue,
    Place,
    RecordValue,
    items_of,
)
from kss.types import SID, TEXT, UNIT, LevelType, ListType, RecordType, Type, VariantType

if TYPE_CHECKING:
    from kss.codegen.expressions import Consumer, Expressions

MAX_DEGREES = 0xFFFF
MAX_CATEGORIES = 48
_RECORD = RecordType(
    (
        ("degree", VariantType((TEXT, UNIT))),
        ("categories", VariantType((ListType(TEXT), UNIT))),
    )
)


class MicCode(ObjectCode):
    """A level is the place of its degree in the high 16 bits and a bit for each category. A context
    is the level and the least received (all ones: none), two words each. The operand has a bit
    for each optional argument that is given."""

    number = 4
    METHODS = (
        *("create", "delete", "upgrade", "execute", "call", "invoke", "read", "write"),
        *("query_level", "degree", "category"),
    )
    WRITES: ClassVar = {
        "create": CLAIM_WRITES + 4,
        "delete": DROP_WRITES,
        "upgrade": 2,
        "execute": CLAIM_WRITES + 4,
    }
    OPTIONAL: ClassVar = {
        "create": ("container", "level"),
        "delete": ("container",),
        "upgrade": ("container",),
        "execute": ("image", "level", "levelR"),
    }
    NONE: ClassVar = (1 << 64) - 1
    context_words = 4

    @property
    def _mic(self) -> MicConfig:
        config = self.thing.config
        assert isinstance(config, MicConfig), config
        return config

    def config(self) -> list[int]:
        degrees, categories = self._mic.degrees, self._mic.categories
        tables = [*names.table(degrees), *names.table(categories)]
        return [len(degrees), len(categories), *tables]

    def call(self, to: Expressions, method: str, arguments: Arguments, d: int) -> None:
        operand = 0
        for register, (name, value) in enumerate(arguments, start=d):
            if name in ("level", "levelR"):
                self._level(to, value, register)
            else:
                to.value(value, register)
            optional = self.OPTIONAL.get(method, ())
            if name in optional and value.type != UNIT:
                operand |= 1 << optional.index(name)
        self.emit(to, method, d, d, operand)

    def _level(self, to: Expressions, level: Expression, d: int) -> None:
        """A level in register d; all ones if a text of the message names none."""
        if not isinstance(level, RecordValue):
            to.select(level, d, self._part_in(to, "degree"))
            return
        degree, categories = (value for _, value in level.fields)
        to.select(degree, d, self._part_in(to, "degree"))
        if categories.type != UNIT:
            to.select(categories, d + 1, lambda leaf, at: self._categories(to, leaf, at))
            to.out.emit(Op.OR, d, d, d + 1)

    def _categories(self, to: Expressions, categories: Expression, d: int) -> None:
        to.constant(0, d)
        for category in items_of(categories):
            to.select(category, d + 1, self._part_in(to, "category"))
            to.out.emit(Op.OR, d, d, d + 1)

    def _part_in(self, to: Expressions, what: str) -> Consumer:
        """Computes what a degree, a category or `()` adds to a level, or a whole level."""

        def consume(part: Expression, d: int) -> None:
            if isinstance(part, Constant):
                to.constant(self._constant(what, cast("str | None", part.value)), d)
            elif isinstance(part, Place):
                to.address_in(part, d)
                self.emit(to, what, d, d)
            else:
                to.value(part, d)

        return consume

    def _constant(self, what: str, name: str | None) -> int:
        if what == "degree":
            level = self._mic.level(name, [])
        else:
            level = self._mic.level(None, [name or ""])
        return self.NONE if level is None else _number(level)

    def label(self, label: Label) -> int | None:
        level = self._mic.parse(str(label))
        return None if level is None else _number(level)

    def symbols(self) -> dict[str, Any]:
        config = self._mic
        return {
            "degrees": list(config.degrees),
            "categories": list(config.categories),
            "chain": config.chain,
        }

    @staticmethod
    def show(symbols: dict[str, Any], context: tuple[int, ...]) -> Any:
        config = MicConfig(symbols["degrees"], symbols["categories"], symbols["chain"])
        level, received = (context[i] | context[i + 1] << 32 for i in (0, 2))
        least = None if received == MicCode.NONE else _level(received)
        return config.show(Integrity(_level(level), least))


def _number(level: Level) -> int:
    return level.degree << MAX_CATEGORIES | sum(1 << number for number in level.categories)


def _level(number: int) -> Level:
    members = (i for i in range(MAX_CATEGORIES) if number >> i & 1)
    return Level(number >> MAX_CATEGORIES, frozenset(members))


class Mic(Model):
    name = "Mic"
    file = "nk.mic"
    stateful = True
    code = MicCode

    def configure(
        self,
        declaration: syntax.ObjectDeclaration,
        types: Mapping[str, Type],
        findings: Findings,
    ) -> Setup | None:
        before = len(findings.items)
        reader = Reader(declaration, findings)
        reader.only_types()
        node = reader.configuration()
        if node is None:
            return None
        chain = isinstance(node, syntax.List)
        fields = {"degrees": node} if chain else reader.fields(node, "degrees", "categories")
        if fields is None:
            return None
        degrees = tuple(name for name, _ in reader.texts(fields["degrees"]) or ())
        categories = () if chain else _categories(reader, fields["categories"])
        if len(findings.items) == before and not 1 <= len(degrees) <= MAX_DEGREES:
            span = fields["degrees"].span
            reader.wrong(span, f"there are {len(degrees)} of them", f"1 to {MAX_DEGREES}")
        if len(findings.items) > before:
            return None
        config = MicConfig(degrees, categories, chain)
        return Setup(config, f"Mic{config}")

    def signatures(self, types: Mapping[str, Type], config: object) -> Mapping[str, Signature]:
        mic = cast(MicConfig, config)
        of_object = LevelType(mic.degrees, mic.categories)
        level = VariantType((_RECORD, TEXT, of_object))
        maybe_sid, maybe_level = VariantType((SID, UNIT)), VariantType((*level.alternatives, UNIT))

        def method(**parameters: Type) -> Signature:
            return Signature(tuple(starmap(Parameter, parameters.items())), named=True)

        pair = method(source=SID, target=SID)
        owned: dict[str, Type] = {"source": SID, "target": SID}
        owned |= {"container": maybe_sid, "driver": SID}
        return {
            "create": method(**owned, level=maybe_level),
            "delete": method(**owned),
            "upgrade": method(**owned, level=level),
            "execute": method(image=maybe_sid, target=SID, level=maybe_level, levelR=maybe_level),
            **dict.fromkeys(("call", "invoke", "read", "write"), pair),
            "query_level": Signature((Parameter("source", SID),), named=True, result=of_object),
        }

    def examine(
        self,
        typing: Typing,
        call: syntax.Call,
        config: object,
        arguments: Mapping[str, Expression],
    ) -> None:
        for name in ("level", "levelR"):
            if name in arguments:
                _examine_level(
                    typing, argument_of(call, name), cast(MicConfig, config), arguments[name]
                )
        if "image" in arguments and arguments["image"].type == arguments["level"].type == UNIT:
            span = argument_of(call, "level").span
            message = "level : () is the image's level, but there is no image"
            raise typing.fail("PSL-028", span, message, "write the level, or the image's SID")

    def examine_label(
        self, typing: Typing, method: str, config: object, label: syntax.Literal
    ) -> str:
        mic, text = cast(MicConfig, config), str(label.value)
        level = mic.parse(text)
        if level is None:
            help = 'a level is written "degree"' if mic.chain else 'as in "{category,...}/degree"'
            close = did_you_mean(text, mic.degrees, help)
            raise typing.fail("PSL-050", label.span, f'there is no level "{text}"', close)
        return mic.name(level)

    def examine_choice(
        self, typing: Typing, method: str, config: object, labels: Sequence[Labelled]
    ) -> str:
        mic, given = cast(MicConfig, config), {label for _, label in labels}
        names = map(mic.name, mic.levels())
        return listed(f'"{name}"' for name in names if name not in given)

    def call(
        self, config: object, contexts: Contexts, method: str, arguments: dict[str, Value]
    ) -> Value:
        mic = cast(MicConfig, config)
        if method == "query_level":
            if arguments["source"] not in contexts:
                raise EvaluationError(f"SID {arguments['source']} has no level")
            return contexts[arguments["source"]].level
        return RuleCall(mic, contexts, arguments).granted(method)

    def choose(
        self,
        config: object,
        contexts: Contexts,
        method: str,
        arguments: dict[str, Value],
        labels: Sequence[Label],
    ) -> int | None:
        level = self.call(config, contexts, method, arguments)
        levels = [cast(MicConfig, config).parse(str(label)) for label in labels]
        return levels.index(level) if level in levels else None

    def spoken(self, config: object, value: Value) -> Value:
        return cast(MicConfig, config).name(value)

    def show(self, config: object, context: Any) -> Any:
        return cast(MicConfig, config).show(context)


# ---- configuration and arguments ---------------------------------------------


def _categories(reader: Reader, node: syntax.Expression) -> tuple[str, ...]:
    found = reader.texts(node) or []
    for name, span in found:
        if not name.strip() or set(name) & set(",{}"):
            message = f'"{name}" cannot be written in "{{a,b}}/degree"'
            reader.wrong(span, message, "a category has a name without , { and }")
    if len(found) > MAX_CATEGORIES:
        reader.wrong(node.span, f"{len(found)} categories", f"at most {MAX_CATEGORIES}")
    return tuple(name for name, _ in found)


def _examine_level(
    typing: Typing, node: syntax.Expression, config: MicConfig, level: Expression
) -> None:
    """Reports names that are none; those in texts of messages are found at run time."""
    degree, categories = level, cast(Expression, Constant(None, UNIT))
    if isinstance(level, RecordValue):
        degree, categories = (value for _, value in level.fields)
    for what, value, known in (
        ("level" if config.chain else "degree", degree, config.degrees),
        ("category", categories, config.categories),
    ):
        for name in _written(value):
            if name not in known:
                message = f'the object has no {what} "{name}"'
                raise typing.fail("PSL-029", node.span, message, did_you_mean(name, known))


def _written(value: Expression) -> Iterator[str]:
    """The constant texts that a value may be, or be a list of."""
    match value:
        case Constant(constant):
            yield from _texts(constant)
        case ListValue(items):
            for item in items:
                yield from _written(item)
        case Apply("struct.element", (values, _)):
            yield from _written(values)


def _texts(value: ConstantValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value if isinstance(value, tuple) else ():
        yield from _texts(item)
