"""khs run --audit: what is recorded of a run, by names, whatever happens to the process or the file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from kss.trail import verify
from kss.trail.chain import read

from .conftest import Khs

pytest.importorskip("ziglang")

ATTACK = ("--with", "attack.toml")


def records(path: Path, kind: str = "decision") -> list[dict[str, Any]]:
    return [record for record in read(path) if record["record"] == kind]


def audited(khs: Khs, system: Path, path: Path, *more: object) -> dict[str, Any]:
    done = khs("run", system, *ATTACK, "--audit", path, "--json", *more)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


@pytest.mark.parametrize("option", ["--audit", "--trace"])
def test_a_file_is_no_standard_output(
    khs: Khs, system: Path, tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = khs("run", system, option, "-")
    assert done.code == 2
    assert f"{option} -: it writes a file, not standard output" in done.err
    assert not (tmp_path / "-").exists()


def test_denials_are_recorded_by_names(khs: Khs, system: Path, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    found = audited(khs, system, path)
    checked = verify(path)
    assert checked.ok
    told = found["audit"]
    assert told == {
        "file": str(path),
        "records": checked.records,
        "lost": 0,
        "head": checked.head,
        "problem": None,
        "tick": None,
    }
    decisions = records(path)
    assert len(decisions) == found["verdicts"]["denied"] == 3
    assert {record["decision"] for record in decisions} == {"denied"}
    by_rule = next(record for record in decisions if record["reason"] == "rules")
    assert by_rule["event"] == {
        "kind": "request",
        "src": "gateway.Gateway",
        "src_sid": by_rule["event"]["src_sid"],
        "src_name": "gateway",
        "dst": "gateway.Controller",
        "dst_sid": by_rule["event"]["dst_sid"],
        "dst_name": "controller",
        "interface": "gateway.ISetpoint",
        "component": None,
        "endpoint": "setpoint",
        "method": "Set",
    }
    [call] = by_rule["calls"]
    line = (system / "security.psl").read_text().splitlines()[call["line"] - 1]
    assert "assert" in line
    assert call | {"line": 0} == {
        "object": "base",
        "method": "assert",
        "result": "denied",
        "file": "security.psl",
        "line": 0,
    }
    assert by_rule["level"] == 0
    unmentioned = next(record for record in decisions if record["reason"] == "default")
    assert unmentioned["event"]["method"] == "Force"
    assert unmentioned["calls"] == []


def test_a_trail_begins_ends_and_goes_on(khs: Khs, system: Path, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    first, second = audited(khs, system, path), audited(khs, system, path, "--isolate")
    assert verify(path).ok
    begins, ends = records(path, "begin"), records(path, "end")
    assert [record["run"]["system"] for record in begins] == ["iot-gateway"] * 2
    assert begins[0]["run"] == begins[1]["run"]
    assert [end["trace_sha256"] for end in ends] == [first["trace_sha256"]] * 2
    decisions = records(path)
    strip = [{**record, "seq": 0, "prev": "", "hash": ""} for record in decisions]
    assert strip[:3] == strip[3:]
    assert first["trace_sha256"] == second["trace_sha256"]


def test_auditing_changes_nothing(khs: Khs, system: Path, tmp_path: Path) -> None:
    done = khs("run", system, *ATTACK, "--json")
    found = audited(khs, system, tmp_path / "audit.jsonl")
    assert json.loads(done.out)["trace_sha256"] == found["trace_sha256"]


def test_a_higher_level_and_omitted_states(khs: Khs, system: Path, tmp_path: Path) -> None:
    policy = system / "security.psl"
    text = policy.read_text().replace("audit default = watch 0", "audit default = watch 1")
    policy.write_text(text)
    path = tmp_path / "audit.jsonl"
    audited(khs, system, path, "--frames", 60)
    granted = [record for record in records(path) if record["decision"] == "granted"]
    assert granted
    assert {record["level"] for record in granted} == {1}
    calls = [call for record in granted for call in record["calls"]]
    assert {(call["object"], call["result"]) for call in calls} == {("heater", "granted")}


# ---- full ------------------------------------------------------------------------------------


def limited(system: Path, on_full: str) -> tuple[str, Path]:
    overlay = system / "limited.toml"
    overlay.write_text(f'[run]\naudit_limit = "1500B"\naudit_on_full = "{on_full}"\n')
    return "--with", overlay


@pytest.mark.parametrize("isolate", [[], ["--isolate"]])
def test_a_full_trail_stops_the_run(
    khs: Khs, system: Path, tmp_path: Path, isolate: list[str]
) -> None:
    path = tmp_path / "audit.jsonl"
    full = limited(system, "stop")
    done = khs("run", system, *ATTACK, *full, "--audit", path, *isolate)
    assert done.code == 1
    assert "is full: it may have 1500 bytes; from tick " in done.err
    assert " on, 1 of the run's records were not written: stopped after " in done.err
    assert "of 200 frames, results so far" in done.err
    assert "verdicts granted" in done.out
    assert ", 1 LOST from tick " in done.out
    checked = verify(path)
    assert checked.ok
    assert not records(path, "end")
    assert len(records(path)) == checked.records - 1 == 2
    done = khs("run", system, *ATTACK, *full, "--audit", path, "--json", *isolate)
    assert done.code == 2
    assert "is full" in done.err


def test_a_full_trail_is_counted(khs: Khs, system: Path, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    done = khs("run", system, *ATTACK, *limited(system, "count"), "--audit", path)
    assert done.code == 0, done.err
    lost = 3 - len(records(path)) + 1  # and the record of the run's end
    assert f", {lost} LOST from tick " in done.out
    assert f" on: the audit trail {path} is full: it may have 1500 bytes" in done.out
    assert verify(path).ok
    audited(khs, system, path)  # without a limit
    assert [record["record"] for record in read(path)].count("lost") == 0
    assert len(records(path)) == 6 - (lost - 1)


LOUD = 'audit profile loud = { 0 : { base : { kss : ["granted", "denied"] } } }\naudit default = loud 0'


def everything_is_recorded(system: Path) -> None:
    policy = system / "security.psl"
    text = policy.read_text()
    policy.write_text(text.replace("audit default = watch 0", LOUD))


def ticks(path: Path) -> list[int]:
    return [record["tick"] for record in read(path) if record["record"] == "decision"]


@pytest.mark.parametrize("isolate", [[], ["--isolate"]])
def test_what_a_run_records_until_it_has_stopped_is_counted(
    khs: Khs, system: Path, tmp_path: Path, isolate: list[str]
) -> None:
    """Against a run of the same length with room for everything."""
    everything_is_recorded(system)
    path, whole = tmp_path / "audit.jsonl", tmp_path / "whole.jsonl"
    full = limited(system, "stop")
    done = khs("run", system, *ATTACK, *full, "--audit", path, "--json", *isolate)
    assert done.code == 1
    found = json.loads(done.out)
    told = found["audit"]
    assert khs("run", system, *ATTACK, "--frames", 200, "--audit", whole).code == 0
    done_by_then = [tick for tick in ticks(whole) if tick <= found["ticks"]]
    written = ticks(path)
    assert len(written) + told["lost"] == len(done_by_then)
    assert done_by_then[: len(written)] == written
    assert told["tick"] == done_by_then[len(written)]
    assert told["lost"] > 1
    assert f"from tick {told['tick']} on, {told['lost']} of the run's records" in done.err
    assert verify(path).ok


def test_a_full_trail_stops_the_run_within_the_frame(
    khs: Khs, system: Path, tmp_path: Path
) -> None:
    """Of what was recorded after the first record without room, all is of that frame."""
    everything_is_recorded(system)
    path = tmp_path / "audit.jsonl"
    full = limited(system, "stop")
    told = json.loads(khs("run", system, *ATTACK, *full, "--audit", path, "--json").out)
    frame = told["ticks"] // told["frames"]
    assert told["audit"]["lost"] >= 1
    assert (told["frames"] - 1) * frame <= told["audit"]["tick"] <= told["frames"] * frame
    whole = khs("run", system, *ATTACK, "--frames", told["frames"], "--json")
    assert json.loads(whole.out)["trace_sha256"] == told["trace_sha256"]  # the run is the same


def test_the_end_of_a_run_tells_what_was_lost(
    khs: Khs, system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full for a while."""
    import errno

    from kss.trail import file

    everything_is_recorded(system)
    path, writes, write = tmp_path / "audit.jsonl", iter(range(1_000_000)), os.write

    def full_for_a_while(fd: int, data: bytes) -> int:
        if 1 <= next(writes) < 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data)

    overlay = system / "count.toml"
    overlay.write_text('[run]\naudit_on_full = "count"\n')
    monkeypatch.setattr(file.os, "write", full_for_a_while)
    done = khs("run", system, *ATTACK, "--with", overlay, "--audit", path, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)["audit"]
    [lost], [end] = records(path, "lost"), records(path, "end")
    assert told["lost"] == lost["lost"] == end["lost"] > 0
    assert "No space left" in told["problem"]
    assert verify(path).ok
    first = next(each for each in read(path) if "tick" in each)
    assert told["tick"] < first["tick"]


