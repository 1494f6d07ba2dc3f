"""khs run --record and khs replay: the same run again, a damaged recording, another policy."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from khs import record, replay
from khs.errors import KhsError
from khs.image.archive import encode_json

from .conftest import Khs

FRAMES = ("--frames", "60")


@pytest.fixture
def kept(khs: Khs, system: Path, tmp_path: Path) -> Path:
    """A recording with its trace beside it."""
    folder = tmp_path / "kept"
    done = khs("run", system, *FRAMES, "--record", folder, "--trace", folder / "run.trace")
    assert done.code == 0, done.err
    return folder


def changed(kept: Path, **values: Any) -> None:
    """The recording with other values in run.json, and a hash that fits them."""
    path = kept / "run.json"
    about = json.loads(path.read_bytes()) | values
    del about["sha256"]
    about["sha256"] = hashlib.sha256(encode_json(about)).hexdigest()
    path.write_bytes(encode_json(about))


def replaced(kept: Path, name: str, data: bytes) -> None:
    """The recording with another file in the place of one of its own."""
    (kept / name).write_bytes(data)
    files = json.loads((kept / "run.json").read_bytes())["files"]
    changed(kept, files=files | {name: hashlib.sha256(data).hexdigest()})


# ---- the same again --------------------------------------------------------


def test_a_recording_is_all_that_a_replay_takes(khs: Khs, system: Path, kept: Path) -> None:
    told = json.loads(khs("run", system, *FRAMES, "--json").out)
    shutil.rmtree(system)
    moved = kept.rename(kept.parent / "moved")
    done = khs("replay", moved, "--json")
    again = json.loads(done.out)
    assert done.code == 0
    assert (again.pop("equal"), again.pop("first_difference")) == (True, None)
    del again["wall_s"], told["wall_s"]
    assert again == told


def test_it_holds_inputs_and_no_results(kept: Path) -> None:
    files = {"run.json", "system.khs", "inputs.json", "inputs.bin", "changes.json"}
    names = files | {"run.trace"}
    assert {path.name for path in kept.iterdir()} == names
    small = sum(path.stat().st_size for path in kept.iterdir() if path.suffix in (".json", ".bin"))
    assert small < 4096


def test_a_replay_says_that_it_is_equal_and_traces(khs: Khs, kept: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.trace"
    done = khs("replay", kept, "--trace", again, "--console", "--isolate")
    assert (done.code, "equal: the trace is the recorded one" in done.out) == (0, True)
    assert re.search(r"^logger: ", done.out, re.MULTILINE)
    assert khs("trace", "--diff", kept / "run.trace", again).code == 0


def test_policies_from_outside_are_recorded(khs: Khs, system: Path, tmp_path: Path) -> None:
    policy = tmp_path / "strict.psl"
    text = (system / "security.psl").read_text()
    policy.write_text(text.replace("message.duty <= 1000", "message.duty <= 300"))
    for file in (system / "interfaces").iterdir():
        (tmp_path / file.name).symlink_to(file)
    swap = ("--policy-at", f"20={policy}", "--policy-at", "40=security")
    assert khs("run", system, *FRAMES, *swap, "--record", tmp_path / "kept").code == 0
    policy.unlink()
    shutil.rmtree(system)
    done = khs("replay", tmp_path / "kept", "--json")
    told = json.loads(done.out)
    assert (done.code, told["equal"]) == (0, True)
    assert [row["policy"] for row in told["policies"]] == ["strict", "security"]


def test_what_came_from_outside_counts(khs: Khs, kept: Path) -> None:
    """Other inputs make another run: the first event that differs is told, and who saw it."""
    [first, *_] = json.loads((kept / "inputs.json").read_bytes())
    data = bytearray((kept / "inputs.bin").read_bytes())
    data[first["offset"]] ^= 1
    replaced(kept, "inputs.bin", bytes(data))
    done = khs("replay", kept, "--json")
    told = json.loads(done.out)
    assert (done.code, told["equal"]) == (1, False)
    difference = told["first_difference"]
    assert difference["a"]["type"] == difference["b"]["type"] == "input"
    assert difference["a"]["tick"] == first["tick"]
    (kept / "run.trace").unlink()
    done = khs("replay", kept)
    assert (done.code, "event " in done.out) == (1, False)
    assert re.search(r"NOT equal: .*; seen by .*gateway", done.out)


def test_the_trace_of_another_run_is_compared_with_nothing(
    khs: Khs, system: Path, kept: Path
) -> None:
    assert khs("run", system, "--frames", "9", "--trace", kept / "run.trace").code == 0
    about = json.loads((kept / "run.json").read_bytes())
    changed(kept, result=about["result"] | {"trace_sha256": "0" * 64})
    done = khs("replay", kept, "--json")
    assert (done.code, json.loads(done.out)["first_difference"]) == (1, None)


def test_other_versions_are_told_of_a_replay_that_differs(khs: Khs, kept: Path) -> None:
    about = json.loads((kept / "run.json").read_bytes())
    changed(kept, versions=about["versions"] | {"kernel": "another"})
    assert khs("replay", kept).code == 0
    changed(kept, result=about["result"] | {"trace_sha256": "0" * 64})
    done = khs("replay", kept)
    assert done.code == 1
    assert f"recorded with kernel another, here {record.versions()['kernel']}" in done.err


# ---- runs that did not end -------------------------------------------------

_KILLED = """
import os, signal
from pathlib import Path
from khs import record, runs
from khs.image import open_system
archive = open_system("iot-gateway")
plan = runs.plan(archive, frames=50, record=Path("kept"))
def progress(done, total):
    os.kill(os.getpid(), getattr(signal, os.environ["HOW"]))
