"""khs bench --section boards: its figures come from runs, and are the same where QEMU counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from khs.bench import boards, measure
from khs.bench.figures import Figure
from khs.bench.load import BOARDS, Load
from khs.engine.qemu.process import Process
from khs.errors import KhsError

from .conftest import firmware, need_emulator


@pytest.fixture(params=sorted(BOARDS))
def arch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    need_emulator(BOARDS[name])
    monkeypatch.setattr(boards, "FRAMES", (1, 3))
    monkeypatch.setattr(boards, "WINDOW", 20_000)
    monkeypatch.setattr(boards, "TRIES", 1)
    return name


#: Instructions of a null hypercall and a judged write, with a margin of a tenth: a board's kernel that
#: takes more does something that it need not.
MOST = {"armv7": (665, 1760), "x64": (530, 1470), "x86": (670, 1885)}


def calls(arch: str) -> dict[str, Figure]:
    return {each.name: each for each in boards._calls(arch, firmware(BOARDS[arch]))}


def test_calls_are_counted_in_instructions(arch: str) -> None:
    found = calls(arch)
    null, judged = found["null hypercall"], found["judged 64-byte port write"]
    assert null.unit == "instructions"
    assert null.baseline is not None
    assert null.ratio is not None
    assert 10 < null.baseline < 200  # registers out and in
    assert 2 * null.baseline < null.value < judged.value
    assert null.value < MOST[arch][0]
    assert judged.value < MOST[arch][1]
    assert (null.asked, judged.asked) == (None, "<= 6")
    assert judged.ok == (judged.ratio is not None and judged.ratio <= 6)
    again = calls(arch)
    assert {name: each.value for name, each in again.items()} == {
        name: each.value for name, each in found.items()
    }


def test_a_start_is_measured_beside_a_bare_program(arch: str) -> None:
    figure = boards._start(arch, firmware(BOARDS[arch]))
    assert figure.baseline is not None
    assert figure.baseline > 0
    assert figure.ratio == pytest.approx(figure.value / figure.baseline)


def test_a_silent_board_is_no_figure(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "PATIENCE", 0.3)
    board = boards._board(Load(arch, "null", 20_000).archive())
    empty = tmp_path / "empty.image"
    empty.write_bytes(bytes(4096))

    async def forget(self: Process) -> None:
        pass

    monkeypatch.setattr(Process, "resume", forget)
    with pytest.raises(KhsError, match="the board says nothing"):
        boards._first_byte(board, boards.bare_program(arch, tmp_path), empty)


def test_the_section_is_left_out_without_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KhsError, match=r"section boards needs QEMU: .*is not installed"):
        measure("boards", lambda text: None)
