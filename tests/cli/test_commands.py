"""The other commands: what they print and what they end with."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from khs.cli import app
from khs.trace import Reader

from .conftest import Khs

COMMANDS = [
    "run",
    "replay",
    "trace",
    "report",
    "explain",
    "compare",
    "debug",
    "flow",
    "boot",
    "new",
    "import",
    "check",
    "resolve",
    "build",
    "schema",
    "doctor",
    "bench",
]
ROOT = Path(__file__).parents[2]


def test_help_lists_every_command(khs: Khs) -> None:
    done = khs("--help")
    assert done.code == 0
    assert sorted(str(each.name) for each in app.registered_commands) == sorted(COMMANDS)
    for name in COMMANDS:
        assert re.search(rf"│ {name} ", done.out), name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches_with_examples(khs: Khs, name: str) -> None:
    done = khs(name, "--help")
    assert done.code == 0
    assert (
        f"khs {name}" in done.out.split("Options")[0].replace("Usage: khs", "") or name == "doctor"
    )
    assert "--json" in done.out


@pytest.mark.parametrize("name", sorted(str(each.name) for each in app.registered_commands))
def test_examples_stand_each_on_a_line_of_80_columns(name: str) -> None:
    """As they are written: one that is too long for the line, or is taken for a paragraph, cannot
    be copied."""
    (command,) = (each for each in app.registered_commands if each.name == name)
    text = inspect.getdoc(command.callback) or ""
    examples = re.findall(r"(?m)^ {4,}(.+)$", text)
    shown = CliRunner().invoke(app, [name, "-h"], env={"COLUMNS": "80"}).output
    lines = [line.strip() for line in shown.split("\n")]
    assert examples and all(example in lines for example in examples), shown


def test_help_loads_nothing_heavy() -> None:
    """That is what keeps `khs --help` quick."""
    heavy = "{'unicorn', 'msgspec', 'kss', 'khs.config', 'elftools', 'rich.table'}"
    code = f"import sys, khs.cli; found = {heavy} & set(sys.modules); sys.exit(str(found) if found else 0)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_version_and_wrong_use(khs: Khs) -> None:
    assert re.fullmatch(r"khs \d+\.\d+\.\d+\n", khs("--version").out)
    assert khs("fly").code == 2
    assert khs("run").code == 2
    assert khs("run", "iot-gateway", "--nonsense").code == 2


# ---- check, resolve, schema, build


def test_check_finds_no_error_in_what_is_shipped(khs: Khs) -> None:
    for name in ("iot-gateway", "hostile", "bench"):
        done = khs("check", name, "--json")
        told = json.loads(done.out)
        assert (done.code, told["ok"]) == (0, True), name
        assert all(row["severity"] == "warning" for row in told["findings"])
    assert khs("check", "iot-gateway").out == "iot-gateway: no findings\n"


def test_check_prints_every_finding_with_its_place(khs: Khs, system: Path) -> None:
    document = system / "system.toml"
    text = document.read_text().replace('from = "sensor"', 'from = "sensr"')
    document.write_text(text.replace('length = "3ms"', 'length = "7ms"'))
    done = khs("check", system)
    assert done.code == 1
    assert len(re.findall(rf"^{document}:\d+:\d+: error [A-Z]+-\d+: ", done.out, re.MULTILINE)) == 2
    findings = json.loads(khs("check", system, "--json").out)["findings"]
    assert [row["severity"] for row in findings] == ["error", "error"]
    assert findings[0].keys() == {
        "rule", "severity", "file", "line", "column", "message", "help", "text",
    }  # fmt: skip


def test_check_finds_defects_of_the_policy(khs: Khs, system: Path) -> None:
    policy = system / "security.psl"
    policy.write_text(policy.read_text().replace("message.temperature >= 50", "message.heat >= 50"))
    done = khs("check", system)
    assert done.code == 1
    assert re.search(
        rf"{policy}:\d+:\d+: error PSL-\d+: .*heat.*\n +assert .*message.heat.*\n +\^", done.out
    )


def test_resolve_prints_the_effective_document(khs: Khs) -> None:
    plain = tomllib.loads(khs("resolve", "iot-gateway").out)
    laid_over = json.loads(khs("resolve", "iot-gateway", "--with", "attack.toml", "--json").out)
    assert plain["system"]["name"] == "iot-gateway"
    assert plain["input"]["uplink"]["messages"] != laid_over["input"]["uplink"]["messages"]
    assert plain["schedule"] == laid_over["schedule"]


def test_resolve_hides_no_misspelt_key(khs: Khs, system: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "wrong.toml"
    overlay.write_text('[partition.sensor]\nprogam = "sensor"\n')
    done = khs("resolve", system, "--with", overlay)
    assert (done.code, done.out) == (2, "")
    assert "progam" in done.err


def test_schema_is_json_schema(khs: Khs) -> None:
    schema = json.loads(khs("schema").out)
    assert "$schema" in schema
    assert "partition" in schema["properties"]


def test_build_writes_archive_and_report(khs: Khs, system: Path, tmp_path: Path) -> None:
    archive = tmp_path / "out" / "now" / "gateway.khs"
    done = khs("build", system, "-o", archive, "--json")
    assert done.code == 0, done.err
    assert done.err.splitlines() == [
        f"khs: made the folder {folder}" for folder in (tmp_path / "out", tmp_path / "out" / "now")
    ]
    told = json.loads(done.out)
    assert told["archive"] == str(archive)
    assert re.fullmatch(r"[0-9a-f]{64}", told["sha256"])
    assert told["trusted_lines"]["core"] > 1000
    assert "sensor" in archive.with_suffix(".report.md").read_text()
    again = json.loads(khs("build", system, "-o", tmp_path / "again.khs", "--json").out)
    assert again["sha256"] == told["sha256"]


def test_build_says_what_cannot_be_written(khs: Khs, system: Path, tmp_path: Path) -> None:
    (tmp_path / "gateway.report.md").mkdir()
    done = khs("build", system, "-o", tmp_path / "gateway.khs")
    assert (done.code, done.out) == (2, "")
    assert "gateway.report.md: cannot be written: Is a directory" in done.err
    assert khs("build", system, "-o", tmp_path).code == 2


def test_an_archive_is_checked_and_resolved_like_its_folder(
    khs: Khs, system: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "gateway.khs"
    assert khs("build", system, "-o", archive, "--with", "attack.toml").code == 0
    done = khs("check", archive)
    assert (done.code, done.out) == (0, f"{archive}: no findings\n")
    assert json.loads(khs("check", archive, "--json").out) == {"ok": True, "findings": []}
    whole = khs("resolve", system, "--with", "attack.toml")
    assert khs("resolve", archive).out == whole.out
    assert json.loads(khs("resolve", archive, "--json").out)["system"]["name"] == "iot-gateway"
    for command in ("check", "resolve", "build", "run"):
        done = khs(command, archive, "--with", "attack.toml")
        assert (done.code, done.out) == (2, "")
        assert "built for board sabrelite and cannot be changed" in done.err
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    done = khs("check", archive, "--json")
    assert done.code == 1
    (row,) = json.loads(done.out)["findings"]
    assert (row["rule"], row["file"]) == ("ARCHIVE-001", str(archive))
    assert khs("resolve", archive).code == 2


def test_findings_name_paths_by_one_rule(
    khs: Khs, system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside the current folder relative, however the system was named."""
    (system / "security.psl").write_text("nonsense\n")
    (system / "partitions").mkdir()
    document = system / "system.toml"
    document.write_text(document.read_text().replace('program = "sensor"', 'program = "sensr"'))
    monkeypatch.chdir(system)
    for name in (".", system, system / ".." / system.name, "system.toml"):
        files = {row["file"] for row in json.loads(khs("check", name, "--json").out)["findings"]}
        assert files == {"security.psl", "system.toml"}, name
    monkeypatch.chdir(system / "partitions")
    files = {row["file"] for row in json.loads(khs("check", "..", "--json").out)["findings"]}
    assert files == {str(system / "security.psl"), str(document)}


