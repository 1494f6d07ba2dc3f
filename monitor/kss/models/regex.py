"""Regex: texts against regular expressions, which are compiled with the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kss import syntax
from kss.codegen import texts
from kss.codegen.object import Arguments, MethodCode
from kss.events import Shown
from kss.models.model import (
    Contexts,
    Label,
    Labelled,
    Model,
    Parameter,
    Signature,
    Typing,
    Value,
)
from kss.regex.parser import parse
from kss.regex.positions import matches
from kss.regex.syntax import Expression
from kss.tree import Constant
from kss.types import BOOLEAN, PATTERN, TEXT, Type

if TYPE_CHECKING:
    from kss.codegen.expressions import Expressions


class RegexCode(MethodCode):
    """An automaton answers a text: whether its pattern matches, or which branch to take."""

    def call(self, to: Expressions, method: str, arguments: Arguments, d: int) -> None:
        (_, text), (_, pattern) = arguments
        assert isinstance(pattern, Constant), pattern
        texts.answer(to, text, [parse(str(pattern.value)).expression], [1, 0], d)

    def choose(
        self, to: Expressions, method: str, arguments: Arguments, labels: Sequence[Label], d: int
    ) -> list[int | None]:
        if method != "select":
            return super().choose(to, method, arguments, labels, d)
        patterns = [parse(str(label)).expression for label in labels]
        texts.answer(to, arguments[0][1], patterns, range(len(labels) + 1), d)
        return list(range(len(labels)))

    def shown(self, method: str, labels: Sequence[Label]) -> list[Shown] | None:
        return [False, True] if method == "match" else [*labels, None]


class Regex(Model):
    name = "Regex"
    file = "nk.regex"
    predeclared = "re"
    methods = RegexCode()

    def signatures(self, types: Mapping[str, Type], config: object) -> Mapping[str, Signature]:
        text = Parameter("text", TEXT)
        pattern = Parameter("pattern", PATTERN)
        return {
            "match": Signature((text, pattern), named=True, result=BOOLEAN),
            "select": Signature((text,), named=True, result=TEXT, for_choice=True),
        }

    def audit_conditions(self, config: object) -> Mapping[str, tuple[str, ...]]:
        return {"emit": ("match", "select")}

    def examine_label(
        self, typing: Typing, method: str, config: object, label: syntax.Literal
    ) -> Label | None:
        if method != "select":
            return None
        typing.patterns.read(typing, label)
        return str(label.value)

    def examine_choice(
        self, typing: Typing, method: str, config: object, labels: Sequence[Labelled]
    ) -> str | None:
        if method != "select":
            return None
        return typing.patterns.select(typing, [node for node, _ in labels])

    def languages(self, method: str, patterns: Sequence[Label]) -> Sequence[Expression]:
        return [parse(str(pattern)).expression for pattern in patterns]

    def call(
        self, config: object, contexts: Contexts, method: str, arguments: dict[str, Value]
    ) -> Value:
        return matches(parse(arguments["pattern"]).expression, arguments["text"])

    def choose(
        self,
        config: object,
        contexts: Contexts,
        method: str,
        arguments: dict[str, Value],
        labels: Sequence[Label],
    ) -> int | None:
        if method != "select":
            return super().choose(config, contexts, method, arguments, labels)
        text = arguments["text"]
        found = (i for i, x in enumerate(labels) if matches(parse(str(x)).expression, text))
        return next(found, None)

    def chosen(
        self,
        config: object,
        contexts: Contexts,
        method: str,
        arguments: dict[str, Value],
        labels: Sequence[Label],
    ) -> Shown:
        taken = self.choose(config, contexts, method, arguments, labels)
        return None if taken is None else labels[taken]
