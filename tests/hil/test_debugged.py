"""A debugger goes back and forth over devices: wherever it has been, the run is the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from khs import record, replay, runs
from khs.attached import attached
from khs.cli import app
from khs.debug.stops import Position
from khs.debug.target import Target
from khs.errors import EngineError
from khs.image import open_system
from tests.hil.test_models import guarded
from tests.hil.test_uart import BOARDS, MS, archive


@pytest.mark.parametrize("board", BOARDS)
def test_back_and_forth(board: str) -> None:
    said = [(4 * MS, 0, b"a text that is on its way for a while" * 3)]
    plan = replace(runs.plan(archive(board), frames=4), inputs=said)
    whole = runs.run(plan).result
    places = [Position(tick) for tick in (5 * MS + 17, 10 * MS + 999, 12 * MS, 20 * MS + 5)]
    with Target(plan) as target:
        hashes = {}
        for place in places:
            target.go_to(place)
            hashes[place] = target.state_hash()
        target.go()
        assert target.result().trace_sha256 == whole.trace_sha256
        for place in reversed(places):
            target.go_to(place)
            assert target.state_hash() == hashes[place]
        for _ in range(3):
            target.back_step()
        target.step()
        target.go()
        result = target.result()
    assert result.trace_sha256 == whole.trace_sha256
    assert result.partitions == whole.partitions


def guarded_plan(folder: Path, watchdog: Path, **options: Any) -> runs.Plan:
    outside = attached(devices=[f"driver.i2c1={watchdog}"])
    return runs.plan(open_system(str(guarded(folder))), frames=12, attached=outside, **options)


def test_back_and_forth_over_a_model_in_python(tmp_path: Path, watchdog: Path) -> None:
    plan = guarded_plan(tmp_path, watchdog)
    whole = runs.run(plan).result
    places = [Position(tick) for tick in (2 * MS + 17, 25 * MS + 3, 41 * MS, 70 * MS)]
    with Target(plan) as target:
        hashes = {}
        for place in places:
            target.go_to(place)
            hashes[place] = target.state_hash()
        target.go()
        assert target.result().trace_sha256 == whole.trace_sha256
        for place in reversed(places):
            target.go_to(place)
            assert target.state_hash() == hashes[place]
            target.go()
            assert target.result().trace_sha256 == whole.trace_sha256


def test_a_recording_knows_its_models(khs, tmp_path: Path, watchdog: Path) -> None:  # type: ignore[no-untyped-def]
    """It replays and is debugged without being told; a file that changed is."""
    folder = tmp_path / "kept"
    runs.run(guarded_plan(tmp_path, watchdog, record=folder))
    done = khs("replay", folder)
    assert done.code == 0, done.err
    assert "equal" in done.out
    recording = record.read(folder)
    with Target(replay.plan(recording)) as target:
        target.go()
        target.go_to(Position(25 * MS))
        target.go()
        assert target.result().trace_sha256 == recording.trace_sha256
    watchdog.write_text(watchdog.read_text() + "\n# another\n")
    done = khs("replay", folder)
    assert done.code == 0
    assert "watchdog.py is not what it was in the recorded run" in done.err
    watchdog.unlink()
    done = khs("replay", folder)
    assert done.code == 2
    assert "watchdog.py: there is no such file" in done.err


def test_a_model_that_fails_ends_the_debugger(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(
        "from khs.hil import Device\n"
        "class Broken(Device):\n"
        "    def write(self, offset, size, value, now):\n"
        "        raise ValueError('no')\n"
    )
    with (
        Target(guarded_plan(tmp_path, broken)) as target,
        pytest.raises(EngineError, match=r"broken.py:4: the model of driver.i2c1 failed"),
    ):
        target.go()


def test_a_model_in_python_is_debugged_by_the_command(tmp_path: Path, watchdog: Path) -> None:
    system = str(guarded(tmp_path))
    refused = CliRunner().invoke(app, ["debug", system, "--print-only"])
    assert refused.exit_code == 2
    assert "has no model of driver.i2c1" in refused.stderr and "help: a model" in refused.stderr
    device = ["--device", f"driver.i2c1={watchdog}"]
    done = CliRunner().invoke(app, ["debug", system, *device, "--print-only"])
    assert (done.exit_code, "target remote" in done.stdout) == (0, True), done.stderr
