"""Findings at the nodes of Python's syntax tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from kss.errors import Findings, Location, did_you_mean
from kss.source import Source

WORD = re.compile("[A-Za-z][A-Za-z0-9_]*")


class RefusedError(Exception):
    """What a finding tells cannot be read on."""


class Report:
    """Findings about one model's file."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self._source = source
        self._findings = findings
        self._lines = source.text.split("\n")

    def at(self, node: ast.AST) -> Location:
        line: int = getattr(node, "lineno", 1)
        before = self._lines[line - 1].encode()[: getattr(node, "col_offset", 0)]
        return Location(self._source.name, line, len(before.decode("utf-8", "replace")) + 1)

    def error(self, rule: str, node: ast.AST, message: str, help: str = "") -> RefusedError:
        """Reports a finding; raise what it returns to go on with the next part."""
        text = ast.get_source_segment(self._source.text, node) or ""
        self._findings.error(rule, self.at(node), message, help, text.split("\n")[0])
        return RefusedError()

    def unknown(self, node: ast.AST, message: str, word: str, known: Iterable[str]) -> RefusedError:
        return self.error("MODEL-003", node, message, did_you_mean(word, known))

    def foreign(self, node: ast.AST, help: str) -> RefusedError:
        """A part of Python that models do not have."""
        words = re.sub("(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).lower()
        message = f"{_CALLED.get(words, words)}: models have none here"
        return self.error("MODEL-001", node, message, help)

    def must_be_word(self, node: ast.AST, name: str) -> None:
        if not WORD.fullmatch(name):
            message = f"the name {name} has the wrong form"
            raise self.error(
                "MODEL-002", node, message, "letters and digits of ASCII, and _ within"
            )


_CALLED = {
    "expr": "an expression",
    "constant": "a value like this",
    "function def": "a nested def",
    "class def": "a class",
    "assign": "an assignment like this",
    "aug assign": "an assignment like this",
    "ann assign": "a declaration like this",
    "bin op": "an operator",
    "unary op": "an operator",
    "compare": "a comparison like this",
    "for": "a loop like this",
    "if exp": "a conditional expression",
    "name": "a bare name",
    "call": "a call like this",
}
