"""The frozen description, overlays, the board of the command line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from khs import config
from khs.config import boards
from khs.config.model import (
    Action,
    Arch,
    ChannelKind,
    Error,
    Level,
    Limit,
    Message,
    Privilege,
    Response,
    Right,
    State,
    Window,
)
from khs.errors import ConfigError

SYSTEMS = Path(__file__).parents[1] / "data" / "systems"
COMPLETE = SYSTEMS / "valid" / "complete.toml"
MS = 125_000  # ticks


@pytest.mark.parametrize("path", sorted((SYSTEMS / "valid").glob("*.toml")), ids=lambda p: p.stem)
def test_good_systems_have_no_findings(path: Path) -> None:
    assert config.check(path) == []


@pytest.fixture(scope="module")
def complete() -> config.System:
    return config.load(COMPLETE)


def test_system(complete: config.System) -> None:
    assert (complete.name, complete.run.frames, complete.run.seed) == ("complete", 50, 7)
    assert complete.root == SYSTEMS / "valid"
    assert complete.policy.samefile(SYSTEMS / "security.psl")
    assert list(complete.policies) == ["relaxed", "strict"]
    assert [path.is_dir() for path in complete.include] == [True, True]
    assert complete.warnings == ()
    assert complete.number("logger") == 2


def test_board(complete: config.System) -> None:
    board = complete.board
    assert (board.name, board.arch, board.clock_hz) == ("sabrelite", Arch.ARMV7, 125_000_000)
    assert (board.ticks(20_000_000), board.ns(3)) == (20 * MS, 24)
    assert board.devices["uart1"].address == 0x0202_0000
    assert min(board.costs.call, board.costs.copy, board.costs.verdict) > 0


def test_schedules(complete: config.System) -> None:
    normal, night = complete.schedules
    assert (normal.name, normal.number, normal.major_frame) == ("normal", 0, 20 * MS)
    assert normal.windows == (
        Window("sensor", 0, 2 * MS),
        Window("controller", 2 * MS, 6 * MS),
        Window("sensor", 10 * MS, 2 * MS),
        Window("logger", 12 * MS, 187_500),
    )
    assert normal.slack() == 20 * MS - 10 * MS - 187_500
    assert (night.number, len(night.windows)) == (1, 5)


def test_partitions(complete: config.System) -> None:
    sensor, controller, logger = complete.partitions
    assert [p.number for p in complete.partitions] == [0, 1, 2]
    assert sensor.class_name == "plant.Sensor" and sensor.program is None
    assert sensor.image is not None and sensor.image.is_file()
    assert (sensor.stack, sensor.heap) == (8192, 1 << 20)
    assert (sensor.period, sensor.deadline, sensor.phase) == (10 * MS, 2 * MS, 0)
    assert sensor.devices == ("uart1", "can1")
    assert sensor.args == ("--fast", 'a "quoted" word\n', "Grüße")
    assert sensor.env == {"MODE": "demo", "EMPTY": ""}
    assert controller.privileges == Privilege(31) and sensor.privileges == Privilege.HEALTH_LOG
    assert (logger.program, logger.stack, logger.heap) == ("logger", 16384, 0)
    assert (logger.period, logger.deadline, logger.phase) == (0, 0, 0)


def test_regions(complete: config.System) -> None:
    frames, high, log = complete.regions
    assert frames.rights == {"sensor": Right.R | Right.W, "controller": Right.R}
    assert (frames.address, frames.size, frames.keep) == (0x5000_0000, 65536, True)
    assert (high.address, high.keep) == (0xA000_0000, False)
    assert frames.address + frames.size < log.address < high.address


def test_channels(complete: config.System) -> None:
    temperature, state, alarms, setpoint = complete.channels
    assert temperature.kind is ChannelKind.SAMPLING
    assert temperature.readers == ("controller", "logger")
    assert (temperature.refresh, temperature.depth) == (40 * MS, 0)
    assert (state.readers, state.refresh) == (("logger",), 0)
    assert (alarms.kind, alarms.depth) == (ChannelKind.QUEUING, 8)
    assert alarms.message == "plant.IAlarm.Raise"
    assert (setpoint.kind, setpoint.source) == (ChannelKind.CALL, "sensor")
    assert (setpoint.endpoint, setpoint.message) == ("control.setpoint", None)


def test_inputs(complete: config.System) -> None:
    uplink, live = complete.inputs
    assert (uplink.partition, uplink.capacity, uplink.depth) == ("controller", 64, 8)
    assert uplink.messages[:2] == (Message(25 * MS, b"on"), Message(45 * MS, b"OK\n"))
    assert uplink.messages[2].data.startswith(b"\x7fELF")
    assert live.messages == ()


def test_health_rows_override_in_order(complete: config.System) -> None:
    sensor, controller, logger = complete.partitions
    initialising, running = State.INITIALISING, State.RUNNING

    def cell(partition: Any, error: Error, state: State) -> tuple[Level, Action]:
        response: Response = partition.response(error, state)
        return response.level, response.action

    # the default row
    assert cell(sensor, Error.STACK_OVERFLOW, running) == (Level.PARTITION, Action.COLD_RESTART)
    # a row of the error, in both states
    for state in State:
        assert cell(sensor, Error.DEADLINE_MISSED, state) == (Level.PROCESS, Action.LOG)
    # a row of error and state over a row of the error; the level from the default row
    assert cell(controller, Error.NUMERIC_ERROR, initialising) == (Level.PARTITION, Action.IDLE)
    assert cell(controller, Error.NUMERIC_ERROR, running) == (Level.PARTITION, Action.WARM_RESTART)
    # a row of the partition over both
    assert cell(sensor, Error.NUMERIC_ERROR, initialising) == (Level.PARTITION, Action.IGNORE)
    assert cell(sensor, Error.NUMERIC_ERROR, running) == (Level.PARTITION, Action.IGNORE)
    # a row of the partition for one state leaves the other
    assert cell(sensor, Error.MEMORY_FAULT, running) == (Level.PARTITION, Action.WARM_RESTART)
    assert cell(sensor, Error.MEMORY_FAULT, initialising) == (Level.MODULE, Action.MODULE_STOP)
    # the level of a more general row that does not go with the action is passed over
    for state in State:
        assert cell(logger, Error.MEMORY_FAULT, state) == (Level.PARTITION, Action.IDLE)
    assert sensor.limit == Limit(3, 1000 * MS, Action.IDLE) and controller.limit is None


def test_where(complete: config.System) -> None:
    lines = COMPLETE.read_text(encoding="utf-8").splitlines()
    place = complete.where("channel", "alarms", "to", 0)
    assert lines[place.line - 1][place.column - 1 :] == '"logger"]'
    table = complete.where("partition", "logger", "sha256")  # not there: its table
    assert lines[table.line - 1] == "[partition.logger]"


def test_folder_and_file_are_the_same(tmp_path: Path) -> None:
    text = (SYSTEMS / "valid" / "minimal.toml").read_text(encoding="utf-8")
    (tmp_path / "system.toml").write_text(text.replace("../", ""), encoding="utf-8")
    (tmp_path / "security.psl").write_text("x", encoding="utf-8")
    assert config.load(tmp_path) == config.load(tmp_path / "system.toml")


def test_overlay(tmp_path: Path) -> None:
    attack = tmp_path / "attack.toml"
    attack.write_text(
        '[run]\nframes = 9\n[input.uplink]\nmessages = [{ at = "1ms", text = "x" }]\n'
        '[partition.sensor.env]\nMODE = "attack"\n',
        encoding="utf-8",
    )
    system = config.load(COMPLETE, overlays=[attack])
    assert (system.run.frames, system.run.seed) == (9, 7)
    assert system.inputs[0].messages == (Message(MS, b"x"),)
    assert system.inputs[0].capacity == 64
    assert system.partitions[0].env == {"MODE": "attack", "EMPTY": ""}
    assert [p.name for p in system.partitions] == ["sensor", "controller", "logger"]
    assert config.load(COMPLETE).partitions[0].env["MODE"] == "demo"


def test_findings_point_into_the_overlay(tmp_path: Path) -> None:
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text("[run]\nframes = 0\n", encoding="utf-8")
    two.write_text('[partition.sensor]\n\nstack = "5KiB"\n', encoding="utf-8")
    found = config.check(COMPLETE, overlays=[one, two])
    assert [(f.rule, f.file, f.line, f.column) for f in found] == [
        ("RUN-001", str(one), 2, 10),
        ("PART-015", str(two), 3, 9),
    ]


def test_syntax_errors_of_all_files_are_told(tmp_path: Path) -> None:
    one = tmp_path / "one.toml"
    one.write_text("[run\n", encoding="utf-8")
    found = config.check(COMPLETE, overlays=[one, tmp_path / "none.toml"])
    assert [(f.rule, f.file) for f in found] == [
        ("TOML-001", str(one)),
        ("FILE-001", str(tmp_path / "none.toml")),
    ]


@pytest.mark.parametrize("board", ["sabrelite", "q35", "pc"])
def test_the_same_system_on_every_board(board: str) -> None:
    text = SYSTEMS / "valid" / "minimal.toml"
    system = config.load(text, board=board)
    assert system.board.name == board
    assert tomllib.loads(system.document)["system"]["board"] == board
    assert "uart1" in system.board.devices and system.board.console == "uart2"


def test_board_of_the_command_line_is_relative_to_the_working_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(SYSTEMS / "boards")
    system = config.load(SYSTEMS / "valid" / "minimal.toml", board="./small.toml")
    assert system.board.name == "test"
    assert tomllib.loads(system.document)["system"]["board"] == "../boards/small.toml"


def test_unknown_board_of_the_command_line() -> None:
    (finding,) = config.check(COMPLETE, board="q53")
    line = COMPLETE.read_text().splitlines().index('board = "sabrelite"') + 1
    assert (finding.rule, finding.file, finding.line) == ("BOARD-001", str(COMPLETE), line)
    assert 'did you mean "q35"?' in finding.help or "q35" in finding.help
    with pytest.raises(ConfigError):
        config.resolve(COMPLETE, board="q53")


def test_boards_are_found_by_name_and_by_path() -> None:
    assert boards.names() == ["pc", "q35", "sabrelite"]
    by_name = boards.find("q35")
    assert by_name is not None and boards.find(str(by_name)) == by_name
    assert boards.find("boards/small.toml", SYSTEMS) == SYSTEMS / "boards" / "small.toml"
    for hostile in ("none", "../none", "a\0b", "", "x" * 5000, "/", "boards/"):
        assert boards.find(hostile, SYSTEMS) is None
