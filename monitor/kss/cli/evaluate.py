"""kss eval"""

from __future__ import annotations

from typing import Annotated

import typer

from kss.cli import common, options


def evaluate(
    file: options.Policy,
    events: Annotated[
        str, typer.Option(metavar="FILE", help="Events, a JSON line each; - is stdin.")
    ],
    include: options.Include = None,
    stub: options.Stub = False,
    define: options.Define = None,
    max_sids: options.MaxSids = options.MAX_SIDS,
    engine: options.Judge = options.Engine.VM,
    as_json: options.Json = False,
) -> int:
    """Judge events against a policy, one after the other; prints a JSON line for each.

    A denial is no error. A line that is no event is answered with what is wrong with it, and the
    exit code is 2 at the end.

        kss eval security.psl -I interfaces --events events.jsonl
        echo '{"event":"execute","dst":"Einit"}' | kss eval a.psl --events -
    """
    from kss.cli import inputs
    from kss.evaluate import Evaluation

    policy = inputs.policy(file, include, define, stub)
    evaluation = Evaluation(policy, inputs.engine(engine, policy, max_sids))
    failed = False
    with inputs.lines(events) as lines:
        for result in evaluation.lines(lines):
            failed |= "error" in result
            common.print_line(result)
    return common.BAD_INPUT if failed else common.OK
