"""What KSS tells people about their files.

    KssError              root of every error this package raises on bad input; has `findings`
      DescriptionError    a policy or interface description has findings
      MessageError        values or bytes are no message of the given type

A `Finding` is one defect: a stable rule id (`PSL-012`), the place, the words, and what would be
right. `Findings` collects many in one run.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from kss.rules import RULES

# A note tells what was taken on trust (`kss check --stub`).
Severity = Literal["error", "warning", "note"]
MAX_FINDINGS = 500


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect of an input file. `text` is the offending source text."""

    rule: str
    severity: Severity
    file: str
    line: int
    column: int
    message: str
    help: str
    text: str

    def __str__(self) -> str:
        head = f"{self.file}:{self.line}:{self.column}: {self.severity} {self.rule}: {self.message}"
        return f"{head}\n  help: {self.help}" if self.help else head


class KssError(Exception):
    """Root of the errors KSS raises on bad input."""

    findings: tuple[Finding, ...] = ()


class DescriptionError(KssError):
    """A policy or an interface description is wrong; `findings` is not empty."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


class MessageError(KssError):
    """Values or bytes are no message of the given type."""


@dataclass
class Findings:
    """Collects findings, each once, so that one run reports them all.

    Raises DescriptionError when there are `MAX_FINDINGS`: what is that wrong need not be read on.
    """

    items: list[Finding] = field(default_factory=list)
    errors: int = 0
    _seen: set[Finding] = field(default_factory=set)

    def error(self, rule: str, at: Location, message: str, help: str = "", text: str = "") -> None:
        self.add(Finding(rule, "error", at.file, at.line, at.column, message, help, text))

    def warning(
        self, rule: str, at: Location, message: str, help: str = "", text: str = ""
    ) -> None:
        self.add(Finding(rule, "warning", at.file, at.line, at.column, message, help, text))

    def note(self, rule: str, at: Location, message: str, help: str = "", text: str = "") -> None:
        self.add(Finding(rule, "note", at.file, at.line, at.column, message, help, text))

    def add(self, finding: Finding) -> None:
        assert finding.rule in RULES, finding.rule
        if finding in self._seen:
            return
        self._seen.add(finding)
        self.items.append(finding)
        self.errors += finding.severity == "error"
        if self.errors >= MAX_FINDINGS:
            raise DescriptionError(self.items)

    @property
    def failed(self) -> bool:
        return self.errors > 0

    def raise_if_failed(self) -> None:
        if self.failed:
            raise DescriptionError(self.items)


# Beyond this, looking for a similar name would take longer than reading the files.
_MAX_SIMILAR = 500


def listed(words: Iterable[str], most: int = 5) -> str:
    """The first of these words, "" if there is none."""
    first = list(islice(words, most + 1))
    return ", ".join(first[:most]) + (", ..." if len(first) > most else "")


def another_name(first: Location | None) -> str:
    """The help for a name that is taken; `first` is where, None if it is built in."""
    return f"choose another name; the first is at {first}" if first else "choose another name"


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A help line naming the known word closest to `word`, else all of them if few."""
    names = sorted(set(known))
    alike = [name for name in names if abs(len(name) - len(word)) <= 4]
    close = difflib.get_close_matches(word[:100], alike[:_MAX_SIMILAR], n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    if otherwise:
        return otherwise
    if not names:
        return "none is declared"
    shown = ", ".join(names[:8])
    return f"known: {shown}" + (", ..." if len(names) > 8 else "")