def test_patience_is_configured(khs: Khs, system: Path, tmp_path: Path) -> None:
    """A pipe that nobody empties takes 64 KiB."""
    everything_is_recorded(system)
    pipe, overlay = tmp_path / "pipe", system / "hasty.toml"
    os.mkfifo(pipe)
    overlay.write_text('[run]\naudit_patience = "20ms"\nframes = 1000\n')
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    done = khs("run", system, "--with", overlay, "--audit", pipe)
    os.close(reader)
    assert done.code == 1
    assert "is slow: it took nothing for 0.02 s; from tick " in done.err


def test_what_is_no_trail_is_left_alone(khs: Khs, system: Path, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    done = khs("run", system, "--audit", path)
    assert done.code == 2
    assert "--audit: " in done.err
    assert "is no audit trail: name another file" in done.err
    assert path.read_text() == "mine"


# ---- crashes ---------------------------------------------------------------------------------


def test_a_killed_run_leaves_a_valid_chain(khs: Khs, system: Path, tmp_path: Path) -> None:
    """Everything is recorded, so that the kill comes while records are written."""
    everything_is_recorded(system)
    path, rng, archive = tmp_path / "audit.jsonl", Random(5), tmp_path / "loud.khs"
    assert khs("build", system, "-o", archive).code == 0
    command = [sys.executable, "-m", "khs", "run", str(archive), "--frames", "1000000"]
    before = 0
    for _ in range(3):
        with subprocess.Popen(
            [*command, "--audit", str(path)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as child:
            wanted = (path.stat().st_size if path.exists() else 0) + rng.randint(1, 400_000)
            while child.poll() is None and (not path.exists() or path.stat().st_size < wanted):
                os.sched_yield()
            os.kill(child.pid, signal.SIGKILL)
        checked = verify(path)
        assert checked.ok, checked
        assert checked.records > before
        before = checked.records
    assert len(records(path, "begin")) == 3
    assert not records(path, "end")


# ---- policies replaced ---------------------------------------------------------------------------


def test_a_swap_is_recorded_with_what_became_of_each_object(
    khs: Khs, system: Path, tmp_path: Path
) -> None:
    text = (system / "security.psl").read_text()
    (system / "other.psl").write_text(text.replace("audit default = watch 0", ""))
    path = tmp_path / "audit.jsonl"
    audited(khs, system, path, "--policy-at", f"100={system / 'other.psl'}")
    [swap] = records(path, "policy")
    assert (swap["policy"], swap["in_force"]) == ("other", True)
    assert swap["objects"] == [{"name": "heater", "what": "kept", "why": ""}]
    whole = list(read(path))
    after = [r for r in whole[whole.index(swap) :] if r["record"] == "decision"]
    assert {record["reason"] for record in after} <= {"default"}  # no profile any more


def test_a_compiled_policy_comes_into_force_as_it_is(
    khs: Khs, system: Path, tmp_path: Path
) -> None:
    """Taken out of an archive of the system, with its map beside it."""
    import zipfile

    policy = system / "security.psl"
    policy.write_text(policy.read_text().replace("assert (message.mode == 3)", "deny ()"))
    assert khs("build", system, "-o", tmp_path / "other.khs").code == 0
    with zipfile.ZipFile(tmp_path / "other.khs") as archive:
        for name in ("policy.bin", "policy.json"):
            archive.extract(name, tmp_path)
    path = tmp_path / "audit.jsonl"
    done = khs(
        "run",
        "iot-gateway",
        *ATTACK,
        "--policy-at",
        f"50={tmp_path / 'policy.bin'}",
        "--audit",
        path,
    )
    assert done.code == 0, done.err
    assert 'policy    swapped to policy: kept "heater"' in done.out
    assert [record["in_force"] for record in records(path, "policy")] == [True]


@pytest.mark.parametrize("at", [4, 900])
def test_a_bad_policy_leaves_the_old_one_in_force(
    khs: Khs, system: Path, tmp_path: Path, at: int
) -> None:
    import zipfile

    assert khs("build", system, "-o", tmp_path / "other.khs").code == 0
    with zipfile.ZipFile(tmp_path / "other.khs") as archive:
        bad = bytearray(archive.read("policy.bin"))
    bad[at] ^= 0xFF
    (tmp_path / "bad.bin").write_bytes(bad)
    path = tmp_path / "audit.jsonl"
    plain = json.loads(khs("run", system, "--json").out)
    done = khs(
        "run", system, "--audit", path, "--json", "--policy-at", f"50={tmp_path / 'bad.bin'}"
    )
    assert done.code == 1
    why = "--policy-at 50=bad: refused, the old one stays: it is damaged"
    assert why in done.err
    assert json.loads(done.out)["verdicts"] == plain["verdicts"]
    [refused] = records(path, "policy")
    assert (refused["policy"], refused["in_force"]) == ("bad", False)
    text = khs("run", system, "--policy-at", f"50={tmp_path / 'bad.bin'}").out
    assert "bad: refused, the old one stays: it is damaged" in text
