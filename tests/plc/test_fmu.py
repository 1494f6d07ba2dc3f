"""The plant as an FMU is the plant."""

from __future__ import annotations

from pathlib import Path

import pytest

from khs import runs
from khs.attached import attached
from khs.hil import bench
from tests.guests.systems import built
from tests.plc.benches import FOLDER, module


def test_the_fmu_makes_the_same_run(tmp_path: Path) -> None:
    pytest.importorskip("pythonfmu")
    pytest.importorskip("fmpy")
    module("plc_build", FOLDER / "plant/build.py").build(tmp_path / "plant")
    (tmp_path / "bench.toml").write_bytes((FOLDER / "bench-fmu.toml").read_bytes())
    archive = built("plc", "sabrelite")
    made = []
    for place in (tmp_path, FOLDER):
        around = attached(bench=bench.read(place / "bench.toml"))
        made.append(runs.run(runs.plan(archive, frames=500, attached=around)))
    fmu, python = made
    assert fmu.result.trace_sha256 == python.result.trace_sha256
    assert fmu.plants == python.plants
    assert fmu.result.trace_sha256 != runs.run(runs.plan(archive, frames=500)).result.trace_sha256


def test_both_benches_are_wired_alike() -> None:
    plain, fmu = ((FOLDER / name).read_text() for name in ("bench.toml", "bench-fmu.toml"))
    wires = [text.partition("step =")[2] for text in (plain, fmu)]
    assert wires[0] == wires[1] != ""
