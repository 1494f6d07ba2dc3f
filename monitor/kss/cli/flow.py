"""kss flow"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kss.cli import common, options


def flow(
    file: options.Policy,
    start: Annotated[str, typer.Argument(metavar="A", help="Where the data is.")],
    end: Annotated[str, typer.Argument(metavar="B", help="Where it might get to.")],
    system: Annotated[
        Path | None,
        typer.Option(
            "--system",
            metavar="FILE",
            help="Processes, channels and shared regions of a system, as JSON; A and B are then"
            " processes, and only these links exist.",
        ),
    ] = None,
    most: Annotated[int, typer.Option("--max", min=1, help="At most so many paths.")] = 10,
    include: options.Include = None,
    stub: options.Stub = False,
    define: options.Define = None,
    as_json: options.Json = False,
) -> int:
    """Paths along which data can pass from class A to class B, shortest first.

    Data passes with requests that the policy can grant, and with answers to such requests. Each
    step is shown with the rules that allow it. "No path" is an answer, too, and certain: everything
    that would lead out of what A reaches is denied for every message and every state. Starts carry
    no data, what policy objects remember is not looked at, and no path leads through the kernel.

    docs/policy.md describes the JSON of --system; `khs flow` takes a system of KHS instead.

        kss flow security.psl yard.Panel yard.Gate
        kss flow security.psl net.Modem vault.Keys -I interfaces --max 3
        kss flow security.psl sensor logger --system system.json --json
    """
    from kss.analysis.flow import Flows
    from kss.analysis.flow_report import flow_json, flow_text
    from kss.analysis.system import read_system
    from kss.cli import inputs

    policy = inputs.policy(file, include, define, stub)
    flows = Flows(policy.tree, read_system(system) if system else None)
    answer = flows.between(start, end, most)
    if as_json:
        common.print_json(flow_json(answer, flows))
    else:
        for line in flow_text(answer, flows, start, end):
            print(line)
    return common.OK
