"""What the kernel promises its guests, as programs of tests/guests/kernel see it."""

from __future__ import annotations

from pathlib import Path

from khs.image import Archive
from khs.trace import events
from tests.guests.systems import BOARDS, Run, built, run

FOLDER = Path(__file__).parent / "kernel"
FRAMES = 12


def build(arch: str, tmp_path: Path, overlay: str) -> Archive:
    """The system with its subject as the overlay says."""
    path = tmp_path / "overlay.toml"
    path.write_text(overlay, encoding="utf-8")
    return built(str(FOLDER), BOARDS[arch], (path,))


def play(arch: str, tmp_path: Path, overlay: str) -> Run:
    return run(build(arch, tmp_path, overlay), FRAMES)


def test_what_starts_afresh_and_what_is_kept(arch: str, tmp_path: Path) -> None:
    """Cold starts find nothing of the start before but what another partition maps too; warm ones
    what `keep` says."""
    played = play(arch, tmp_path, "")
    assert played.console("subject").splitlines() == [
        f"kept {kept} own 0 shared {shared} heap 0 data 5 bss 0"
        for kept, shared in ((0, 0), (0, 1), (0, 2), (1, 3), (2, 4))
    ]


SWITCHES = """
[schedule.fast]
major_frame = "4ms"
windows = [{ partition = "subject", start = "1ms", length = "2ms" }]
[partition.subject]
program = "switches"
privileges = ["schedule-switch"]
"""


def test_a_policy_from_outside_counts_major_frames(arch: str, tmp_path: Path) -> None:
    """Frame 4 begins behind frames of 10, 4, 4 and 10 ms."""
    archive = build(arch, tmp_path, SWITCHES)
    played = run(archive, 8, policy_at={4: archive.policies[0]})
    ms = archive.manifest["clock_hz"] // 1000
    assert [event.tick for event in played.of(events.ScheduleSwitch)] == [10 * ms, 18 * ms]
    [swap] = played.of(events.PolicySwap)
    assert (swap.tick, swap.sequence) == (28 * ms, 1)


ERRORS = """
[partition.subject]
program = "errors"
period = "10ms"
deadline = "1ms"
privileges = ["health-log"]
[health.partition.subject]
deadline-missed = { level = "process", action = "cold_restart" }
application-error = { level = "process", action = "cold_restart" }
"""


def test_a_handler_learns_which_error_it_was(arch: str, tmp_path: Path) -> None:
    """The release that the long work ran over had none of its own: that is an error too."""
    played = play(arch, tmp_path, ERRORS)
    lines = [line.split(": ") for line in played.console("subject").splitlines()]
    missed = [f"error 0 detail 0 lost 0 at {ms * 1000} us" for ms in (21, 31)]
    assert [first for first, *_ in lines[:2]] == missed
    assert (lines[2][0].partition(" at ")[0], lines[2][1]) == (
        "error 1 detail 42 lost 0",
        "too hot",
    )
    subject = played.result.partitions["subject"]
    assert (subject.restarts, subject.deadline_missed) == (0, 2)


def test_a_fault_that_is_only_logged_halts_the_partition(arch: str, tmp_path: Path) -> None:
    played = play(arch, tmp_path, '[partition.subject]\nprogram = "crashes"\n')
    subject = played.result.partitions["subject"]
    assert (subject.mode, subject.halted, subject.faults) == ("normal", True, 1)
    assert played.console("subject") == ""
    assert not played.result.partitions["witness"].halted
