"""What KHS tells people when something is wrong.

    KhsError          root of every error KHS raises on purpose
      ConfigError     the description of a system has findings, all of them
      ImageError      a program or an archive cannot be used
      TraceError      a trace file cannot be read
      EngineError     an engine cannot run the system

A guest's wrongdoing is never one of these: it is an event of the kernel. Anything else that
escapes is a defect of ours.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Severity = Literal["error", "warning"]


def shown(path: str | Path) -> str:
    """A path as findings name it: relative to the current folder when inside it, else absolute;
    without `..` either way."""
    whole = Path(path).absolute()
    if ".." in whole.parts:
        with suppress(OSError, RuntimeError):  # a loop of links leads nowhere
            whole = whole.resolve()
    here = Path.cwd()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else whole)


def raised_at(error: BaseException, *ours: str) -> str:
    """FILE:LINE where it was raised, behind all that is in these files; "" if nothing is."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    at = next((frame for frame in frames if frame.filename not in ours), None)
    return "" if at is None else f"{shown(at.filename)}:{at.lineno}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect of an input file.

    `rule` is stable (`SCHED-003`); `file` is a path, told as `shown` has it; `line` and `column`
    count from 1, 0 where the file cannot be read as text or is missing; `help` says what would be
    right, `text` is the offending source text where it is known.
    """

    rule: str
    severity: Severity
    file: str
    line: int
    column: int
    message: str
    help: str = ""
    text: str = ""

    def words(self) -> str:
        """`file:line:column: error SCHED-003: message`, and a help line if there is help."""
        place = ":".join([shown(self.file), *(str(n) for n in (self.line, self.column) if n > 0)])
        head = f"{place}: {self.severity} {self.rule}: {self.message}"
        return f"{head}\n  help: {self.help}" if self.help else head

    def __str__(self) -> str:
        return self.words()

    def to_json(self) -> dict[str, Any]:
        """The finding as `--json` prints it."""
        return asdict(self) | {"file": shown(self.file)}


class KhsError(Exception):
    """Root of the errors KHS raises on purpose; `exit_code` is what a command ends with."""

    exit_code = 2


class ConfigError(KhsError):
    """A system's description is wrong; `findings` holds every defect, warnings included."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(finding.words() for finding in self.findings))


class ImageError(KhsError):
    """A guest program, a policy image or an archive cannot be used."""


class TraceError(KhsError):
    """A trace file is no trace, truncated or damaged."""


class EngineError(KhsError):
    """An engine is missing something, or cannot run this system."""
