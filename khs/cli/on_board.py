"""khs debug --engine qemu: a whole board with its kernel."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from khs.cli import common

if TYPE_CHECKING:
    from khs.debug.session import Options, Session
    from khs.image import Archive


def debug(
    archive: Archive,
    place: Path,
    frames: int | None,
    trace: Path | None,
    asked: Options,
    print_only: bool,
    as_json: bool,
) -> int:
    """Of the system in `archive`, which is from `place`; the exit code."""
    from khs import runs
    from khs.debug import session

    if print_only:
        folder = Path("FOLDER")
        print(session.script(archive, folder, str(folder / "gdb"), place, asked.live), end="")
        return common.OK
    plan = runs.plan(archive, frames=frames, engine="qemu", trace=trace)
    runs.check_devices(plan)
    out = sys.stderr if as_json else sys.stdout
    show = partial(print, file=out, flush=True)
    done = session.debug(plan, place, asked, common.note, show)
    return _end(done, plan.frames, as_json)


def _end(done: Session, frames: int, as_json: bool) -> int:
    result = done.ran.result
    if as_json:
        common.print_json(done.ran.to_json() | {"same_as_undebugged": done.same})
    if result.interrupted:
        common.note(f"switched off after {result.frames} of {frames} frames")
    elif done.same:
        common.note(f"{result.frames} frames, the trace is that of the undebugged run")
    elif done.same is False:
        common.note("the trace is another than the undebugged run's: gdb has changed the system")
    else:
        common.note(f"{result.frames} frames")
    if done.status:
        common.note(f"gdb ended with status {done.status}")
        return common.FINDINGS
    return common.OK
