"""What `kss_verify` refuses of users' own models: objects, and calls of the VM's methods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kss.binary import Image, Op, read, write
from kss.compiler import compile_policy
from kss.events import Kind
from kss.models.record import RecordCode
from kss.own.tree import Config
from kss.tree import PolicyObject
from kss.vm import Vm

from tests.vm.build import DST, HERE, Builder, classes
from tests.vm.generate_records import parsed
from tests.vm.test_verify import MODEL, PROGRAM, refusal

# Words: a 0, b 1 and 2, c 3.
TEXT = """class Own:
    class context:
        a: SInt8 = 1
        b: UInt64 = 2
        c: Boolean = True

    def use(sid: Sid) -> Rule:
        if has(sid):
            drop(sid)
        create(sid)
        b[sid] += 1
        return c[sid] and a[sid] == 1
"""


@pytest.fixture(scope="module")
def policy() -> bytes:
    builder = Builder(classes(("t.A", [], [])))
    config = Config(parsed(TEXT), {})
    index = len(builder.objects)
    builder.objects.append(PolicyObject("o", index, "Record", {}, config, "Own", HERE))
    builder.bind(Kind.EXECUTE, builder.call(index, "use", sid=DST))
    return compile_policy(builder.tree(), max_sids=4)


def test_the_policy_itself_verifies(library: Path, policy: bytes) -> None:
    assert Vm(policy, library).state() == {"o": {}}


def thing(**fields: int) -> Callable[[Image], None]:
    def change(image: Image) -> None:
        image.objects[0] = image.objects[0]._replace(**fields)
        image.words.append(0)
        image.state_words = image.objects[0].table_words

    return change


def call(name: str, **fields: int) -> Callable[[Image], None]:
    """Changes the first call of a method."""
    number = RecordCode.METHODS.index(name)

    def change(image: Image) -> None:
        at = next(k for k, i in enumerate(image.code) if i.op == Op.CALL and i.b == number)
        image.code[at] = image.code[at]._replace(**fields)

    return change


def fewer_writes(image: Image) -> None:
    image.max_writes -= 1


WRONG = {
    "a configuration": (thing(config_words=1), MODEL),
    "a call of an object with fewer words": (thing(context_words=3), PROGRAM),
    "a call of an object without words": (thing(context_words=0), PROGRAM),
    "no such method": (call("has", b=5), PROGRAM),
    "has: an operand": (call("has", imm=1), PROGRAM),
    "create: an operand": (call("create", imm=1), PROGRAM),
    "drop: an operand": (call("drop", imm=4), PROGRAM),
    "load: the word after the last": (call("load", imm=4 << 2), PROGRAM),
    "load: two words, of which one is the last": (call("load", imm=3 << 2 | 1), PROGRAM),
    "load: far outside": (call("load", imm=1 << 63), PROGRAM),
    "load: so far that a word number overflows": (call("load", imm=(1 << 64) - 1), PROGRAM),
    "store: the word after the last": (call("store", imm=4 << 2), PROGRAM),
    "store: arguments beyond the registers": (call("store", a=127), PROGRAM),
    "more writes than there is room for": (fewer_writes, PROGRAM),
}


@pytest.mark.parametrize("name", WRONG)
def test_is_refused(name: str, library: Path, policy: bytes) -> None:
    change, status = WRONG[name]
    image = read(policy)
    change(image)
    assert refusal(library, write(image))[0] == status


def test_the_last_words_are_within(library: Path, policy: bytes) -> None:
    for operand in (3 << 2, 2 << 2 | 1, 3 << 2 | 2):
        image = read(policy)
        call("load", imm=operand)(image)
        Vm(write(image), library)
