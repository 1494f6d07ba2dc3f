"""Would the differential test notice what is compiled wrongly for users' own models?"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

import pytest
from kss.binary import CLAIM_WRITES, Image, Op, read
from kss.models.record import RecordCode

from tests.vm.generate_events import Events
from tests.vm.generate_records import Records
from tests.vm.test_differential import Case, compiled
from tests.vm.test_model_mutants import calls, constant, method, resize
from tests.vm.test_mutants import Mutant, is_noticed

OWN = RecordCode
WIDE, SIGNED, NUMBER = 1, 2, 4


def operand(name: str, change: int, on: int = 0) -> Mutant:
    """Flips bits of operands that have `on`."""
    return calls(OWN, name, lambda i: i._replace(imm=i.imm ^ change if i.imm & on == on else i.imm))


def larger_pools(image: Image) -> None:
    image.objects = [
        thing._replace(capacity=thing.capacity + (thing.model == OWN.number))
        for thing in image.objects
    ]
    resize(image)


def instructions(op: Op, other: Op) -> Mutant:
    def mutate(image: Image) -> None:
        image.code = [i._replace(op=other) if i.op == op else i for i in image.code]

    return mutate


MUTANTS: dict[str, Mutant] = {
    "everybody has a context": constant(OWN, "has", 1),
    "nobody has a context": constant(OWN, "has", 0),
    "nothing is created": constant(OWN, "create", 1),
    "nothing is dropped": constant(OWN, "drop", 1),
    "nothing is stored": constant(OWN, "store", 0),
    "everything is zero": constant(OWN, "load", 0),
    "drops for has": method(OWN, "has", "drop"),
    "has for drops": method(OWN, "drop", "has"),
    "the next field is loaded": calls(OWN, "load", lambda i: i._replace(imm=i.imm ^ NUMBER)),
    "the next field is stored": calls(OWN, "store", lambda i: i._replace(imm=i.imm ^ NUMBER)),
    "the high word is not loaded": operand("load", WIDE, WIDE),
    "the high word is not stored": operand("store", WIDE, WIDE),
    "the sign is not loaded": operand("load", SIGNED, SIGNED),
    "pools of one more": larger_pools,
    "every branch is taken": instructions(Op.JUMP_ZERO, Op.JUMP_NONZERO),
    "sets are united": instructions(Op.AND, Op.OR),
    "sets are cut": instructions(Op.OR, Op.AND),
    "differences for sums": instructions(Op.ADD, Op.SUB),
}


@cache
def case_of(seed: int) -> tuple[Case, bytes]:
    rng = Random(seed)
    tree = Records(rng).tree()
    source = Events(rng, tree)
    case = Case(tree, [source.event() for _ in range(300)])
    return case, compiled(case)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_compiler_is_noticed(name: str, library: Path) -> None:
    assert is_noticed(MUTANTS[name], library, case_of)


def test_generated_models_use_all_there_is() -> None:
    """Methods, and fields of each width and sign."""
    seen: set[tuple[str, int]] = set()
    writes = 0
    for seed in range(40):
        _, data = case_of(seed)
        image = read(data)
        writes = max(writes, image.max_writes)
        seen |= {
            (OWN.METHODS[i.b], i.imm & 3)
            for i in image.code
            if i.op == Op.CALL and image.objects[i.x].model == OWN.number
        }
    plain = {("has", 0), ("create", 0), ("drop", 0)}
    shapes = (0, WIDE, SIGNED, WIDE | SIGNED)
    assert seen == plain | {(name, bits) for name in ("load", "store") for bits in shapes}
    assert writes > CLAIM_WRITES
