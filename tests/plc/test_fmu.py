"""The plant as an FMU is the plant."""

from __future__ import annotations

from pathlib import Path

import pytest

from khs import runs
from khs.attached import attached
from khs.hil import bench
from tests.guests.systems import built
from tests.plc.benches import ATTACK, FOLDER, PERMISSIVE, module, play


def test_the_attack_breaks_the_fmu_as_it_does_the_class(tmp_path: Path) -> None:
    """Every value that the system is given is the same: the traces are."""
    pytest.importorskip("pythonfmu")
    pytest.importorskip("fmpy")
    module("plc_build", FOLDER / "plant/build.py").build(tmp_path / "plant")
    (tmp_path / "bench.toml").write_bytes((FOLDER / "bench-fmu.toml").read_bytes())
    archive = built("plc", "sabrelite", (ATTACK, PERMISSIVE))
    around = attached(bench=bench.read(tmp_path / "bench.toml"))
    fmu = runs.run(runs.plan(archive, frames=1500, seed=1, attached=around))
    plain = play(archive=archive, frames=1500)
    assert plain.broken
    assert fmu.result.trace_sha256 == plain.run.result.trace_sha256


def test_both_benches_are_wired_alike() -> None:
    plain, fmu = ((FOLDER / name).read_text() for name in ("bench.toml", "bench-fmu.toml"))
    wires = [text.partition("step =")[2] for text in (plain, fmu)]
    assert wires[0] == wires[1] != ""
