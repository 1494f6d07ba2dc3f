"""What the kernel promises its guests, as programs of tests/guests/kernel see it."""

from __future__ import annotations

from pathlib import Path

from tests.guests.systems import BOARDS, Run, built, run

FOLDER = Path(__file__).parent / "kernel"
FRAMES = 12


def play(arch: str, tmp_path: Path, overlay: str, frames: int = FRAMES) -> Run:
    """The system with its subject as the overlay says."""
    path = tmp_path / "overlay.toml"
    path.write_text(overlay, encoding="utf-8")
    return run(built(str(FOLDER), BOARDS[arch], (path,)), frames)


def test_what_starts_afresh_and_what_is_kept(arch: str, tmp_path: Path) -> None:
    """Cold starts find nothing of the start before but what another partition maps too; warm ones
    what `keep` says."""
    played = play(arch, tmp_path, "")
    assert played.console("subject").splitlines() == [
        f"kept {kept} own 0 shared {shared} heap 0 data 5 bss 0"
        for kept, shared in ((0, 0), (0, 1), (0, 2), (1, 3), (2, 4))
    ]
