"""khs debug --record: what gdb wrote is kept, and comes again in a replay."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from khs.image.archive import encode_json
from tests.cli.conftest import Khs, khs, system

from .conftest import Debugged
from .test_recorded import debug

__all__ = ["khs", "system"]

FRAMES = 20
WRITES = """\
hc sensor port_write
continue
set var *(int *)($r1 + 12) = 4242
set var $d7 = 1.5
monitor hc delete
"""


@pytest.fixture
def written(system: Path, tmp_path: Path, debugged: Debugged) -> Path:
    """A recording of a run in which gdb has changed a message and a register."""
    commands, folder = tmp_path / "write.gdb", tmp_path / "written"
    commands.write_text(WRITES + "continue\n")
    done = debug(system, "--frames", FRAMES, "--record", folder, "-x", commands)
    assert done.code == 0, done.err
    return folder


def result(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "run.json").read_bytes())["result"])


def replaced(folder: Path, changes: object) -> None:
    """Other changes, with hashes that fit them."""
    data = encode_json(changes)
    (folder / "changes.json").write_bytes(data)
    about = json.loads((folder / "run.json").read_bytes())
    about["files"]["changes.json"] = hashlib.sha256(data).hexdigest()
    del about["sha256"]
    about["sha256"] = hashlib.sha256(encode_json(about)).hexdigest()
    (folder / "run.json").write_bytes(encode_json(about))


def test_it_replays_bit_by_bit_with_what_gdb_wrote(
    khs: Khs, system: Path, written: Path, tmp_path: Path
) -> None:
    rows = json.loads((written / "changes.json").read_bytes())
    assert [(row["partition"], row["settled"], row["bytes"]) for row in rows] == [
        (0, False, "92100000"),
        (0, False, "000000000000f83f"),
    ]
    assert rows[1]["what"] == "d7"
    done = khs("replay", written, "--json", "--trace", tmp_path / "again.trace")
    told = json.loads(done.out)
    assert (done.code, told["equal"]) == (0, True), done.err
    plain = json.loads(khs("run", system, "--frames", FRAMES, "--json").out)
    assert told["trace_sha256"] == result(written)["trace_sha256"] != plain["trace_sha256"]
    assert "4242" in khs("trace", written).out
    assert khs("trace", "--diff", tmp_path / "again.trace", written).code == 0
    lines = khs("replay", written, "--console").out.splitlines()
    assert any(line.startswith("logger: ") for line in lines)
    replaced(written, [])
    assert khs("replay", written).code == 1, "without them it is another run"


def test_debugged_again_it_begins_with_what_was_written(written: Path, tmp_path: Path) -> None:
    commands = tmp_path / "again.gdb"
    commands.write_text("continue\n")
    done = debug(written, "-x", commands, "--json")
    told = json.loads(done.out)
    assert (done.code, told["equal"], told["changed"]) == (0, True, False), done.err
    commands.write_text(
        "hc actuator\ncontinue\nset var $sp = $sp - 8\nmonitor hc delete\ncontinue\n"
    )
    more = tmp_path / "more"
    done = debug(written, "--record", more, "-x", commands, "--json")
    assert (done.code, json.loads(done.out)["changed"]) == (0, True), done.err
    first, second = (
        json.loads((folder / "changes.json").read_bytes()) for folder in (written, more)
    )
    assert second[-1]["tick"] < first[0]["tick"] and len(second) == 1, "what came later is gone"
    assert second[-1]["partition"] == 2


def test_a_run_that_a_gdb_looked_into_is_recorded(
    khs: Khs, system: Path, tmp_path: Path, debugged: Debugged
) -> None:
    folder = tmp_path / "served"
    command = ["run", system, "--frames", FRAMES, "--gdb", 0, "--record", folder]
    serving = subprocess.Popen(
        [sys.executable, "-m", "khs", *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert serving.stderr is not None
    place = next(
        found[1] for line in serving.stderr if (found := re.search(r"remote ([\w.:]+)", line))
    )
    steps = [f"target remote {place}", "stepi 4", "set var $sp = $sp - 8", "detach"]
    gdb = ["gdb-multiarch", "-nx", "-batch", *(part for step in steps for part in ("-ex", step))]
    subprocess.run(gdb, capture_output=True, check=True, timeout=60)
    serving.stderr.read()
    assert serving.wait(60) == 0
    serving.stderr.close()
    assert json.loads((folder / "changes.json").read_bytes())
    done = khs("replay", folder, "--json")
    assert (done.code, json.loads(done.out)["equal"]) == (0, True), done.err


def test_what_such_a_recording_is_not_for(khs: Khs, system: Path, written: Path) -> None:
    done = khs("replay", written, "--policy", "security")
    assert (done.code, "under another policy its writes" in done.err) == (2, True)
    done = khs("replay", written, "--isolate")
    assert (done.code, "is not for --isolate" in done.err) == (2, True)
    done = khs("debug", system, system, "--record", written.parent / "new")
    assert (done.code, "--record is for one system" in done.err) == (2, True)
    done = khs("debug", written, "--record", written)
    assert (done.code, "is not empty" in done.err) == (2, True)


GOOD = {"tick": 2500035, "settled": True, "partition": 0, "what": "d7", "bytes": "00" * 8}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({}, None),
        ([5], "changes.json: the recording is damaged"),
        ([{"tick": 1}], "'settled' is missing"),
        ([GOOD | {"tick": -1}], "a position is none"),
        ([GOOD | {"tick": 0, "settled": False}], "not in the order of the run"),
        ([GOOD, GOOD | {"tick": 7}], "not in the order of the run"),
        ([GOOD | {"partition": 5}], "partition 5 is none of the system"),
        ([GOOD | {"what": "rax"}], "'rax' is no register of 8 bytes"),
        ([GOOD | {"bytes": "00"}], "'d7' is no register of 1 bytes"),
        ([GOOD | {"what": 1 << 64}], "an address is none"),
        ([GOOD | {"what": None}], "an address is none"),
        ([GOOD | {"bytes": "xy"}], "changes.json: the recording is damaged"),
        ([GOOD | {"settled": False, "tick": 2500001}], "this run has none there"),
    ],
)
def test_forged_changes_are_refused(rows: Any, words: str | None, khs: Khs, written: Path) -> None:
    replaced(written, rows)
    done = khs("replay", written)
    if words is None:
        assert done.code == 1
        return
    assert (done.code, done.out) == (2, ""), done.err
    assert words in done.err and "help: " in done.err


def test_a_file_gives_a_guest_no_rights(khs: Khs, written: Path) -> None:
    """Neither the processor's mode nor text is written, as if it were not in the file."""
    text = GOOD | {"what": 0x40000000, "bytes": "00" * 4}
    empty = []
    for changes in (
        [],
        [GOOD | {"what": "cpsr", "bytes": "1f0000f0"}],
        [GOOD | {"what": "cpsr", "bytes": "100000f0"}],
        [text],
    ):
        replaced(written, changes)
        empty.append(json.loads(khs("replay", written, "--json").out)["trace_sha256"])
    assert empty[1] == empty[2], "the mode's bits are left out"
    assert empty[3] == empty[0], "text is left out"
