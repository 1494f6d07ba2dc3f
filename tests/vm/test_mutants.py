"""Would the differential test notice a wrong compiler? Each mutant is a systematic mistake in what
the compiler emits; some seed must tell it from the reference."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from kss.binary import (
    IMMEDIATE,
    AutomatonRecord,
    EntryKind,
    Image,
    Instruction,
    NodeKind,
    Op,
    WatchRecord,
    read,
    write,
)
from kss.models.flow import FlowCode
from kss.models.mic import MicCode
from kss.vm import PolicyRefusedError, Vm

from tests.vm.test_differential import Case, compiled, differences, make_case

CASES = 800
Mutant = Callable[[Image], None]


def code(change: Callable[[Instruction], Instruction]) -> Mutant:
    """Changes every instruction."""

    def mutate(image: Image) -> None:
        image.code = [change(instruction) for instruction in image.code]

    return mutate


def swap(old: Op, new: Op) -> Mutant:
    return code(lambda i: i._replace(op=new) if i.op == old else i)


def drop(old: Op) -> Mutant:
    """The instruction does nothing instead."""
    return code(lambda i: Instruction(Op.MOVE) if i.op == old else i)


def widen(old: Op, new_type: Callable[[int], int]) -> Mutant:
    """Works in another type."""
    return code(lambda i: i._replace(x=new_type(i.x)) if i.op == old else i)


def is_number(i: Instruction) -> bool:
    """Whether the second operand is a number of the instruction."""
    return i.b == IMMEDIATE and i.op != Op.CALL


def immediate(change: Callable[[int], int]) -> Mutant:
    return code(lambda i: i._replace(imm=change(i.imm) & 0xFFFFFFFFFFFFFFFF) if is_number(i) else i)


def method(old: int, new: int) -> Mutant:
    """A Flow method is taken for another."""

    def change(i: Instruction) -> Instruction:
        operand = {2: 0, 3: 0}.get(new, 0)
        return i._replace(b=new, imm=operand) if i.op == Op.CALL and i.b == old else i

    return code(change)


def operand(image: Image) -> None:
    """`enter` goes to state 0."""
    image.code = [i._replace(imm=0) if i.op == Op.CALL and i.b == 2 else i for i in image.code]


def constant_results(image: Image) -> None:
    """All constant verdicts grant."""
    image.calls = [call._replace(result=1) for call in image.calls]
    for number, entry in enumerate(image.entries):
        if entry.kind == EntryKind.DENIED:
            rule = image.calls[entry.first + entry.length - 1].rule
            image.entries[number] = entry._replace(kind=EntryKind.GRANTED, rule=rule)


def first_column(image: Image) -> None:
    """The peer's class is not looked at."""
    width = len(image.classes)
    for start in range(0, len(image.cells), width):
        for column in range(width):
            image.cells[start + column] = image.cells[start]
        image.rows[start // width] = image.entries[image.cells[start]].extent


def kinds(image: Image) -> None:
    """Errors are judged as responses."""
    image.operations = [o._replace(error_row=o.out_row) for o in image.operations]


def layouts(image: Image) -> None:
    """Directions of a method have one type."""
    image.operations = [
        o._replace(out_type=o.in_type) if o.out_type < len(image.types) else o
        for o in image.operations
    ]


def limits(kind: NodeKind, difference: int) -> Mutant:
    def mutate(image: Image) -> None:
        image.nodes = [
            node._replace(limit=node.limit + difference) if node.kind == kind else node
            for node in image.nodes
        ]

    return mutate


def alignments(image: Image) -> None:
    image.nodes = [
        node._replace(alignment=1) if node.kind == NodeKind.SEQUENCE else node
        for node in image.nodes
    ]


def arenas(image: Image) -> None:
    """The bound of the arena is one byte more."""
    image.types = [kind._replace(arena=kind.arena + 1) for kind in image.types]


def flow_words(change: Callable[[list[int]], list[int]]) -> Mutant:
    """Changes the configuration of Flow objects."""

    def mutate(image: Image) -> None:
        for thing in image.objects:
            if thing.model == FlowCode.number:
                end = thing.config + thing.config_words
                words = change(list(image.words[thing.config : end]))
                for at, word in enumerate(words, start=thing.config):
                    image.words[at] = word

    return mutate


def capacity(image: Image) -> None:
    """Tables hold one context more."""
    image.max_sids += 1
    image.state_words = 0
    for number, thing in enumerate(image.objects):
        more = thing.capacity + (thing.model in (FlowCode.number, MicCode.number))
        image.objects[number] = changed = thing._replace(capacity=more, state=image.state_words)
        image.state_words += changed.table_words


def watches(change: Callable[[WatchRecord], WatchRecord]) -> Mutant:
    """Changes what is recorded of every site."""

    def mutate(image: Image) -> None:
        image.watches = [change(watch) for watch in image.watches]

    return mutate


def moved_watches(image: Image) -> None:
    """What is to be recorded of a site is recorded of the one before."""
    image.watched = [*image.watched[1:], *image.watched[:1]] if image.watched else []
    image.watches = [
        image.watches[at]
        for record in image.watched
        for at in range(record.watch, record.watch + record.watches)
    ]
    first = 0
    for number, record in enumerate(image.watched):
        image.watched[number] = record._replace(watch=first)
        first += record.watches


def rows(change: Callable[[AutomatonRecord, list[int]], list[int]]) -> Mutant:
    """Changes every row of every automaton."""

    def mutate(image: Image) -> None:
        for each in image.automata:
            width = 1 << each.row_bits
            for at in range(each.transition, each.transition + each.rows * width, width):
                row = list(image.transitions[at : at + width])
                image.transitions[at : at + width] = array("H", change(each, row))

    return mutate


def automata(change: Callable[[AutomatonRecord], AutomatonRecord]) -> Mutant:
    def mutate(image: Image) -> None:
        image.automata = [change(each) for each in image.automata]

    return mutate


def last_pattern(each: AutomatonRecord, row: list[int]) -> list[int]:
    """The order of the patterns is turned round."""
    none = each.answers - 1
    return row if row[0] == none else [none - 1 - row[0], *row[1:]]


def leads_back(each: AutomatonRecord, row: list[int]) -> list[int]:
    """The first class leads to the start, but from sinks."""
    return row if len(set(row[1:])) == 1 else [row[0], each.start << each.row_bits, *row[2:]]


MUTANTS: dict[str, Mutant] = {
    "adds for subtracts": swap(Op.SUB, Op.ADD),
    "subtracts for adds": swap(Op.ADD, Op.SUB),
    "multiplies for adds": swap(Op.ADD, Op.MUL),
    "equal for unequal": swap(Op.NE, Op.EQ),
    "less or equal for less": swap(Op.LT, Op.LE),
    "less for less or equal": swap(Op.LE, Op.LT),
    "or for and": swap(Op.AND, Op.OR),
    "and for or": swap(Op.OR, Op.AND),
    "absolute for negative": swap(Op.NEG, Op.ABS),
    "product for sum": swap(Op.SUM, Op.PRODUCT),
    "the wrong way round": swap(Op.JUMP_ZERO, Op.JUMP_NONZERO),
    "the wrong way round too": swap(Op.JUMP_NONZERO, Op.JUMP_ZERO),
    "source for destination": swap(Op.DST, Op.SRC),
    "destination for source": swap(Op.SRC, Op.DST),
    "numbers of one more": immediate(lambda number: number + 1),
    "no number but zero": immediate(lambda number: 0),
    "numbers of 32 bits": immediate(lambda number: number & 0xFFFFFFFF),
    "a register for a number": code(lambda i: i._replace(b=i.d, imm=0) if is_number(i) else i),
    "the number first": code(lambda i: i._replace(a=i.b, b=i.a) if is_number(i) else i),
    "no negation": drop(Op.INVERT),
    "no complement": drop(Op.NOT),
    "no check of tags": code(
        lambda i: Instruction(Op.MOVE) if i.op == Op.EXPECT and i.imm != 1 else i
    ),
    "no check of an index": code(
        lambda i: Instruction(Op.MOVE) if i.op == Op.EXPECT and i.imm == 1 else i
    ),
    "no else": drop(Op.JUMP),
    "sums wrap later": widen(Op.ADD, lambda x: x | 3),
    "differences go below zero": widen(Op.SUB, lambda x: 7),
    "products wrap later": widen(Op.MUL, lambda x: x | 3),
    "complement of another width": widen(Op.NOT, lambda x: x | 3),
    "unsigned comparisons": widen(Op.LT, lambda x: x & 3),
    "unsigned comparisons too": widen(Op.LE, lambda x: x & 3),
    "signed fields": widen(Op.FIELD, lambda x: x | 4),
    "unsigned fields": widen(Op.FIELD, lambda x: x & 3),
    "narrow fields": widen(Op.FIELD, lambda x: x & 4),
    "narrow loads": widen(Op.LOAD, lambda x: x & 4),
    "fields of the first parameter": code(lambda i: i._replace(imm=8) if i.op == Op.FIELD else i),
    "elements side by side": code(lambda i: i._replace(imm=1) if i.op == Op.ELEMENT else i),
    "array elements side by side": code(lambda i: i._replace(imm=1) if i.op == Op.INDEX else i),
    "arrays without end": code(lambda i: i._replace(x=9) if i.op == Op.INDEX else i),
    "no offset": code(lambda i: i._replace(imm=0) if i.op in (Op.OFFSET, Op.LOAD) else i),
    "lengths in bytes": code(lambda i: i._replace(x=1) if i.op == Op.LENGTH else i),
    "lengths with the zero": swap(Op.TEXT_LENGTH, Op.LENGTH),
    "other automata": code(lambda i: i._replace(x=0) if i.op == Op.SCAN else i),
    "every text matches": rows(lambda _, row: [1, *row[1:]]),
    "no text matches": rows(lambda each, row: [each.answers - 1, *row[1:]]),
    "the opposite matches": rows(lambda each, row: [each.answers - 1 - row[0], *row[1:]]),
    "the last pattern wins": rows(last_pattern),
    "all bytes are alike": automata(lambda a: a._replace(column=a.column[:1] * 256)),
    "a byte of another class": automata(lambda a: a._replace(column=a.column[1:] + a.column[:1])),
    "non-ASCII is like zero": automata(
        lambda a: a._replace(column=a.column[:128] + a.column[:1] * 128)
    ),
    "starts one row on": automata(lambda a: a._replace(start=(a.start + 1) % a.rows)),
    "starts in the last row": automata(lambda a: a._replace(start=a.rows - 1)),
    "a class of bytes leads back": rows(leads_back),
    "init for fini": method(1, 0),
    "fini for init": method(0, 1),
    "allow for enter": method(2, 3),
    "enter for allow": method(3, 2),
    "enters the wrong state": operand,
    "all constants grant": constant_results,
    "the peer is ignored": first_column,
    "errors are responses": kinds,
    "one type for all directions": layouts,
    "longer strings": limits(NodeKind.STRING, 1),
    "shorter strings": limits(NodeKind.STRING, -1),
    "longer bytes": limits(NodeKind.BYTES, 1),
    "longer sequences": limits(NodeKind.SEQUENCE, 1),
    "unaligned sequences": alignments,
    "longer arenas": arenas,
    "every transition": flow_words(lambda w: [*w[:2], *([0xFFFFFFFF] * (len(w) - 2))]),
    "no transition": flow_words(lambda w: [*w[:2], *([0] * (len(w) - 2))]),
    "another initial state": flow_words(lambda w: [w[0], (w[1] + 1) % w[0], *w[2:]]),
    "larger tables": capacity,
    "another audit level": watches(lambda w: w._replace(level=min(w.level + 1, 255))),
    "grants recorded as denials": watches(
        lambda w: w._replace(results=w.results & ~3 | w.results >> 1 & 1 | w.results << 1 & 2)
    ),
    "failures are never recorded": watches(lambda w: w._replace(results=w.results & 11 or 8)),
    "expressions are never recorded": watches(lambda w: w._replace(results=w.results & 7 or 1)),
    "all states are recorded": watches(lambda w: w._replace(states=0)),
    "records of another rule": moved_watches,
    "the audit level begins elsewhere": lambda image: setattr(
        image, "audit_level", image.audit_level + 1
    ),
    "notes are not taken": drop(Op.NOTE),
    "notes of another value": code(lambda i: i._replace(a=0) if i.op == Op.NOTE else i),
}


@cache
def case_of(seed: int) -> tuple[Case, bytes]:
    case = make_case(seed)
    return case, compiled(case)


def is_noticed(
    mutant: Mutant, library: Path, source: Callable[[int], tuple[Case, bytes]] = case_of
) -> bool:
    """Whether some case tells the compiler from one with this mistake."""
    for seed in range(CASES):
        case, data = source(seed)
        image = read(data)
        mutant(image)
        mutated = write(image)
        if mutated == data:
            continue
        try:
            vm = Vm(mutated, library)
        except PolicyRefusedError:
            continue  # the verifier has seen it
        if any(differences(case, vm)):
            return True
    return False


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_compiler_is_noticed(name: str, library: Path) -> None:
    assert is_noticed(MUTANTS[name], library)
