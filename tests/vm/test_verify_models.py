"""What `kss_verify` refuses of objects of HashSet, StaticMap and Mic, and of calls of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kss import layout
from kss.binary import NONE, Image, Op, read, write
from kss.compiler import compile_policy
from kss.events import Kind
from kss.layout import Endpoint
from kss.models.hashset import HashSetConfig
from kss.models.integrity import MicConfig
from kss.models.staticmap import StaticMapConfig
from kss.tree import Constant, ListValue, PolicyObject
from kss.types import (
    BOOLEAN,
    SINT16,
    TEXT,
    UINT8,
    UINT64,
    UNIT,
    ListType,
    TupleType,
    Type,
)
from kss.vm import Vm

from tests.vm.build import DST, HERE, SRC, U8, Builder, classes, interface, method, place, unsigned
from tests.vm.test_verify import MODEL, PROGRAM, refusal

SET, MAP, MIC = range(3)
ENTRY = TupleType((UINT8, UINT64, BOOLEAN))
PUT = method("Put", 0, [("n", U8), ("text", layout.String(8))])
UNITY = Constant(None, UNIT)


def declare(builder: Builder, model: str, types: dict[str, Type], config: object) -> int:
    index = len(builder.objects)
    thing = PolicyObject(f"o{index}", index, model, types, config, f"{config}", HERE)
    builder.objects.append(thing)
    return index


@pytest.fixture(scope="module")
def policy() -> bytes:
    door = Endpoint("door", 0, interface("t.Door", PUT), None)
    builder = Builder(classes(("t.A", [door], []), ("t.B", [], [])))
    entries = declare(builder, "HashSet", {"Entry": ENTRY}, HashSetConfig(ENTRY, 5, 3))
    keys = (("a", 1), ("ab", -1), ("b", 7))
    numbers = declare(builder, "StaticMap", {"Value": SINT16}, StaticMapConfig(SINT16, keys, 2))
    mic = MicConfig(("low", "high"), ("x", "y"), False)
    levels = declare(builder, "Mic", {}, mic)
    entry = Constant((1, 2, True), ENTRY)
    text, byte = place(PUT.request, "text"), place(PUT.request, "n")
    listed = ListValue((byte, unsigned(98, UINT8)), ListType(UINT8))
    owned = {"source": SRC, "target": DST, "container": SRC, "driver": SRC}
    builder.bind(
        Kind.REQUEST,
        builder.call(entries, "init", sid=DST),
        builder.call(entries, "add", sid=DST, entry=entry),
        builder.call(numbers, "init", sid=DST),
        builder.call(numbers, "set", sid=DST, key=text, value=Constant(5, SINT16)),
        builder.call(numbers, "set", sid=DST, key=listed, value=Constant(5, SINT16)),
        builder.call(numbers, "commit", sid=DST),
        builder.call(levels, "execute", image=UNITY, target=DST, level=text, levelR=UNITY),
        builder.call(levels, "create", **owned, level=Constant("low", TEXT)),
        dst=0,
        endpoint="door",
        method="Put",
    )
    return compile_policy(builder.tree(), max_sids=4)


def test_the_policy_itself_verifies(library: Path, policy: bytes) -> None:
    assert Vm(policy, library).state() == {"o2": {}, "o3": {}, "o4": {}}


def thing(number: int, **fields: int) -> Callable[[Image], None]:
    def change(image: Image) -> None:
        image.objects[number] = image.objects[number]._replace(**fields)

    return change


def grown(number: int, field: str, by: int) -> Callable[[Image], None]:
    def change(image: Image) -> None:
        old = image.objects[number]
        image.objects[number] = old._replace(**{field: getattr(old, field) + by})

    return change


def word(number: int, at: int, value: int) -> Callable[[Image], None]:
    """A word of the object's configuration."""

    def change(image: Image) -> None:
        image.words[image.objects[number].config + at] = value

    return change


def call(number: int, name: int, **fields: int) -> Callable[[Image], None]:
    """The call of a method of an object."""

    def change(image: Image) -> None:
        at = next(
            at
            for at, i in enumerate(image.code)
            if i.op == Op.CALL and (i.x, i.b) == (number, name)
        )
        image.code[at] = image.code[at]._replace(**fields)

    return change


