"""Whether a test does the same to its system each time: `--khs-repeat-check N`."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from khs.errors import KhsError
from khs.hil.testing.rig import Rig
from khs.trace import diff


@dataclass
class Repeats:
    """What came of the runs of one test, in `folder`."""

    folder: Path
    hashes: list[str] = field(default_factory=list)

    def add(self, rig: Rig) -> None:
        """A run is over."""
        digest = rig.trace_sha256
        if digest is None:
            return
        rig.write_trace(self._trace(len(self.hashes)))
        with suppress(KhsError):  # its trace tells the difference even so
            rig.record(self._recording(len(self.hashes)))
        self.hashes.append(digest)

    def _trace(self, number: int) -> Path:
        return self.folder / f"{number}.trace"

    def _recording(self, number: int) -> Path:
        return self.folder / f"run-{number + 1}"

    def difference(self, folder: Path) -> str | None:
        """The first difference between the first run and another one, the recordings of which are
        then kept in `folder`; None if they are equal."""
        for number, digest in enumerate(self.hashes):
            if digest != self.hashes[0]:
                found = diff(self._trace(0), self._trace(number))
                what = "" if found is None else f"\n{found}"
                kept = "\n".join(self._kept(folder, number))
                return f"run {number + 1} (+) of the test is not run 1 (-):{what}\n{kept}"
        return None

    def _kept(self, folder: Path, other: int) -> Iterator[str]:
        try:
            shutil.rmtree(folder, ignore_errors=True)
            for run in filter(Path.is_dir, (self._recording(0), self._recording(other))):
                kept = shutil.copytree(run, folder / run.name)
                yield f"again:   khs replay {shlex.quote(str(kept))}"
        except OSError as error:
            yield f"nothing is kept: {error}"
