"""A plant's variables on CAN buses, serial lines and pins."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from khs import record, replay, runs
from khs.attached import attached
from khs.engine import unicorn
from khs.engine.device import Device
from khs.engine.lines import Exchange, Party
from khs.errors import KhsError
from khs.hil import bench, plants, signals, wires
from khs.hil.frames import Database, Frame, frames
from khs.image import Archive, open_system
from khs.runs import Ran

DBC = """\
VERSION ""
NS_ :
BS_:
BU_: Plant Guest
BO_ 256 Ask: 4 Guest
 SG_ Number : 0|32@1+ (1,0) [0|4294967295] "" Plant
BO_ 512 Say: 4 Plant
 SG_ Low : 0|16@1+ (0.5,0) [0|1000] "" Guest
 SG_ High : 16|8@1- (1,0) [-128|127] "" Guest
 SG_ Rest : 24|8@1+ (1,0) [0|255] "" Guest
BO_ 513 Back: 4 Guest
 SG_ Inverted : 0|16@1+ (1,0) [0|65535] "" Plant
"""
BUS = """\
format = 1
[bench]
system = "can"
[can.field]
nodes = ["asker.can1", "answerer.can2"]
dbc = "field.dbc"
[plant.node]
python = "node.py"
[plant.node.inputs]
number = { can = "field", message = "Ask", signal = "Number" }
back = { can = "field", message = "Back", signal = "Inverted" }
[plant.node.outputs]
low = { can = "field", message = "Say", signal = "Low" }
high = { can = "field", message = "Say", signal = "High" }
"""
NODE = """
from khs.hil import Plant


class Node(Plant):
    def __init__(self):
        self.number, self.back, self.low, self.high, self.steps = 0, 0, 0.0, 0, 0

    def step(self, dt):
        self.steps += 1
        self.low, self.high = LOW, -1
        assert self.steps < 4 or (self.number == self.steps - 2 and self.back == 0xFFFF - 5)
"""


@cache
def archive(system: str, board: str = "sabrelite") -> Archive:
    return open_system(system, [], board)


def write(folder: Path, text: str, node: str = "") -> bench.Bench:
    (folder / "node.py").write_text(node)
    (folder / "field.dbc").write_text(DBC)
    (folder / "bench.toml").write_text(text)
    return bench.read(folder / "bench.toml")


def play(made: bench.Bench, count: int = 10, kept: Path | None = None) -> Ran:
    image = archive(made.document.bench.system)
    return runs.run(runs.plan(image, frames=count, record=kept, attached=attached(bench=made)))


def test_a_node_on_a_bus(tmp_path: Path) -> None:
    """Hears all signals, and sends its message once a step; without wires they are 0."""
    made = write(tmp_path, BUS, NODE.replace("LOW", "2.5"))
    ran = play(made, kept=tmp_path / "kept")
    assert ran.healthy, ran.stopped
    again = record.read(tmp_path / "kept")
    said = [frame for row in again.inputs for frame in frames(row[2])]
    assert said == [Frame(0x200, bytes(4))] + [Frame(0x200, b"\x05\0\xff\0")] * 10
    assert replay.replay(again, replay.plan(again)).equal


def test_it_acknowledges(tmp_path: Path) -> None:
    """A controller alone on its bus could send nothing."""
    alone = BUS.replace(', "answerer.can2"', "").replace('back = { can = "field", message = "Back", signal = "Inverted" }', "")  # fmt: skip
    node = NODE.replace("LOW", "0.0").replace(" and self.back == 0xFFFF - 5", "")
    ran = play(write(tmp_path, alone, node))
    assert ran.healthy, ran.stopped


@pytest.mark.parametrize(
    ("low", "sent", "told"),
    [
        ("1000.0", b"\xd0\x07", ""),
        ("1001.0", b"\xd0\x07", "Low of Say cannot be 1001: 1000, the nearest, is sent then"),
        ("-float('inf')", b"\0\0", "Low of Say cannot be -inf: 0, the nearest, is sent then"),
    ],
)
def test_a_value_that_no_signal_has(low: str, sent: bytes, told: str, tmp_path: Path) -> None:
    """It is the nearest that the signal has, as with numbers in memory; told once."""
    said: list[str] = []
    node = NODE.replace("0xFFFF - 5", f"0xFFFF - {int.from_bytes(sent, 'little')}")
    made = write(tmp_path, BUS, node.replace("LOW", low))
    plan = runs.plan(archive("can"), frames=10, record=tmp_path / "kept",
                     attached=attached(bench=made))  # fmt: skip
    ran = runs.run(plan, say=said.append)
    assert ran.healthy, ran.stopped
    frame = Frame(0x200, sent + b"\xff\0")
    inputs = record.read(tmp_path / "kept").inputs
    assert [each for row in inputs for each in frames(row[2])][1:] == [frame] * 10
    line = BUS[: BUS.index("low =")].count("\n") + 1
    assert len(said) == bool(told)
    for each in said:
        assert each.startswith(f"{tmp_path}/bench.toml:{line}:")
        assert each.endswith(told)


def test_a_value_that_is_no_number(tmp_path: Path) -> None:
    ran = play(write(tmp_path, BUS, NODE.replace("LOW", "float('nan')")))
    assert ran.stopped.startswith(f"{tmp_path}/bench.toml:1")
    assert "low is nan: it is not a number, and no signal says that" in ran.stopped


RANGES = """VERSION ""
BS_:
BU_: A
BO_ 1 Bits: 8 A
 SG_ Free : 0|8@1+ (1,0) [0|0] "" A
 SG_ Signed : 8|8@1- (-0.5,10) [0|0] "" A
 SG_ Wide : 16|8@1+ (1,0) [0|9999] "" A
 SG_ Named : 24|8@1+ (1,0) [0|100] "" A
 SG_ Float : 32|32@1- (1,0) [0|0] "" A