def test_a_release_needs_pinned_programs(khs: Khs, system: Path, tmp_path: Path) -> None:
    done = khs("build", system, "--release", "-o", tmp_path / "x.khs")
    assert done.code == 2
    assert "sha256" in done.err
    assert khs("check", system, "--release").code == 1


# ---- trace


@pytest.fixture
def trace(khs: Khs, tmp_path: Path) -> Path:
    pytest.importorskip("ziglang")
    path = tmp_path / "run.trace"
    assert khs("run", "iot-gateway", "--frames", 30, "--trace", path).code == 0
    return path


def test_trace_prints_and_filters(khs: Khs, trace: Path) -> None:
    lines = khs("trace", trace).out.splitlines()
    assert "boot      5 partitions" in lines[0]
    only = khs("trace", trace, "--partition", "sensor", "--type", "hypercall").out.splitlines()
    assert 0 < len(only) < len(lines)
    assert all(re.match(r" *[\d.]+ ms  sensor +khs_\w+\(", line) for line in only)
    rows = [json.loads(line) for line in khs("trace", trace, "--json").out.splitlines()]
    assert len(rows) == len(lines)
    assert {row["type"] for row in rows} >= {"boot", "start", "mode", "hypercall", "verdict"}


def test_texts_of_guests_are_printed_as_texts(khs: Khs, trace: Path, tmp_path: Path) -> None:
    lines = khs("trace", trace, "--partition", "logger").out
    assert 'console.Console.Write {text: "reading 1: 20.0 degrees\\n"}' in lines
    assert "console   reading 1: 20.0 degrees\n" in lines
    assert 'input     uplink  13 bytes: "SET temp=450\\n"\n' in khs("trace", trace).out
    rows = [json.loads(line) for line in khs("trace", trace, "--json").out.splitlines()]
    texts = [row["values"]["text"] for row in rows if row.get("method") == "Write"]
    assert texts[0] == b"reading 1: 20.0 degrees\n".hex(), "bytes as hexadecimal text"


