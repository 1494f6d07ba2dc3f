"""Typing of expressions: from syntax to `kss.tree`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import ParamSpec, TypeAlias, TypeVar

from kss import calls, numerals, places, syntax, tree, types
from kss.calls import ArgumentError, Known
from kss.errors import Findings, did_you_mean
from kss.events import Kind
from kss.layout import MessageType
from kss.models import MODELS, OPERATORS
from kss.models.model import Signature
from kss.numerals import MismatchError, is_free
from kss.patterns import Patterns
from kss.selectors import Section
from kss.stubs import is_opaque
from kss.syntax import Span, Word
from kss.tree import Constant, RecordValue
from kss.types import BOOLEAN, TEXT, UNIT, IntegerType, Type

MAX_OPERANDS = 256

Note: TypeAlias = Callable[[Span, Known, str], int | None]

P = ParamSpec("P")
R = TypeVar("R")


class AbandonedError(Exception):
    """The expression has a finding (or hangs on a class that has): go on with the next one."""


class Checker:
    """Types the expressions of one section. Implements `kss.models.model.Typing`.

    Every method may raise AbandonedError; the finding is reported by then.
    """

    def __init__(
        self,
        section: Section,
        objects: Mapping[str, Known],
        findings: Findings,
        broken: Collection[str] = (),
        patterns: Patterns | None = None,
        note: Note | None = None,
    ) -> None:
        self._section = section
        self._objects = objects
        self._findings = findings
        self._broken = broken  # objects that have findings of their own
        self.patterns = patterns or Patterns()
        self._note = note  # gives a site to a call of an expression method that may be recorded

    def fail(self, rule: str, span: Span, message: str, help: str = "") -> AbandonedError:
        self._findings.error(rule, span.at, message, help, span.text)
        return AbandonedError()

    def warn(self, rule: str, span: Span, message: str, help: str = "") -> None:
        self._findings.warning(rule, span.at, message, help, span.text)

    def _at(self, span: Span, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls a function that raises MismatchError, and reports it at `span`."""
        try:
            return function(*args, **kwargs)
        except ArgumentError as error:
            raise self.fail(error.rule, error.span, str(error), error.help) from None
        except MismatchError as error:
            raise self.fail(error.rule, span, str(error), error.help) from None

    # ---- entry points

    def check(self, node: syntax.Expression, expected: Type) -> tree.Expression:
        """Types an expression that must have (or adopt, or widen to) the expected type."""
        match expected:
            case types.VariantType(alternatives):
                return self._check_variant(node, expected, alternatives)
            case types.LiteralType():
                return self._check_variant(node, expected, (expected,))
            case types.PatternType():
                return self._pattern(node)
            case types.ListType(element) | types.SetType(element):
                if isinstance(node, syntax.List):
                    items = [self.check(item, element) for item in node.items]
                    return numerals.make_list(items, expected)
            case types.TupleType(parts):
                if isinstance(node, syntax.List) and len(node.items) == len(parts):
                    pairs = zip(node.items, parts, strict=True)
                    items = [self.check(item, part) for item, part in pairs]
                    return numerals.make_list(items, expected)
            case types.RecordType(fields):
                if isinstance(node, syntax.Dict):
                    return self._check_record(node, expected, fields)
        return self._at(node.span, numerals.fit, self.infer(node), expected)

    def _pattern(self, node: syntax.Expression) -> tree.Expression:
        if not isinstance(node, syntax.Literal):
            help = 'a text literal such as "[a-z]+", or a regex block'
            raise self.fail("PSL-056", node.span, "a pattern is constant", help)
        self.patterns.match(self, node)
        return Constant(node.value, types.PATTERN)

    def _check_record(
        self, node: syntax.Dict, expected: Type, fields: tuple[tuple[str, Type], ...]
    ) -> tree.Expression:
        """Fields that may be `()` may be left out."""
        known = tuple(name for name, _ in fields)
        written = {str(entry.key) for entry in node.entries}
        spared = {name for name, kind in fields if _admits_unit(kind)} - written
        names = tuple(n for n in known if n not in spared) if written <= set(known) else known
        given = self._at(node.span, calls.fields, node, names, "the dictionary")
        values = dict(zip(names, given, strict=True))
        checked = tuple(
            (name, self.check(values[name], kind) if name in values else Constant(None, UNIT))
            for name, kind in fields
        )
        return RecordValue(checked, expected)

    def _check_variant(
        self, node: syntax.Expression, expected: Type, alternatives: tuple[Type, ...]
    ) -> tree.Expression:
        literals = [item.value for item in alternatives if isinstance(item, types.LiteralType)]
        others = [a for a in alternatives if a != UNIT and not isinstance(a, types.LiteralType)]
        if isinstance(node, syntax.Literal):
            value = node.value
            if value is None and UNIT in alternatives:
                return Constant(None, UNIT)
            if any(value == item and type(value) is type(item) for item in literals):
                return Constant(value, expected)
        shaped = [kind for kind in others if _may_be_written(node, kind)]
        if len(others) == 1 or len(shaped) == 1:
            return self.check(node, (shaped or others)[0])
        typed = self.settle(self.infer(node), node.span)
        if typed.type == expected or typed.type in others:
            return typed
        help = f"give a value of type {expected}"
        if literals and isinstance(node, syntax.Literal) and isinstance(node.value, str):
            help = did_you_mean(node.value, [item for item in literals if isinstance(item, str)])
        message = f"expected {expected}, got {node.span.text}"
        raise self.fail("PSL-030", node.span, message, help)

    def infer(self, node: syntax.Expression) -> tree.Expression:
        """Types an expression; integer literals without context stay free."""
        match node:
            case syntax.Literal():
                if node.is_block:
                    help = "re.match { text : ..., pattern : ... }"
                    message = "a regex block stands for a pattern only"
                    raise self.fail("PSL-056", node.span, message, help)
                return _constant(node)
            case syntax.Name():
                return self._name(node.word, ())
            case syntax.Access():
                return self._access(node)
            case syntax.Chain():
                return self._chain(node)
            case syntax.Prefix():
                return self._prefix(node)
            case syntax.Call():
                return self._call(node)
            case syntax.List():
                return self._list(node)
            case syntax.Dict():
                return self._dict(node)

    # ---- for the models

    def settle(self, expression: tree.Expression, span: Span) -> tree.Expression:
        return self._at(span, numerals.settle, expression)

    def common(
        self, left: tree.Expression, right: tree.Expression, span: Span
    ) -> tuple[tree.Expression, tree.Expression, IntegerType]:
        return self._at(span, numerals.common, left, right)

    def fields(
        self, argument: syntax.Expression, names: tuple[str, ...], method: str
    ) -> tuple[syntax.Expression, ...]:
        return self._at(argument.span, calls.fields, argument, names, method)

    def elements(self, argument: syntax.Expression, method: str) -> tuple[tree.Expression, Type]:
        if isinstance(argument, syntax.List) and not argument.items:
            return Constant((), types.ListType(types.SINT64)), types.SINT64
        given = self.infer(argument)
        value = self.settle(given, argument.span)
        match value.type:
            case types.ListType(element) | types.SetType(element):
                return value, element
            case types.ArrayType(element, _) | types.SequenceType(element, _):
                return value, element
        message = f"{method} takes a list, not {given.type}"
        raise self.fail("PSL-030", argument.span, message, f"{method} [a, b]")

    # ---- names, fields and elements

    def _access(self, node: syntax.Access) -> tree.Expression:
        if isinstance(node.base, syntax.Name):
            return self._name(node.base.word, node.steps)
        return self._steps(self.infer(node.base), node.steps)

    def _name(self, word: Word, steps: tuple[Word | syntax.Expression, ...]) -> tree.Expression:
        first, *fields = word.parts
        if first == "message":
            inner = tuple(Word(part, word.span) for part in fields)
            return self._message(word, (*inner, *steps))
        if word.value == "src_sid" or word.value == "dst_sid":
            if first == "dst_sid" and self._section.kind is Kind.SECURITY:
                message = "security events have no dst_sid"
                raise self.fail("PSL-038", word.span, message, "src_sid is the caller")
            sid = tree.Sid("src" if first == "src_sid" else "dst", types.SID)
            return self._steps(sid, steps)
        if first in self._objects and fields:
            message = f"the argument of {word.value} is missing"
            raise self.fail("PSL-028", word.span, message, f"{word.value} (...)")
        known = ("message", "src_sid", "dst_sid")
        help = did_you_mean(first, known, f'a text is written in quotes: "{word.value}"')
        raise self.fail("PSL-035", word.span, f"unknown name {word.value}", help)

    def _message(self, word: Word, steps: tuple[Word | syntax.Expression, ...]) -> tree.Expression:
        message = self._message_type(word)
        if not steps:
            names = ", ".join(f"message.{field.name}" for field in message.fields)
            help = f"name a field: {names}" if names else "this message has no fields"
            raise self.fail("PSL-036", word.span, "message is no value by itself", help)
        return self._steps(places.whole(message), steps)

    def _message_type(self, word: Word) -> MessageType:
        if self._section.kind is Kind.EXECUTE:
            message = "execute events carry no message"
            raise self.fail("PSL-038", word.span, message, "there are src_sid and dst_sid")
        found = self._section.messages()
        if len(found) == 1:
            return next(iter(found.values()))
        if not self._section.complete:
            raise AbandonedError
        if not found:
            message = "no message matches the selectors"
            raise self.fail("PSL-034", word.span, message, "correct the selectors")
        shown = ", ".join(f"{interface}.{method}" for interface, method in sorted(found)[:4])
        shown += ", ..." if len(found) > 4 else ""
        message = f"the selectors leave {len(found)} kinds of message: {shown}"
        help = "select one method: endpoint=..., method=..."
        raise self.fail("PSL-034", word.span, message, help)

    def _steps(
        self, value: tree.Expression, steps: tuple[Word | syntax.Expression, ...]
    ) -> tree.Expression:
        for step in steps:
            if isinstance(step, Word):
                value = self._field(value, step)
            else:
                index = self.settle(self.infer(step), step.span)
                if not isinstance(index.type, IntegerType):
                    message = f"an index is an integer, not {index.type}"
                    raise self.fail("PSL-030", step.span, message, "count from 0")
                value = self._at(step.span, places.element, value, index)
            if isinstance(value, tree.Place) and is_opaque(value.wire):
                raise AbandonedError
        return value

    def _field(self, value: tree.Expression, name: Word) -> tree.Expression:
        try:
            return places.field(value, name.value)
        except MismatchError as error:
            if error.rule == "PSL-033" and not self._section.complete:
                raise AbandonedError from None
            raise self.fail(error.rule, name.span, str(error), error.help) from None

    # ---- operators

    def _chain(self, node: syntax.Chain) -> tree.Expression:
        if node.operators[0] in ("&&", "||"):
            values = [self.infer(operand) for operand in node.operands]
            return self._balanced(node, values, 0, len(values))
        if len(node.operands) > MAX_OPERANDS:
            message = f"{len(node.operands)} operands in a row"
            raise self.fail("PSL-040", node.span, message, f"at most {MAX_OPERANDS}")
        if node.operators[0] == "==>":
            return self._implications(node)
        value = self.infer(node.operands[0])
        for operator, operand in zip(node.operators, node.operands[1:], strict=True):
            value = self._binary(operator, value, self.infer(operand), operand.span)
        return value

    def _balanced(
        self, node: syntax.Chain, values: list[tree.Expression], low: int, high: int
    ) -> tree.Expression:
        """`&&` and `||` mean the same however they are grouped: keep the tree shallow."""
        if high - low == 1:
            return values[low]
        middle = (low + high) // 2
        left = self._balanced(node, values, low, middle)
        right = self._balanced(node, values, middle, high)
        return self._binary(node.operators[0], left, right, node.operands[middle].span)

    def _implications(self, node: syntax.Chain) -> tree.Expression:
        values = [self.infer(operand) for operand in node.operands]
        result = values[-1]
        for value, operand in zip(values[-2::-1], node.operands[:0:-1], strict=True):
            result = self._binary("==>", value, result, operand.span)
        return result

    def _binary(
        self, operator: str, left: tree.Expression, right: tree.Expression, span: Span
    ) -> tree.Expression:
        model = OPERATORS[operator]
        self._needs(model.predeclared, operator, span)
        if is_free(left.type) and is_free(right.type):
            literals = isinstance(left, Constant) and isinstance(right, Constant)
            if literals and model.name == "Math":
                assert isinstance(left, Constant) and isinstance(right, Constant)
                return self._at(span, numerals.compute, operator, left, right)
            left, right = self._at(span, numerals.settle_both, left, right)
        return model.binary(self, operator, left, right, span)

    def _prefix(self, node: syntax.Prefix) -> tree.Expression:
        value = self.infer(node.operand)
        for operator in reversed(node.operators):
            model = OPERATORS[operator]
            self._needs(model.predeclared, operator, node.span)
            if operator == "~" and is_free(value.type):
                if isinstance(value, Constant):
                    value = numerals.complement(value)
                    continue
                value = self.settle(value, node.span)
            value = model.unary(self, operator, value, node.span)
        return value

    def _needs(self, predeclared: str | None, operator: str, span: Span) -> None:
        if predeclared is not None and predeclared not in self._objects:
            message = f"'{operator}' needs the object {predeclared}"
            raise self.fail("PSL-022", span, message, "use nk.basic._")

    # ---- lists, dictionaries, calls

    def _list(self, node: syntax.List) -> tree.Expression:
        items = [self.infer(item) for item in node.items]
        integers = [item.type for item in items if isinstance(item.type, IntegerType)]
        if items and len(integers) == len(items):
            bound = [kind for kind in integers if not is_free(kind)]
            if not bound:
                return numerals.make_list(items, types.ListType(numerals.FREE))
            kind = bound[0]
            for other in bound[1:]:
                kind = self._at(node.span, numerals.common_type, kind, other)
            pairs = zip(items, node.items, strict=True)
            items = [self._at(n.span, numerals.fit, item, kind) for item, n in pairs]
            return numerals.make_list(items, types.ListType(kind))
        if items and all(item.type == items[0].type for item in items):
            return numerals.make_list(items, types.ListType(items[0].type))
        items = [self.settle(i, n.span) for i, n in zip(items, node.items, strict=True)]
        return numerals.make_list(items, types.TupleType(tuple(item.type for item in items)))

    def _dict(self, node: syntax.Dict) -> tree.Expression:
        fields: dict[str, tree.Expression] = {}
        for entry in node.entries:
            key = str(entry.key)
            if key in fields:
                message = f"{key} is given twice"
                raise self.fail("PSL-027", entry.span, message, "take one out")
            fields[key] = self.settle(self.infer(entry.value), entry.value.span)
        kind = types.RecordType(tuple((name, value.type) for name, value in fields.items()))
        return RecordValue(tuple(fields.items()), kind)

    def target(self, node: syntax.Call) -> tuple[Known, str]:
        if ".".join(node.name.parts[:-1]) in self._broken:
            raise AbandonedError
        return self._at(node.span, calls.target, node, self._objects)

    def arguments(
        self, node: syntax.Call, known: Known, signature: Signature
    ) -> tuple[tuple[str, tree.Expression], ...]:
        given = self._at(node.span, calls.arguments, node, signature)
        typed = tuple((name, self.check(value, kind)) for name, kind, value in given)
        MODELS[known.model].examine(self, node, known.config, dict(typed))
        return typed

    def scrutinee(self, node: syntax.Expression) -> tree.Expression:
        """What a `choice` is on."""
        if isinstance(node, syntax.Call):
            return self._call(node, for_choice=True)
        return self.settle(self.infer(node), node.span)

    def _call(self, node: syntax.Call, for_choice: bool = False) -> tree.Expression:
        known, method = self.target(node)
        pure = MODELS[known.model].pure()
        if method in pure:
            return pure[method](self, node)
        signature = known.signatures[method]
        if signature.result is None:
            message = f"{node.name.value} is a rule, it has no value"
            help = "a rule stands by itself in a section"
            raise self.fail("PSL-024", node.name.span, message, help)
        if signature.for_choice and not for_choice:
            message = f"{node.name.value} is for choice, it has no value elsewhere"
            help = f"choice ({node.name.value} ...) {{ ... }}"
            raise self.fail("PSL-059", node.name.span, message, help)
        arguments = self.arguments(node, known, signature)
        site = self._note(node.span, known, method) if self._note else None
        return tree.Query(known.index, method, arguments, signature.result, site)


def _admits_unit(kind: Type) -> bool:
    return isinstance(kind, types.VariantType) and UNIT in kind.alternatives


def _may_be_written(node: syntax.Expression, kind: Type) -> bool:
    """Whether brackets or braces as these write a value of the type."""
    if isinstance(node, syntax.List):
        return isinstance(kind, types.ListType | types.SetType | types.TupleType)
    return isinstance(node, syntax.Dict) and isinstance(kind, types.RecordType)


def _constant(node: syntax.Literal) -> Constant:
    value = node.value
    if value is None:
        return Constant(None, UNIT)
    if isinstance(value, bool):
        return Constant(value, BOOLEAN)
    return Constant(value, TEXT) if isinstance(value, str) else numerals.literal(value)
