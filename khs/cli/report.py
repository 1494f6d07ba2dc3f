"""khs report"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from khs.cli import common, options


def report(
    run: Annotated[
        Path, typer.Argument(help="What khs run --trace wrote, or the folder of --record.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The page; default: RUN.html.")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Write a run as one page: timeline, who talks to whom, denials explained, coverage.

    The page needs neither network nor server, and its tables no scripts. A long run makes no long
    page: what is too much is summed up, and the page says so.

        khs report run.trace -o report.html
        khs run mysystem --trace run.trace && khs report run.trace
        khs run mysystem --record kept && khs report kept
    """
    from khs import report as reports
    from khs.cli.recorded import trace_of
    from khs.trace import Reader

    out = run.with_name(f"{run.name}.html") if output is None else output
    common.not_the_same(run, out)
    with trace_of(run, quiet=as_json) as trace, Reader(trace) as reader:
        found = reports.write(reader, out)
    about = {"events": found.events, "granted": found.granted, "denied": found.denied}
    if as_json:
        common.print_json({"report": str(out), **about})
    else:
        print(f"{out}: {found.events} events, {found.denied} denied; open it in a browser")
    return common.OK
