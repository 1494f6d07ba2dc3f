"""kss bench"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kss.cli import common, options


def bench(
    section: Annotated[
        str | None, typer.Option(help="Only this: verdict, bindings, compile or rivals.")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Measure what verdicts and compiling cost on this machine.

    A verdict is compared with a table look-up timed beside it. Other policy engines are measured
    too where they are installed: pip install 'khs[bench]', apt install libsepol2. Exits 1 if a
    figure is not what was asked for.

        kss bench
        kss bench --section verdict --json
    """
    from kss import bench as benchmarks
    from kss.cli import columns

    figures = benchmarks.measure(section, lambda text: print(f"kss: {text}", file=sys.stderr))
    if as_json:
        common.print_json(figures)
        return _code(figures)
    rows = [("section", "name", "value", "ratio", "asked", "")]
    for each in figures:
        value = f"{each['value']:.4g} {each['unit']}"
        ratio = "" if each["ratio"] is None else f"{each['ratio']:.2f}"
        word = "" if each["asked"] is None else "ok" if each["ok"] else "MISSED"
        rows.append((each["section"], each["name"], value, ratio, each["asked"] or "", word))
    widths = columns.fitted(rows, columns.width())
    for row in rows:
        for line in columns.lines(row, widths):
            print(line)
    return _code(figures)


def _code(figures: list[dict[str, object]]) -> int:
    return common.OK if all(each["ok"] for each in figures) else common.FINDINGS
