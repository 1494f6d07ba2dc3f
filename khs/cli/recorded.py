"""The trace of a run: a trace file, or what a recording comes to when it runs again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from khs.cli import common


@contextmanager
def trace_of(run: Path, *, quiet: bool) -> Iterator[Path]:
    """A trace file; that of a recording is there within the context only. Ends the command if the
    recording does not come to its own trace again: a picture of it would show another run."""
    if not run.is_dir():
        yield run
        return
    from khs import record
    from khs import replay as replays
    from khs.cli.progress import Reporter

    recorded = record.read(run)
    with TemporaryDirectory(prefix="khs-") as folder:
        trace = Path(folder) / "run.trace"
        plan = replays.plan(recorded, trace=trace)
        with Reporter(quiet=quiet) as reporter:
            reporter.step(f"running {plan.frames} frames of {run} again")
            again = replays.replay(recorded, plan, reporter.frames, None)
        if again.ran.result.interrupted:
            raise KeyboardInterrupt
        if again.equal is False:
            common.note(f"{run} came to another trace than it was recorded with: khs replay {run}")
            raise typer.Exit(common.FINDINGS)
        yield trace
