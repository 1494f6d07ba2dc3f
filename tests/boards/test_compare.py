"""Both engines are one kernel: what partitions do and are told is the same on them."""

from __future__ import annotations

import json
import signal
import struct
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from khs import compare, runs
from khs.cli import app
from khs.cli.progress import Reporter
from khs.compare import Recorder
from khs.engine import qemu, unicorn
from khs.image import Archive
from khs.trace import Names, structs

from .conftest import BOARDS, archive, changed_firmware, firmware, need_emulator

SYSTEMS = [
    ("iot-gateway", ()),
    ("iot-gateway", ("attack.toml",)),
    ("iot-gateway", ("overlong.toml",)),
    ("hostile", ()),
    ("bench", ()),
    ("traffic-light", ()),
    ("plc", ()),
]


def both(
    built: Archive, board: str, frames: int, elf: bytes | None = None
) -> tuple[Recorder, Recorder, int]:
    """What either engine records, and where the last frame begins."""
    one, other = (Recorder(len(built.names["partitions"])) for _ in range(2))
    with unicorn.Machine(built) as machine:
        result = machine.run(frames, sink=one)
    with qemu.Machine(built, elf or firmware(board)) as emulated:
        emulated.run(frames, sink=other)
    return one, other, result.ticks - result.ticks // frames


def names(built: Archive) -> Names:
    return Names.from_header(runs.plan(built).header)


@pytest.mark.parametrize(("system", "overlays"), SYSTEMS)
def test_our_systems_compare_equal(system: str, overlays: tuple[str, ...], board: str) -> None:
    built = archive(system, board, *overlays)
    one, other, last = both(built, board, 60)
    left_out = compare.incomparable(built.manifest)
    found = compare.compare(names(built), one, other, left_out=left_out, last_frame=last)
    assert found.difference is None
    assert sum(found.compared.values()) > 100


# ---- a kernel that errs is found out ------------------------------------------------------

WRONG_VERDICT = (
    "khs/core/policy.c",
    "    record(core, event, verdict, from, to);",
    "    if (core->state->now > 30000000u && event->kind == KSS_REQUEST)\n"
    "        verdict.granted = !verdict.granted;\n"
    "    record(core, event, verdict, from, to);",
)
WRONG_RESULT = (
    "boards/firmware/common/ports.c",
    "    cpu_result(&((firmware *)port)->cpus[partition].context, code, value);",
    "    firmware *f = port;\n"
    "    cpu_result(&f->cpus[partition].context, code, value + (khs_now(f->core) > 30000000u && value > 8));",
)


@pytest.mark.parametrize("change", [WRONG_VERDICT, WRONG_RESULT], ids=["verdict", "result"])
def test_a_planted_error_is_found(change: tuple[str, str, str], board: str, tmp_path: Path) -> None:
    built = archive("iot-gateway", board)
    wrong = changed_firmware(tmp_path, BOARDS[board], change)
    one, other, last = both(built, board, 30, wrong)
    found = compare.compare(names(built), one, other, left_out={}, last_frame=last)
    assert found.difference is not None
    assert found.difference.before
    at = found.difference.b or found.difference.a
    assert at is not None
    assert at.event.tick > 29_000_000


# ---- what counts --------------------------------------------------------------------------


def call(number: int, tick: int, data: bytes | None = None, value: int = 0) -> memoryview:
    """The record of a hypercall of partition 0; its struct is zeros if nothing is said."""
    if data is None:
        data = bytes(structs.WRITTEN[number].size if number in structs.WRITTEN else 0)
    body = struct.pack("<QHHIIHHII", tick, 4, number, 0, value, 0, 0, len(data), 0) + data
    body += bytes(-len(body) % 8)
    return memoryview(struct.pack("<QIHH", tick, 16 + len(body), 0, 1) + body)


def steps(*records: memoryview) -> Recorder:
    recorder = Recorder(1)
    for record in records:
        recorder(record)
    return recorder


PERIOD_WAIT, NOP = compare.PERIOD_WAIT, 0


@pytest.mark.parametrize(
    ("a", "b", "index"),
    [
        ([call(NOP, 1)], [call(NOP, 7)], None),
        ([call(NOP, 1)], [call(NOP, 1, value=1)], 0),
        ([call(NOP, 1), call(3, 2)], [call(NOP, 1), call(4, 2)], 1),
        # one more in the last frame, or long before
        ([call(NOP, 1), call(NOP, 99)], [call(NOP, 1)], None),
        ([call(NOP, 1), call(NOP, 2)], [call(NOP, 1)], 1),
        # beyond the last period that both completed
        ([call(PERIOD_WAIT, 1), call(3, 2)], [call(PERIOD_WAIT, 1), call(4, 2)], None),
    ],
)
def test_what_differs(a: list[memoryview], b: list[memoryview], index: int | None) -> None:
    known = names(archive("iot-gateway", "sabrelite"))
    one, other = steps(*a), steps(*b)
    one.steps += [[]] * (len(known.partitions) - 1)
    other.steps += [[]] * (len(known.partitions) - 1)
    found = compare.compare(known, one, other, left_out={}, last_frame=50)
    assert (found.difference.index if found.difference else None) == index