ran = runs.run(plan, progress)
assert ran.result.interrupted
"""


@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
def test_a_run_that_was_ended_can_be_replayed(how: str, khs: Khs, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    root = Path(__file__).parents[2]
    env = {**os.environ, "HOW": how, "PYTHONPATH": f"{root}:{root / 'monitor'}"}
    done = subprocess.run([sys.executable, "-c", _KILLED], env=env, cwd=tmp_path, check=False)
    assert done.returncode == (-signal.SIGKILL if how == "SIGKILL" else 0)
    again = khs("replay", tmp_path / "kept", "--json")
    told = json.loads(again.out)
    recording = record.read(tmp_path / "kept")
    if how == "SIGKILL":
        assert (again.code, told["equal"], told["first_difference"]) == (0, None, None)
        assert told["frames"] == recording.frames
        assert "there is no trace to compare with" in again.err
    else:
        assert (again.code, told["equal"], told["interrupted"]) == (0, True, False)
        assert (told["ticks"], told["frames"]) == (recording.until, recording.done)


def test_a_file_is_whole_or_the_one_before(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is half written stands under a name that is read."""
    recording = record.read(kept)
    fresh = kept.parent / "fresh"
    record.prepare(fresh)
    steps: list[set[str]] = []
    rename = Path.replace

    def watched(part: Path, target: Path) -> Path:
        steps.append({path.name for path in fresh.iterdir()})
        return rename(part, target)

    monkeypatch.setattr(Path, "replace", watched)
    archive = recording.archive
    record.Recorder(
        fresh, archive, frames=60, seed=1, swaps=(), trace=None, source=None, live=False
    )
    assert "run.json.part" in steps[-1]
    assert {"system.khs", "inputs.json", "inputs.bin"} <= steps[-1]
    assert all("run.json" not in names for names in steps)
    assert record.read(fresh).trace_sha256 is None


# ---- folders that are no recordings ----------------------------------------


