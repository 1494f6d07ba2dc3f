"""khs explain: verdicts of a trace, judged again."""

from __future__ import annotations

import json
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


def test_no_trace(khs: Khs, tmp_path: Path) -> None:
    path = tmp_path / "x.trace"
    path.write_bytes(b"no trace")
    done = khs("explain", "iot-gateway", path)
    assert done.code == 2 and "Traceback" not in done.err
