"""khs explain"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from khs.cli import common, options


def explain(
    system: options.System,
    trace: Annotated[Path, typer.Argument(help="What khs run --trace wrote.")],
    number: Annotated[int, typer.Argument(metavar="[N]", min=1, help="The Nth verdict.")] = 1,
    denied: Annotated[bool, typer.Option("--denied", help="The Nth denial.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every binding that comes near, also if it is far.")
    ] = False,
    board: options.Board = None,
    overlays: options.Overlays = None,
    as_json: options.Json = False,
) -> int:
    """Why a verdict of a trace is what it is: bindings, rules, values, states.

    What was judged before it is judged again, with the policy of SYSTEM, which must be the one of
    the run. `kss explain --help` tells what is shown.

        khs explain iot-gateway run.trace --denied
        khs explain iot-gateway run.trace 120 --json
    """
    from khs import config, monitor
    from khs.image.open import find_system, is_description
    from khs.monitor import ask
    from khs.trace import Reader
    from khs.trace.history import history

    path = find_system(system)
    if not is_description(path):
        common.usage(f"{system}: rules are shown from their text\n  help: give the folder")
    loaded = config.load(path, overlays=common.layers(system, overlays), board=board)
    policy = monitor.load(loaded)
    with Reader(trace) as reader:
        ask.must_be_policy_of(reader.header, policy)
        found = history(reader, number, denied=denied)
    answer = ask.explain(policy, found, everything=everything)
    if as_json:
        common.print_json(answer.json)
    else:
        for line in answer.lines:
            print(line)
    return common.OK
