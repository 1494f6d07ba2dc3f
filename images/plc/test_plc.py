"""The bench as somebody tests it who builds such a system: docs/hil-pytest.md.

pytest --khs-bench plc images/plc/test_plc.py
"""

from pathlib import Path

import pytest

pytestmark = pytest.mark.khs_vtimeout("40s")
ATTACK = (Path(__file__).parent / "attack-sequence.bin").read_bytes()


@pytest.fixture
def running(khs_system, plant):
    """The drive at its speed, a session open, and nothing to do: system.toml says so."""
    khs_system.run_for("11s")
    assert plant("drive")["encoder"] == pytest.approx(1064, abs=1)


@pytest.mark.parametrize("victim", ["controller", "safety"])
def test_a_drive_without_them_stops(running, khs_system, partition, plant, victim):
    partition(victim).stop()
    khs_system.run_for("10ms")  # a major frame
    assert not plant("drive")["closed"]


@pytest.mark.parametrize("victim", ["engineering", "network"])
def test_a_drive_without_them_runs_on(running, khs_system, partition, plant, victim):
    partition(victim).stop()
    khs_system.run_for("1s")
    assert plant("drive")["closed"]
    khs_system.inject("panel", "STOP\n")
    khs_system.run_for("10ms")
    assert not plant("drive")["closed"]


def test_vibration_trips(running, khs_system, console, plant):
    plant("drive")["bow"] = 400.0
    console("safety").expect("trip: vibration", timeout="100ms")
    khs_system.run_for("2ms")  # a step of the plant
    assert not plant("drive")["closed"]


def test_the_attack_is_denied(running, khs_system, audit, plant):
    khs_system.inject("station", ATTACK)
    khs_system.run_for("20s")
    denied = audit.denied(src="engineering", dst="controller")
    assert [each.message["speed"] for each in denied] == [14100, 20, 14100, 20]
    assert plant("drive")["encoder"] == pytest.approx(1064, abs=1)


@pytest.mark.khs_policy("permissive.psl")
def test_it_would_break_the_machine(running, khs_system, audit, plant):
    khs_system.inject("station", ATTACK)
    khs_system.run_for("20s")
    assert not audit.denied()
    assert plant("drive")["broken"]
