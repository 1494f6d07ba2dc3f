"""kss check"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from kss.cli import common, options

if TYPE_CHECKING:
    from kss.errors import Finding


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


def check(
    file: options.Policy,
    include: options.Include = None,
    format: Annotated[Format, typer.Option(help="Form of the findings.")] = Format.TEXT,
    as_json: options.Json = False,
) -> int:
    """Check a policy and everything it includes.

    Every finding is printed with file, line, column, a stable rule id and what would be right.
    Exits 1 if there is an error among them.

        kss check security.psl -I interfaces
        kss check security.psl -I interfaces --json
    """
    from kss.cli.inputs import policy
    from kss.errors import DescriptionError
    from kss.show import check_json

    try:
        findings = policy(file, include).warnings
    except DescriptionError as error:
        findings = error.findings
    errors = sum(finding.severity == "error" for finding in findings)
    if as_json or format is Format.JSON:
        common.print_json(check_json(findings))
    else:
        for finding in findings:
            print(finding)
        print(_counts(findings))
    return common.FINDINGS if errors else common.OK


def _counts(findings: Sequence[Finding]) -> str:
    """`1 error, 0 warnings`, and notes if there are any."""
    counts = Counter[str](finding.severity for finding in findings)
    words = ["error", "warning", *(["note"] if counts["note"] else [])]
    return ", ".join(f"{counts[word]} {word}{'s'[: counts[word] != 1]}" for word in words)
