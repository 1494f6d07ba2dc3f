"""One run of an archive with everything people want to know about it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from khs import config, monitor
from khs.engine.result import Result
from khs.engine.unicorn import Machine
from khs.errors import KhsError
from khs.image import Archive
from khs.image.open import find_system
from khs.trace import Names, Writer
from khs.trace.console import ConsoleLines
from khs.trace.header import header
from khs.trace.summary import Summary

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Swap:
    """A policy from outside that comes into force at the beginning of major frame `frame`."""

    frame: int
    name: str
    binary: bytes
    map: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """What to run, and how. `trace` is a file to write."""

    archive: Archive
    frames: int
    seed: int
    swaps: Sequence[Swap] = ()
    isolate: bool = False
    trace: Path | None = None
    header: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        archive = self.archive
        names = {**archive.names}
        names["policies"] = [*archive.names["policies"], *(swap.name for swap in self.swaps)]
        content = header(
            manifest=archive.manifest,
            names=names,
            policies=[*archive.policy_maps, *(swap.map for swap in self.swaps)],
            elfs=archive.elfs,
            run={"engine": Machine.engine, "seed": self.seed},
        )
        object.__setattr__(self, "header", content)


def plan(
    archive: Archive,
    *,
    frames: int | None = None,
    seed: int | None = None,
    swaps: Sequence[Swap] = (),
    isolate: bool = False,
    trace: Path | None = None,
) -> Plan:
    """A plan; frames and seed default to what the system's description says. KhsError if a policy
    would come after the run's end."""
    declared = archive.manifest["run"]
    wanted = declared["frames"] if frames is None else frames
    for swap in swaps:
        if swap.frame >= wanted:
            raise KhsError(
                f"--policy-at {swap.frame}={swap.name}: the run ends after {wanted} frames\n"
                f"  help: a frame from 1 to {wanted - 1}, or a longer run with --frames"
            )
    return Plan(
        archive,
        wanted,
        declared["seed"] if seed is None else seed,
        sorted(swaps, key=lambda swap: swap.frame),
        isolate,
        trace,
    )


def run(
    plan: Plan,
    progress: Progress | None = None,
    console: Callable[[str], object] | None = None,
) -> tuple[Result, Summary]:
    """Runs the plan; `console` is given each line that a guest writes, with its name, during the
    run. EngineError or TraceError if it cannot be run or written."""
    names = Names.from_header(plan.header)
    summary = Summary(names)
    policies = {swap.frame: swap.binary for swap in plan.swaps}
    with ExitStack() as stack:
        if console is not None:
            lines = ConsoleLines(names, console)
            stack.callback(lines.close)
            summary.on_console = lines.add
        machine = stack.enter_context(
            Machine(plan.archive, seed=plan.seed, policy_at=policies, isolate=plan.isolate)
        )
        writer = stack.enter_context(Writer(plan.trace, plan.header)) if plan.trace else None

        result = machine.run(plan.frames, sink=writer, notable=summary, progress=progress)
        return result, summary


def remarks(plan: Plan) -> list[str]:
    """What the plan asks for and the engine does not have."""
    owners = {
        name: about["devices"]
        for name, about in plan.archive.manifest["partitions"].items()
        if about["devices"]
    }
    if not owners:
        return []
    told = "; ".join(f"{name}: {', '.join(devices)}" for name, devices in sorted(owners.items()))
    return [f"the {Machine.engine} engine has no devices, partitions will not find theirs ({told})"]


def read_swaps(
    texts: Sequence[str],
    archive: Archive,
    system: str,
    *,
    board: str | None,
    overlays: Sequence[Path],
) -> list[Swap]:
    """The policies of `--policy-at FRAME=FILE`: a PSL file, or a policy of the archive by name.

    `system` is the argument the archive was opened from: a PSL file is compiled for it.
    """
    swaps = []
    for text in texts:
        number, _, name = text.partition("=")
        if not number.isdecimal() or int(number) < 1 or not name:
            raise KhsError(f"--policy-at {text}: want FRAME=FILE with a frame from 1 on")
        swaps.append(_swap(int(number), name, archive, system, board, overlays))
    frames = [swap.frame for swap in swaps]
    if len(set(frames)) != len(frames):
        raise KhsError("--policy-at: two policies cannot come into force at the same frame")
    return swaps


def _swap(
    frame: int,
    name: str,
    archive: Archive,
    system: str,
    board: str | None,
    overlays: Sequence[Path],
) -> Swap:
    known = archive.names["policies"]
    if name in known:
        number = known.index(name)
        return Swap(frame, name, archive.policies[number], archive.policy_maps[number])
    path, source = Path(name), find_system(system)
    if not path.is_file():
        raise KhsError(
            f"--policy-at {frame}={name}: there is no such file, and no such policy in the system\n"
            f"  help: policies of the system: {', '.join(known)}"
        )
    if source.suffix != ".toml":
        raise KhsError(
            f"--policy-at {frame}={name}: a policy is compiled for a system's folder, not for an "
            "archive\n  help: give the folder with system.toml"
        )
    described = config.load(source, overlays=overlays, board=board)
    policy = monitor.load_file(described, path.resolve(), path.stem)
    return Swap(frame, policy.name, policy.binary, policy.map)
