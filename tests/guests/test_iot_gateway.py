"""The temperature control: it works, it holds under attack, and an overlong partition harms itself."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from khs.resources import shipped
from khs.trace import events
from khs.trace.kinds import FaultKind, HealthError, Reason
from khs.trace.names import Names
from khs.trace.text import code
from khs.trace.text import format as as_text
from tests.guests.systems import BOARDS, Run, built, run

FRAMES = 200
FOLDER = shipped("images") / "iot-gateway"
ATTACK, OVERLONG = FOLDER / "attack.toml", FOLDER / "overlong.toml"
PLANT = ("sensor", "controller", "actuator", "logger")


def play(arch: str, *overlays: Path) -> Run:
    key = (arch, overlays)
    if key not in _PLAYED:
        _PLAYED[key] = run(built("iot-gateway", BOARDS[arch], overlays), FRAMES)
    return _PLAYED[key]


_PLAYED: dict[tuple[str, tuple[Path, ...]], Run] = {}


def test_it_controls_the_temperature(arch: str) -> None:
    played = play(arch)
    said = played.console("logger").splitlines()
    readings = [float(line.split()[2]) for line in said if line.startswith("reading")]

    assert played.result.frames == FRAMES
    assert played.result.verdicts["denied"] == 0
    assert not played.of(events.Fault)
    assert readings[0] == pytest.approx(20, abs=0.2)  # ambient
    assert readings[3] == pytest.approx(45, abs=0.3)  # set at 500 ms
    assert readings[-1] == pytest.approx(30, abs=0.3)  # set at 2 s
    assert "gateway: setpoint 450 instead of 400" in said
    assert "gateway: message of 14 bytes is not sound" in said
    assert "gateway: note: night reduction" in said
    assert not any(part.deadline_missed for part in played.result.partitions.values())
    assert played.result.partitions["logger"].restarts == 1  # from outside, at 2.5 s


def test_runs_are_the_same_byte_for_byte(arch: str) -> None:
    again = run(built("iot-gateway", BOARDS[arch]), FRAMES)
    assert again.result.trace_sha256 == play(arch).result.trace_sha256


# ---- the attack --------------------------------------------------------------


def test_the_attack_differs_in_bytes_from_outside_alone(arch: str) -> None:
    plain, attack = (built("iot-gateway", BOARDS[arch], each) for each in ((), (ATTACK,)))
    differing = {name for name in plain.members if plain.members[name] != attack.members[name]}
    assert differing == {"inputs.json", "inputs.bin", "system.toml", "report.md"} & differing
    assert {"inputs.json", "inputs.bin"} <= differing
    documents = [archive.document.split("messages")[0] for archive in (plain, attack)]
    assert documents[0] == documents[1]


def test_the_attackers_messages_fit_the_programs(arch: str) -> None:
    maker = _make_attack()
    found = maker.functions(built("iot-gateway", BOARDS[arch]).elfs["gateway"])
    for name, make in maker.MESSAGES.items():
        assert (FOLDER / f"attack-{name}.bin").read_bytes() == make(found), name


def _make_attack() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_attack", FOLDER / "make_attack.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_attacker_runs_what_he_likes_and_gets_nothing(arch: str) -> None:
    played = play(arch, ATTACK)
    by_hypercall = [
        (call.number, code(call.code))
        for call in played.of(events.Hypercall, "gateway")
        if call.code and code(call.code) not in ("NOT_AVAILABLE", "NO_ACTION")
    ]
    assert by_hypercall == [
        (13, "DENIED"),  # khs_call: a setpoint of 999.9 degrees
        (13, "DENIED"),  # khs_call: Force
        (6, "DENIED"),  # khs_partition_restart of the controller
        (10, "INVALID_CONFIG"),  # khs_module_stop
        (16, "INVALID_CONFIG"),  # khs_port_write to what it may only read
        (11, "BAD_POINTER"),  # khs_console_write of the kernel's memory
    ]
    assert [fault.fault for fault in played.of(events.Fault)] == [
        FaultKind.READ,
        FaultKind.WRITE,
        FaultKind.EXECUTE,
    ]
    assert {fault.partition for fault in played.of(events.Fault)} == {
        played.partitions.index("gateway")
    }


def test_denials_of_the_attack_name_their_rules(arch: str) -> None:
    archive = built("iot-gateway", BOARDS[arch], (ATTACK,))
    names = Names.from_header({"names": archive.names, "policies": list(archive.policy_maps)})
    denied = [verdict for verdict in play(arch, ATTACK).of(events.Verdict) if not verdict.granted]
    said = [as_text(verdict, names) for verdict in denied]

    assert [each.reason for each in denied] == [Reason.RULES, Reason.DEFAULT, Reason.RULES]
    assert f"security.psl:{_line_of('assert (message.temperature')}" in said[0]
    assert "Force" in said[1]
    assert f"security.psl:{_line_of('assert (message.target')}" in said[2]


def _line_of(text: str) -> int:
    lines = (FOLDER / "security.psl").read_text(encoding="utf-8").splitlines()
    return 1 + next(n for n, line in enumerate(lines) if text in line)


def test_the_plant_does_not_notice_the_attack(arch: str) -> None:
    plain, attacked = play(arch).result.partitions, play(arch, ATTACK).result.partitions
    for name in PLANT:
        assert attacked[name].deadline_missed == 0, name
        assert attacked[name].faults == attacked[name].restarts == 0, name
    assert attacked["sensor"].hypercalls == plain["sensor"].hypercalls
    said = play(arch, ATTACK).console("logger").splitlines()
    readings = [float(line.split()[2]) for line in said if line.startswith("reading")]
    assert readings[-1] == pytest.approx(45, abs=0.3)


def test_the_gateway_is_shut_off_after_its_third_fault_in_a_second(arch: str) -> None:
    gateway = play(arch, ATTACK).result.partitions["gateway"]
    assert (gateway.faults, gateway.restarts, gateway.mode) == (3, 2, "idle")


# ---- an overlong controller ----------------------------------------------------


def test_an_overlong_controller_misses_its_own_deadlines_alone(arch: str) -> None:
    plain, overlong = play(arch).result.partitions, play(arch, OVERLONG).result.partitions
    missed = {name: part.deadline_missed for name, part in overlong.items()}
    assert missed.pop("controller") > FRAMES // 2
    assert set(missed.values()) == {0}
    for name, part in overlong.items():
        assert part.ticks + part.idle_ticks == plain[name].ticks + plain[name].idle_ticks

    health = play(arch, OVERLONG).of(events.Health)
    assert {event.error for event in health} == {HealthError.DEADLINE_MISSED}
    assert {event.partition for event in health} == {1}


def test_the_manifest_names_what_make_attack_relies_on() -> None:
    """Numbers of partitions and ports are places in system.toml."""
    archive, maker = built("iot-gateway", BOARDS["armv7"]), _make_attack()
    names = json.loads(json.dumps(archive.names))
    ports = names["ports"][names["partitions"].index("gateway")]
    assert names["partitions"][maker.CONTROLLER] == "controller"
    assert names["partitions"][4] == "logger"  # security.psl
    assert [ports[n] for n in (maker.TEMPERATURE, maker.SETPOINT, maker.SERVICE)] == [
        "temperature",
        "setpoint",
        "service",
    ]