SIG_VALTYPE_ 1 Float : 1;
VAL_ 1 Named 255 "broken";
"""


@pytest.mark.parametrize(
    ("signal", "value", "nearest"),
    [
        ("Free", 256.0, 255.0),
        ("Free", -0.5, 0.0),
        ("Signed", 1e9, 74.0),
        ("Signed", -1e9, -53.5),
        ("Signed", 73.5, 73.5),
        ("Wide", 300.0, 255.0),
        ("Named", 101.0, 100.0),
        ("Named", 255.0, 255.0),
        ("Float", 1e300, (2 - 2**-23) * 2.0**127),
    ],
)
def test_the_range_of_a_signal(signal: str, value: float, nearest: float, tmp_path: Path) -> None:
    (tmp_path / "ranges.dbc").write_text(RANGES)
    database = Database(tmp_path / "ranges.dbc")
    assert database.nearest("Bits", signal, value) == nearest
    signals = dict.fromkeys(database.signals("Bits"), 10.0) | {signal: nearest}
    decoded = database.decode(database.encode("Bits", signals))
    assert decoded is not None
    assert getattr(decoded[1][signal], "value", decoded[1][signal]) == nearest


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('message = "Ask"', 'message = "Aks"', "there is no message Aks"),
        ('signal = "Low"', 'signal = "Lo"', 'Say has no signal "Lo"\n  help: did you mean "Low"?'),
        ('dbc = "field.dbc"', "", "has no dbc"),
        ('dbc = "field.dbc"', 'dbc = "filed.dbc"', "filed.dbc: cannot be read"),
        ('["asker.can1", "answerer.can2"]', "[]", 'nobody is on the bus "field"'),
        (', signal = "Low"', "", "plant.node.outputs.low has no signal"),
    ],
)
def test_what_is_wrong(old: str, new: str, told: str, tmp_path: Path) -> None:
    assert old in BUS
    with pytest.raises(KhsError) as caught:
        play(write(tmp_path, BUS.replace(old, new, 1), NODE.replace("LOW", "1.0")))
    assert told in str(caught.value).replace(str(tmp_path), "")


TEXT = """\
format = 1
[bench]
system = "uart"
[plant.panel]
python = "node.py"
start = { first = 41.25 }
step = "STEP"
[plant.panel.inputs]
heard = { serial = "driver.uart3", pattern = "^SPEED ([0-9.]+)$" }
[plant.panel.outputs]
speed = { serial = "driver.uart3", format = "speed {:.2f}\\n" }
"""
PANEL = """
from khs.hil import Plant


