"""What guards tell apart: numbers that they compare with, languages and sizes of texts, labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from kss import layout, tree, types
from kss.analysis.guard import Cases, Guard, cases, expressions
from kss.analysis.keys import parts
from kss.analysis.texts import Texts
from kss.models import MODELS
from kss.regex.syntax import Expression as Language
from kss.regex.syntax import literal
from kss.tree import Apply, Constant, Expression, PolicyObject


@dataclass
class Observed:
    """Collected from the guards of a policy."""

    numbers: set[int] = field(default_factory=lambda: {0, 1})
    languages: list[Language] = field(default_factory=list)
    labels: dict[str, None] = field(default_factory=dict)
    plain_sizes: bool = True  # sizes of texts are compared with constants, and that is all

    def add(self, guard: Guard, objects: Sequence[PolicyObject]) -> None:
        for expression in expressions(guard):
            self._expression(expression, objects)
        for choice in cases(guard):
            self._labels(choice, objects)

    def texts(self, other: Observed | None = None) -> Texts:
        """Examples for these guards, and those of another policy: for what only one of the two
        tells apart first."""
        if other is None:
            return Texts(self.languages, self.numbers, self.plain_sizes)
        mine, theirs = set(self.languages), set(other.languages)
        both = (*self.languages, *other.languages)
        ordered = [language for language in both if language in mine ^ theirs] + [*both]
        numbers = self.numbers | other.numbers
        return Texts(ordered, numbers, self.plain_sizes and other.plain_sizes)

    def _expression(self, expression: Expression, objects: Sequence[PolicyObject]) -> None:
        for each, around in _within(expression, None):
            match each:
                case Constant(value, kind):
                    self.numbers.update(_integers(value))
                    if kind == types.TEXT and isinstance(value, str):
                        self.languages.append(literal(value.encode()))
                case Apply("struct.size", (operand,)) if _is_of_text(operand):
                    self.plain_sizes &= _is_compared(around)
                case tree.Query(thing, method, arguments):
                    given = [value for _, value in arguments if isinstance(value, Constant)]
                    patterns = [str(g.value) for g in given if g.type == types.PATTERN]
                    model = MODELS[objects[thing].model]
                    self.languages += model.languages(method, patterns) or ()

    def _labels(self, choice: Cases, objects: Sequence[PolicyObject]) -> None:
        labels, value = choice.labels, choice.value
        self.numbers.update(label for label in labels if isinstance(label, int))
        names = [label for label in labels if isinstance(label, str)]
        if isinstance(value, tree.Query):
            self.labels.update(dict.fromkeys(names))
            model = MODELS[objects[value.object].model]
            self.languages += model.languages(value.method, labels) or () if names else ()
        self.languages += [literal(name.encode()) for name in names]


def _within(
    expression: Expression, around: Expression | None
) -> Iterator[tuple[Expression, Expression | None]]:
    """An expression and all within it, each with the one around it, apart from `math.widen`."""
    yield expression, around
    widened = isinstance(expression, Apply) and expression.operation == "math.widen"
    for part in parts(expression):
        yield from _within(part, around if widened else expression)


def _integers(value: tree.ConstantValue) -> Iterable[int]:
    if isinstance(value, tuple):
        return [number for item in value for number in _integers(item)]
    return [int(value)] if isinstance(value, int) else []


def _is_of_text(operand: Expression) -> bool:
    if isinstance(operand, tree.Place):
        return isinstance(operand.wire, layout.String)
    return operand.type == types.TEXT


def _is_compared(around: Expression | None) -> bool:
    """Whether this compares something with a constant."""
    if not isinstance(around, Apply) or not around.operation.startswith("pred."):
        return False
    return any(isinstance(operand, Constant) for operand in around.operands)
