"""khs explain"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from khs.cli import common, options
from khs.cli.run import Frames


def explain(
    system: options.System,
    trace: Annotated[
        Path | None, typer.Argument(help="What khs run --trace wrote; not with --fault.")
    ] = None,
    number: Annotated[int, typer.Argument(metavar="[N]", min=1, help="The Nth verdict.")] = 1,
    denied: Annotated[bool, typer.Option("--denied", help="The Nth denial.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every binding that comes near, also if it is far.")
    ] = False,
    fault: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="The Nth fault of the run, from 1.")
    ] = None,
    frames: Frames = None,
    seed: Annotated[int | None, typer.Option(help="With --fault: that of the run.")] = None,
    board: options.Board = None,
    overlays: options.Overlays = None,
    policy_at: Annotated[
        list[str] | None,
        typer.Option(metavar="FRAME=FILE", help="As given to the run; repeatable."),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Why a verdict of a trace is what it is: bindings, rules, values, states. Or what a fault was.

    What was judged before it is judged again, with the policies of SYSTEM, which must be those of
    the run. SYSTEM is a folder: an archive has no texts of policies. See `kss explain --help`.

        khs explain iot-gateway run.trace --denied
        khs explain iot-gateway run.trace 120 --json
        khs explain mysystem run.trace --denied --policy-at 10=stricter.psl

    With --fault the system runs once more, up to that fault, and there is no trace: give the
    options of the run, or its recording in the place of SYSTEM. Told are the instruction with its
    source line, the access and the region that it hit or missed, the backtrace, registers, and the
    partition's last 16 hypercalls.

        khs explain iot-gateway --with attack.toml --fault 2
        khs explain kept --fault 1 --json
    """
    if fault is not None:
        if trace is not None or number != 1 or denied or everything:
            common.usage("--fault takes no trace and no verdict: the system runs once more")
        from khs.cli.faults import explain_fault

        return explain_fault(system, overlays, board, frames, seed, policy_at or [], fault, as_json)
    if frames is not None or seed is not None:
        common.usage("--frames and --seed go with --fault: a trace has its own")
    if trace is None:
        common.usage(
            "name the trace whose verdict is to be explained: khs run --trace FILE writes one\n"
            "  help: or --fault N for a fault"
        )
    return _verdict(system, trace, number, denied, everything, board, overlays, policy_at, as_json)


def _verdict(
    system: str,
    trace: Path,
    number: int,
    denied: bool,
    everything: bool,
    board: str | None,
    overlays: list[Path] | None,
    policy_at: list[str] | None,
    as_json: bool,
) -> int:
    from khs import config
    from khs.cli.recorded import is_recording
    from khs.image.open import find_system, is_description
    from khs.monitor import ask
    from khs.policies import Recorded
    from khs.trace import Reader
    from khs.trace.history import history

    if is_recording(system):
        common.usage(
            f"{system}: a recording has its policies compiled, without texts that explain them\n"
            "  help: give the folder of the system that was recorded; --fault takes the recording"
        )
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
