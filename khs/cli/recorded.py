"""Recordings where commands take a run: to debug it, or as its trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from khs.cli import common

if TYPE_CHECKING:
    from khs.debug.live import Debuggee


def is_recording(system: str) -> bool:
    """Is SYSTEM the folder of a recorded run?"""
    folder = Path(system)
    return (folder / "run.json").is_file() and not (folder / "system.toml").is_file()


def refuse(
    run: str,
    overlays: Sequence[Path] | None,
    board: str | None,
    frames: int | None,
    policy_at: Sequence[str] | None,
    seed: int | None = None,
    device: Sequence[str] | None = None,
) -> None:
    """Ends the command if a recording is to run with other options than its own."""
    given = {
        "--with": overlays,
        "--board": board,
        "--frames": frames is not None,
        "--policy-at": policy_at,
        "--seed": seed is not None,
        "--device": device,
    }
    named = ", ".join(option for option, value in given.items() if value)
    if named:
        common.usage(
            f"{run} is a recorded run: it comes with its own options, so no {named}\n"
            f"  help: leave them out; {run}/system.khs is the system that was recorded"
        )


def debuggee(folder: Path, trace: Path | None = None, record: Path | None = None) -> Debuggee:
    """A recorded run as the debugger takes it, explained by the description that its system was
    built from."""
    from khs import record as records
    from khs import replay as replays
    from khs.debug.live import Debuggee

    recording = records.read(folder)
    source, plan = recording.source, replays.plan(recording, trace=trace, say=common.note)
    if record is not None:
        records.prepare(record)
    return Debuggee.explained(
        replace(plan, record=record, source=source),
        folder / "system.khs" if source is None else source.system,
        [] if source is None else list(source.overlays),
        [f"{swap.frame}={swap.file}" for swap in recording.swaps if swap.file is not None],
        recording,
    )


@contextmanager
def trace_of(run: Path, *, quiet: bool) -> Iterator[Path]:
    """A trace file; of a recording the one that was written with it, if that is still there, else
    one of running it again that is there within the context only. Ends the command if the recording
    does not come to its own trace again: what would be shown is another run."""
    if not run.is_dir():
        yield run
        return
    from khs import record
    from khs import replay as replays
    from khs.cli.progress import Reporter

    recorded = record.read(run)
    known = replays.known_trace(recorded)
    if known is not None:
        yield known
        return
    with TemporaryDirectory(prefix="khs-") as folder:
        trace = Path(folder) / "run.trace"
        plan = replays.plan(recorded, trace=trace, say=common.note)
        with Reporter(quiet=quiet) as reporter:
            reporter.step(f"running {plan.frames} frames of {run} again")
            again = replays.replay(recorded, plan, reporter.frames, None)
        if again.ran.result.interrupted:
            raise KeyboardInterrupt
        if again.equal is False:
            common.note(f"{run} came to another trace than it was recorded with: khs replay {run}")
            raise typer.Exit(common.FINDINGS)
        yield trace
