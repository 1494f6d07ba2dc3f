"""What `kss_verify` refuses, with which status, and where it points."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from kss import layout
from kss.binary import (
    CHECKSUM,
    HEADER_SIZE,
    IMMEDIATE,
    NONE,
    EntryKind,
    Image,
    Instruction,
    NodeKind,
    Op,
    read,
    seal,
    write,
)
from kss.compiler import compile_policy
from kss.errors import KssError
from kss.events import Kind, Result
from kss.layout import Endpoint
from kss.tree import ElementStep, FieldStep, Watch
from kss.vm import PolicyRefusedError, Vm

from tests.vm.build import (
    DST,
    SRC,
    U32,
    Builder,
    apply,
    classes,
    interface,
    method,
    place,
    unsigned,
)

SIZE, TABLE, PROGRAM, LAYOUT, MODEL, CHECKSUM_WRONG = 3, 4, 5, 6, 7, 9
PAIR = layout.make_struct("P", [("a", layout.String(3)), ("b", U32)])
EITHER = layout.make_union("E", [("n", U32), ("s", layout.String(3))])
PUT = method(
    "Put",
    0,
    [("n", U32), ("s", layout.Sequence(PAIR, 3)), ("e", EITHER), ("x", layout.Array(PAIR, 2))],
)
FIRST = ElementStep(unsigned(0), 2, PAIR)
TEXT_OF = FieldStep("a", 0, layout.String(3))


@pytest.fixture(scope="module")
def policy() -> bytes:
    """Has records in every table."""
    door = interface("t.Door", PUT)
    made = classes(
        ("t.A", [Endpoint("door", 0, door, None)], [Endpoint("", 0, door, None)]),
        ("t.B", [], []),
        ("t.C", [], []),
    )
    builder = Builder(made)
    gate = builder.flow("gate", ["a", "b", "c"], "a", a=["b"], b=["c"])
    builder.bind(Kind.EXECUTE, builder.flow_rule(gate, "init", DST))
    builder.bind(Kind.RESPONSE, builder.grant(), builder.rule("deny"))
    granted = frozenset([Result.GRANTED])
    watches = (Watch(0, granted), Watch(1, granted, omit=("a", "c")))
    builder.watch = lambda name, expression: watches if name == "gate" else ()
    small = apply("pred.lt", place(PUT.request, "n"), unsigned(5))
    short = place(PUT.request, "x", FIRST, TEXT_OF)
    builder.bind(
        Kind.REQUEST,
        builder.rule("assert", small),
        builder.rule("assert", builder.matches(short, "a[bc]*")),
        builder.rule("assert", builder.matches(short, "b+")),
        builder.flow_rule(gate, "enter", DST, "b"),
        builder.flow_rule(gate, "allow", DST, "a", "c"),
        dst=0,
        endpoint="door",
        method="Put",
    )
    return compile_policy(builder.tree(), max_sids=4)


def refusal(library: Path, data: bytes) -> tuple[int, int]:
    with pytest.raises(PolicyRefusedError) as caught:
        Vm(data, library)
    return caught.value.status, caught.value.where


def test_the_policy_itself_verifies(library: Path, policy: bytes) -> None:
    image = read(policy)
    assert Vm(policy, library)
    tables = ("classes", "endpoints", "operations", "types", "nodes", "rows", "cells", "watches")
    for name in (*tables, "watched", "automata", "transitions"):
        assert len(getattr(image, name)) > 1, name
    assert {entry.kind for entry in image.entries} >= {EntryKind.DENIED, EntryKind.PROGRAM}
    assert {node.kind for node in image.nodes} == set(NodeKind) - {NodeKind.BYTES}


def test_no_prefix_and_no_longer_image_verifies(library: Path, policy: bytes) -> None:
    for size in range(len(policy)):
        assert refusal(library, policy[:size])[0] in (1, SIZE)
    assert refusal(library, policy + bytes(8))[0] == SIZE


def flipped(data: bytes, first: int, pattern: int) -> bytes:
    """The bits of the pattern flipped, from bit number `first` on."""
    number = int.from_bytes(data, "little") ^ pattern << first
    return number.to_bytes(len(data), "little")


def test_every_flipped_bit_is_noticed(library: Path) -> None:
    """Some would change a verdict: they make another correct policy."""
    builder = Builder(classes(("t.A", [], [])))
    builder.bind(Kind.EXECUTE, builder.grant(), builder.rule("assert", apply("pred.lt", DST, SRC)))
    policy = compile_policy(builder.tree())
    before = 8 * HEADER_SIZE
    harmful = 0
    for bit in range(8 * len(policy)):
        bad = flipped(policy, bit, 1)
        status, _ = refusal(library, bad)
        assert status == CHECKSUM_WRONG or bit < 8 * 12, bit
        if bit >= before:
            with contextlib.suppress(PolicyRefusedError, KssError):
                harmful += bool(Vm(seal(bad), library))
        with pytest.raises(KssError, match="build the policy again"):
            read(bad)
    assert harmful > 100


def test_every_burst_up_to_32_bits_is_noticed(library: Path, policy: bytes) -> None:
    """Also one that reaches into the checksum."""
    rng = Random(1)
    end = 8 * (len(policy) - CHECKSUM.size)
    places = [*(rng.randrange(8 * 12, end - 32) for _ in range(1000)), *range(end - 32, end)]
    for first in places:
        burst = rng.getrandbits(32) | 1
        assert refusal(library, flipped(policy, first, burst))[0] == CHECKSUM_WRONG


@pytest.mark.parametrize(
    ("at", "status"),
    [
        *((0, 1), (4, 2), (8, SIZE), (24, SIZE), (28, SIZE), (32, SIZE), (36, SIZE)),
        *((40, TABLE), (44, TABLE), (52, TABLE)),
    ],
)
def test_header(library: Path, policy: bytes, at: int, status: int) -> None:
    """Magic, version, size, max_writes, state_words, max_notes, audit_level, and the tables'
    offsets and counts."""
    bad = bytearray(policy)
    bad[at : at + 4] = b"\xff\xff\xff\x7f"
    assert refusal(library, seal(bytes(bad)))[0] == status
    if at == 40:
        assert refusal(library, seal(bytes(bad)))[1] == 40


def test_every_byte_of_padding_is_checked(library: Path, policy: bytes) -> None:
    """A table's end is padded to 8; nothing hides there."""
    padded = 0
    image = read(policy)
    image.rows.append(image.rows[0])
    image.cells.extend(image.cells[: len(image.classes)])
    policy = write(image)
    assert Vm(policy, library)
    for name, size in (("rows", 4), ("cells", 2), ("words", 4)):
        start = policy.index(_bytes(image, name, size), HEADER_SIZE)
        end = start + len(getattr(image, name)) * size
        for at in range(end, (end + 7) // 8 * 8):
            bad = bytearray(policy)
            assert bad[at] == 0
            bad[at] = 1
            assert refusal(library, seal(bytes(bad))) == (TABLE, at)
            padded += 1
    assert padded


def _bytes(image: Image, name: str, size: int) -> bytes:
    return b"".join(number.to_bytes(size, "little") for number in getattr(image, name))


def first(image: Image, op: Op) -> int:
    return next(i for i, instruction in enumerate(image.code) if instruction.op == op)


def node(image: Image, kind: NodeKind) -> int:
    return next(i for i, record in enumerate(image.nodes) if record.kind == kind)


def put(
    table: str, at: int | Callable[[Image], int], /, **changes: int | bytes
) -> Callable[[Image], None]:
    def change(image: Image) -> None:
        records = getattr(image, table)
        index = at if isinstance(at, int) else at(image)
        records[index] = records[index]._replace(**changes)

    return change


def code(op: Op, /, **changes: int) -> Callable[[Image], None]:
    return put("code", lambda image: first(image, op), **changes)


def nodes(kind: NodeKind, /, **changes: int) -> Callable[[Image], None]:
    return put("nodes", lambda image: node(image, kind), **changes)


def number(table: str, at: int, value: int) -> Callable[[Image], None]:
    def change(image: Image) -> None:
        getattr(image, table)[at] = value

    return change


def header(name: str, value: int) -> Callable[[Image], None]:
    return lambda image: setattr(image, name, value)


def word(offset: int, value: int) -> Callable[[Image], None]:
    """A word of the Flow object's configuration."""

    def change(image: Image) -> None:
        image.words[image.objects[0].config + offset] = value

    return change


def reader(image: Image) -> int:
    """The entry of the program that reads the message."""
    return next(i for i, entry in enumerate(image.entries) if entry.extent)


def constant(image: Image) -> int:
    """The entry of a constant verdict."""
    return next(i for i, entry in enumerate(image.entries) if entry.kind == EntryKind.DENIED)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        # programs
        (code(Op.FIELD, op=200), PROGRAM),
        (code(Op.FIELD, d=128), PROGRAM),
        (code(Op.FIELD, d=3), PROGRAM),
        (code(Op.FIELD, a=1), PROGRAM),
        (code(Op.FIELD, imm=4), PROGRAM),
        (code(Op.FIELD, imm=10), PROGRAM),
        (code(Op.FIELD, imm=1 << 32), PROGRAM),
        (code(Op.FIELD, x=8), PROGRAM),
        (code(Op.LT, x=8), PROGRAM),
        (code(Op.LT, b=0, imm=1), PROGRAM),
        (code(Op.LT, op=Op.NOT, b=0, imm=0, x=8), PROGRAM),
        (code(Op.FIELD, op=Op.LOAD, imm=1 << 32), PROGRAM),
        (code(Op.FIELD, op=Op.LOAD, x=8), PROGRAM),
        (code(Op.FIELD, op=Op.OFFSET, x=0, imm=1 << 32), PROGRAM),
        (code(Op.LT, b=IMMEDIATE + 1), PROGRAM),
        (code(Op.LT, a=IMMEDIATE + 1), PROGRAM),
        (code(Op.LT, d=IMMEDIATE), PROGRAM),
        (code(Op.FIELD, d=IMMEDIATE), PROGRAM),
        (code(Op.SCAN, d=IMMEDIATE), PROGRAM),
        (code(Op.CALL, a=IMMEDIATE), PROGRAM),
        (code(Op.CALL, b=IMMEDIATE), PROGRAM),
        (code(Op.CALL, b=255), PROGRAM),
        (code(Op.NOTE, a=IMMEDIATE), PROGRAM),
        (code(Op.END, imm=1), PROGRAM),
        (code(Op.RULE, imm=1), PROGRAM),
        (code(Op.LT, op=Op.NEG, b=0, imm=0), PROGRAM),
        (code(Op.DST, op=Op.JUMP, d=0, x=0), PROGRAM),
        (code(Op.DST, op=Op.JUMP, d=0, x=99), PROGRAM),
        (code(Op.DST, op=Op.JUMP, d=0, x=NONE), PROGRAM),
        (code(Op.RULE, x=99), PROGRAM),
        (code(Op.RULE, op=Op.MARK, a=0, x=99), PROGRAM),
        (code(Op.CALL, x=1), PROGRAM),
        (code(Op.CALL, b=8), PROGRAM),
        (code(Op.CALL, imm=1), PROGRAM),
        (code(Op.CALL, b=2, imm=3), PROGRAM),
        (code(Op.CALL, b=3, imm=1 << 20), PROGRAM),
        (code(Op.CALL, b=3, imm=(1 << 64) - 1), PROGRAM),
        (code(Op.NOTE, x=99), PROGRAM),
        (code(Op.NOTE, x=NONE), PROGRAM),
        (code(Op.NOTE, imm=2), PROGRAM),
        (code(Op.NOTE, a=4), PROGRAM),
        (code(Op.NOTE, d=1), PROGRAM),
        (put("entries", reader, notes=1), PROGRAM),
        (header("max_notes", 1), PROGRAM),
        (code(Op.END, op=Op.MOVE), PROGRAM),
        (put("entries", reader, registers=1), PROGRAM),
        (put("entries", reader, registers=129), PROGRAM),
        (put("entries", reader, extent=0), PROGRAM),
        (header("max_calls", 1), PROGRAM),
        (header("max_writes", 8), PROGRAM),
        (header("rules", 2), TABLE),
        # tables
        (put("entries", reader, extent=16), TABLE),
        (put("entries", reader, rule=1), TABLE),
        (put("entries", reader, length=1), PROGRAM),
        (put("entries", reader, first=0), TABLE),
        (put("entries", reader, kind=4), TABLE),
        (put("entries", reader, kind=0), TABLE),
        (put("entries", reader, object=1), TABLE),
        (put("entries", constant, object=0), TABLE),
        (put("calls", 0, result=2), TABLE),
        (put("calls", 0, result=0), TABLE),
        (put("calls", 0, rule=99), TABLE),
        (put("classes", 0, execute_row=99), TABLE),
        (put("classes", 0, endpoint=1), TABLE),
        (put("classes", 0, endpoints=2), TABLE),
        (put("classes", 0, endpoints=NONE), TABLE),
        (put("classes", 0, security_endpoints=NONE), TABLE),
        (put("endpoints", 0, operations=2), TABLE),
        (put("endpoints", 0, operations=NONE), TABLE),
        (put("endpoints", 1, operation=0), TABLE),
        (put("operations", 0, in_type=99), TABLE),
        (put("operations", 0, in_row=99), TABLE),
        (put("operations", 0, in_row=NONE), TABLE),
        (put("operations", 0, out_type=NONE, out_row=NONE), TABLE),
        (put("operations", 1, out_type=0), TABLE),
        (number("cells", 0, 99), TABLE),
        (number("rows", 0, 1), TABLE),
        # automata
        (put("automata", 0, transition=1), TABLE),
        (put("automata", 1, transition=0), TABLE),
        (put("automata", 0, rows=0), TABLE),
        (put("automata", 0, rows=2), TABLE),
        (put("automata", 0, rows=4), TABLE),
        (put("automata", 0, rows=NONE), TABLE),
        (put("automata", 0, rows=1 << 30), TABLE),
        (put("automata", 0, row_bits=0), TABLE),
        (put("automata", 0, row_bits=1), TABLE),
        (put("automata", 0, row_bits=9), TABLE),
        (put("automata", 0, row_bits=32), TABLE),
        (put("automata", 0, row_bits=NONE), TABLE),
        (put("automata", 0, start=3), TABLE),
        (put("automata", 0, start=NONE), TABLE),
        (put("automata", 0, sinks=2), TABLE),
        (put("automata", 0, sinks=NONE), TABLE),
        (put("automata", 0, answers=0), TABLE),
        (put("automata", 0, answers=1), TABLE),
        (put("automata", 0, column=bytes(256)), TABLE),
        (put("automata", 0, column=bytes([1] * 255 + [4])), TABLE),
        (number("transitions", 0, 2), TABLE),
        (number("transitions", 1, 4), TABLE),
        (number("transitions", 5, 12), TABLE),
        (number("transitions", 5, 5), TABLE),
        (number("transitions", 5, 0xFFFF), TABLE),
        (lambda image: image.transitions.append(0), TABLE),
        (lambda image: image.transitions.pop(), TABLE),
        (code(Op.SCAN, x=2), PROGRAM),
        (code(Op.SCAN, x=NONE), PROGRAM),
        (code(Op.SCAN, imm=1), PROGRAM),
        (code(Op.SCAN, b=1), PROGRAM),
        # audit
        (put("watched", 0, watch=1), TABLE),
        (put("watched", 0, watches=3), TABLE),
        (put("watched", 0, watches=NONE), TABLE),
        (put("watches", 1, level=0), TABLE),
        (put("watches", 0, results=0), TABLE),
        (put("watches", 0, results=16), TABLE),
        (put("watches", 0, zero=1), TABLE),
        (put("watches", 0, omit=99), TABLE),
        (put("watches", 0, omit=NONE), TABLE),
        (put("watches", 0, states=1 << 10), TABLE),
        (put("watches", 0, states=NONE), TABLE),
        (lambda image: image.watched.pop(), TABLE),
        (lambda image: image.watches.append(image.watches[0]), TABLE),
        (header("max_notes", 1 << 16), SIZE),
        (header("audit_level", 256), SIZE),
        # message types
        (put("types", 0, size=4), LAYOUT),
        (put("types", 0, size=12), LAYOUT),
        (put("types", 0, size=16), LAYOUT),
        (put("types", 0, arena=1 << 24), LAYOUT),
        (put("types", 0, node=1), LAYOUT),
        (put("types", 0, nodes=NONE), LAYOUT),
        (put("types", 1, nodes=1), LAYOUT),
        (nodes(NodeKind.SEQUENCE, kind=6), LAYOUT),
        (nodes(NodeKind.SEQUENCE, kind=NodeKind.MEMBER), LAYOUT),
        (nodes(NodeKind.SEQUENCE, alignment=3), LAYOUT),
        (nodes(NodeKind.SEQUENCE, alignment=0), LAYOUT),
        (nodes(NodeKind.SEQUENCE, alignment=16), LAYOUT),
        (nodes(NodeKind.SEQUENCE, inverse=1), LAYOUT),
        (nodes(NodeKind.SEQUENCE, size=4), LAYOUT),
        (nodes(NodeKind.SEQUENCE, offset=NONE), LAYOUT),
        (nodes(NodeKind.SEQUENCE, depth=1), LAYOUT),
        (nodes(NodeKind.SEQUENCE, node=0), LAYOUT),
        (nodes(NodeKind.STRING, size=1), LAYOUT),
        (nodes(NodeKind.STRING, nodes=1), LAYOUT),
        (nodes(NodeKind.STRING, alignment=1), LAYOUT),
        (nodes(NodeKind.UNION, limit=3), LAYOUT),
        (nodes(NodeKind.UNION, size=NONE), LAYOUT),
        (nodes(NodeKind.MEMBER, offset=4), LAYOUT),
        (nodes(NodeKind.MEMBER, limit=1), LAYOUT),
        (nodes(NodeKind.ARRAY, size=0), LAYOUT),
        (nodes(NodeKind.ARRAY, limit=NONE), LAYOUT),
        # objects
        (put("objects", 0, model=9), MODEL),
        (put("objects", 0, capacity=0), MODEL),
        (put("objects", 0, capacity=NONE), MODEL),
        (put("objects", 0, context_words=2), MODEL),
        (put("objects", 0, state=1), MODEL),
        (put("objects", 0, config=99), TABLE),
        (put("objects", 0, config_words=NONE), TABLE),
        (put("objects", 0, config_words=2), MODEL),
        (put("objects", 0, config_words=1), MODEL),
        (word(0, 0), MODEL),
        (word(0, 40), MODEL),
        (word(0, NONE), MODEL),
        (word(1, 3), MODEL),
        (header("state_words", 1), SIZE),
        (header("max_writes", 1), SIZE),
        (header("max_calls", 1 << 16), SIZE),
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


@pytest.mark.parametrize("op", [op for op in Op if op is not Op.END])
def test_no_instruction_may_fall_off_the_end(library: Path, policy: bytes, op: Op) -> None:
    image = read(policy)
    image.code[-1] = Instruction(op)
    assert refusal(library, write(image))[0] == PROGRAM


def test_where_points_at_the_record(library: Path, policy: bytes) -> None:
    image = read(policy)
    at = first(image, Op.FIELD)
    good = write(image)
    image.code[at] = image.code[at]._replace(d=77)
    bad = write(image)
    changed = next(i for i, (a, b) in enumerate(zip(good, bad, strict=True)) if a != b)
    status, where = refusal(library, bad)
    assert status == PROGRAM and where <= changed < where + 16


def test_an_image_without_objects_or_messages_verifies(library: Path) -> None:
    vm = Vm(compile_policy(Builder(classes(("t.A", [], []))).tree()), library)
    assert vm.state() == {} and vm.audit_level == 0
    assert Vm(compile_policy(Builder(()).tree()), library).image.cells.tolist() == []
