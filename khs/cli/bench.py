"""khs bench"""

from __future__ import annotations

from typing import Annotated

import typer

from khs.cli import common


def bench(
    section: Annotated[
        str | None, typer.Option(help="Only this section; see the first column.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> int:
    """Measure this machine: guest speed, hypercalls, window switches, tracing, many partitions.

    Each figure comes with its baseline of the same run, mostly bare Unicorn without our kernel.
    Exits 1 if one is not what was asked for.

        khs bench --section hypercall
        khs bench --json > bench.json
    """
    from khs import bench as benchmarks
    from khs.cli.progress import Reporter

    with Reporter() as reporter:
        figures = benchmarks.measure(section, reporter.step)
    if as_json:
        common.print_json([figure.to_json() for figure in figures])
    else:
        from khs.cli.tables import bench_table

        bench_table(figures)
    return common.OK if all(figure.ok for figure in figures) else common.FINDINGS
