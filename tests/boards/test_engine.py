"""The kernel as firmware: the same archives boot, run, and leave the same trace each time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from khs.engine import qemu, unicorn
from khs.engine.qemu.board import Board
from khs.engine.qemu.guest import board_named
from khs.engine.qemu.process import Process
from khs.errors import EngineError
from khs.trace import decode, split
from khs.trace.events import Console

from .conftest import BOARDS, archive, changed_firmware, firmware


def test_a_system_runs_the_same_each_time(board: str) -> None:
    with qemu.Machine(archive("iot-gateway", board), firmware(board)) as machine:
        first, second = machine.run(12), machine.run(12)
    assert first.trace_sha256 == second.trace_sha256
    assert first.frames == 12
    assert first.healthy
    assert first.verdicts["granted"] > 30
    hashes = {name: about.trace_sha256 for name, about in first.partitions.items()}
    assert hashes == {name: about.trace_sha256 for name, about in second.partitions.items()}


def test_a_log_that_is_always_full_changes_nothing(
    board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with qemu.Machine(archive("iot-gateway", board), firmware(board)) as machine:
        roomy = machine.run(12)
        monkeypatch.setattr("khs.engine.qemu.machine.LOG", 256)
        tight = machine.run(12)
    assert tight.trace_sha256 == roomy.trace_sha256
    assert tight.verdicts == roomy.verdicts


def test_charged_time_is_that_of_unicorn(board: str) -> None:
    """To the tick on PCs; the SABRE Lite's clock counts 10 ns, which are a tick and a quarter."""
    built = archive("iot-gateway", board)
    with qemu.Machine(built, firmware(board)) as machine:
        emulated = machine.run(12)
    with unicorn.Machine(built) as exact:
        other = exact.run(12)
    assert emulated.ticks == other.ticks
    for name, about in other.partitions.items():
        found = emulated.partitions[name]
        assert found.ticks + found.idle_ticks == about.ticks + about.idle_ticks, name
        blurred = about.hypercalls if board == "sabrelite" else 0
        assert abs(found.ticks - about.ticks) <= blurred, name


def test_consoles_come_out_as_events_and_on_the_serial_line(board: str) -> None:
    texts = []

    def listen(records: memoryview) -> None:
        for record in split(records):
            event = decode(record)
            if isinstance(event, Console):
                texts.append(event.text)

    with qemu.Machine(archive("iot-gateway", board), firmware(board)) as machine:
        machine.run(12, sink=listen)
        line = machine.console
    assert texts
    assert b"".join(texts).replace(b"\n", b"\r\n") == line


def test_progress_is_told(board: str) -> None:
    seen = []
    with qemu.Machine(archive("iot-gateway", board), firmware(board)) as machine:
        machine.run(20, progress=lambda done, wanted: seen.append((done, wanted)))
    assert seen == [(8, 20), (16, 20), (20, 20)]


def test_time_that_runs_by_itself_is_measured_and_makes_no_reproducible_run(board: str) -> None:
    built = archive("iot-gateway", board)
    with qemu.Machine(built, firmware(board), accel="tcg,thread=single") as machine:
        result = machine.run(12)
    assert not result.reproducible
    assert (result.frames, result.healthy) == (12, True)
    with unicorn.Machine(built) as exact:
        other = exact.run(12)
    assert result.ticks == other.ticks
    for name, about in other.partitions.items():
        found = result.partitions[name]
        assert found.ticks + found.idle_ticks == about.ticks + about.idle_ticks, name


def test_an_accelerator_that_there_is_not_is_told_in_qemus_words(board: str) -> None:
    with (
        qemu.Machine(archive("iot-gateway", board), firmware(board), accel="magic") as machine,
        pytest.raises(
            EngineError, match=r"QEMU refuses to start: .*invalid accelerator magic\n  help: "
        ),
    ):
        machine.run(5)


# ---- what can go wrong ------------------------------------------------------------------


def refusal(board: str, patience: float = 30.0) -> str:
    with (
        qemu.Machine(archive("iot-gateway", board), firmware(board), patience=patience) as machine,
        pytest.raises(EngineError) as caught,
    ):
        machine.run(5)
    return str(caught.value)


def test_a_missing_qemu_is_told_with_its_package(
    board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = archive("iot-gateway", board)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineError, match="is not installed\n  help: apt-get install qemu-system-"):
        qemu.Machine(built, firmware(board))


