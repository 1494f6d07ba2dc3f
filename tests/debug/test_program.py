"""Programs as a debugger shows them: source lines and instructions, on every architecture."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from khs.config.model import Arch
from khs.debug.program import Instruction, Program
from khs.debug.source import LineTable, Place, Sources, sources
from khs.image import elf as elves
from khs.image import open_system
from khs.resources import shipped

SYSTEM = shipped("images") / "iot-gateway" / "system.toml"
BOARDS = {"sabrelite": Arch.ARMV7, "q35": Arch.X64, "pc": Arch.X86}


@dataclass(frozen=True)
class Sensor:
    """A program and the bytes of its segments."""

    program: Program
    segments: tuple[elves.Segment, ...]

    def read(self, address: int, size: int) -> bytes:
        for each in self.segments:
            if each.address <= address < each.end:
                at = address - each.address
                return each.data[at : at + size]
        return b""

    def main(self) -> tuple[int, int]:
        (start,) = self.program.find("main")
        found = self.program.function(start)
        assert found is not None
        return start, found[1]


@pytest.fixture(scope="module", params=BOARDS)
def sensor(request: pytest.FixtureRequest) -> Sensor:
    data, arch = open_system(SYSTEM, board=request.param).elfs["sensor"], BOARDS[request.param]
    return Sensor(Program(arch, data), elves.read(data, arch, "sensor.elf").segments)


def body(sensor: Sensor) -> list[Instruction]:
    """The instructions of main."""
    start, end = sensor.main()
    listed = sensor.program.listing(sensor.read, start, 0, 400)
    return [each for each in listed if each.address < end]


class TestLines:
    def test_main_begins_where_it_is_written(self, sensor: Sensor) -> None:
        place = sensor.program.lines.place(sensor.main()[0])
        assert place is not None
        assert place.file == "partitions/sensor/main.c"
        text = (shipped("partitions") / "sensor" / "main.c").read_text().splitlines()
        near = text[max(place.line - 3, 0) : place.line]
        assert any("main(void)" in line for line in near)
        assert Sources(sources(SYSTEM)).line(place) == text[place.line - 1]

    def test_an_address_by_its_line(self, sensor: Sensor) -> None:
        table = sensor.program.lines
        place = table.place(sensor.main()[0])
        assert place is not None
        assert sensor.main()[0] in table.addresses("main.c", place.line)
        assert sensor.main()[0] in table.addresses("sensor/main.c", place.line)
        assert table.addresses("other/main.c", place.line) == []
        assert sensor.program.find(f"main.c:{place.line}")[0] == min(
            table.addresses("main.c", place.line)
        )

    def test_lines_of_instructions(self, sensor: Sensor) -> None:
        """But for few that are of no line: the compiler's own."""
        places = [each.place for each in body(sensor)]
        assert places.count(None) < len(places) / 4
        files = {each.file for each in places if each}
        assert "partitions/sensor/main.c" in files
        assert all(each.line > 0 for each in places if each)

    def test_nothing_is_known_outside(self, sensor: Sensor) -> None:
        assert sensor.program.lines.place(0) is None
        assert sensor.program.symbol(0x10) == ""
        assert sensor.program.find("no_such_function") == []

    @pytest.mark.parametrize("seed", range(20))
    def test_damage_is_no_error(self, seed: int, sensor: Sensor) -> None:
        rng = random.Random(seed)
        data = bytearray(sensor.program.elf)
        for _ in range(200):
            data[rng.randrange(len(data))] = rng.randrange(256)
        table = LineTable(bytes(data[: rng.randrange(len(data)) if seed % 2 else len(data)]))
        table.place(sensor.main()[0])

    def test_a_text_that_is_not_there(self) -> None:
        assert Sources(sources(SYSTEM)).line(Place("stubs/none.h", 3)) == ""
        assert Sources(sources(SYSTEM)).line(Place("partitions/sensor/main.c", 100_000)) == ""


class TestListing:
    def test_around_an_instruction(self, sensor: Sensor) -> None:
        whole = body(sensor)
        assert len(whole) > 20
        assert all(each.text and each.function == "main" for each in whole)
        for at in (3, len(whole) // 2, len(whole) - 1):
            listed = sensor.program.listing(sensor.read, whole[at].address, 3, 4)
            assert listed[:4] == whole[at - 3 : at + 1]
        assert sensor.program.listing(sensor.read, whole[0].address, 5, 0) == whole[:1]

    def test_the_way_to_an_address_between_two(self, sensor: Sensor) -> None:
        long = next(each for each in body(sensor) if len(each.data) > 1)
        if sensor.program.arch is Arch.ARMV7:
            return  # an instruction begins every four bytes
        listed = sensor.program.listing(sensor.read, long.address + 1, 8, 0)
        assert listed[-1].address == long.address + 1
        assert len(listed) == 1  # what leads there is not known

    def test_what_is_no_code(self, sensor: Sensor) -> None:
        unknown = {Arch.ARMV7: b"\xff\xff\xff\xff", Arch.X64: b"\x06", Arch.X86: b"\xff\xff"}
        data = unknown[sensor.program.arch]
        listed = sensor.program.listing(lambda address, size: data[:size], 0x5000_0000, 2, 3)
        assert listed[0].text == ""
        assert b"".join(each.data for each in listed) == data
        assert sensor.program.listing(lambda address, size: b"", 0x5000_0000, 2, 3) == []
