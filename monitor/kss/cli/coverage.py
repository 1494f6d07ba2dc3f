"""kss coverage"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Annotated

import typer

from kss.cli import common, options

if TYPE_CHECKING:
    from kss.quality.coverage import Coverage


def coverage(
    file: options.Policy,
    events: Annotated[
        list[str] | None,
        typer.Option(
            "--events",
            metavar="FILE",
            help="Events as kss eval takes them; - is stdin; repeatable.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="What was reached, too, with how often.")
    ] = False,
    include: options.Include = None,
    stub: options.Stub = False,
    define: options.Define = None,
    max_sids: options.MaxSids = options.MAX_SIDS,
    as_json: options.Json = False,
) -> int:
    """What of a policy its tests reach: bindings, sections, branches and rules.

    Runs the policy's tests (PAL), and the events of files if there are any: khs trace --events
    writes what happened in a run as such a file. Lists what was never reached, and rules that were
    never seen to deny.

        kss coverage security.psl -I interfaces
        kss coverage security.psl -I interfaces --events run.jsonl --all
    """
    from kss.cli import inputs
    from kss.evaluate import Evaluation
    from kss.pal import run
    from kss.quality.coverage import Covering, Hits, coverage

    policy = inputs.policy(file, include, define, stub)
    hits = Hits()

    def start() -> dict[str, run.Engine]:
        return {"reference": Covering(policy.tree, hits, max_sids=max_sids)}

    deque(run.run(policy, start), maxlen=0)
    for name in events or ():
        evaluation = Evaluation(policy, Covering(policy.tree, hits, max_sids=max_sids))
        with inputs.lines(name) as lines:
            for verdict in evaluation.lines(lines):
                if "error" in verdict:
                    raise common.BadInputError(f"--events {name}: {verdict['error']}")
    found = coverage(policy.tree, hits)
    if as_json:
        common.print_json(found.to_json())
    else:
        _print(found, everything)
    return common.OK


def _print(found: Coverage, everything: bool) -> None:
    for row in found.rows:
        if not row.hits:
            print(f"{row.file}:{row.line}: never reached: {row.kind} {row.text}")
        elif (
            row.kind == "rule"
            and not row.denied
            and not row.text.startswith(("grant", "base.grant"))
        ):
            print(f"{row.file}:{row.line}: never denied ({row.hits} granted): {row.text}")
        elif everything:
            print(f"{row.file}:{row.line}: {row.hits} times: {row.kind} {row.text}")
    reached = len(found.rows) - len(found.missed)
    print(
        f"{reached} of {len(found.rows)} bindings, sections, branches and rules reached "
        f"({found.ratio:.0%})"
    )
