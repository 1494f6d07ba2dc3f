"""kss explain"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from kss.cli import common, options

All: TypeAlias = Annotated[
    bool, typer.Option("--all", help="Every binding that comes near, also if it is far.")
]


def explain(
    file: options.Policy,
    event: Annotated[
        str | None,
        typer.Option("--event", metavar="JSON", help="The event, a line as kss eval takes it."),
    ] = None,
    events: Annotated[
        str | None,
        typer.Option("--events", metavar="FILE", help="Events judged before it; - is stdin."),
    ] = None,
    everything: All = False,
    include: options.Include = None,
    stub: options.Stub = False,
    define: options.Define = None,
    max_sids: options.MaxSids = options.MAX_SIDS,
    as_json: options.Json = False,
) -> int:
    """Why an event is granted or denied.

    The event is that of --event, judged after those of --events, or the last of these.

    First it is told in a sentence. Then every binding that matches, with its rules: what each
    decided, the values of the message fields and SIDs in it, and the state of policy objects before
    and after. Then the bindings that come near, and which of their selectors do not hold.

        kss explain security.psl --event '{"event": "execute", "dst": "Einit"}'
        kss explain security.psl -I interfaces --events events.jsonl
        khs trace run.trace --events | kss explain security.psl --events -
    """
    from kss.analysis.explain import Explainer
    from kss.analysis.explain_report import Report
    from kss.cli import inputs
    from kss.errors import MessageError
    from kss.evaluate import Evaluation, EventError, parse

    if event is None and events is None:
        raise common.BadInputError("which event? Give --event JSON, or --events FILE")
    policy = inputs.policy(file, include, define, stub)
    engine = Explainer(policy.tree, max_sids=max_sids)
    evaluation = Evaluation(policy, engine)
    if events is not None:
        with inputs.lines(events) as lines:
            for result in evaluation.lines(lines):
                if "error" in result:
                    raise common.BadInputError(f"--events {events}: {result['error']}")
    try:
        if event is not None:
            evaluation.judge(parse(event))
    except (EventError, MessageError) as error:
        raise common.BadInputError(f"--event: {error}") from None
    if engine.last is None:
        raise common.BadInputError(f"--events {events}: there is no event")
    report = Report(engine.last, evaluation.processes, policy.sections)
    if as_json:
        common.print_json(report.json())
    else:
        for line in report.lines(everything):
            print(line)
    return common.OK
