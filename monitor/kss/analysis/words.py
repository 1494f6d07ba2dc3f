"""Expressions in the words of the policy language, also those that folding has made."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kss import tree, types
from kss.models import MODELS
from kss.tree import Apply, Constant, ElementStep, Expression, PolicyObject
from kss.types import Type

# The tightest binds most; a part is put in parentheses if it binds less than it has to.
_IMPLIES, _OR, _AND, _COMPARE, _ADD, _MULTIPLY, _UNARY, _ATOM = range(1, 9)
_BITS = 0  # `&` and `|` stand beside no other operator
_BINARY = {
    f"{model.predeclared}.{name}": symbol
    for model in MODELS.values()
    for symbol, name in model.operators.items()
}
_BINDING = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), _COMPARE),
    **dict.fromkeys(("+", "-"), _ADD),
    **dict.fromkeys(("&", "|"), _BITS),
    "*": _MULTIPLY,
}
_LOGICAL = {"and": ("&&", _AND), "or": ("||", _OR), "implies": ("==>", _IMPLIES)}
_METHODS = {"struct.size": "size"}


class Words:
    """Speaks of the objects of one policy."""

    def __init__(self, objects: Sequence[PolicyObject]) -> None:
        self._objects = objects

    def of(self, expression: Expression) -> str:
        return self._of(expression)[0]

    def call(self, call: tree.Rule | tree.Query) -> str:
        """`lock.enter { sid : dst_sid, state : "free" }`; `base` goes without saying."""
        name = self._objects[call.object].name
        method = call.method if name == "base" else f"{name}.{call.method}"
        names = [name for name, _ in call.arguments]
        if names in ([], ["value"]):
            values = [self.of(value) for _, value in call.arguments]
            return f"{method} ({''.join(values)})"
        fields = ", ".join(f"{name} : {self.of(value)}" for name, value in call.arguments)
        return f"{method} {{ {fields} }}"

    def label(self, label: int | bool | str) -> str:
        return _literal(label)

    def _of(self, expression: Expression) -> tuple[str, int]:
        """The words, and how tightly they bind."""
        match expression:
            case Constant(value, kind):
                return _constant(value, kind), _ATOM
            case tree.Sid(which):
                return f"{which}_sid", _ATOM
            case tree.Place(_, steps):
                return self.path(steps), _ATOM
            case tree.ListValue(items):
                return f"[{', '.join(self.of(item) for item in items)}]", _ATOM
            case tree.RecordValue(fields):
                parts = ", ".join(f"{name} : {self.of(item)}" for name, item in fields)
                return f"{{ {parts} }}", _ATOM
            case tree.Query():
                return self.call(expression), _ATOM
            case tree.Logical(operator, left, right):
                symbol, binding = _LOGICAL[operator]
                return self._joined(symbol, binding, (left, right)), binding
            case Apply(operation, operands):
                return self._apply(operation, operands, expression)

    def path(self, steps: Sequence[tree.Step]) -> str:
        """`message.items.[0].id`."""
        words = ["message"]
        for step in steps:
            if isinstance(step, ElementStep):
                words.append(f".[{self.of(step.index)}]")
            else:
                words.append(f".{step.name}")
        return "".join(words)

    def _apply(
        self, operation: str, operands: tuple[Expression, ...], whole: Apply
    ) -> tuple[str, int]:
        if operation == "math.widen":  # which says itself
            return self._of(operands[0])
        if operation == "struct.element":
            return f"{self._within(operands[0], _ATOM)}.[{self.of(operands[1])}]", _ATOM
        if operation == "bool.cond":
            parts = zip(("if", "then", "else"), map(self.of, operands), strict=True)
            fields = ", ".join(f"{name} : {value}" for name, value in parts)
            return f"bool.cond {{ {fields} }}", _ATOM
        symbol = _BINARY.get(operation, "")
        if symbol and len(operands) == 2:
            binding = _BINDING[symbol]
            return self._joined(symbol, binding, operands), binding
        if symbol:
            return f"{symbol}{self._within(operands[0], _UNARY)}", _UNARY
        argument = self.of(operands[0])
        bare = isinstance(operands[0], tree.ListValue) or argument.startswith("[")
        method = _METHODS.get(operation, operation)
        return f"{method} {argument}" if bare else f"{method} ({argument})", _ATOM

    def _joined(self, symbol: str, binding: int, operands: tuple[Expression, ...]) -> str:
        """Operators of one kind group from the left."""
        left = self._within(operands[0], max(binding, _IMPLIES) + (binding in (_BITS, _COMPARE)))
        right = self._within(operands[1], max(binding, _IMPLIES) + 1)
        return f"{left} {symbol} {right}"

    def _within(self, expression: Expression, binding: int) -> str:
        words, own = self._of(expression)
        return words if own >= binding else f"({words})"


def _constant(value: tree.ConstantValue, kind: Type) -> str:
    if isinstance(value, tuple):
        kinds = kind.items if isinstance(kind, types.TupleType) else [_element(kind)] * len(value)
        items = (_constant(item, part) for item, part in zip(value, kinds, strict=True))
        return f"[{', '.join(items)}]"
    return _literal(value)


def _element(kind: Type) -> Type:
    return kind.element if isinstance(kind, types.ListType | types.SetType) else kind


def _literal(value: int | bool | str | None) -> str:
    if value is None:
        return "()"
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