class Panel(Plant):
    def __init__(self):
        self.heard, self.speed, self.first, self.steps = 0.0, 0.0, 0.0, 0

    def step(self, dt):
        self.steps += 1
        self.speed = self.first
        assert self.steps < 6 or self.heard == self.first
"""


def test_text_on_a_line(tmp_path: Path) -> None:
    """The driver sends back what comes, in capitals."""
    made = write(tmp_path, TEXT.replace("STEP", "50ms"), PANEL)
    ran = play(made, 40, tmp_path / "kept")
    assert ran.healthy, ran.stopped
    again = record.read(tmp_path / "kept")
    assert {row[2] for row in again.inputs} == {b"speed 0.00\n", b"speed 41.25\n"}
    assert replay.replay(again, replay.plan(again)).equal


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("([0-9.]+)", "([0-9.]+", "no regular expression"),
        ("([0-9.]+)", "[0-9.]+", "it has 0 groups"),
        ("{:.2f}", "{:d}", "the format does not take one value of type float"),
        ("{:.2f}", "{1}", "the format does not take one value"),
        ("driver.uart3", "driver.uart5", 'no partition has a device "driver.uart5"'),
    ],
)
def test_what_is_wrong_with_text(old: str, new: str, told: str, tmp_path: Path) -> None:
    text = TEXT.replace("STEP", "frame").replace(old, new)
    with pytest.raises(KhsError, match=told.replace("(", r"\(")):
        play(write(tmp_path, text, PANEL))


class Pins(Device):
    """Each 10 ms pin 3 is what pin 5 has been."""

    def reset(self) -> None:
        self.at, self.level, self.rows = 1_250_000, False, list[tuple[int, bytes]]()

    def next_event(self) -> int:
        return self.at

    def receive(self, data: bytes, now: int) -> None:
        self.rows.append((now, data))
        mask, levels = struct.unpack("<II", data)
        assert mask == 1 << 5
        self.level = bool(levels & mask)

    def advance(self, now: int) -> None:
        self.at = now + 1_250_000
        record = struct.pack("<II", 0b1001, 0b1000 if self.level else 0)
        self.send(record[:3])
        self.send(record[3:])


PIN = """\
format = 1
[plant.switch]
python = "node.py"
step = "20ms"
[plant.switch.inputs]
seen = { gpio = "driver.uart3", pin = 3 }
[plant.switch.outputs]
out = { gpio = "driver.uart3", pin = 5 }
"""
SWITCH = """
from khs.hil import Plant


class Switch(Plant):
    def __init__(self):
        self.seen, self.out, self.steps, self.told = True, False, 0, []

    def step(self, dt):
        self.steps += 1
        self.told.append(self.seen)
        self.out = self.steps in (2, 3)
"""


def test_pins(tmp_path: Path) -> None:
    """Levels go out when they change alone."""
    made, model = write(tmp_path, PIN, SWITCH), Pins()
    with plants.opened(made) as wired:
        loops: list[plants.PlantLoop] = []

        def meet(exchange: Exchange) -> list[Party]:
            loops.extend(wired(exchange, archive("uart").manifest))
            return [*loops]

        devices = {"driver.uart3": model}
        with unicorn.Machine(archive("uart"), models=devices, outside=meet) as machine:
            machine.run(12)
            told: Callable[[str], object] = loops[0].model.get
            assert told("steps") == 6
            assert vars(loops[0].model)["_plant"].told == [False, False, True, True, False, False]
    set_low, set_high = struct.pack("<II", 32, 0), struct.pack("<II", 32, 32)
    ticks = [tick for tick, _ in model.rows]
    assert [data for _, data in model.rows] == [set_low, set_high, set_low]
    assert ticks == [0, 5_000_000, 10_000_000]


INPUTS = {wires.RegionWire, wires.PinInput, wires.TextInput, signals.SignalInput}
OUTPUTS = {wires.RegionWire, wires.PinOutput, wires.TextOutput, signals.SignalOutput}


@pytest.mark.parametrize("wire", sorted(INPUTS | OUTPUTS, key=str), ids=lambda wire: wire.__name__)
def test_a_wire_has_the_directions_of_its_type(wire: type) -> None:
    """None can be asked for the other one."""
    assert hasattr(wire, "read") == hasattr(wire, "hear") == (wire in INPUTS)
    assert hasattr(wire, "write") == (wire in OUTPUTS)
