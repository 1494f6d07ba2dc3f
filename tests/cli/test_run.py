"""khs run: what it prints, what it ends with, and that looking changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from khs import resources
from khs.image import open_system
from khs.image.outline import outline
from khs.runs import plan
from khs.trace import Reader

from .conftest import Khs

pytest.importorskip("ziglang")

KEYS = {
    "system", "board", "engine", "frames", "ticks", "reproducible", "trace_sha256", "verdicts",
    "partitions", "wall_s",
}  # fmt: skip
PARTITION_KEYS = {
    "mode", "ticks", "idle_ticks", "deadline_missed", "hypercalls", "denied", "faults", "restarts",
    "trace_sha256",
}  # fmt: skip
MOST_FRAMES = (1 << 62) // 2_500_000  # of 20 ms at 125 MHz
ATTACK = ("--with", "attack.toml")


def document(khs: Khs, *arguments: object) -> dict[str, Any]:
    done = khs("run", *arguments, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_json_has_what_the_contract_promises(khs: Khs) -> None:
    found = document(khs, "iot-gateway", "--frames", 5)
    assert found.keys() >= KEYS
    assert (found["system"], found["board"], found["engine"]) == (
        "iot-gateway",
        "sabrelite",
        "unicorn",
    )
    assert found["frames"] == 5
    assert found["verdicts"].keys() == {"granted", "denied"}
    assert list(found["partitions"]) == ["sensor", "controller", "actuator", "gateway", "logger"]
    windows = 0
    for row in found["partitions"].values():
        assert row.keys() >= PARTITION_KEYS
        windows += row["ticks"] + row["idle_ticks"]
    assert windows == found["ticks"]  # its schedule has no gaps


def test_frames_default_to_the_systems(khs: Khs) -> None:
    assert document(khs, "iot-gateway")["frames"] == 200


def test_the_table_has_a_row_for_each_partition(khs: Khs) -> None:
    done = khs("run", "iot-gateway", "--frames", 20)
    assert done.code == 0
    assert re.search(r"sensor +normal .* 19 met +\d+ +0 +0 +0\n", done.out)
    assert re.search(r"gateway +normal .* - +\d+ +0 +0 +0\n", done.out)
    assert "20 frames, 0.400 s of virtual time" in done.out
    assert "khs: running 20 frames" in done.err


def test_every_distinct_denial_and_fault_is_printed_with_its_reason(khs: Khs) -> None:
    done = khs("run", "iot-gateway", *ATTACK)
    assert done.code == 0  # denials and faults of a guest are no findings
    assert re.search(
        r"denied  gateway, at [\d.]+ ms: request gateway\.Gateway -> gateway\.Controller "
        r"setpoint\.Set \{temperature: 9999\}\n    security\.psl:\d+: assert \(",
        done.out,
    )
    assert re.search(
        r"maintenance\.service\.Force \{.*\}\n    no rule matches; nearest is security\.psl:\d+, "
        r"which wants method=Hours",
        done.out,
    )
    assert re.search(r"fault  gateway, .*: execute of 0x\w+: it has no such right there", done.out)
    assert "health  gateway, 2 times from" in done.out
    assert re.search(r"gateway +idle ", done.out)


def test_a_guest_that_floods_does_not_flood_the_output(khs: Khs, tmp_path: Path) -> None:
    """Thousands of events, no two of them alike: a few of each kind are told, the rest counted."""
    overlay = tmp_path / "flood.toml"
    overlay.write_text('[partition.subject]\nprogram = "flood"\n')
    kernel = Path(__file__).parents[1] / "guests" / "kernel"
    done = khs("run", kernel, "--with", overlay, "--frames", 60)
    assert done.code == 0
    lines = done.out.splitlines()
    assert len(lines) < 60
    assert max(map(len, lines)) < 800
    more = [int(count) for count in re.findall(r"and (\d+) more of its kind", done.out)]
    assert len(more) >= 4 and min(more) > 1000


def test_looking_changes_nothing(khs: Khs, tmp_path: Path) -> None:
    """The same hash with and without a trace file, console lines or isolation."""
    trace = tmp_path / "run.trace"
    plain = document(khs, "iot-gateway", *ATTACK)
    assert document(khs, "iot-gateway", *ATTACK, "--trace", trace, "--console") | {
        "wall_s": 0
    } == plain | {"wall_s": 0}
    digest = hashlib.sha256()
    with Reader(trace) as reader:
        for record in reader.records():
            digest.update(record)
    assert digest.hexdigest() == plain["trace_sha256"]


def test_a_full_disk_is_told_in_words(khs: Khs) -> None:
    done = khs("run", "iot-gateway", "--trace", "/dev/full")
    assert done.code == 2
    assert "/dev/full: cannot be written: No space left on device" in done.err


def test_isolation_changes_nothing(khs: Khs) -> None:
    done = khs("run", "iot-gateway", *ATTACK, "--isolate", "--json")
    if "seccomp" in done.err and done.code == 2:
        pytest.skip("this machine has no seccomp filters")
    assert done.code == 0, done.err
    plain = document(khs, "iot-gateway", *ATTACK)
    assert json.loads(done.out)["trace_sha256"] == plain["trace_sha256"]


@pytest.mark.parametrize("board", ["sabrelite", "q35", "pc"])
def test_every_board(khs: Khs, board: str) -> None:
    found = document(khs, "iot-gateway", "--board", board, "--frames", 100)
    assert found["board"] == board
    assert all(row["deadline_missed"] == 0 for row in found["partitions"].values())
    assert found["verdicts"]["granted"] > 100


def test_consoles_are_printed_only_if_asked_for(khs: Khs) -> None:
    assert "logger: " not in khs("run", "iot-gateway").out
    lines = khs("run", "iot-gateway", "--console").out
    assert re.search(r"^logger: reading 1: 20\.0 degrees$", lines, re.MULTILINE)
    done = khs("run", "iot-gateway", "--console", "--json")
    assert "logger: reading 1" in done.err
    assert json.loads(done.out)["system"] == "iot-gateway"


def test_consoles_are_printed_while_the_guests_run() -> None:
    command = [sys.executable, "-m", "khs", "run", "iot-gateway", "--frames", "40000", "--console"]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=_environment()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "logger: reading 1: 20.0 degrees\n"
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130


def test_missed_deadlines_are_told_of_how_many(khs: Khs) -> None:
    lines = khs("run", "iot-gateway", "--frames", 30, "--with", "overlong.toml").out
    missed = re.search(r"^controller .* (\d+) of 29 missed ", lines, re.MULTILINE)
    assert missed is not None
    assert 0 < int(missed[1]) <= 29
    assert "share of time: █ used, ░ left idle of its own windows; " in lines


def test_a_run_with_devices_that_have_no_model_is_refused(khs: Khs, system: Path) -> None:
    overlay = system / "devices.toml"
    overlay.write_text('[partition.gateway]\ndevices = ["uart1", "i2c1"]\n')
    assert khs("run", system, "--frames", 1).code == 0
    done = khs("run", system, "--frames", 1, "--with", overlay)
    assert done.code == 2
    assert "the unicorn engine has no model of gateway.i2c1: " in done.err
    assert "uart1" not in done.err
    assert "help: a model in Python, --device PARTITION.DEVICE=FILE" in done.err
    assert not done.out


def test_the_shipped_driver_runs_everywhere(khs: Khs) -> None:
    for board in ("sabrelite", "pc", "q35"):
        done = khs("run", "uart", "--board", board, "--frames", 2)
        assert done.code == 0, done.err


def test_a_module_that_health_stopped_is_a_finding(khs: Khs, system: Path) -> None:
    overlay = system / "strict.toml"
    overlay.write_text(
        '[health.partition.gateway]\nmemory-fault = { level = "module", action = "module_stop" }\n'
    )
    done = khs("run", system, *ATTACK, "--with", overlay)
    assert done.code == 1
    assert "the module stops: health monitor" in done.out
    assert "-> module-stop" in done.out


def test_a_policy_can_be_replaced_at_a_frame(khs: Khs, system: Path, tmp_path: Path) -> None:
    text = (system / "security.psl").read_text()
    rule = re.compile(r"request src=gateway\.Controller, dst=gateway\.Logger.*?\n}\n", re.DOTALL)
    rule_sensor = re.compile(r"request src=gateway\.Sensor, .*?\n}\n", re.DOTALL)
    changed = rule_sensor.sub("", rule.sub("", text))
    assert changed != text
    (system / "stricter.psl").write_text(changed)
    trace = tmp_path / "run.trace"
    swap = ("--policy-at", f"100={system / 'stricter.psl'}")
    done = khs("run", system, *swap, "--trace", trace)
    assert done.code == 0, done.err
    assert re.search(
        r"2000\.000000 ms  kernel +policy +swapped to stricter: kept \"heater\"", done.out
    )
    assert "denied  sensor, " in done.out
    denials = khs("trace", trace, "--denied").out.splitlines()
    assert denials
    assert all(float(line.split()[0]) >= 2000 for line in denials)
    assert all("no rule matches" in line for line in denials)


def test_a_swap_says_what_was_kept_and_what_was_reset_and_why(
    khs: Khs, system: Path, tmp_path: Path
) -> None:
    text = (system / "security.psl").read_text(encoding="utf-8")
    flow = """policy object NAME : Flow {
        type State = "a"
        config = { states : ["a"], initial : "a", transitions : {} }
    }
    """
    for name, policy in {
        "first": flow.replace("NAME", "lamp") + flow.replace("NAME", "gone"),
        "other": flow.replace("NAME", "lamp").replace('"a"', '"b"'),
    }.items():
        changed = text.replace("policy object heater", f"{policy}policy object heater")
        (system / f"{name}.psl").write_text(changed, encoding="utf-8")
    trace = tmp_path / "run.trace"
    at = [f"{n}={system / name}.psl" for n, name in ((1, "first"), (2, "other"))]
    swaps = [word for value in at for word in ("--policy-at", value)]
    assert khs("run", system, "--frames", "3", *swaps, "--trace", trace).code == 0
    lines = khs("trace", trace, "--type", "policy").out.splitlines()
    assert [line.partition("policy    ")[2] for line in lines] == [
        'swapped to first: kept "heater", new "lamp", "gone"',
        'swapped to other: kept "heater", reset "lamp" (types changed), dropped "gone"',
    ]


def test_a_policy_with_more_state_than_the_system_s_own(khs: Khs, system: Path) -> None:
    """There is room for it: a swap is not dropped because the first policy is smaller."""
    text = (system / "security.psl").read_text(encoding="utf-8")
    flows = "".join(
        f"policy object more{n} : Flow {{\n"
        '    type State = "a" config = { states : ["a"], initial : "a", transitions : {} }\n}\n'
        for n in range(40)
    )
    (system / "larger.psl").write_text(text + flows, encoding="utf-8")
    at = f"2={system / 'larger.psl'}"
    found = document(khs, system, "--frames", 5, "--policy-at", at)
    (swap,) = found["policies"]
    assert (swap["policy"], swap["count"], swap["refusal"]) == ("larger", 41, None)
    assert swap["tick"] == 2 * 20 * 125_000
    assert [each["what"] for each in swap["objects"]] == ["kept", *["new"] * 40]


def test_a_policy_that_no_kernel_has_room_for(
    khs: Khs, system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("khs.runs.planned.POLICY_STATE_MAX", 100)
    done = khs("run", system, "--policy-at", f"2={system / 'security.psl'}")
    assert (done.code, done.out) == (2, "")
    assert re.search(r"2=security: the policy needs \d+ bytes of state, and the kernel", done.err)


def test_a_policy_after_the_end_is_refused(khs: Khs, system: Path) -> None:
    done = khs("run", system, "--frames", "5", "--policy-at", f"5={system / 'security.psl'}")
    assert done.code == 2
    assert "the run ends after 5 frames" in done.err


@pytest.mark.parametrize("command", ["run", "debug", "compare"])
def test_frames_that_the_clock_cannot_count_are_refused(khs: Khs, command: str) -> None:
    """A time of 64 bits would be over before the run: it would never end."""
    for frames in (99999999999999999999, MOST_FRAMES + 1):
        done = khs(command, "iot-gateway", "--frames", frames)
        assert (done.code, done.out) == (2, "")
        assert f"a run of {frames} frames is too long to count" in done.err
        assert f"help: at most {MOST_FRAMES} frames" in done.err


def test_the_longest_schedule_bounds_the_frames(system: Path) -> None:
    archive = open_system(str(system))
    longest = max(each["major_frame"] for each in outline(archive.config)["schedules"])
    assert longest * MOST_FRAMES <= 1 << 62 < longest * (MOST_FRAMES + 1)
    assert plan(archive, frames=MOST_FRAMES).frames == MOST_FRAMES


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("stricter.psl", "want FRAME=FILE"),
        ("0=stricter.psl", "with a frame from 1 on"),
        ("5=nowhere.psl", "no such file, and no such policy in the system"),
    ],
)
def test_a_wrong_policy_at_says_what_would_be_right(khs: Khs, value: str, message: str) -> None:
    done = khs("run", "iot-gateway", "--policy-at", value)
    assert done.code == 2
    assert message in done.err


def test_an_archive_runs_as_its_folder_does(khs: Khs, tmp_path: Path) -> None:
    archive = tmp_path / "gateway.khs"
    assert khs("build", "iot-gateway", "-o", archive).code == 0
    whole, built = document(khs, "iot-gateway"), document(khs, archive)
    assert whole | {"wall_s": 0} == built | {"wall_s": 0}
    done = khs("run", archive, "--board", "pc")
    assert done.code == 2
    assert "built for board sabrelite" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "help: shipped systems: "),
        (["iot-gatway"], "did you mean 'iot-gateway'?"),
        (["iot-gateway", "--board", "sabrelight"], "sabrelite"),
        (["iot-gateway", "--with", "nowhere.toml"], "nowhere.toml"),
        (["iot-gateway", "--trace", "/nowhere/run.trace"], "/nowhere/run.trace: cannot be written"),
        (["iot-gateway", "--frames", "0"], "'--frames'"),
        (["iot-gateway", "--engine", "magic"], "'magic' is not"),
    ],
)
def test_bad_input_is_told_in_its_own_words(khs: Khs, arguments: list[str], message: str) -> None:
    done = khs("run", *arguments)
    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert "Traceback" not in done.err
    assert done.out == ""


def test_findings_of_the_configuration_are_bad_input(khs: Khs, system: Path) -> None:
    document = system / "system.toml"
    document.write_text(document.read_text().replace('from = "sensor"', 'from = "sensr"'))
    done = khs("run", system, "--json")
    assert done.code == 2
    assert re.search(rf"{document}:\d+:\d+: error \w+-\d+: .*sensr", done.err)
    assert "help:" in done.err
    told = json.loads(done.out)
    assert told["ok"] is False
    assert told["findings"][0]["file"] == str(document)


def test_a_defect_of_ours_is_code_3_without_a_traceback(
    khs: Khs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("unthinkable")

    monkeypatch.setattr("khs.image.open_system", fail)
    done = khs("run", "iot-gateway")
    assert done.code == 3
    assert "this is a defect of khs: ZeroDivisionError: unthinkable" in done.err
    assert "Traceback" not in done.err
    monkeypatch.setenv("KHS_DEBUG", "1")
    assert khs("run", "iot-gateway").code != 3  # the exception itself gets out


@pytest.mark.parametrize("file", ["libkss.so", "nowhere.so"])
def test_a_library_that_is_old_or_missing_is_told_with_the_remedy(
    khs: Khs, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    from khs.engine import native

    monkeypatch.setattr(native, "LIBRARY", resources.library("libkss.so").with_name(file))
    native.library.cache_clear()
    try:
        done = khs("run", "iot-gateway")
    finally:
        monkeypatch.undo()
        native.library.cache_clear()
    assert (done.code, done.out) == (2, "")
    assert "is older than this khs" in done.err or "cannot open shared object file" in done.err
    assert "help: make setup (or python scripts/build_native.py) builds it" in done.err


def test_ctrl_c_ends_a_run_with_its_results_so_far() -> None:
    command = [sys.executable, "-m", "khs", "run", "iot-gateway", "--frames", "40000"]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=_environment()) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "frame " in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "sensor" in out
    frames = re.search(r"(\d+) frames, ", out)
    assert frames is not None
    assert 4000 <= int(frames[1]) < 40000
    assert "Traceback" not in err


def _environment() -> dict[str, str]:
    root = Path(__file__).parents[2]
    return os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'monitor'}"}


def test_an_accelerator_is_for_qemu(khs: Khs) -> None:
    done = khs("run", "iot-gateway", "--accel", "kvm")
    assert done.code == 2
    assert "--accel is for QEMU" in done.err
    assert "help: --engine qemu, or leave --accel out" in done.err
