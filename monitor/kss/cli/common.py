"""What all commands share: exit codes, how errors are told, progress on stderr."""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec

import typer

from kss.errors import Finding, KssError
from kss.excerpt import told
from kss.show import finding_json
from kss.signals import started

OK, FINDINGS, BAD_INPUT, DEFECT, INTERRUPTED = 0, 1, 2, 3, 130

P = ParamSpec("P")

# Indented lines of a docstring; typer dedents them, and then they would be one paragraph.
_EXAMPLES = re.compile(r"\n\n((?: {4}.*(?:\n|$))+)")


class BadInputError(KssError):
    """The command cannot do its work with what it was given."""


def command(function: Callable[P, int | None]) -> Callable[P, None]:
    """Ends the process with the function's exit code, or with that of what went wrong.

    Bad input is told in its own words; only a defect of ours gets a short report, with the whole
    traceback if KSS_DEBUG is set.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            started()
            code = function(*args, **kwargs)
            sys.stdout.flush()
        except KssError as error:
            _tell(error, bool(kwargs.get("as_json")) or kwargs.get("format") == "json")
            code = BAD_INPUT
        except KeyboardInterrupt:
            note("interrupted")
            code = INTERRUPTED
        except BrokenPipeError:  # `kss eval ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = OK
        except (typer.Exit, typer.BadParameter):
            raise
        except Exception as error:
            code = _defect(error)
        raise typer.Exit(code or OK)

    wrapper.__doc__ = _EXAMPLES.sub(_fenced, inspect.getdoc(function) or "")
    return wrapper


def _fenced(examples: re.Match[str]) -> str:
    return f"\n\n```\n{textwrap.dedent(examples[1]).rstrip()}\n```\n"


def _tell(error: KssError, as_json: bool) -> None:
    """An error on stderr, and as a JSON document if one was asked for."""
    if error.findings:
        tell_findings(error.findings)
    else:
        note(f"error: {error}")
    if as_json:
        findings = [finding_json(finding) for finding in error.findings]
        print_line({"ok": False, "error": str(error), "findings": findings})


def tell_findings(findings: Iterable[Finding]) -> None:
    """Findings with their lines, on stderr."""
    for text in told(findings):
        print(text, file=sys.stderr)


def note(text: str) -> None:
    """A line for people, on stderr."""
    print(f"kss: {text}", file=sys.stderr)


def print_json(document: Any) -> None:
    """The one JSON document of a command."""
    print(json.dumps(document, indent=2))


def print_line(row: Any) -> None:
    """One of many JSON documents, on a line."""
    print(json.dumps(row))


def _defect(error: Exception) -> int:
    if os.environ.get("KSS_DEBUG"):
        raise error
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    note(f"this is a defect of kss: {type(error).__name__}: {error} ({place})")
    note("please report it; KSS_DEBUG=1 shows the whole traceback")
    return DEFECT
