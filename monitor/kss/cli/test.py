"""kss test"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kss.cli import common, options


def test(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Policies with tests, .psl files.")
    ],
    include: options.Include = None,
    stub: options.Stub = False,
    define: options.Define = None,
    max_sids: options.MaxSids = options.MAX_SIDS,
    engine: Annotated[
        options.Engine | None,
        typer.Option("--engine", help="Only one of the engines; both, and compared, without."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML to this file.")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Run the tests (PAL) that stand in policies.

    Every test starts from the same state. Its cases are judged by the policy VM and by the
    reference interpreter, which must agree. A case that fails is shown with what was decided and
    why: the rules that decided, or the nearest rule if none matched. Exits 1 if a case fails, or if
    a test has none.

        kss test security.psl -I interfaces
        kss test tests/*.psl -I interfaces --junit results.xml
    """
    from kss.cli import inputs
    from kss.pal import report, run

    names = [engine.value] if engine else [each.value for each in options.Engine]
    results = []
    for file in files:
        policy = inputs.policy(file, include, define, stub)
        if not any(test_set.tests for test_set in policy.tests):
            raise common.BadInputError(f"{file} has no tests: assert {{ sequence {{ ... }} }}")
        results += list(run.run(policy, run.engines(policy, names, max_sids=max_sids)))
    if junit is not None:
        _write(junit, report.junit(results))
    if as_json:
        common.print_json(report.document(results))
    else:
        for line in report.text(results):
            print(line)
    return common.OK if all(result.passed for result in results) else common.FINDINGS


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise common.BadInputError(f"cannot write {path}: {error.strerror or error}") from None
