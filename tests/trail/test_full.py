"""Full and slow trails: nothing is dropped silently."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kss.trail import OnFull, Trail, TrailError, TrailFullError, verify
from kss.trail.chain import read
from kss.trail.file import _BATCH

RECORDS = [{"record": "n", "n": number} for number in range(10)]


def test_stop_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    trail = Trail(path, limit=1000)
    with pytest.raises(TrailFullError, match=r"audit\.jsonl is full: it may have 1000 bytes"):
        trail.append_all(RECORDS)
    trail.close()
    assert path.stat().st_size <= 1000
    assert verify(path).ok
    assert verify(path).records == trail.records > 2


def test_count_at_the_limit_and_tell_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with Trail(path, limit=1000, on_full=OnFull.COUNT) as trail:
        completed = trail.append_all(RECORDS)
        assert 0 < completed < 10
        assert trail.lost == 10 - completed
        assert trail.append_all(RECORDS[:3]) == 0
        assert trail.lost == 13 - completed
        assert trail.problem.endswith("is full: it may have 1000 bytes")
        trail._limit = 10_000
        assert trail.append(RECORDS[0])
    records = list(read(path))
    assert [record["record"] for record in records[-2:]] == ["lost", "n"]
    assert records[-2]["lost"] == trail.lost == 13 - completed
    assert len(records) == 1 + completed + 2


def test_what_was_lost_is_told_at_the_end_if_there_is_room_then(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with Trail(path, limit=800, on_full=OnFull.COUNT) as trail:
        trail.append_all(RECORDS)
        trail._limit = None
    assert list(read(path))[-1]["lost"] == trail.lost > 0


def test_stopped_means_that_nothing_follows_what_is_missing(tmp_path: Path) -> None:
    """Room that comes back is used to tell of it, when the trail is closed."""
    path = tmp_path / "audit.jsonl"
    trail = Trail(path, limit=1000)
    with pytest.raises(TrailFullError):
        trail.append_all(RECORDS)
    completed = trail.records - 1
    assert trail.lost == 10 - completed
    trail._limit = None
    with pytest.raises(TrailFullError, match="is full: it may have 1000 bytes"):
        trail.append_all(RECORDS[:3])
    assert trail.lost == 13 - completed
    trail.close()
    kinds = [record["record"] for record in read(path)]
    assert kinds == ["begin", *["n"] * completed, "lost"]
    assert list(read(path))[-1]["lost"] == trail.lost


@pytest.mark.parametrize("on_full", OnFull)
def test_a_record_cut_in_two_by_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_full: OnFull
) -> None:
    """Wherever the cut is: the trail holds whole records, and goes on from there."""
    size = Trail(tmp_path / "one.jsonl")
    size.append(RECORDS[0])
    write = os.write
    for room in range(0, 2 * size._size, 7):
        path, left = tmp_path / f"{room}.jsonl", [room]

        def cut(fd: int, data: bytes, left: list[int] = left) -> int:
            if not left[0]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            done = write(fd, data[: left[0]])
            left[0] -= done
            return done

        trail = Trail(path, on_full=on_full)
        with monkeypatch.context() as patch:
            patch.setattr("kss.trail.file.os.write", cut)
            try:
                completed = trail.append_all(RECORDS)
            except TrailFullError:
                completed = trail.records - 1
        checked = verify(path)
        assert (checked.ok, checked.torn, checked.records) == (True, 0, 1 + completed)
        assert trail.lost == 10 - completed
        trail.close()
        with Trail(path) as again:
            again.append(RECORDS[0])
        assert verify(path).ok
        lost = [record["lost"] for record in read(path) if record["record"] == "lost"]
        assert lost == [10 - completed]


def test_a_full_device() -> None:
    with pytest.raises(TrailFullError, match="/dev/full is full: No space left on device"):
        Trail(Path("/dev/full"))
    trail = Trail(Path("/dev/full"), on_full=OnFull.COUNT)
    assert trail.append_all(RECORDS) == 0
    trail.close()
    assert trail.lost == 11
    assert trail.records == 0


def test_the_systems_own_limit(tmp_path: Path) -> None:
    """A write that the system cuts short: what it took of the last line is taken back."""
    path = tmp_path / "audit.jsonl"
    program = (
        "import resource, sys; from pathlib import Path; from kss.trail import *\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3001, 3001))\n"
        "trail = Trail(Path(sys.argv[1]), on_full=OnFull.COUNT)\n"
        "trail.append_all([{'record': 'n', 'n': n} for n in range(100)])\n"
        "print(trail.records, trail.lost, trail.problem)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    records, lost, problem = done.stdout.split(maxsplit=2)
    assert verify(path).torn == 0
    assert verify(path).ok
    assert verify(path).records == int(records) == 101 - int(lost)
    assert problem.strip().endswith("is full: File too large")
    assert 2700 < path.stat().st_size <= 3001
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 3001


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


BIG = [{"record": "n", "n": number, "x": "x" * 5000} for number in range(40)]


def drain(reader: int) -> bytes:
    data = b""
    while True:
        try:
            block = os.read(reader, 1 << 20)
        except BlockingIOError:
            return data
        if not block:
            return data
        data += block


def test_a_slow_pipe_stops_the_run(pipe: tuple[Path, int]) -> None:
    trail = Trail(pipe[0], patience=0.05)
    with pytest.raises(TrailFullError, match=r"is slow: it took nothing for 0\.05 s"):
        trail.append_all(BIG)
    trail.close()


def test_a_slow_pipe_is_counted_and_its_chain_stays_whole(
    pipe: tuple[Path, int], tmp_path: Path
) -> None:
    path, reader = pipe
    got = b""
    with Trail(path, patience=0.05, on_full=OnFull.COUNT) as trail:
        completed = trail.append_all(BIG)
        assert 0 < completed < 40
        assert trail.append_all(BIG[:2]) == 0
        assert trail.lost == 42 - completed
        got += drain(reader)
        assert trail.append_all(BIG[:2]) == 2
        got += drain(reader)
    received = tmp_path / "received.jsonl"
    received.write_bytes(got)
    assert verify(received).ok
    assert verify(received).torn == 0
    records = list(read(received))
    assert [record["record"] for record in records[-3:]] == ["lost", "n", "n"]
    assert records[-3]["lost"] == trail.lost
    assert len(records) == 1 + completed + 3


def test_a_pipe_without_a_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TrailError, match="nobody reads from it"):
        Trail(tmp_path / "pipe")


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    trail = Trail(tmp_path / "pipe")
    os.close(reader)
    with pytest.raises(TrailFullError, match="fails: Broken pipe"):
        trail.append(RECORDS[0])


def test_a_late_write_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A regular file that is slow has taken everything in the end, and still it is said."""
    clock = iter(range(0, 100_000, 30))
    monkeypatch.setattr("kss.trail.file.time.monotonic", lambda: float(next(clock)))
    with pytest.raises(TrailFullError, match=r"is slow: a write took 30\.0 s"):
        Trail(tmp_path / "stop.jsonl")
    with Trail(tmp_path / "count.jsonl", on_full=OnFull.COUNT) as trail:
        assert trail.append_all(RECORDS) == 10
    assert (trail.lost, trail.records) == (0, 11)
    assert "is slow" in trail.problem
    assert verify(tmp_path / "count.jsonl").records == 11


def test_large_batches(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with Trail(path, durable=True) as trail:
        assert trail.append_all({"record": "n", "x": "x" * 1000} for _ in range(1000)) == 1000
    assert path.stat().st_size > 3 * _BATCH
    assert verify(path).records == 1001


@pytest.mark.parametrize("name", ["nowhere/audit.jsonl", "."])
def test_a_file_that_cannot_be_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(TrailError, match=r"cannot write the audit trail .*: (No such|Is a)"):
        Trail(tmp_path / name)
