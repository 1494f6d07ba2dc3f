"""CAN controllers of partitions on emulated PCs: the driver for our model drives QEMU's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from khs import compare, runs
from khs.cli import app
from khs.engine import qemu, unicorn
from khs.engine.qemu import cards
from khs.engine.qemu.paused import Paused
from khs.errors import EngineError
from khs.image import Archive, open_system
from khs.trace import Names, events
from khs.trace.events import Event

from .conftest import ROOT, archive, firmware, need_emulator

CAN = ROOT / "images" / "can"
FIELD = {"asker.can1": "field", "answerer.can2": "field"}
MS = 125_000
FRAME = 10 * MS
FIRST_IRQ = 3
#: The last line of ten questions and more.
SAID = re.compile(r"(\d+) asked, (\d+) answered, (\d+) wrong, (\d+) lost\r\n$")


@pytest.fixture(params=["pc", "q35"])
def pc(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    need_emulator(name)
    return name


def with_overlay(folder: Path, board: str, text: str) -> Archive:
    overlay = folder / "overlay.toml"
    overlay.write_text(text)
    return open_system(str(CAN), [overlay], board)


def said(built: Archive, board: str, frames: int, **options: dict[str, str]) -> tuple[int, ...]:
    """What the asker counts in the end: asked, answered, wrong, lost."""
    with qemu.Machine(built, firmware(board), can=options.get("can")) as machine:
        machine.run(frames)
        found = SAID.search(machine.console.decode())
    assert found is not None
    return tuple(map(int, found.groups()))


def compared(built: Archive, board: str, frames: int) -> compare.Comparison:
    one, other = (compare.Recorder(len(built.names["partitions"])) for _ in range(2))
    with unicorn.Machine(built, can=FIELD) as machine:
        result = machine.run(frames, sink=one)
    with qemu.Machine(built, firmware(board), can=FIELD) as emulated:
        emulated.run(frames, sink=other)
    names = Names.from_header(runs.plan(built).header)
    last = result.ticks - result.ticks // frames
    return compare.compare(names, one, other, left_out={}, last_frame=last)


def test_questions_and_answers_go_over_qemus_bus(pc: str) -> None:
    assert said(archive("can", pc), pc, 12, can=FIELD) == (10, 9, 0, 0)


def test_bursts_do_too(pc: str) -> None:
    assert said(archive("can", pc, "burst.toml"), pc, 12, can=FIELD) == (30, 27, 0, 0)


def test_controllers_that_are_not_joined_are_alone(pc: str) -> None:
    assert said(archive("can", pc), pc, 12) == (10, 0, 0, 0)
    assert said(archive("can", pc), pc, 12, can={"asker.can1": "answerer.can2"}) == (10, 0, 0, 0)


def test_cards_are_told_apart_by_their_owners(pc: str, tmp_path: Path) -> None:
    """The first partition's card is the first, whichever controller of the board's file it is."""
    crossed = with_overlay(
        tmp_path,
        pc,
        '[partition.asker]\nargs = ["can2", "ask"]\ndevices = ["can2"]\n'
        '[partition.answerer]\nargs = ["can1", "answer"]\ndevices = ["can1"]\n',
    )
    field = {"asker.can2": "field", "answerer.can1": "field"}
    assert said(crossed, pc, 12, can=field) == (10, 9, 0, 0)


#: Timer and answer come before one window: the line is up while the handler of the timer runs.
BOTH = '[partition.asker]\nenv = { EVERY_US = "14000" }\n'


@pytest.mark.parametrize("overlay", ["", BOTH], ids=["apart", "together"])
def test_both_engines_are_equal(overlay: str, pc: str, tmp_path: Path) -> None:
    found = compared(with_overlay(tmp_path, pc, overlay), pc, 60)
    assert found.difference is None
    assert min(found.compared.values()) > 100


def test_interrupts_are_their_owners_in_their_windows(pc: str) -> None:
    seen: list[Event] = []

    def take(records: memoryview) -> None:
        seen.extend(events.decode(record) for record in events.split(records))

    with qemu.Machine(archive("can", pc), firmware(pc), can=FIELD) as machine:
        machine.run(12, sink=take)
    devices = [e for e in seen if isinstance(e, events.Interrupt) and e.irq == FIRST_IRQ]
    windows = {(event.partition, event.tick % FRAME // MS) for event in devices}
    assert windows == {(0, 0), (1, 5)}


def moved(folder: Path, board: str, *changes: tuple[str, str]) -> Archive:
    """For a board whose file has the controllers elsewhere."""
    text = (ROOT / "boards" / f"{board}.toml").read_text()
    for before, after in changes:
        assert text.count(before) == 1
        text = text.replace(before, after)
    own = folder / "own.toml"
    own.write_text(text)
    return open_system(str(CAN), [], str(own))


def test_cards_are_where_the_boards_file_has_them(pc: str, tmp_path: Path) -> None:
    places = (('"0xd000"', '"0xc100"'), ('"0xd080"', '"0xc800"'))
    lines = (("irq = 10", "irq = 5"), ("irq = 11", "irq = 15"))
    built = moved(tmp_path, pc, *places, *lines)
    seen = []

    async def look(board: Paused) -> None:
        seen.append([await board.monitor(f"i /b {port:#x}") for port in (0x4D0, 0x4D1)])

    with qemu.Machine(built, firmware(pc), can=FIELD) as machine:
        machine.run(12, inspect=look)
        assert machine.console.endswith(b"10 asked, 9 answered, 0 wrong, 0 lost\r\n")
    level = [int(word.split("=")[-1], 16) for word in seen[0]]
    assert level[0] & 1 << 5 and level[1] & 1 << (15 - 8)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("irq = 10", "irq = 8"), "0xd000"),  # never by level
        (("irq = 11", "irq = 16"), "0xd080"),  # the 8259As have 15
        (('"0xd000"', '"0xc020"'), "0xc020"),  # a range of 128 ports begins at a multiple
        (('"0xd080"', '"0xe000"'), "0xe000"),  # no room for the card's others behind
    ],
)
def test_where_no_card_can_be_is_told(change: tuple[str, str], told: str, tmp_path: Path) -> None:
    need_emulator("q35")
    built = moved(tmp_path, "q35", change)
    with (
        qemu.Machine(built, firmware("q35")) as machine,
        pytest.raises(EngineError, match=f"no card whose registers could be at {told}"),
    ):
        machine.run(2)


def test_a_board_without_the_card_says_so(pc: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "arguments", lambda *_: [])
    with (
        qemu.Machine(archive("can", pc), firmware(pc)) as machine,
        pytest.raises(EngineError, match="no card whose registers could be at 0xd000"),
    ):
        machine.run(2)


def test_what_is_on_no_card_has_no_bus() -> None:
    need_emulator("sabrelite")
    with pytest.raises(EngineError, match=r"asker\.can1 is no CAN controller .*\n.*there is none"):
        qemu.Machine(archive("can", "sabrelite"), b"", can=FIELD)


def test_the_command_compares_them_on_one_bus(pc: str) -> None:
    done = CliRunner().invoke(app, ["compare", "can", "--board", pc, "--frames", "20"])
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "equal"


def test_where_qemu_has_none_they_are_left_out() -> None:
    told = compare.incomparable(archive("can", "sabrelite").manifest)
    assert told == {
        "asker": "QEMU's board does not have asker.can1",
        "answerer": "QEMU's board does not have answerer.can2",
    }
    assert compare.incomparable(archive("can", "q35").manifest) == {}


@pytest.mark.parametrize("command", ["run", "debug"])
def test_a_board_without_the_controllers_is_refused(command: str) -> None:
    done = CliRunner().invoke(app, [command, "can", "--engine", "qemu", "--frames", "2"])
    assert done.exit_code == 2
    assert "QEMU's board does not have asker.can1, answerer.can2: partitions would" in done.stderr
    assert "help: without --engine qemu; or --board q35 or pc" in done.stderr