def test_trace_names_what_it_does_not_know(khs: Khs, trace: Path) -> None:
    done = khs("trace", trace, "--type", "magic")
    assert (done.code, done.out) == (2, "")
    assert "one of boot, start" in done.err
    done = khs("trace", trace, "--partition", "nobody")
    assert done.code == 2
    assert "one of sensor, controller" in done.err
    assert khs("trace").code == 2


def test_diff(khs: Khs, trace: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.trace"
    assert khs("run", "iot-gateway", "--frames", 30, "--trace", other).code == 0
    done = khs("trace", "--diff", trace, other, "--json")
    assert (done.code, json.loads(done.out)) == (0, {"equal": True, "first_difference": None})
    assert khs("run", "iot-gateway", "--board", "pc", "--frames", 30, "--trace", other).code == 0
    done = khs("trace", "--diff", trace, other)
    assert done.code == 1
    assert re.search(r"event \d+ is the first that differs; before it:", done.out)
    told = json.loads(khs("trace", "--diff", trace, other, "--json").out)
    assert told["equal"] is False
    assert told["first_difference"]["a"] != told["first_difference"]["b"]


def test_diff_refuses_what_would_compare_nothing(khs: Khs, trace: Path) -> None:
    done = khs("trace", "--diff", trace, trace, "--partition", "nope")
    assert (done.code, done.out) == (2, "")
    assert "there is no partition 'nope'" in done.err
    assert khs("trace", "--diff", trace, trace, "--denied").code == 2


def test_a_damaged_trace_is_bad_input(khs: Khs, trace: Path) -> None:
    trace.write_bytes(trace.read_bytes()[:-3])
    done = khs("trace", trace)
    assert done.code == 2
    assert re.search(r"run\.trace: offset \d+: the last record is cut short", done.err)


def test_whoever_reads_it_a_damaged_record_is_named_by_file_and_offset(
    khs: Khs, trace: Path, tmp_path: Path
) -> None:
    data = bytearray(trace.read_bytes())
    with Reader(trace) as reader:
        offset = len(data) - sum(len(record) for record in list(reader.records())[-5:])
    data[offset + 36] ^= 0x7F  # how many arguments there are
    bad = tmp_path / "bad.trace"
    bad.write_bytes(data)
    for arguments in (
        (bad,),
        (bad, "--perfetto", tmp_path / "x.pftrace"),
        ("--diff", bad, trace),
    ):
        done = khs("trace", *arguments)
        assert (done.code, f"{bad}: offset {offset}: a record's sizes" in done.err) == (2, True)
    done = khs("report", bad, "-o", tmp_path / "x.html")
    assert (done.code, f"{bad}: offset {offset}: a record's sizes" in done.err) == (2, True)


def test_a_reader_that_closes_its_pipe_is_no_error(trace: Path) -> None:
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'monitor'}"}
    command = [sys.executable, "-m", "khs", "trace", str(trace), "--json"]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("{")
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


# ---- new, doctor, bench


