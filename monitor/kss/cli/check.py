"""kss check"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kss.cli import common, options

if TYPE_CHECKING:
    from kss.errors import Finding


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


def check(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Policies (.psl), or .edl, .cdl, .idl or init.yaml files."
        ),
    ],
    include: options.Include = None,
    stub: options.Stub = False,
    define: options.Define = None,
    format: Annotated[Format, typer.Option(help="Form of the findings.")] = Format.TEXT,
    as_json: options.Json = False,
) -> int:
    """Check a policy and everything it includes, or other files of a solution, each by itself.

    Every finding is printed with file, line, column, a stable rule id and what would be right.
    Exits 1 if there is an error among them.

    A policy that names classes of an SDK whose files are not at hand is checked with --stub: what
    is said under those names is accepted, and noted. SARIF is what code hosts show.

        kss check security.psl -I interfaces
        kss check security.psl -I interfaces --json
        kss check init.yaml interfaces/bank/*.edl -I interfaces
        kss check security.psl -I resources --stub --format sarif
        kss check security.psl.in --stub --define BOARD=rpi4
    """
    from kss.api import check
    from kss.cli import inputs
    from kss.excerpt import told
    from kss.sarif import sarif
    from kss.show import check_json

    for file in files:
        inputs.must_exist(file)
    defines = inputs.definitions(define)
    each = (check(file, include or (), defines=defines, stub=stub) for file in files)
    findings = list(dict.fromkeys(chain.from_iterable(each)))  # what files share is told once
    if format is Format.SARIF:
        common.print_json(sarif(findings))
    elif as_json or format is Format.JSON:
        common.print_json(check_json(findings))
    else:
        for text in told(findings):
            print(text)
        print(_counts(findings))
    return common.FINDINGS if any(f.severity == "error" for f in findings) else common.OK


def _counts(findings: Sequence[Finding]) -> str:
    """`1 error, 0 warnings`, and notes if there are any."""
    counts = Counter[str](finding.severity for finding in findings)
    words = ["error", "warning", *(["note"] if counts["note"] else [])]
    return ", ".join(f"{counts[word]} {word}{'s'[: counts[word] != 1]}" for word in words)