def test_times_are_masked_and_nothing_else() -> None:
    number = 17
    layout = structs.WRITTEN[number]
    assert layout.size == 16
    one = struct.pack("<IIQ", 4, 1, 1000)
    other = struct.pack("<IIQ", 4, 1, 1008)
    wrong = struct.pack("<IIQ", 4, 0, 1000)
    keys = [steps(call(number, 1, b"data" + info)).steps[0][0].key for info in (one, other, wrong)]
    assert keys[0] == keys[1] != keys[2]


def khs(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments)


def test_the_command_says_equal(board: str) -> None:
    done = khs("compare", "uart", "--board", board, "--frames", "9")
    said = done.stdout.splitlines()
    assert done.exit_code == 0
    assert [line.split(":")[0] for line in said] == ["driver", "bystander", "equal"]
    assert all(line.endswith(" events equal") for line in said[:2])


def test_who_drives_what_has_no_model_is_left_out() -> None:
    manifest = {
        "run": {"preemption_dependent": []},
        "names": {"partitions": ["one", "two"]},
        "devices": [
            {"partition": 0, "name": "uart3", "kind": "imx-uart"},
            {"partition": 1, "name": "i2c1", "kind": "imx-i2c"},
        ],
    }
    told = {"two": "the unicorn engine does not have two.i2c1"}
    assert compare.incomparable(manifest) == told


def leaving_out(folder: Path, *partitions: str) -> list[str]:
    overlay = folder / "overlay.toml"
    overlay.write_text(f"[run]\npreemption_dependent = {json.dumps(partitions)}\n")
    return ["compare", "uart", "--with", str(overlay), "--board", "q35", "--frames", "5"]


def test_it_says_how_much_was_compared(tmp_path: Path) -> None:
    need_emulator("q35")
    done = khs(*leaving_out(tmp_path, "driver"))
    assert done.exit_code == 0
    assert done.stdout.splitlines()[1:] == [
        "driver: not compared: it depends on preemption (run.preemption_dependent)",
        "equal, 1 of 2 partitions compared",
    ]


def test_where_nothing_is_compared_nothing_is_equal(tmp_path: Path) -> None:
    need_emulator("q35")
    command = leaving_out(tmp_path, "driver", "bystander")
    done = khs(*command)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (1, "nothing compared")
    found = json.loads(khs(*command, "--json").stdout)
    assert (found["equal"], found["partitions"]) == (False, {})
    assert sorted(found["left_out"]) == ["bystander", "driver"]


@pytest.mark.parametrize("engine", ["unicorn", "qemu"])
def test_ctrl_c_is_no_comparison(
    engine: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    need_emulator("q35")
    steps = []

    def pressed(self: Reporter, done: int, wanted: int) -> None:
        if "pressed" not in steps and any(step.endswith(f"on {engine}") for step in steps):
            steps.append("pressed")  # once; other steps, as of a compiler, may have come meanwhile
            signal.raise_signal(signal.SIGINT)

    # What runs in the background of a shell script ignores SIGINT from its beginning.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    monkeypatch.setattr(Reporter, "step", lambda self, text: steps.append(text))
    monkeypatch.setattr(Reporter, "frames", pressed)
    done = khs("compare", "iot-gateway", "--board", "q35", "--frames", "30000", "--json")
    assert done.exit_code == 130
    found = json.loads(done.stdout)
    assert (found["equal"], found["interrupted"]) == (False, True)
    assert found["reached"]["engine"] == engine
    assert 0 < found["reached"]["frames"] < found["reached"]["of"] == 30000
    assert ("running 30000 frames on qemu" in steps) == (engine == "qemu")
    assert f"frames on {engine}: nothing compared" in done.stderr


def test_one_board_at_a_time() -> None:
    done = khs("compare", "uart", "--board", "q35", "--board", "pc")
    assert done.exit_code == 2
    assert "compared on one board, and these are 2: q35, pc" in done.stderr


def test_the_command_tells_the_first_difference(
    board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = changed_firmware(tmp_path, BOARDS[board], WRONG_VERDICT)
    monkeypatch.setattr("khs.runs.machine.build_firmware", lambda *_: wrong)
    done = khs("compare", "iot-gateway", "--board", board, "--frames", "30", "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 1
    assert found["equal"] is False
    assert found["first_difference"]["partition"] in found["partitions"]
