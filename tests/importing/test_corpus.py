"""Solutions by others, as they are: which run here under their own policy, and why others do not."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from khs.errors import ConfigError
from khs.importing import import_solution
from khs.resources import shipped
from khs.trace import events
from tests.guests.systems import Run
from tests.importing.solutions import play

CORPUS = Path(os.environ.get("KHS_CORPUS") or "/nonexistent")
LIGHT = "cyberimmunity-edu__cyberimmune-systems-example-traffic-light-kos"
DRONE = "YuraBeznos__FireFighter-drone-kos"
MQTT = "KasperskyLab__rabbitmq-c-kos"
TOKENS = "KasperskyLab__jwt-kos"
CARD = {"ROOTFS_ENTITY": "kl.VfsSdCardFs"}

pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="KHS_CORPUS names no folder with solutions"
)


def test_traffic_light(tmp_path: Path) -> None:
    done = import_solution(CORPUS / LIGHT, tmp_path / "system")
    files = {path.name: path for path in (CORPUS / LIGHT).rglob("*") if path.is_file()}
    for name in ("security.psl", "LightsGPIO.edl", "ControlSystem.edl", "IMode.idl", "CMode.cdl"):
        (copy,) = (path for path in done.files if path.name == name)
        assert copy.read_bytes() == files[name].read_bytes()
    assert done.trusted == ()

    played = play(done.folder)
    assert "lightsGpio.mode.FMode: answered" in played.console("control-system")
    assert played.result.verdicts["denied"] == 0
    assert played.result.verdicts["granted"] > 50
    assert not played.of(events.Fault)


MODES = [
    "A blinking yellow, B blinking yellow",
    "A red, B red",
    "A green, B red",
    "A yellow, B red",
    "A red, B green",
    "A green, B green",
    "A red, B yellow",
]


def lights(solution: Path, folder: Path) -> Run:
    """Its policy and interfaces, under the programs of images/traffic-light."""
    programs = shipped("images") / "traffic-light/solution"
    done = import_solution(solution, folder, programs=programs)
    for name in ("control-system", "lights-gpio"):
        given, copy = (root / name / "main.c" for root in (programs, folder / "partitions"))
        assert copy.read_bytes() == given.read_bytes()
    return play(done.folder)


def test_its_lights_go_through_their_modes(tmp_path: Path) -> None:
    """Two greens among them: its policy, unmodified, grants every mode."""
    played = lights(CORPUS / LIGHT, tmp_path / "system")
    assert played.console("lights-gpio").splitlines()[: len(MODES)] == MODES
    assert "mode 404: set to 404" in played.console("control-system")
    assert played.result.verdicts["denied"] == 0
    assert not played.of(events.Fault)


def test_its_own_rules_deny_two_greens(tmp_path: Path) -> None:
    """Its authors left them in comments."""
    solution = tmp_path / "solution"
    shutil.copytree(CORPUS / LIGHT, solution)
    (policy,) = solution.rglob("security.psl")
    opened = re.sub(r"^/\*\n|^\*/\n", "", policy.read_text(), flags=re.MULTILINE)
    assert opened.count("assert (message.value != 0x404)") == 1
    policy.write_text(opened)
    played = lights(solution, tmp_path / "system")
    shown = played.console("lights-gpio").splitlines()
    safe = [mode for mode in MODES if mode != "A green, B green"]
    assert shown[: len(safe)] == safe
    assert "A green, B green" not in shown
    assert "mode 404: DENIED" in played.console("control-system")
    assert played.result.verdicts["denied"] > 0


def test_its_policy_judges_the_calls(tmp_path: Path) -> None:
    """With the rule that its authors wrote beside it, in a comment, zero is still answered; with
    its opposite it is denied."""
    solution = tmp_path / "solution"
    shutil.copytree(CORPUS / LIGHT, solution)
    (policy,) = solution.rglob("security.psl")
    text = policy.read_text()
    policy.write_text(
        text.replace("request src=traffic_light.ControlSystem {\n    grant ()", "")
        .replace("method=FMode {\n        grant()", "method=FMode {\n assert (message.value == 1)")
        .replace("/* Request messages allowed. */", "/* none */\nrequest src=Einit { grant ()")
    )
    played = play(import_solution(solution, tmp_path / "system").folder)
    assert "FMode: DENIED" in played.console("control-system")


@pytest.mark.parametrize(
    ("name", "init", "defines", "runs"),
    [
        (f"{LIGHT}__example-echo2c", None, {}, {"client", "client2", "server"}),
        (f"{LIGHT}__example-networking", None, {}, {"connector", "vfs-net"}),
        (TOKENS, "kos/example/einit/src/init.yaml.in", {}, {"web-server", "token-service"}),
        (MQTT, "kos/amqp_publisher/einit/src/init.yaml.in", CARD, {"publisher"}),
        (MQTT, "kos/amqp_consumer/einit/src/init.yaml.in", CARD, {"consumer"}),
        (
            f"{MQTT}__kosce_v1.1.1",
            "kos/amqp_publisher/einit/src/init.yaml.in",
            CARD,
            {"publisher", "ntpd", "vfs-net", "vfs-sd-card-fs"},
        ),
        (
            f"{MQTT}__kosce_v1.1.1",
            "kos/amqp_consumer/einit/src/init.yaml.in",
            CARD,
            {"consumer", "ntpd", "vfs-net", "vfs-sd-card-fs"},
        ),
    ],
)
def test_it_runs(
    name: str, init: str | None, defines: dict[str, str], runs: set[str], tmp_path: Path
) -> None:
    chosen = Path(init) if init else None
    done = import_solution(CORPUS / name, tmp_path / "system", init=chosen, defines=defines)
    assert done.lost
    assert done.trusted
    played = play(done.folder, frames=20)
    assert runs <= {n for n, part in played.result.partitions.items() if part.mode == "normal"}
    assert not played.of(events.Fault)


def test_the_drone_names_a_type_parameter_that_there_is_not(tmp_path: Path) -> None:
    """`type States` in Flow: with the one letter taken out, eleven classes run."""
    defines = {**CARD, "INIT_KlogEntity_PATH": "Klog"}
    with pytest.raises(ConfigError) as caught:
        import_solution(CORPUS / DRONE, tmp_path / "system", defines=defines)
    (found,) = caught.value.findings
    assert (found.rule, Path(found.file).name, found.line) == ("PSL-061", "security.psl", 132)

    solution = tmp_path / "drone"
    shutil.copytree(CORPUS / DRONE, solution)
    (policy,) = solution.rglob("security.psl")
    policy.write_text(policy.read_text().replace("type States", "type State"))
    played = play(import_solution(solution, tmp_path / "system", defines=defines).folder)
    assert played.result.verdicts["denied"] == 0
    assert "answered" in played.console("ccu")
    assert {part.mode for part in played.result.partitions.values()} == {"normal"}


@pytest.mark.parametrize(
    ("name", "init", "rule", "words"),
    [
        (f"{DRONE}__kce-1.2.0.45", None, "IMP-001", "no init description"),
        (MQTT, None, "IMP-001", "3 init descriptions"),
        (MQTT, "kos/amqp_publisher/einit/src/init.yaml.in", "SRC-005", "@ROOTFS_ENTITY@"),
        (MQTT, "kos/unit_tests/einit/src/init.yaml.in", "PSL-009", "nonsecurity._ is left out"),
        (TOKENS, "kos/unittests/einit/src/init.yaml.in", "PSL-009", "nonsecurity._ is left out"),
    ],
)
def test_it_is_refused(name: str, init: str | None, rule: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        import_solution(CORPUS / name, tmp_path / "system", init=Path(init) if init else None)
    assert any(each.rule == rule and words in each.message for each in caught.value.findings)
    assert not (tmp_path / "system").exists()