def header(name: str, value: int) -> Callable[[Image], None]:
    return lambda image: setattr(image, name, value)


# configuration of the map: 3 keys, type, 3 defaults, then the table of names from word 5 on: size,
# count, then number, start and size of each
NAMES = 5


@pytest.mark.parametrize(
    ("change", "status"),
    [
        # sets: words are the set's size, then the words of each part
        (word(SET, 0, 0), MODEL),
        (word(SET, 0, 6), MODEL),
        (word(SET, 0, NONE), MODEL),
        (word(SET, 1, 0), MODEL),
        (word(SET, 1, 3), MODEL),
        (word(SET, 2, 1), MODEL),
        (thing(SET, config_words=1), MODEL),
        (thing(SET, config_words=3), MODEL),
        (thing(SET, capacity=0), MODEL),
        (grown(SET, "context_words", 1), MODEL),
        (grown(SET, "context_words", -1), MODEL),
        (call(SET, 2, b=5), PROGRAM),
        (call(SET, 2, imm=1), PROGRAM),
        (call(SET, 2, a=3), PROGRAM),
        # maps
        (word(MAP, 0, 4), MODEL),
        (word(MAP, 0, 2), MODEL),
        (word(MAP, 0, NONE), MODEL),
        (word(MAP, 1, 3), MODEL),
        (word(MAP, 1, 8), MODEL),
        (word(MAP, NAMES, 0), MODEL),
        (word(MAP, NAMES, 1000), MODEL),
        (word(MAP, NAMES + 1, 4), MODEL),
        (word(MAP, NAMES + 1, NONE), MODEL),
        (word(MAP, NAMES + 2, 3), MODEL),
        (word(MAP, NAMES + 3, NONE), MODEL),
        (word(MAP, NAMES + 3, 99), MODEL),
        (word(MAP, NAMES + 4, 99), MODEL),
        (word(MAP, NAMES + 4, NONE), MODEL),
        (grown(MAP, "config_words", -1), MODEL),
        (grown(MAP, "config_words", 1), MODEL),
        (thing(MAP, config_words=0), MODEL),
        (thing(MAP, config_words=4), MODEL),
        (grown(MAP, "context_words", 1), MODEL),
        (call(MAP, 2, b=10), PROGRAM),
        (call(MAP, 2, imm=1), PROGRAM),
        (call(MAP, 3, a=120), PROGRAM),
        (call(MAP, 7, imm=1), PROGRAM),
        (call(MAP, 9, imm=129), PROGRAM),
        (call(MAP, 9, imm=9), PROGRAM),
        (call(MAP, 9, imm=1 << 40), PROGRAM),
        # levels: words are numbers of degrees and categories, then two tables of names
        (word(MIC, 0, 0), MODEL),
        (word(MIC, 0, 1), MODEL),
        (word(MIC, 0, 0x10000), MODEL),
        (word(MIC, 1, 1), MODEL),
        (word(MIC, 1, 49), MODEL),
        (word(MIC, 2, 0), MODEL),
        (word(MIC, 2, 9), MODEL),
        (word(MIC, 2, NONE), MODEL),
        (thing(MIC, config_words=1), MODEL),
        (thing(MIC, config_words=2), MODEL),
        (thing(MIC, config_words=12), MODEL),
        (grown(MIC, "config_words", -1), MODEL),
        (grown(MIC, "context_words", 1), MODEL),
        (grown(MIC, "capacity", 1), MODEL),
        (call(MIC, 3, b=11), PROGRAM),
        (call(MIC, 3, imm=8), PROGRAM),
        (call(MIC, 3, imm=1 << 33), PROGRAM),
        (call(MIC, 0, imm=4), PROGRAM),
        (call(MIC, 0, a=3), PROGRAM),
        (header("max_writes", 40), PROGRAM),
    ],
)
def test_defects(
    library: Path, policy: bytes, change: Callable[[Image], None], status: int
) -> None:
    image = read(policy)
    change(image)
    bad = write(image)
    assert bad != policy
    found, where = refusal(library, bad)
    assert found == status and where < len(bad)


def test_every_write_is_counted(library: Path, policy: bytes) -> None:
    """The compiler's bound is the least that verifies."""
    image = read(policy)
    image.max_writes -= 1
    assert refusal(library, write(image))[0] == PROGRAM