def test_a_missing_qmp_is_told_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("qemu", "qemu.qmp"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineError, match=r"not installed\n  help: pip install 'khs\[qemu\]'"):
        board_named("sabrelite").find_qemu()


def test_a_qemu_that_dies_is_told_with_its_words(
    board: str, fake_qemu: Callable[[str], None]
) -> None:
    fake_qemu("echo 'no such machine' >&2; exit 1")
    assert refusal(board) == "QEMU refuses to start: no such machine"


@pytest.mark.parametrize(
    ("script", "why"), [("exit 3", "exit status 3"), ("kill -9 $$", "killed by signal 9")]
)
def test_a_qemu_that_dies_in_silence_is_told_with_its_status(
    board: str, fake_qemu: Callable[[str], None], script: str, why: str
) -> None:
    fake_qemu(script)
    assert refusal(board) == f"QEMU refuses to start: it does not say why ({why})"


def test_a_replay_that_fails_comes_with_what_to_do() -> None:
    process = Process(["qemu"], lines=0)
    process._words = b"Missing character write event in the replay log\n"
    told = str(asyncio.run(process.failure("ended after frame 3")))
    assert told.startswith("QEMU ended after frame 3\n  QEMU says: Missing character")
    assert "\n  help: try again; --live " in told


def test_kvm_is_for_pcs(board: str) -> None:
    built = archive("iot-gateway", board)
    if board != "sabrelite":
        qemu.Machine(built, firmware(board), accel="kvm").close()
        return
    with pytest.raises(EngineError, match="KVM is for PCs alone: sabrelite is emulated"):
        qemu.Machine(built, firmware(board), accel="kvm")


@pytest.mark.parametrize(("accel", "helped"), [("tcg", False), ("tcg,thread=single", True)])
def test_a_clock_that_does_not_suit_is_told_once_and_with_help(
    board: str, accel: str, helped: bool, tmp_path: Path
) -> None:
    """The firmware says so if a trap takes longer than its timer: here any does."""
    change = (
        "boards/firmware/common/run.c",
        "call.kind != TRAP_HYPERCALL",
        "call.kind != TRAP_TIMER",
    )
    wrong = changed_firmware(tmp_path, BOARDS[board], change)
    with (
        qemu.Machine(archive("iot-gateway", board), wrong, accel=accel) as machine,
        pytest.raises(EngineError) as caught,
    ):
        machine.run(5)
    told = str(caught.value)
    assert told.startswith("the board does not run iot-gateway: the board's timer does not suit")
    assert "khs:" not in told
    assert ("help: leave --accel out" in told) == helped


@pytest.mark.parametrize(
    ("words", "help_"),
    [
        ("failed to initialize kvm", "leave --accel out: KVM is for PCs"),
        ("qemu: invalid kernel header", "a kernel is Linux"),
    ],
)
def test_what_qemu_refuses_comes_with_what_to_do(
    board: str, fake_qemu: Callable[[str], None], words: str, help_: str
) -> None:
    fake_qemu(f"echo '{words}' >&2; exit 1")
    assert f"QEMU refuses to start: {words}" in refusal(board)
    assert f"\n  help: {help_}" in refusal(board)


def test_the_usual_warning_is_nobody_s_business(
    board: str, fake_qemu: Callable[[str], None]
) -> None:
    fake_qemu("echo 'qemu: warning: nic imx.enet.0 has no peer' >&2; echo no >&2; exit 1")
    assert refusal(board) == "QEMU refuses to start: no"


def test_a_qemu_that_says_nothing_is_given_up(
    board: str, fake_qemu: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("khs.engine.qemu.process.ANSWER", 0.2)
    fake_qemu("exec sleep 1000")
    assert "does not answer" in refusal(board)


def test_firmware_that_says_nothing_is_given_up(board: str) -> None:
    """QEMU takes anything for a kernel on some boards."""
    with (
        qemu.Machine(archive("iot-gateway", board), b"\x7fELFnonsense", patience=0.5) as machine,
        pytest.raises(EngineError, match=r"silent for 0\.5 s|QEMU refuses"),
    ):
        machine.run(5)


def test_a_refused_boot_image_is_told_by_the_firmware(
    board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu.Machine, "boot_image", lambda self, frames: bytes(4096))
    assert "there is no boot image" in refusal(board)


def test_a_board_without_hardware_facts_is_refused() -> None:
    with pytest.raises(EngineError, match="how its board is emulated"):
        Board.of({"board": "q35"})