def test_what_is_no_recording_is_refused(khs: Khs, kept: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, words in (
        (tmp_path / "nowhere", "there is no such folder"),
        (kept / "run.trace", "is no folder"),
        (tmp_path / "empty", "there is no run.json"),
    ):
        done = khs("replay", path)
        assert (done.code, done.out) == (2, "")
        assert words in done.err
        assert "help: a folder that khs run --record wrote" in done.err


def test_where_a_system_is_wanted_a_recording_is_told_as_one(khs: Khs, kept: Path) -> None:
    for command in ("run", "compare", "check"):
        done = khs(command, kept)
        assert done.code == 2
        assert f"{kept}: there is no system.toml in this folder: it is a recorded run" in done.err
        assert f"help: khs replay {kept} and khs debug {kept} run it again" in done.err
        assert f"{kept}/system.khs is its system" in done.err
    (kept / "run.json").unlink()
    for command in ("run", "compare", "debug"):
        done = khs(command, kept)
        assert done.code == 2
        assert "a recording that is not complete, without run.json\n" in done.err
        assert f"help: {kept}/system.khs is its system" in done.err


@pytest.mark.parametrize(
    "name", ["run.json", "system.khs", "inputs.json", "inputs.bin", "changes.json"]
)
@pytest.mark.parametrize("how", ["flipped", "cut", "gone", "empty"])
def test_a_damaged_file_is_named(name: str, how: str, khs: Khs, kept: Path) -> None:
    path = kept / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes({"flipped": bytes(data), "cut": bytes(data[:-3]), "empty": b""}[how])
    done = khs("replay", kept)
    assert (done.code, done.out) == (2, "")
    assert name in done.err and "help: " in done.err
    assert "defect" not in done.err


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "khs-archive"}, "this is not of a recording"),
        ({"format": 9}, "recording format 9, this khs reads 5"),
        ({"frames": -1}, "frames and seed are no counts"),
        ({"frames": True}, "frames and seed are no counts"),
        ({"policy_at": [{"frame": 1}]}, "'name' is missing"),
        ({"policy_at": [{"frame": 1, "name": "a", "file": 1}]}, "policy_at has no path"),
        ({"policy_at": 5}, "damaged"),
        ({"files": {}}, "files are not changes.json, inputs.bin"),
        ({"files": {"../../etc/passwd": "0"}}, "files are not changes.json, inputs.bin"),
        ({"result": {"frames": 1}}, "'ticks' is missing"),
        ({"source": {"system": 1, "with": [], "board": None}}, "source has no paths"),
        ({"trace": 7}, "trace is no path"),
        ({"versions": None}, "versions are no texts"),
    ],
)
def test_a_forged_description_is_refused(
    values: dict[str, Any], words: str, khs: Khs, kept: Path
) -> None:
    changed(kept, **values)
    done = khs("replay", kept)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (b"[", "inputs.json: the recording is damaged"),
        (b"[5]", "inputs.json: the recording is damaged"),
        (b'[{"tick": 1}]', "'input' is missing"),
        (b'[{"tick": -1, "input": 0, "offset": 0, "size": 0}]', "a number is out of range"),
        (b'[{"tick": 1, "input": 0, "offset": 0, "size": 99999}]', "lies outside inputs.bin"),
        (b'[{"tick": 1, "input": 99, "offset": 0, "size": 1}]', "does not fit the system"),
    ],
)
def test_forged_inputs_are_refused(rows: bytes, words: str, khs: Khs, kept: Path) -> None:
    replaced(kept, "inputs.json", rows)
    done = khs("replay", kept)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def test_what_a_recording_cannot_be_of(khs: Khs, system: Path, kept: Path) -> None:
    done = khs("run", system, "--record", kept)
    assert (done.code, "is not empty" in done.err) == (2, True)
    done = khs("run", system, "--engine", "qemu", "--record", kept.parent / "new")
    assert (done.code, "--record is for the unicorn engine" in done.err) == (2, True)
    assert not (kept.parent / "new").exists()
    done = khs("replay", kept, "--trace", kept / "run.trace")
    assert (done.code, "is the trace of the recorded run" in done.err) == (2, True)


# ---- another policy --------------------------------------------------------


def other(system: Path, old: str, new: str) -> Path:
    text = (system / "security.psl").read_text()
    assert old in text
    path = system / "other.psl"
    path.write_text(text.replace(old, new))
    return path


def test_the_same_policy_in_another_order_changes_nothing(
    khs: Khs, system: Path, kept: Path
) -> None:
    """Rules and classes get other numbers: those are not what is compared."""
    use = "use EDL gateway.Sensor\n"
    policy = other(system, use, "")
    text = policy.read_text()
    last = text.rindex("use EDL ")
    policy.write_text(text[:last] + use + text[last:])
    done = khs("replay", kept, "--policy", policy)
    assert (done.code, done.err.count("error")) == (0, 0), done.err
    assert "no decision differs under other" in done.out
    assert done.out.count("the same to the last event") == 5


def test_the_first_decision_that_differs_and_what_follows(
    khs: Khs, system: Path, kept: Path
) -> None:
    policy = other(system, "message.duty <= 1000", "message.duty <= 500")
    done = khs("replay", kept, "--policy", policy, "--json")
    told = json.loads(done.out)
    assert (done.code, told["equal"], told["policy"]) == (1, False, "other")
    a, b = (told["first_difference"][side] for side in "ab")
    assert (a["granted"], b["granted"]) == (True, False)
    for side, file in ((a, "security.psl"), (b, "other.psl")):
        assert side["rule"]["file"] == file
        line = (system / file).read_text().splitlines()[side["rule"]["line"] - 1]
        assert "message.duty <=" in line
        assert (side["endpoint"], side["method"], side["values"]) == (
            "drive",
            "Set",
            {"duty": 1000},
        )
    follows = told["follows"]
    assert follows["verdicts"]["recorded"]["denied"] == 0
    assert follows["verdicts"]["other"] == told["verdicts"]
    rows = follows["partitions"]
    assert rows["sensor"] == rows["sensor"] | {"equal": True, "first_difference": None}
    assert not rows["controller"]["equal"] and not rows["actuator"]["equal"]
    assert rows["controller"]["other"]["denied"] == told["verdicts"]["denied"] > 0
    for row in rows.values():
        parted = row["first_difference"]
        if parted is not None:  # an effect is not before its cause
            assert min(parted[s]["tick"] for s in "ab" if parted[s]) >= a["tick"]


