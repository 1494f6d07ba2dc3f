"""khs flow: paths of data in a system, over its channels and shared regions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kss.analysis.system import read_system

from .conftest import Khs


def test_channels_and_regions(khs: Khs) -> None:
    done = khs("flow", "iot-gateway", "gateway", "logger", "--max", "1")
    assert (done.code, done.out) == (
        0,
        "gateway -> logger\n"
        "    request journal.Note: granted, security.psl:92, over channel journal\n"
        "    judged by nobody, over region capture\n"
        "there are more paths: --max N shows N of them\n",
    )


def test_answers_pass_back(khs: Khs) -> None:
    done = khs("flow", "iot-gateway", "actuator", "gateway", "--json", "--max", "1")
    (((step),),) = json.loads(done.out)["paths"]
    assert [(way["kind"], way["link"]) for way in step["ways"]] == [("response", "channel service")]


def test_no_path_is_an_answer(khs: Khs) -> None:
    """The logger reads the gateway's region, but nothing of its own leaves it."""
    done = khs("flow", "iot-gateway", "logger", "gateway")
    assert done.code == 0
    assert done.out == (
        "no path: no data passes from logger to gateway\nfrom logger it gets nowhere\n"
    )


def test_the_policy_decides_what_a_channel_carries(khs: Khs, system: Path) -> None:
    """The controller's alarms are denied: the channel is there, the path is not."""
    policy = system / "security.psl"
    text = policy.read_text("utf-8")
    rule = "interface=gateway.IAlarm, method=Raise {\n    grant ()"
    assert rule in text
    asked = ("flow", system, "controller", "logger", "--max", "1")
    assert "over channel alarms" in khs(*asked).out
    policy.write_text(text.replace(rule, rule.replace("grant", "deny")), "utf-8")
    assert "alarms" not in khs(*asked).out


def test_links_for_kss(khs: Khs, tmp_path: Path) -> None:
    """Each channel once a reader, a region once for each who may write and another who may read."""
    path = tmp_path / "links.json"
    assert khs("flow", "iot-gateway", "gateway", "logger", "--links", path).code == 0
    found = read_system(path)
    names = [link.name for link in found.links]
    assert names.count("channel temperature") == 3 and names.count("region plant") == 1
    assert found.processes["gateway"] == "gateway.Gateway"
    assert [link.answers for link in found.links if link.name == "channel setpoint"] == [True]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("iot-gateway", "gatewy", "logger"), "there is no process gatewy\n  help: did you mean"),
        (("iot-gateway", "logger", "logger"), "logger is both ends"),
        (("iot-gateway", "logger", "sensor", "--links", "/nowhere/x"), "cannot write /nowhere/x"),
        (("iot-gatway", "logger", "sensor"), "did you mean 'iot-gateway'?"),
    ],
)
def test_wrong_use(khs: Khs, arguments: tuple[str, ...], words: str) -> None:
    done = khs("flow", *arguments)
    assert done.code == 2 and words in done.err and done.out == ""