def test_a_new_system_runs(khs: Khs, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    folder = tmp_path / "tank"
    done = khs("new", "tank", "-o", folder)
    assert done.code == 0, done.err
    assert f"next: khs run {folder}" in done.out
    assert khs("check", folder).code == 0
    assert json.loads(khs("run", folder, "--json").out)["verdicts"]["granted"] > 0
    added = khs("new", "-o", folder, "--add-method", "tank.IControl.Pause", "in UInt32 periods")
    assert added.code == 0, added.err
    assert "IControl.idl" in added.out
    assert khs("run", folder).code == 0


def test_what_to_do_next_can_be_pasted(khs: Khs, tmp_path: Path) -> None:
    folder = tmp_path / "my tank"
    assert f"next: khs run '{folder}'\n" in khs("new", "tank", "-o", folder).out


def test_new_refuses_bad_names_and_full_folders(khs: Khs, tmp_path: Path) -> None:
    assert khs("new", "Not A Name", "-o", tmp_path / "x").code == 2
    assert khs("new").code == 2
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    done = khs("new", "full", "-o", tmp_path / "full")
    assert done.code == 2
    assert "is not empty" in done.err


@pytest.mark.parametrize("method", ["Foo", ".Foo", "a..b"])
def test_add_method_wants_interface_and_method(khs: Khs, method: str) -> None:
    done = khs("new", "--add-method", method)
    assert done.code == 2
    assert "INTERFACE.METHOD" in done.err


def test_doctor_finds_what_the_tests_need(khs: Khs) -> None:
    done = khs("doctor", "--json")
    told = json.loads(done.out)
    items = {row["name"]: row for row in told["items"]}
    assert items.keys() >= {
        "python", "unicorn", "libkhs.so", "libkss.so", "ziglang", "gdb", "sdk", "docs", "qemu.qmp",
    }  # fmt: skip
    assert items["qemu.qmp"]["optional"]
    assert items["unicorn"]["ok"]
    assert items["unicorn"]["found"] == "2.1.4"
    assert done.code == (0 if told["ok"] else 1)
    for row in told["items"]:
        assert row["ok"] or row["help"], row
    table = khs("doctor").out
    assert "unicorn" in table


def test_doctor_tells_of_each_board_what_emulates_it(
    khs: Khs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "qemu-system-arm"
    old.write_text("#!/bin/sh\necho QEMU emulator version 5.2.0\n", encoding="utf-8")
    good = tmp_path / "qemu-system-x86_64"
    good.write_text("#!/bin/sh\necho QEMU emulator version 7.2.22\n", encoding="utf-8")
    broken = tmp_path / "qemu-system-i386"
    broken.write_text("#!/nowhere/sh\n", encoding="utf-8")
    for path in (old, good, broken):
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    done = khs("doctor", "--json")
    assert done.code == 0, done.err
    items = {row["name"]: row for row in json.loads(done.out)["items"]}
    arm, x64, x86 = (items[path.name] for path in (old, good, broken))
    assert arm["wanted"] == "QEMU 7 or newer, for the board sabrelite"
    assert (arm["ok"], arm["help"]) == (False, "apt-get install qemu-system-arm")
    assert (x64["ok"], x64["help"]) == (True, "")
    assert x64["found"] == "QEMU emulator version 7.2.22"
    assert not x86["ok"]
    assert "cannot be run" in x86["found"]


@pytest.mark.parametrize(
    ("script", "why"),
    [("echo no library >&2; exit 127", "no library"), ("exit 3", "exit status 3")],
)
def test_doctor_tells_of_a_qemu_that_does_not_work(
    khs: Khs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    qemu = tmp_path / "qemu-system-arm"
    qemu.write_text(f"#!/bin/sh\n{script}\n")
    qemu.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    items = {row["name"]: row for row in json.loads(khs("doctor", "--json").out)["items"]}
    assert not items[qemu.name]["ok"]
    assert items[qemu.name]["found"] == f"{qemu} does not answer --version: {why}"


def test_doctor_tells_where_things_are(khs: Khs) -> None:
    for name, part in {
        "sdk": "include/khs/khs.h",
        "docs": "sdk.md",
        "images": "iot-gateway/system.toml",
        "boards": "pc.toml",
        "gdb": "syscalls/arm-linux.xml",
    }.items():
        done = khs("doctor", "--where", name)
        assert done.code == 0
        assert (Path(done.out.removesuffix("\n")) / part).is_file(), name
        assert json.loads(khs("doctor", "--where", name, "--json").out) == {name: done.out.strip()}
    done = khs("doctor", "--where", "nowhere")
    assert (done.code, done.out) == (2, "")
    assert "one of sdk, docs, images, boards, gdb" in done.err


def test_doctor_says_how_to_get_what_is_missing(khs: Khs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("khs.resources.library", lambda name: Path("/nowhere") / name)
    told = json.loads(khs("doctor", "--json").out)
    assert told["ok"] is False
    (row,) = [row for row in told["items"] if row["name"] == "libkhs.so"]
    assert (row["found"], row["help"]) == ("missing", "make setup")


def test_bench_measures_and_names_its_sections(khs: Khs, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ziglang")
    done = khs("bench", "--section", "magic")
    assert done.code == 2
    assert "one of speed, hypercall" in done.err
    monkeypatch.setattr("khs.bench.sections.TRIES", 1)
    monkeypatch.setattr("khs.bench.sections.SHORT_RUN", 400_000)
    done = khs("bench", "--section", "hypercall", "--json")
    rows = json.loads(done.out)
    assert done.code == (0 if all(row["ok"] for row in rows) else 1), done.err
    assert {row["arch"] for row in rows} == {"armv7", "x64", "x86"}
    for row in rows:
        assert row.keys() == {
            "section", "name", "arch", "value", "unit", "baseline", "ratio", "asked", "ok",
        }  # fmt: skip
        assert row["baseline"] > 0  # the value is a difference: of so short a run, anything
        assert row["ratio"] == pytest.approx(row["value"] / row["baseline"])
    assert "null hypercall" in khs("bench", "--section", "hypercall").out


def test_speed_is_shown_from_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for is beside Unicorn as it comes; the other baseline has no goal."""
    pytest.importorskip("ziglang")
    from khs.bench import sections

    for name, value in (("TRIES", 1), ("LONG_RUN", 400_000), ("COMPUTE_TRAPS", 1)):
        monkeypatch.setattr(sections, name, value)
    figures = list(sections.speed())
    assert [figure.arch for figure in figures] == [
        n for n in ("armv7", "x64", "x86") for _ in "1234"
    ]
    for asked, other in zip(figures[::2], figures[1::2], strict=True):
        assert (asked.value, asked.asked is None) == (other.value, False)
        assert other.name == f"{asked.name}, baseline with our TLB"
        assert other.to_json()["asked"] is None and other.ok
        assert asked.baseline and other.baseline and asked.baseline != other.baseline


@pytest.mark.parametrize("arch", ["armv7", "x64", "x86"])
def test_many_partitions(arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ziglang")
    from khs.bench import crowd

    monkeypatch.setattr(crowd, "SIZES", (2, 4, 8))
    figures = list(crowd.crowd(arch))
    assert [figure.unit for figure in figures] == ["s", "ns", "KiB", "KiB", "ms", "ms"]
    assert all(figure.name.startswith("8 partitions") for figure in figures)
    assert all(figure.arch == arch for figure in figures)
    assert all(figure.value > 0 for figure in figures if "one more" not in figure.name)


def test_a_crowd_of_each_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    from khs.bench import crowd, sections

    def measured(partitions: int, arch: str) -> crowd.Crowd:
        return crowd.Crowd(partitions, 1, partitions * len(arch), partitions, 1)

    monkeypatch.setattr(crowd, "_measured", measured)
    boots = [f for f in sections.SECTIONS["crowd"]() if f.name == "256 partitions, boot of each"]
    assert [(f.arch, f.value) for f in boots] == [("armv7", 5e3), ("x64", 3e3), ("x86", 3e3)]


def test_a_rival_that_is_not_installed(khs: Khs, monkeypatch: pytest.MonkeyPatch) -> None:
    from khs.bench import sections

    monkeypatch.setattr("khs.bench.rival.importlib.util.find_spec", lambda name: None)
    done = khs("bench", "--section", "qiling")
    assert done.code == 2
    assert "needs Qiling, which is not installed\n  help: pip install 'khs[bench]'" in done.err
    monkeypatch.setattr(sections, "SECTIONS", {"qiling": sections.SECTIONS["qiling"]})
    done = khs("bench")
    assert done.code == 0
    assert "section qiling is left out: it needs Qiling" in done.err
