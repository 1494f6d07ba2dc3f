"""What the import has to tell: gathered on the way, written into import.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from khs.monitor.files import Location


@dataclass
class Notes:
    """Sentences with the places they are about. `lost`: what was not carried over; `trusted`: what
    stands for a file that is not there; `done`: what was decided where the solution is silent.
    `denied`: rules that the policy lacks -> what the programs do not get without them."""

    root: Path
    lost: list[str] = field(default_factory=list)
    trusted: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    denied: dict[str, str] = field(default_factory=dict)

    def place(self, at: Location | Path) -> str:
        """`einit/src/init.yaml:3`, relative to the solution's folder."""
        path = Path(at.file) if isinstance(at, Location) else at
        name = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        return f"{name.as_posix()}:{at.line}" if isinstance(at, Location) else name.as_posix()

    def lose(self, at: Location | Path, text: str) -> None:
        self.lost.append(f"{self.place(at)}: {text}")

    def decide(self, at: Location | Path, text: str) -> None:
        self.done.append(f"{self.place(at)}: {text}")
