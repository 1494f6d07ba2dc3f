"""Random interfaces: what C writes Python reads, and the reverse, and hostile bytes harm nobody.

The types are drawn and compiled once; the values are drawn for each example.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from kss.cgen import generate
from kss.cgen.spots import spots
from kss.layout import (
    Array,
    Bytes,
    Direction,
    Interface,
    MessageType,
    Method,
    Sequence,
    String,
    Struct,
    WireType,
    make_message,
    make_struct,
    make_union,
)
from kss.message import decode, defect, encode, header

from tests.kss.cgen_driver import HOSTILE, READ, WRITE, messages, program, script
from tests.kss.cgen_tools import STRICT, TARGETS, ZIG, compiled, needs_zig
from tests.kss.wires import TYPES, U8, U32, U64, members, values

Parameters = list[tuple[str, WireType]]
METHODS = 12

ODD = make_union("Odd", [("words", Sequence(U64, 1)), ("raw", Bytes(9)), ("none", U8)])
LINE = make_struct("Line", [("id", U8), ("points", Sequence(U64, 2)), ("names", String(5))])
NOTE = make_union("Note", [("text", String(6)), ("line", LINE), ("lines", Sequence(LINE, 2))])
CHOSEN: list[Parameters] = [
    # two unions, each with data of two alignments and of an odd size
    [("one", ODD), ("two", ODD), ("tail", Sequence(U32, 1))],
    # data of unions within sequences and arrays, and the reverse
    [("notes", Sequence(NOTE, 2)), ("pages", Array(Array(NOTE, 2), 2)), ("last", Bytes(3))],
    # the inner data need a stricter alignment than the outer
    [("lists", Sequence(Sequence(make_struct("Id", [("a", U32), ("b", Sequence(U64, 1))]), 3), 2))],
]


def interface() -> Interface:
    """Chosen messages and random ones, the same in every run."""
    drawn = [CHOSEN]

    @settings(max_examples=METHODS, phases=[Phase.generate], derandomize=True, database=None)
    @given(st.lists(members(TYPES), min_size=3, max_size=3))
    def draw(found: list[Parameters]) -> None:
        drawn.append(found)

    draw()
    methods = [
        Method(f"Method{mid}", mid, *map(make_message, Direction, sides))
        for mid, sides in enumerate(drawn)
    ]
    return Interface("random.IRandom", tuple(methods))


RANDOM = interface()
MESSAGES = messages(RANDOM)


def test_regions_of_the_arena() -> None:
    """Aligned, and within the arena."""
    for name, message in MESSAGES:
        for spot in spots(message):
            align = spot.wire.element.align if isinstance(spot.wire, Sequence) else 1
            assert all(place % align == 0 for place in (spot.region, *dict(spot.steps).values()))
            assert spot.end <= message.arena, (name, spot.name)


# ---- values ----------------------------------------------------------------


class Driver:
    """The C program, and what it answers."""

    def __init__(self, path: Path) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([path], stdin=pipe, stdout=pipe, stderr=pipe)

    def ask(self, number: int, mode: int, data: bytes) -> tuple[bool, bytes]:
        stdin, stdout, stderr = self.process.stdin, self.process.stdout, self.process.stderr
        assert stdin and stdout and stderr
        stdin.write(struct.pack("<III", number, mode, len(data)) + data)
        stdin.flush()
        head = stdout.read(8)
        assert len(head) == 8, stderr.read().decode()
        good, size = struct.unpack("<II", head)
        return bool(good), stdout.read(size)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random")
    (folder / "random.h").write_text(generate(RANDOM))
    (folder / "driver.c").write_text(program(RANDOM))
    return folder


@pytest.fixture(scope="module")
def driver(folder: Path) -> Iterator[Driver]:
    started = Driver(compiled(folder / "driver.c", folder))
    with started.process:
        yield started
        started.process.communicate()
    assert started.process.returncode == 0


NUMBERS = st.one_of(st.sampled_from(range(3)), st.sampled_from(range(len(MESSAGES))))


def drawn(data: st.DataObject) -> tuple[int, MessageType, dict[str, object]]:
    number = data.draw(NUMBERS)
    message = MESSAGES[number][1]
    return number, message, data.draw(values(Struct("message", message.fields)))


@needs_zig
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_python_reads_what_c_writes(driver: Driver, data: st.DataObject) -> None:
    number, message, given_values = drawn(data)
    good, written = driver.ask(number, WRITE, script(message, given_values, number))
    assert header(written) == (0, number // 3, message.direction)
    assert defect(message, written) is None
    assert good and decode(message, written) == given_values


@needs_zig
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_c_reads_what_python_writes(driver: Driver, data: st.DataObject) -> None:
    number, message, given_values = drawn(data)
    written = encode(message, given_values, mid=number // 3)
    assert driver.ask(number, READ, written) == (True, script(message, given_values, number))


@needs_zig
@settings(max_examples=500, deadline=None)
@given(st.data())
def test_hostile_bytes_harm_nobody(driver: Driver, data: st.DataObject) -> None:
    """With a sanitizer, if the compiler has one, a read behind the message ends the program."""
    number, message, given_values = drawn(data)
    written = bytearray(encode(message, given_values))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(8, len(written) - 1))
        written[at] = data.draw(st.sampled_from([0, 1, 2, 4, 8, 127, 128, 255]))
    cut = data.draw(st.integers(0, len(written)) | st.just(len(written)))
    assert driver.ask(number, HOSTILE, bytes(written[:cut]))[0]


# ---- compilers -------------------------------------------------------------


@needs_zig
@pytest.mark.parametrize("target", TARGETS)
def test_compiles_freestanding(folder: Path, target: str) -> None:
    command = [*ZIG, "-target", target, *STRICT, "-c", str(twice(folder))]
    done = subprocess.run(
        [*command, "-o", str(folder / "out.o")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_compiles_with_gcc(folder: Path) -> None:
    command = ["gcc", *STRICT, "-Wcast-qual", "-fsyntax-only", str(twice(folder))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def twice(folder: Path) -> Path:
    path = folder / "twice.c"
    path.write_text('#include "random.h"\n#include "random.h"\n')
    return path
