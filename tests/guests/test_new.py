"""`khs new`: what it writes checks, builds and boots."""

from __future__ import annotations

from pathlib import Path

import pytest

from khs import config, image, monitor
from khs.errors import ConfigError, KhsError
from khs.new import add_method, scaffold
from khs.trace import events
from tests.guests.systems import BOARDS, Run, run

PARAMETERS = "in UInt32 periods, in string<40> why, out UInt32 left"


@pytest.fixture
def tank(tmp_path: Path) -> Path:
    scaffold("tank-control", tmp_path / "tank")
    return tmp_path / "tank"


def play(folder: Path, arch: str, frames: int = 50) -> Run:
    pytest.importorskip("ziglang")
    return run(image.build(config.load(folder, board=BOARDS[arch])), frames)


def test_a_new_system_boots(tank: Path, arch: str) -> None:
    assert config.check(tank) == []
    played = play(tank, arch)
    said = played.console("display")
    assert "reading 1: 7" in said
    assert "reset to 0, was " in said
    assert played.result.verdicts["denied"] == 0
    assert played.result.partitions["meter"].deadline_missed == 0
    assert not played.of(events.Fault)


def test_every_file_is_named(tmp_path: Path) -> None:
    written = scaffold("tank", tmp_path / "tank")
    found = sorted(path for path in (tmp_path / "tank").rglob("*") if path.is_file())
    assert sorted(written) == found
    assert all("$" not in path.read_text() for path in found)


@pytest.mark.parametrize(
    "name", ["", "Tank", "1tank", "tank_control", "tank-", "a/b", "..", "x" * 41]
)
def test_names_that_are_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(KhsError, match="no name for a system"):
        scaffold(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(tank: Path) -> None:
    (tank / "README.md").write_text("mine")
    with pytest.raises(KhsError, match="not empty"):
        scaffold("tank", tank)
    assert (tank / "README.md").read_text() == "mine"


# ---- methods -------------------------------------------------------------------


def test_a_new_method_builds_and_boots(tank: Path, arch: str) -> None:
    added = add_method(tank, "tank_control.IControl", "Pause", PARAMETERS)
    assert {path.name for path in added.files} == {"IControl.idl", "security.psl", "main.c"}
    assert added.advice == ()

    policy = monitor.load(config.load(tank))
    method = policy.layout("tank_control.Meter").endpoint("control").interface.method("Pause")  # type: ignore[union-attr]
    assert method is not None
    assert [field.name for field in method.request.fields] == ["periods", "why"]
    assert play(tank, arch).result.verdicts["denied"] == 0


def test_a_new_method_is_granted_and_answered(tank: Path) -> None:
    add_method(tank, "tank_control.IControl", "Pause", "in UInt32 periods, out UInt32 left")
    client = tank / "partitions/display/main.c"
    text = client.read_text().replace("_Reset", "_Pause").replace(".value = value", ".periods = 3")
    text = text.replace("reply.res.before", "(int)reply.res.left").replace(
        "m.value > HIGH", "m.number"
    )
    client.write_text(text)
    assert "reset to 0, was 0" in play(tank, "armv7").console("display")


def test_two_methods(tank: Path) -> None:
    add_method(tank, "tank_control.IControl", "Pause", "in UInt32 periods")
    add_method(tank, "tank_control.IControl", "Resume")
    assert play(tank, "x64").result.verdicts["denied"] == 0
    assert (tank / "security.psl").read_text().count("method=Resume") == 2


def test_an_interface_without_calls_gets_the_description_alone(tank: Path) -> None:
    before = (tank / "security.psl").read_text()
    added = add_method(tank, "tank_control.IReading", "Forget")
    assert [path.name for path in added.files] == ["IReading.idl"]
    assert "no channel" in added.advice[0]
    assert (tank / "security.psl").read_text() == before


def test_a_program_without_marks_is_left_alone(tank: Path) -> None:
    program = tank / "partitions/meter/main.c"
    program.write_text(program.read_text().replace("khs new: a case", "a case"))
    before = program.read_text()
    added = add_method(tank, "tank_control.IControl", "Pause")
    assert program.read_text() == before
    assert "tank_control_IControl_Pause_mid" in added.advice[0]


@pytest.mark.parametrize(
    ("interface", "method", "parameters", "words"),
    [
        ("tank_control.IControl", "Reset", "", "has a method Reset already"),
        ("tank_control.INone", "Pause", "", "no interface tank_control.INone"),
        ("tank_control.IControl", "Two words", "", "no name for a method"),
        ("kl.core.Partition", "Pause", "", "no interface kl.core.Partition"),
    ],
)
def test_methods_that_cannot_be(
    tank: Path, interface: str, method: str, parameters: str, words: str
) -> None:
    with pytest.raises(KhsError, match=words):
        add_method(tank, interface, method, parameters)


@pytest.mark.parametrize(
    "parameters", ["in UInt33 a", "in UInt32", "out UInt32 a, in UInt32 a", "); }"]
)
def test_wrong_parameters_change_nothing(tank: Path, parameters: str) -> None:
    before = {path: path.read_bytes() for path in tank.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError):
        add_method(tank, "tank_control.IControl", "Pause", parameters)
    assert {path: path.read_bytes() for path in tank.rglob("*") if path.is_file()} == before
