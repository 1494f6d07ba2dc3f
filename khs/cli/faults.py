"""khs explain --fault"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from khs.cli import common, recorded

if TYPE_CHECKING:
    from khs.runs import Plan


def explain_fault(
    system: str,
    overlays: list[Path] | None,
    board: str | None,
    frames: int | None,
    seed: int | None,
    policy_at: Sequence[str],
    number: int,
    as_json: bool,
) -> int:
    """Tells of fault `number` of a system's run, or of a recorded one."""
    from khs.config.model import Arch
    from khs.debug import fault, fault_text

    if recorded.is_recording(system):
        recorded.refuse(system, overlays, board, frames, policy_at, seed)
        found = recorded.debuggee(Path(system))
        plan, place = found.plan, found.place
    else:
        plan, place = _run(system, overlays, board, frames, seed, policy_at, as_json)
    told = fault.explain(plan, place, number)
    if as_json:
        common.print_json(told.to_json())
        return common.OK
    for line in fault_text.lines(told, Arch[str(plan.archive.manifest["arch"]).upper()]):
        print(line)
    return common.OK


def _run(
    system: str,
    overlays: list[Path] | None,
    board: str | None,
    frames: int | None,
    seed: int | None,
    policy_at: Sequence[str],
    quiet: bool,
) -> tuple[Plan, Path]:
    from khs import runs, swaps
    from khs.cli.progress import Reporter
    from khs.image import open_system
    from khs.image.open import find_system

    layers = common.layers(system, overlays)
    with Reporter(quiet=quiet) as reporter:
        archive = open_system(system, layers, board, progress=reporter.step)
    changes = swaps.read_swaps(policy_at, archive, system, board=board, overlays=layers)
    return runs.plan(archive, frames=frames, seed=seed, swaps=changes), find_system(system)
