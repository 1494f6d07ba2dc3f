"""The labels of a `choice`: of the scrutinee's type, all different, and what they leave out."""

from __future__ import annotations

from collections.abc import Sequence

from kss import numerals, syntax, tree, types
from kss.errors import did_you_mean, listed
from kss.expressions import AbandonedError, Checker
from kss.models import MODELS
from kss.models.model import Label, Labelled
from kss.numerals import MismatchError
from kss.tree import PolicyObject
from kss.types import BOOLEAN, IntegerType, TextType, Type


class Labels:
    """Reads the labels of one `choice`."""

    def __init__(
        self, checker: Checker, scrutinee: tree.Expression, objects: Sequence[PolicyObject]
    ) -> None:
        self._checker = checker
        self._kind = scrutinee.type
        self._names = _names(scrutinee.type)
        self._query = scrutinee if isinstance(scrutinee, tree.Query) else None
        self._object = objects[self._query.object] if self._query else None
        self._seen: dict[tuple[type, Label], syntax.Literal] = {}

    def must_be_choosable(self, node: syntax.Expression) -> None:
        kind = self._kind
        if isinstance(kind, types.LevelType) and self._query is None:
            help = "choice (mic.query_level { source : ... }) { ... }"
            message = "choice takes a level only from the object itself"
            raise self._checker.fail("PSL-030", node.span, message, help)
        simple = isinstance(kind, IntegerType | TextType | types.LevelType) or kind == BOOLEAN
        if not simple and not self._names:
            help = "choose on a state, a level, an integer, a Boolean or a text"
            raise self._checker.fail("PSL-030", node.span, f"choice does not take {kind}", help)

    def read(self, node: syntax.Literal) -> Label | None:
        """The label as a value of the scrutinee's type, or as the scrutinee's model reads it; None
        after a finding."""
        try:
            label = self._by_model(node)
            label = self._by_type(node) if label is None else label
        except AbandonedError:
            return None
        first = self._seen.setdefault((type(label), label), node)
        if first is not node:
            line = first.span.at.line
            message = f"the branch in line {line} has this label already"
            self._checker.fail("PSL-051", node.span, message, "take one out")
            return None
        return label

    def _by_model(self, node: syntax.Literal) -> Label | None:
        if self._query is None or self._object is None or not isinstance(node.value, str):
            return None
        model = MODELS[self._object.model]
        method, config = self._query.method, self._object.config
        return model.examine_label(self._checker, method, config, node)

    def _by_type(self, node: syntax.Literal) -> Label:
        value, kind = node.value, self._kind
        if self._names and isinstance(value, str):
            if value in self._names:
                return value
            help = did_you_mean(value, self._names)
            raise self._checker.fail("PSL-050", node.span, f'there is no state "{value}"', help)
        if isinstance(kind, IntegerType) and type(value) is int:
            return self._integer(node, value, kind)
        if isinstance(kind, TextType) and isinstance(value, str):
            return value
        if kind == BOOLEAN and isinstance(value, bool):
            return value
        message = f"{node.span.text} is never the value: it is {kind}"
        raise self._checker.fail("PSL-050", node.span, message, f"write a label of type {kind}")

    def _integer(self, node: syntax.Literal, value: int, kind: IntegerType) -> int:
        try:
            fitted = numerals.fit(numerals.literal(value), kind)
        except MismatchError as error:
            raise self._checker.fail("PSL-050", node.span, str(error), error.help) from None
        assert isinstance(fitted, tree.Constant) and isinstance(fitted.value, int)
        return fitted.value

    # ---- all of them together

    def left_out(self, labelled: Sequence[Labelled]) -> str:
        """In words, what no label is for; "" if that is nothing."""
        if self._query and self._object:
            model = MODELS[self._object.model]
            method, config = self._query.method, self._object.config
            try:
                found = model.examine_choice(self._checker, method, config, labelled)
            except AbandonedError:
                return ""
            if found is not None:
                return found
        labels = {label for _, label in labelled}
        if self._names:
            return listed(f'"{name}"' for name in self._names if name not in labels)
        if self._kind == BOOLEAN:
            return listed(word for word in ("true", "false") if (word == "true") not in labels)
        return "other values"


def _names(kind: Type) -> list[str]:
    """The texts of a variant of texts, such as the states of a Flow object."""
    items = kind.alternatives if isinstance(kind, types.VariantType) else (kind,)
    values = [item.value for item in items if isinstance(item, types.LiteralType)]
    return [value for value in values if isinstance(value, str)]
