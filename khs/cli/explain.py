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
    policy_at: Annotated[
        list[str] | None,
        typer.Option(metavar="FRAME=FILE", help="As given to the run; repeatable."),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Why a verdict of a trace is what it is: bindings, rules, values, states.

    What was judged before it is judged again, with the policies of SYSTEM, which must be those of
    the run. SYSTEM is a folder: an archive has no texts of policies. `kss explain --help` tells
    what is shown.

        khs explain iot-gateway run.trace --denied
        khs explain iot-gateway run.trace 120 --json
        khs explain mysystem run.trace 900 --policy-at 100=stricter.psl
    """
    from khs import config
    from khs.image.open import find_system, is_description
    from khs.monitor import ask
    from khs.policies import Recorded
    from khs.trace import Reader
    from khs.trace.history import history

    path = find_system(system)
    if not is_description(path):
        common.usage(
            f"{system}: an archive has its policies compiled, without the text that explains them\n"
            "  help: give the folder that it was built from; khs trace names the rule of a verdict"
        )
    loaded = config.load(path, overlays=common.layers(system, overlays), board=board)
    with Reader(trace) as reader:
        policies = Recorded(loaded, reader.header, policy_at or [])
        found = history(reader, number, denied=denied)
    answer = ask.explain(policies, found, everything=everything)
    if as_json:
        common.print_json(answer.json)
    else:
        for line in answer.lines:
            print(line)
    return common.OK
