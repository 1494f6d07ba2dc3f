"""Runs as pictures: khs trace --perfetto and khs report, on the demonstration system under attack."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from tests.trace import pftrace

from .conftest import Khs
from .test_replay import changed


@pytest.fixture
def attacked(khs: Khs, tmp_path: Path) -> Path:
    """A trace of the gateway under attack."""
    pytest.importorskip("ziglang")
    trace = tmp_path / "run.trace"
    assert khs("run", "iot-gateway", "--with", "attack.toml", "--trace", trace).code == 0
    return trace


def test_the_picture_of_the_gateway(khs: Khs, attacked: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.pftrace"
    done = khs("trace", attacked, "--perfetto", out, "--json")
    told = json.loads(done.out)
    assert (done.code, told["perfetto"]) == (0, str(out))
    assert told["events"] == len(khs("trace", attacked).out.splitlines())
    trace = pftrace.read(out.read_bytes())

    calls = defaultdict(list)
    for each in trace.slices:
        if each.category == "hypercall":
            assert each.parent is not None and each.parent.name == "window", each
            assert each.parent.begin <= each.begin and each.end is not None and each.parent.end
            assert each.begin < each.end <= each.parent.end, "a hypercall takes time"
            calls[each.track].append(each)
    assert sorted(calls) == ["actuator", "controller", "gateway", "logger", "sensor"]
    for track in calls.values():  # what a hypercall is charged is over before the next
        assert all(one.end <= other.begin for one, other in pairwise(track))

    arrows = {(one.track, one.name, other.track, other.name) for one, other in trace.flows()}
    assert {
        ("sensor", "khs_port_write", "controller", "khs_port_read"),
        ("gateway", "khs_port_send", "logger", "khs_port_receive"),
        ("gateway", "khs_call", "controller", "khs_recv"),
        ("controller", "khs_reply", "gateway", "khs_call resumes"),
        ("gateway", "input", "gateway", "khs_input_receive resumes"),
    } <= arrows
    assert trace.counters.keys() == {"mode -> actuator", "journal -> logger", "input uplink"}
    assert all(values[-1][1] == 0 for values in trace.counters.values())
    denied = [each for each in trace.instants if each.category == "denied"]
    assert [each.details["rule"].split(";")[0] for each in denied][1] == "no rule matches"
    assert len(denied) == len(khs("trace", attacked, "--denied").out.splitlines()) == 3


def test_pictures_destroy_nothing(khs: Khs, attacked: Path, tmp_path: Path) -> None:
    before = attacked.read_bytes()
    done = khs("trace", attacked, "--perfetto", attacked)
    assert (done.code, attacked.read_bytes()) == (2, before)
    assert "another name" in done.err
    for option in (("--denied",), ("--partition", "sensor"), ("--events",)):
        assert khs("trace", attacked, "--perfetto", tmp_path / "out", *option).code == 2
    assert khs("trace", tmp_path, "--perfetto", tmp_path / "out").code == 2, "no recording"
    assert not (tmp_path / "out").exists()


def test_the_report_of_the_gateway(khs: Khs, attacked: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    done = khs("report", attacked, "-o", out, "--json")
    told = json.loads(done.out)
    assert (done.code, told["report"], told["denied"]) == (0, str(out), 3)
    text = out.read_text("utf-8")
    for words in (
        "setpoint.Set {temperature: 9999}",
        "This one comes nearest. It wants method=Hours.",
        "gateway to controller: 2 granted, 1 denied",
        "logger: reading 1: 20.0 degrees",
        "memory-fault (partition level, running)",
    ):
        assert words in text, words
    assert 10 * len(text) < 6 * attacked.stat().st_size, "it is smaller than the trace"


def test_a_report_stands_beside_its_trace(khs: Khs, attacked: Path, tmp_path: Path) -> None:
    done = khs("report", attacked)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{tmp_path / 'run.trace.html'}: ")
    assert (tmp_path / "run.trace.html").read_text("utf-8").startswith("<!doctype html>")
    before = attacked.read_bytes()
    assert khs("report", attacked, "-o", attacked).code == 2 and attacked.read_bytes() == before
    assert khs("report", tmp_path / "missing").code == 2
    assert "cannot be written" in khs("report", attacked, "-o", tmp_path / "no" / "folder").err
    attacked.write_bytes(before[:-8])
    done = khs("report", attacked, "-o", tmp_path / "cut.html")
    assert done.code == 2 and "cut short" in done.err and not (tmp_path / "cut.html").exists()


def test_a_recording_is_drawn_as_it_ran(khs: Khs, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    kept, trace = tmp_path / "kept", tmp_path / "run.trace"
    run = ("run", "iot-gateway", "--frames", 30)
    assert khs(*run, "--record", kept, "--trace", trace).code == 0
    for source in (kept, trace):
        assert khs("trace", source, "--perfetto", f"{source}.pftrace").code == 0
        assert khs("report", source, "-o", f"{source}.html").code == 0
    assert Path(f"{kept}.pftrace").read_bytes() == Path(f"{trace}.pftrace").read_bytes()
    assert Path(f"{kept}.html").read_text("utf-8") == Path(f"{trace}.html").read_text("utf-8")


def test_a_recording_that_runs_otherwise_is_not_drawn(khs: Khs, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    kept, out = tmp_path / "kept", tmp_path / "run.html"
    assert khs("run", "iot-gateway", "--frames", 3, "--record", kept).code == 0
    about = json.loads((kept / "run.json").read_bytes())
    changed(kept, result=about["result"] | {"trace_sha256": "0" * 64})
    done = khs("report", kept, "-o", out)
    assert (done.code, out.exists()) == (1, False)
    assert f"khs replay {kept}" in done.err