def test_it_is_told_in_words_by_the_number_that_khs_explain_takes(
    khs: Khs, system: Path, kept: Path
) -> None:
    policy = other(system, "message.duty <= 1000", "message.duty <= 500")
    done = khs("replay", kept, "--policy", policy)
    assert done.code == 1
    found = re.search(r"^decision (\d+) is the first that differs", done.out, re.MULTILINE)
    assert found is not None
    why = khs("explain", system, kept / "run.trace", found[1])
    lines = (system / "security.psl").read_text().splitlines()
    at = next(n for n, text in enumerate(lines, 1) if "message.duty <= 1000" in text)
    assert re.search(rf"^granted: every rule called grants: .*security.psl:{at}$", why.out, re.M)
    assert re.search(r"^  recorded .* granted .* drive.Set \{duty: 1000\}", done.out, re.MULTILINE)
    assert re.search(r"^  other .* denied .* other.psl:\d+: assert ", done.out, re.MULTILINE)
    assert re.search(r"^controller: differs from its event \d+ on; .*denied 0 -> ", done.out, re.M)


def test_a_denied_boot_is_what_follows(khs: Khs, system: Path, kept: Path) -> None:
    policy = other(system, "execute src=kl.core.Core, dst=Einit { grant () }", "")
    done = khs("replay", kept, "--policy", policy)
    assert done.code == 1
    assert "no rule matches" in done.out
    assert re.search(r"^the module is stopped: ", done.out, re.MULTILINE)


def test_a_compiled_policy_needs_no_sources(
    khs: Khs, system: Path, kept: Path, tmp_path: Path
) -> None:
    from kss.cli import app
    from typer.testing import CliRunner

    policy = other(system, "message.duty <= 1000", "message.duty <= 500")
    words = ["compile", str(policy), "-I", str(system / "interfaces"), "-o"]
    assert CliRunner().invoke(app, [*words, str(tmp_path / "cool.bin")]).exit_code == 0
    shutil.rmtree(system)
    done = khs("replay", kept, "--policy", tmp_path / "cool.bin", "--json")
    assert (done.code, json.loads(done.out)["first_difference"]["index"] > 0) == (1, True)
    names = json.loads((tmp_path / "cool.json").read_bytes())
    for classes in (5, [5], [{"name": [], "endpoints": 5}]):  # nothing that can be compared
        (tmp_path / "cool.json").write_text(json.dumps(names | {"classes": classes}))
        done = khs("replay", kept, "--policy", tmp_path / "cool.bin")
        assert (done.code, "has other endpoints or messages" in done.err) == (2, True)
    damaged = bytearray((tmp_path / "cool.bin").read_bytes())
    struct.pack_into("<I", damaged, 4, 99)
    (tmp_path / "cool.bin").write_bytes(damaged)
    done = khs("replay", kept, "--policy", tmp_path / "cool.bin")
    assert (done.code, done.out, "defect" in done.err) == (2, "", False)


def test_a_policy_of_other_interfaces_is_refused(khs: Khs, system: Path, kept: Path) -> None:
    """Also if the sources of the recorded system changed with it."""
    file = system / "interfaces" / "gateway" / "ITelemetry.idl"
    text = file.read_text()
    assert "    // temperature" in text
    file.write_text(text.replace("    // temperature", "    Before(in UInt8 more);\n    // t", 1))
    done = khs("replay", kept, "--policy", system / "security.psl")
    assert (done.code, done.out) == (2, "")
    assert "has other endpoints or messages than in the recorded system" in done.err


def test_a_policy_that_is_not_there(khs: Khs, system: Path, kept: Path) -> None:
    done = khs("replay", kept, "--policy", "nothing.psl")
    assert (done.code, "--policy nothing.psl: there is no such file" in done.err) == (2, True)


def test_a_recording_of_an_archive_takes_no_policy_texts(
    khs: Khs, system: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "gateway.khs"
    assert khs("build", system, "-o", archive).code == 0
    assert khs("run", archive, *FRAMES, "--record", tmp_path / "kept").code == 0
    done = khs("replay", tmp_path / "kept", "--policy", system / "security.psl")
    assert (done.code, "or a policy of kss compile" in done.err) == (2, True)
    assert khs("replay", tmp_path / "kept", "--policy", "security").code == 0


def test_without_its_own_run_another_policy_tells_nothing(kept: Path) -> None:
    about = json.loads((kept / "run.json").read_bytes())
    changed(kept, result=about["result"] | {"trace_sha256": "0" * 64})
    recording = record.read(kept)
    policy = replay.read(recording, "security")
    with pytest.raises(KhsError, match="does not replay here"):
        replay.judge(recording, policy, replay.plan(recording))
