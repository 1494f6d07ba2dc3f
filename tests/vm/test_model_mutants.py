"""Would the differential test notice what is compiled wrongly for HashSet, StaticMap and Mic?"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import pytest
from kss import dictionary
from kss.binary import IMMEDIATE, Image, Instruction, Op
from kss.codegen.object import ObjectCode
from kss.models.hashset import HashSetCode
from kss.models.mic import MicCode
from kss.models.staticmap import StaticMapCode

from tests.vm.generate_events import Events
from tests.vm.generate_operations import Operations
from tests.vm.test_differential import Case, compiled
from tests.vm.test_mutants import Mutant, is_noticed

Model = type[ObjectCode]


def calls(model: Model, method: str, change: Callable[[Instruction], Instruction]) -> Mutant:
    """Changes the calls of a method."""
    number = model.METHODS.index(method)

    def mutate(image: Image) -> None:
        for at, i in enumerate(image.code):
            if i.op == Op.CALL and i.b == number and image.objects[i.x].model == model.number:
                image.code[at] = change(i)
        image.max_writes += 1000  # so that the verifier lets other methods pass

    return mutate


def method(model: Model, old: str, new: str) -> Mutant:
    """A method is taken for another."""
    return calls(model, old, lambda i: i._replace(b=model.METHODS.index(new)))


def without(model: Model, name: str, bit: int) -> Mutant:
    """An optional argument is ignored."""
    return calls(model, name, lambda i: i._replace(imm=i.imm & ~bit))


def constant(model: Model, name: str, value: int) -> Mutant:
    """Calls return a constant instead."""
    return calls(model, name, lambda i: Instruction(Op.MOVE, i.d, IMMEDIATE, imm=value))


def words(model: Model, change: Callable[[list[int]], list[int]]) -> Mutant:
    """Changes configurations; sizes follow."""

    def mutate(image: Image) -> None:
        for thing in image.objects:
            if thing.model == model.number:
                end = thing.config + thing.config_words
                changed = change(list(image.words[thing.config : end]))
                for at, word in enumerate(changed, start=thing.config):
                    image.words[at] = word
        resize(image)

    return mutate


def resize(image: Image) -> None:
    image.state_words = 0
    for number, thing in enumerate(image.objects):
        size = thing.context_words
        if thing.model == HashSetCode.number:
            set_size, *widths = image.words[thing.config : thing.config + thing.config_words]
            size = dictionary.words_of(set_size, sum(widths), 0)
        changed = thing._replace(context_words=size, state=image.state_words)
        image.objects[number] = changed
        image.state_words += changed.table_words


def larger_pools(image: Image) -> None:
    image.objects = [
        thing._replace(capacity=thing.capacity + (thing.model in (2, 3))) for thing in image.objects
    ]
    resize(image)


def names(words: list[int], start: int) -> list[int]:
    """The names of a table get each other's numbers."""
    count = words[start + 1]
    for i in range(count):
        at = start + 2 + 3 * i
        words[at] = (words[at] + 1) % count
    return words


def key_names(words: list[int]) -> list[int]:
    width = 2 if words[1] & 3 == 3 else 1
    return names(words, 2 + words[0] * width)


def defaults(words: list[int]) -> list[int]:
    return [*words[:2], words[2] ^ 1, *words[3:]]


SETS, MAPS, LEVELS = HashSetCode, StaticMapCode, MicCode
MUTANTS: dict[str, Mutant] = {
    "sets: removes for adds": method(SETS, "add", "remove"),
    "sets: adds for removes": method(SETS, "remove", "add"),
    "sets: fini for init": method(SETS, "init", "fini"),
    "sets: nothing is removed": constant(SETS, "remove", 1),
    "sets: nothing is contained": constant(SETS, "contains", 0),
    "sets: everything is contained": constant(SETS, "contains", 1),
    "sets: hold one more": words(SETS, lambda w: [w[0] + 1, *w[1:]]),
    "sets: hold one less": words(SETS, lambda w: [max(w[0] - 1, 1), *w[1:]]),
    "pools of one more": larger_pools,
    "maps: working copy for base": method(MAPS, "get", "get_uncommited"),
    "maps: base for working copy": method(MAPS, "get_uncommited", "get"),
    "maps: rollback for commit": method(MAPS, "commit", "rollback"),
    "maps: commit for rollback": method(MAPS, "rollback", "commit"),
    "maps: nothing is set": constant(MAPS, "set", 1),
    "maps: nothing is released": constant(MAPS, "fini", 1),
    "maps: other defaults": words(MAPS, defaults),
    "maps: other keys of texts": words(MAPS, key_names),
    "maps: bytes for texts": method(MAPS, "text", "bytes"),
    "maps: texts for bytes": method(MAPS, "bytes", "text"),
    "maps: signed values": words(MAPS, lambda w: [w[0], w[1] | 4, *w[2:]]),
    "maps: unsigned values": words(MAPS, lambda w: [w[0], w[1] & 3, *w[2:]]),
    "maps: the last byte does not count": calls(
        MAPS, "listed", lambda i: i._replace(imm=max(i.imm - 1, 0))
    ),
    "levels: invoke for call": method(LEVELS, "call", "invoke"),
    "levels: call for invoke": method(LEVELS, "invoke", "call"),
    "levels: write for read": method(LEVELS, "read", "write"),
    "levels: read for write": method(LEVELS, "write", "read"),
    "levels: nothing is deleted": constant(LEVELS, "delete", 1),
    "levels: nothing is upgraded": constant(LEVELS, "upgrade", 1),
    "levels: create for upgrade": method(LEVELS, "upgrade", "create"),
    "levels: no container of create": without(LEVELS, "create", 1),
    "levels: no container of delete": without(LEVELS, "delete", 1),
    "levels: no level of create": without(LEVELS, "create", 2),
    "levels: no image": without(LEVELS, "execute", 1),
    "levels: no level of execute": without(LEVELS, "execute", 2),
    "levels: no levelR": without(LEVELS, "execute", 4),
    "levels: the lowest degree": constant(LEVELS, "degree", 0),
    "levels: no category": constant(LEVELS, "category", 0),
    "levels: every level is queried as the lowest": constant(LEVELS, "query_level", 0),
    "levels: other degrees of texts": words(LEVELS, lambda w: names(w, 2)),
    "levels: other categories of texts": words(LEVELS, lambda w: names(w, 2 + w[2])),
}


@cache
def case_of(seed: int) -> tuple[Case, bytes]:
    """Few policies and many events, all about such objects."""
    rng = Random(seed)
    tree = Operations(rng).tree()
    source = Events(rng, tree)
    case = Case(tree, [source.event() for _ in range(500)])
    return case, compiled(case)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_compiler_is_noticed(name: str, library: Path) -> None:
    assert is_noticed(MUTANTS[name], library, case_of)
