"""khs run --policy-at: a policy from outside is held to what the system's own are."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import kss.cli
import pytest
from typer.testing import CliRunner

from .conftest import Khs

SMALL = """execute: kl.core.Execute
use nk.basic._
use EDL Einit
use EDL kl.core.Core
use EDL gateway.Sensor
use EDL gateway.Controller
execute { grant () }
request { grant () }
"""


def elsewhere(system: Path, changed: str, old: str, new: str) -> Path:
    """The system's policy in another folder, with a changed interface description beside it."""
    folder = system.parent / "elsewhere"
    shutil.copytree(system / "interfaces", folder)
    shutil.copy(system / "security.psl", folder / "other.psl")
    file = folder / changed
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return folder / "other.psl"


def test_it_knows_every_class(khs: Khs, system: Path) -> None:
    (system / "small.psl").write_text(SMALL)
    done = khs("run", system, "--policy-at", f"50={system / 'small.psl'}")
    assert (done.code, done.out) == (2, "")
    for name in ("Actuator", "Logger"):
        lines = (system / "system.toml").read_text().splitlines()
        at = next(n for n, text in enumerate(lines, 1) if f'class = "gateway.{name}"' in text)
        place = f"{system / 'system.toml'}:{at}:"
        [found] = [each for each in done.err.splitlines() if place in each]
        assert f"the policy small.psl does not know the class gateway.{name}" in found


def test_its_messages_are_those_of_the_system(khs: Khs, system: Path) -> None:
    change = ("    // temperature", "    Before(in UInt8 more);\n    // temperature")
    policy = elsewhere(system, "gateway/ITelemetry.idl", *change)
    done = khs("run", system, "--policy-at", f"50={policy}")
    assert (done.code, done.out) == (2, "")
    assert f"{policy}:1:1: error POL-002: channels of the system have other endpoints" in done.err
    assert "help: use the same interface descriptions for every policy" in done.err


def test_its_endpoints_are_those_of_the_channels(khs: Khs, system: Path) -> None:
    change = ("    setpoint : gateway.ISetpoint", "    target : gateway.ISetpoint")
    policy = elsewhere(system, "gateway/Controller.edl", *change)
    policy.write_text(policy.read_text().replace("endpoint=setpoint", "endpoint=target"))
    done = khs("run", system, "--policy-at", f"50={policy}")
    assert (done.code, done.out) == (2, "")
    assert f"{system / 'system.toml'}:" in done.err
    assert "with other.psl: gateway.Controller, the class of 'controller', has no endpoint" in (
        done.err
    )


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_a_sound_one_elsewhere_comes_into_force(khs: Khs, system: Path, json: list[str]) -> None:
    policy = elsewhere(system, "gateway/ITelemetry.idl", "    // temperature", "    // Temperature")
    done = khs("run", system, "--policy-at", f"50={policy}", *json)
    assert (done.code, "refused" in done.err) == (0, False)


def test_one_of_kss_compile_brings_its_names(khs: Khs, system: Path, tmp_path: Path) -> None:
    """Without them, or with those of another policy, a denial by a rule is told as one."""
    policy = system / "strict.psl"
    text = (system / "security.psl").read_text()
    text = text.replace("grant ()", "deny ()")
    policy.write_text(re.sub("(?m)^execute(.*)deny", r"execute\1grant", text))
    binary, trace = tmp_path / "strict.bin", tmp_path / "run.trace"
    arguments = ["compile", policy, "-I", system / "interfaces", "-o", binary]
    assert CliRunner().invoke(kss.cli.app, [str(each) for each in arguments]).exit_code == 0

    def denials() -> list[str]:
        done = khs("run", system, "--frames", 6, "--policy-at", f"3={binary}", "--trace", trace)
        assert done.code == 0, done.err
        return khs("trace", trace, "--denied").out.splitlines()

    assert re.search(r"telemetry\.Report .*  strict\.psl:\d+: deny \(\)$", denials()[0])
    unknown = "denied by a rule of a policy whose text is not known"
    names = binary.with_suffix(".json")
    names.write_text(names.read_text().replace('"sha256": "', '"sha256": "0'))
    assert denials()[0].endswith(unknown)
    names.unlink()
    assert denials()[0].endswith(unknown)
