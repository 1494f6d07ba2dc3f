"""Hostile policies and messages against the VM under ASan and UBSan.

Every corrupted policy is either refused by `kss_verify` or judges random events without touching a
byte that is not its own, and keeps the promises of kss.h that the harness checks.
"""

from __future__ import annotations

import struct
import subprocess
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from kss.binary import Image, read, seal, write
from kss.compiler import compile_policy
from kss.events import Event, Kind
from kss.message import defect
from kss.vm import NO_CLASS, Vm

from tests.vm.generate import policy
from tests.vm.generate_events import Events

NUMBERS = [0, 1, 2, 3, 7, 8, 16, 0x7F, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
TABLES = ["classes", "endpoints", "operations", "types", "nodes", "entries", "calls", "code"]
TABLES += ["watched", "watches", "automata", "transitions"]
HALVES = ["cells", "transitions"]  # tables of 16-bit numbers
HEADER = ["rules", "max_calls", "max_writes", "state_words", "max_sids", "max_notes", "audit_level"]
SMALL = {"op": 8, "d": 8, "a": 8, "b": 8, "kind": 8, "depth": 8, "level": 8, "results": 8}
SMALL |= {"alignment": 16, "registers": 16, "notes": 16, "zero": 16}  # bits of fields, else 32
POLICIES = 40
CORRUPTIONS = 60
EVENTS = 12


def pack_event(event: Event) -> bytes:
    classes = (NO_CLASS if c is None else c for c in (event.src_class, event.dst_class))
    message = None if event.kind is Kind.EXECUTE else event.message
    size = NO_CLASS if message is None else len(message)
    numbers = (event.kind, *classes, event.src_sid, event.dst_sid, event.released_sid, size)
    return struct.pack("<7I", *numbers) + (message or b"")


def pack_case(image: bytes, events: list[Event]) -> bytes:
    packed = b"".join(map(pack_event, events))
    return struct.pack("<I", len(image)) + image + struct.pack("<I", len(events)) + packed


def run(harness: Path, cases: list[bytes], folder: Path) -> list[list[str]]:
    """What the harness says about each case, split into words."""
    file = folder / "cases.bin"
    file.write_bytes(b"".join(cases))
    done = subprocess.run([harness, str(file)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return [line.split() for line in done.stdout.splitlines()]


def overwrite(rng: Random, data: bytes) -> bytes:
    """Bits flipped, words overwritten, ends cut or lengthened; the checksum says that all is well."""
    bad = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(bad))
        match rng.randint(0, 3):
            case 0:
                bad[at] ^= 1 << rng.randint(0, 7)
            case 1:
                bad[at] = rng.randrange(256)
            case 2:
                at = at // 4 * 4
                bad[at : at + 4] = struct.pack("<I", rng.choice(NUMBERS))
            case _:
                source = rng.randrange(len(bad)) // 4 * 4
                bad[at // 4 * 4 : at // 4 * 4 + 4] = bad[source : source + 4]
    if rng.random() < 0.05:
        bad = bad[: rng.randrange(len(bad))] + bytes(rng.choice([0, 1, 8]))
    return seal(bytes(bad))


def rearrange(rng: Random, data: bytes) -> bytes:
    """A well-formed image with wrong numbers in its records: what gets past the first checks."""
    image = read(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        name = rng.choice([*TABLES, "code", "code", "nodes", "objects", "words", "cells", "header"])
        if name == "header":
            field = rng.choice(HEADER)
            setattr(image, field, _number(rng, getattr(image, field)))
        else:
            _change_record(rng, image, name)
    return write(image)


def _change_record(rng: Random, image: Image, name: str) -> None:
    table = getattr(image, name)
    if not table:
        return
    at = rng.randrange(len(table))
    if rng.random() < 0.1:
        table[at] = rng.choice(table)
    elif isinstance(table[at], int):
        table[at] = _number(rng, table[at]) & (0xFFFF if name in HALVES else 0xFFFFFFFF)
    else:
        field = rng.choice(table[at]._fields)
        old = getattr(table[at], field)
        most = (1 << SMALL.get(field, 32)) - 1
        new = _column(rng, old) if isinstance(old, bytes) else _number(rng, old) & most
        table[at] = table[at]._replace(**{field: new})


def _column(rng: Random, old: bytes) -> bytes:
    """One byte of it is another."""
    at = rng.randrange(len(old))
    return old[:at] + bytes([_number(rng, old[at]) & 0xFF]) + old[at + 1 :]


def _number(rng: Random, old: int) -> int:
    near = [old + 1, old - 1, old * 2, old ^ (1 << rng.randint(0, 31)), rng.randint(0, 40)]
    return rng.choice([*near, rng.choice(NUMBERS)]) & 0xFFFFFFFF


@pytest.mark.parametrize("corrupt", [overwrite, rearrange])
def test_corrupted_policies_are_refused_or_harmless(corrupt, harness: Path, tmp_path: Path) -> None:
    cases = []
    for seed in range(POLICIES):
        rng = Random(seed)
        tree = policy(rng)
        source = Events(rng, tree)
        data = compile_policy(tree, max_sids=3)
        events = [source.event() for _ in range(EVENTS)]
        cases.append(pack_case(data, events))
        for _ in range(CORRUPTIONS):
            cases.append(pack_case(corrupt(rng, data), events))
    outcomes = run(harness, cases, tmp_path)
    assert len(outcomes) == len(cases)
    count = Counter(outcome[0] for outcome in outcomes)
    assert all(outcomes[i][0] == "ran" for i in range(0, len(outcomes), CORRUPTIONS + 1))
    assert count["refused"] > 500 and count["ran"] > 250, count
    statuses = {outcome[1] for outcome in outcomes if outcome[0] == "refused"}
    assert len(statuses) >= 4, "many kinds of defects are seen"


def test_correct_policies_under_sanitizers(harness: Path, tmp_path: Path) -> None:
    cases = []
    for seed in range(1000, 1100):
        rng = Random(seed)
        tree = policy(rng)
        source = Events(rng, tree)
        data = compile_policy(tree, max_sids=rng.choice([1, 2, 64]))
        cases.append(pack_case(data, [source.event() for _ in range(60)]))
    outcomes = run(harness, cases, tmp_path)
    assert all(outcome[0] == "ran" for outcome in outcomes)
    assert sum(int(outcome[1]) for outcome in outcomes) > 300


def test_random_messages_conform_as_the_layout_says(library: Path) -> None:
    """`kss_conforms` against the plain check of `kss.message`."""
    agreed: Counter[bool] = Counter()
    for seed in range(120):
        rng = Random(seed)
        tree = policy(rng)
        source = Events(rng, tree)
        vm = Vm(compile_policy(tree), library)
        for kind in (Kind.REQUEST, Kind.RESPONSE, Kind.SECURITY):
            for target in source.targets[kind]:
                message = source.message(kind, target)
                data = source.spoil(message) if rng.random() < 0.6 else message
                assert kind.direction is not None
                header = target.endpoint.riid, target.method.mid, kind.direction
                data = struct.pack("<IHH", *header) + data[8:]
                wrong = defect(target.method.message(kind.direction), data)
                assert vm.conforms(target.server, kind, data) == (wrong is None), (data, wrong)
                agreed[wrong is None] += 1
    assert agreed[True] > 500 and agreed[False] > 500
