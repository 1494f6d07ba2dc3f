"""Whether a test does the same to its system each time: `--khs-repeat-check N`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

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
        self.hashes.append(digest)

    def _trace(self, number: int) -> Path:
        return self.folder / f"{number}.trace"

    def difference(self) -> str | None:
        """The first difference between the first run and another one; None if they are equal."""
        for number, digest in enumerate(self.hashes):
            if digest != self.hashes[0]:
                found = diff(self._trace(0), self._trace(number))
                what = "" if found is None else f"\n{found}"
                return f"run {number + 1} (+) of the test is not run 1 (-):{what}"
        return None
