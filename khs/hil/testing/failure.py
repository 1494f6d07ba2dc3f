"""What is kept of a test that failed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from khs.errors import KhsError
from khs.hil.testing.duration import words
from khs.hil.testing.errors import UnsupportedError
from khs.hil.testing.events import EventRig
from khs.hil.testing.rig import Rig

_LAST = 16
#: Of a console, so many last characters are shown; the file has all.
_SHOWN = 4000


@dataclass
class Kept:
    """`sections` of the report by title; `command` runs the test's system again as it was, None if
    nothing can; `recording`: its folder."""

    sections: list[tuple[str, str]] = field(default_factory=list)
    command: str | None = None
    recording: Path | None = None


def keep(rig: Rig, folder: Path) -> Kept:
    """Writes consoles, hypercalls, trace and recording into a folder, which begins empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    kept = Kept()
    for name, text in rig.consoles().items():
        file = folder / f"console-{name}.txt"
        file.write_text(text, encoding="utf-8", errors="surrogateescape")
        shown = text if len(text) <= _SHOWN else f"[... all of it is in {file}]\n{text[-_SHOWN:]}"
        kept.sections.append((f"khs console {name}", _printable(shown)))
    calls = _hypercalls(rig)
    if calls:
        (folder / "hypercalls.txt").write_text(calls, encoding="utf-8")
        kept.sections.append((f"khs last {_LAST} hypercalls", calls))
    kept.sections.append(("khs", "\n".join(_again(rig, folder, kept))))
    return kept


def _again(rig: Rig, folder: Path, kept: Kept) -> Iterator[str]:
    """The lines that say where everything is."""
    stopped = "" if rig.stopped is None else f", where the module stopped: {rig.stopped}"
    yield f"{rig}, at {words(rig.time_ns)} of virtual time{stopped}"
    yield f"kept in {folder}"
    recording = folder / "recording"
    try:
        kept.command = rig.record(recording)
    except KhsError as error:
        yield f"no recording: {error}"
    if kept.command is not None:
        kept.recording = recording
        (folder / "replay.txt").write_text(kept.command + "\n", encoding="utf-8")
        yield f"trace:   khs trace {shlex.quote(str(recording / 'run.trace'))}"
        yield f"again:   {kept.command}"
        yield f"in gdb:  khs debug {shlex.quote(str(recording))}"
    elif rig.write_trace(folder / "run.trace"):
        yield f"trace:   khs trace {shlex.quote(str(folder / 'run.trace'))}"
        if isinstance(rig, EventRig):
            yield f"no recording here; without what the test did: khs run {rig.spec.arguments}"


def _hypercalls(rig: Rig) -> str:
    try:
        return "\n".join(str(row) for row in rig.hypercalls(_LAST))
    except UnsupportedError:
        return ""


def _printable(text: str) -> str:
    """What a guest wrote does nothing to a terminal."""
    return "".join(c if c in "\n\t" or c.isprintable() else repr(c)[1:-1] for c in text)


def hold(recording: Path) -> None:
    """Serves the recording to a gdb on a free port of 127.0.0.1, which is printed, until gdb ends
    it or Ctrl-C."""
    command = [sys.executable, "-m", "khs", "debug", str(recording), "--port", "0"]
    try:
        subprocess.run(command, check=False)
    except KeyboardInterrupt:
        return
