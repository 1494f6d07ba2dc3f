"""khs explain: verdicts of a trace, judged again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from khs.trace import Names, Reader
from khs.trace.events import Verdict
from khs.trace.history import history

from .conftest import Khs

RUN = ("iot-gateway", "--with", "attack.toml")


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("ziglang")
    from typer.testing import CliRunner

    from khs.cli import app

    path = tmp_path_factory.mktemp("trace") / "run.trace"
    assert CliRunner().invoke(app, ["run", *RUN, "--trace", str(path)]).exit_code == 0
    return path


def test_a_denial(khs: Khs, trace: Path) -> None:
    done = khs("explain", "iot-gateway", trace, "--denied")
    assert done.code == 0
    assert done.out == (
        "denied by security.psl:97: assert (message.temperature >= 50 && message.temperature <= "
        "850), where message.temperature is 9999\n"
        "\n"
        "security.psl:95 request src=gateway.Gateway, dst=gateway.Controller, endpoint=setpoint\n"
        "  99: match does not: method=Status (it is Set)\n"
        "  97: assert (message.temperature >= 50 && message.temperature <= 850): denied\n"
        "      message.temperature = 9999\n"
        "and 4 more that do not match (--all lists them)\n"
    )
    assert "--all" not in khs("explain", "iot-gateway", trace, "--denied", "--all").out


def test_every_verdict_is_that_of_the_run(khs: Khs, trace: Path) -> None:
    """With its state: restarts of partitions among them."""
    with Reader(trace) as reader:
        verdicts = [each for each in reader.events() if isinstance(each, Verdict)]
        names = Names.from_header(reader.header)
    assert len(verdicts) > 500 and not all(verdict.granted for verdict in verdicts)
    for number in (1, 2, 5, len(verdicts) // 2, len(verdicts)):
        verdict = verdicts[number - 1]
        shown = json.loads(khs("explain", "iot-gateway", trace, number, "--json").out)
        assert shown["verdict"] == ("granted" if verdict.granted else "denied")
        assert shown["event"]["event"] == verdict.event.word
        source = names.policy_of(verdict).class_name(verdict.source_class)
        assert shown["event"]["src"] == source


def test_states_are_those_of_partitions(khs: Khs, trace: Path) -> None:
    for number in range(1, 400):
        with Reader(trace) as reader:
            found = history(reader, number)
        if found.line.get("method") == "Enter":
            break
    done = khs("explain", "iot-gateway", trace, number)
    assert 'heater of actuator is now "arming", was "off"' in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("iot-gateway", 100_000), "verdicts, no number 100000"),
        (("iot-gateway", 100, "--denied"), "denials, no number 100"),
        (("hostile",), "the trace was not recorded with the policy security of this system"),
        (("iot-gatway",), "did you mean 'iot-gateway'?"),
    ],
)
def test_wrong_use(khs: Khs, trace: Path, arguments: tuple[object, ...], words: str) -> None:
    system, *rest = arguments
    done = khs("explain", system, trace, *rest)
    assert done.code == 2 and words in done.err and done.out == ""


# ---- policies that were replaced -------------------------------------------------------------


Replaced = tuple[Path, Path]


@pytest.fixture(scope="module")
def replaced(tmp_path_factory: pytest.TempPathFactory) -> Replaced:
    """A system, and a trace of it: at frame 3 a policy of the system, at frame 110 one from
    outside take effect. The last denies what the sensor reports; every line is another one."""
    pytest.importorskip("ziglang")
    from typer.testing import CliRunner

    from khs import resources
    from khs.cli import app

    folder = tmp_path_factory.mktemp("replaced")
    system, trace = folder / "system", folder / "run.trace"
    shutil.copytree(resources.shipped("images") / "iot-gateway", system)
    text = (system / "security.psl").read_text()
    rule = re.compile(r"request src=gateway\.Sensor, .*?\n}\n", re.DOTALL)
    (system / "moved.psl").write_text("\n" + text)
    (folder / "strict.psl").write_text("\n\n" + rule.sub("", text))
    document = (system / "system.toml").read_text()
    policy = 'policy = "security.psl"\n'
    assert policy in document
    document = document.replace(policy, f'{policy}policies = {{ moved = "moved.psl" }}\n')
    (system / "system.toml").write_text(document)
    at = ("--policy-at", "3=moved", "--policy-at", f"110={folder / 'strict.psl'}")
    arguments = ["run", str(system), *at, "--trace", str(trace)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    return system, trace


def verdicts(trace: Path) -> list[tuple[int, Verdict]]:
    with Reader(trace) as reader:
        found = [each for each in reader.events() if isinstance(each, Verdict)]
    return list(enumerate(found, start=1))


def test_verdicts_of_policies_that_came_later(khs: Khs, replaced: Replaced) -> None:
    system, trace = replaced
    strict = system.parent / "strict.psl"
    last = {verdict.sequence: number for number, verdict in verdicts(trace)}
    assert len(last) == 3
    shown = [
        khs("explain", system, trace, number, "--json", "--policy-at", f"110={strict}")
        for number in last.values()
    ]
    assert [(done.code, json.loads(done.out)["verdict"]) for done in shown] == [(0, "granted")] * 3
    lines = [
        {row["line"] for row in json.loads(done.out)["bindings"] if row["matched"]}
        for done in shown
    ]
    assert len(set(map(frozenset, lines))) > 1
    done = khs("explain", system, trace, "--denied", "--policy-at", f"110={strict}")
    assert done.out.startswith("denied: no rule matches")


def test_state_is_kept_as_in_the_run(khs: Khs, replaced: Replaced) -> None:
    """The heater is armed when the policy is replaced, and turned on after that."""
    system, trace = replaced
    at = ("--policy-at", f"110={system.parent / 'strict.psl'}")
    with Reader(trace) as reader:
        names = Names.from_header(reader.header)
    found = []
    for number, verdict in verdicts(trace):
        if verdict.sequence == 1 and names.maps[0].method(verdict) == "mode.Enter":
            done = khs("explain", system, trace, number, *at)
            assert done.code == 0, done.err
            found.append(done.out)
    assert found and "heater of actuator is now" in found[0]


def test_a_policy_that_is_not_at_hand(khs: Khs, replaced: Replaced) -> None:
    system, trace = replaced
    done = khs("explain", system, trace, "--denied")
    assert done.code == 2
    assert "the policy strict took effect before that verdict, and the system has none" in done.err
    assert "help: name its file as in the run: --policy-at FRAME=strict.psl" in done.err
    assert khs("explain", system, trace, 1).code == 0
    other = system.parent / "other.psl"
    other.write_text((system.parent / "strict.psl").read_text() + "request { deny () }\n")
    done = khs("explain", system, trace, "--denied", "--policy-at", f"110={other}")
    assert done.code == 2
    assert "the trace was not recorded with the policy other of this system" in done.err


def test_an_archive_has_no_texts(khs: Khs, trace: Path, tmp_path: Path) -> None:
    assert khs("build", "iot-gateway", "-o", tmp_path / "a.khs").code == 0
    done = khs("explain", tmp_path / "a.khs", trace)
    assert done.code == 2
    assert "a.khs: an archive has its policies compiled, without the text" in done.err
    assert "give the folder that it was built from" in done.err


def test_no_trace(khs: Khs, tmp_path: Path) -> None:
    path = tmp_path / "x.trace"
    path.write_bytes(b"no trace")
    done = khs("explain", "iot-gateway", path)
    assert done.code == 2 and "Traceback" not in done.err


def test_a_recording_has_no_texts(khs: Khs, trace: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    assert khs("run", "iot-gateway", "--frames", "2", "--record", kept).code == 0
    done = khs("explain", kept, trace, "--denied")
    assert done.code == 2
    assert "a recording has its policies compiled, without texts" in done.err
    assert "the folder of the system that was recorded" in done.err
