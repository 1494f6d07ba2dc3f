"""Benches: bench.toml, plants in Python and FMUs, wired to regions."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from khs import record, replay, runs
from khs.attached import attached
from khs.hil import bench
from khs.image import Archive, open_system
from khs.runs import Ran

HEADER = """\
format = 1
[bench]
system = "iot-gateway"
"""
#: The region's first word is the heat that the sensor feels.
WIRED = """
[plant.vessel.inputs]
duty = { region = "plant", type = "u32", scale = 0.001 }
[plant.vessel.outputs]
heat = { region = "plant", offset = 0, type = "u32", scale = 0.001 }
seen = { region = "plant", offset = 8, type = "i16" }
"""
VESSEL = """
from khs.hil import Plant


class Vessel(Plant):
    def __init__(self):
        self.duty = 0.0
        self.heat = 0.0
        self.seen = 0
        self.gain = 0.5

    def step(self, dt):
        assert abs(dt - DT) < 1e-12
        self.seen += 1
        self.heat = min(1.0, self.heat + self.gain * dt)
"""
FRAMES = 20
PYTHON = '[plant.vessel]\npython = "vessel.py"\n'


@cache
def archive() -> Archive:
    return open_system("iot-gateway")


def write(folder: Path, text: str, dt: float = 0.02) -> bench.Bench:
    (folder / "vessel.py").write_text(VESSEL.replace("DT", repr(dt)))
    (folder / "bench.toml").write_text(HEADER + text)
    return bench.read(folder / "bench.toml")


def play(made: bench.Bench, kept: Path | None = None) -> Ran:
    joined = attached(bench=made)
    return runs.run(runs.plan(archive(), frames=FRAMES, record=kept, attached=joined))


def test_a_plant_in_python(tmp_path: Path) -> None:
    """Changes the run, the same way each time; a replay needs no plant."""
    alone = runs.run(runs.plan(archive(), frames=FRAMES))
    made = write(tmp_path, PYTHON + WIRED)
    ran = play(made, tmp_path / "kept")
    assert ran.plants == {"vessel": {"steps": FRAMES}}
    assert ran.result.trace_sha256 != alone.result.trace_sha256
    assert play(made).result.trace_sha256 == ran.result.trace_sha256
    (tmp_path / "vessel.py").unlink()
    again = record.read(tmp_path / "kept")
    for isolate in (False, True):
        assert replay.replay(again, replay.plan(again, isolate=isolate)).equal
    written = [row for row in again.inputs if row[1] & 1 << 31]
    assert [row[0] for row in written[::2]] == [2_500_000 * n for n in range(FRAMES + 1)]
    assert written[2 * FRAMES][2] == bytes(8) + (200).to_bytes(4, "little")  # 0.5 * 0.4 s
    assert written[2 * FRAMES + 1][2] == b"\x08" + bytes(7) + FRAMES.to_bytes(2, "little")
