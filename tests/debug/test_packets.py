"""Single packets and commands, without a gdb and a socket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from khs.debug.rsp.documents import memory_map
from khs.debug.rsp.monitor import execute
from khs.debug.rsp.session import Session
from khs.debug.rsp.systems import Systems
from khs.debug.rsp.world import World
from khs.debug.target import Target
from khs.errors import KhsError

from .conftest import debuggee
from .toy import MEMORY, Toy, systems

AGREED = b"qSupported:multiprocess+;error-message+"


def toys(*names: str) -> Session:
    """Systems of two partitions, `a` and what is named."""
    made = [Toy([f"a{n}", name], 1000, 500, system=f"s{n}") for n, name in enumerate(names)]
    return Session(systems(*made), lambda body: None)


@pytest.fixture(scope="module")
def real() -> Iterator[Session]:
    plan = debuggee(frames=2).plan
    with Target(plan) as target:
        session = Session(Systems(World([target]), [plan]), lambda body: None)
        assert b"PacketSize" in session.handle(AGREED)
        yield session


def by_bits(data: bytes) -> int:
    """CRC-32 as gdb's manual has it: polynomial 0x04c11db7, from all ones, highest bit first."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)) & 0xFFFFFFFF
    return crc


def test_a_sum_over_memory_is_gdbs() -> None:
    session = toys("b")
    memory = session.systems.target(session.general).memory[0]  # type: ignore[attr-defined]
    memory[:] = bytes(range(3, 67))
    assert session.handle(b"qCRC:%x,40" % MEMORY) == b"C%x" % by_bits(memory)
    assert session.handle(b"qCRC:%x,5" % (MEMORY + 1)) == b"C%x" % by_bits(memory[1:6])
    assert session.handle(b"qCRC:%x,41" % MEMORY) == b"E01"


@pytest.mark.parametrize("packet", [b"qCx", b"qCRCs", b"!x", b"?x", b"qfThreadInfos", b"vCont?;"])
def test_what_only_begins_like_a_packet_is_not_known(packet: bytes) -> None:
    assert toys("b").handle(packet) == b""


def test_threads_that_there_are_not_are_refused() -> None:
    session = toys("b")
    for thread in (b"99.1", b"99", b"p99.1", b"p1.2", b"p1.x"):
        assert session.handle(b"Hg" + thread) == b"E01", thread
        assert session.handle(b"T" + thread) == b"E01", thread
    for thread in (b"p2.1", b"p1.-1", b"1", b"0", b"-1"):
        assert session.handle(b"Hg" + thread) == b"OK", thread


def test_text_is_told_to_be_read_only(real: Session) -> None:
    target = real.systems.target(real.general)
    pc = int.from_bytes(bytes.fromhex(real.handle(b"pf").decode()), "little")
    refused = real.handle(b"M%x,4:00000000" % pc)
    assert refused == b"E.%#x is read-only in sensor: text and constants are never written" % pc
    assert b"no memory at 0x4" in real.handle(b"M4,4:00000000")
    assert not target.changes()


def test_what_nobody_may_write_is_rom(real: Session) -> None:
    (plan,) = real.systems.plans
    told = memory_map([plan.image.config])
    found = re.findall(r'type="(r[ao]m)" start="(\w+)" length="(\w+)"', told)
    areas = [(kind, int(start, 16), int(length, 16)) for kind, start, length in found]
    assert {kind for kind, _, _ in areas} == {"ram", "rom"}
    assert all(a + n <= b for (_, a, n), (_, b, _) in pairwise(areas))
    process = real.general
    target = real.systems.target(process)
    for kind, start, _ in areas:
        if target.read(process.partition, start, 1) and kind == "rom":
            assert real.handle(b"M%x,1:00" % start).startswith(b"E.")


WRONG = {
    "nonsense": "there is no command 'nonsense'; monitor help lists them",
    "hc delete 77": "there is no breakpoint 77; monitor hc list shows them",
    "time x": "time x: it is monitor time",
    "calls 1 2": "calls 1 2: it is monitor calls [N]",
    "break xyz": "'xyz': it is monitor break denied|fault|health|deadline|policy|schedule [",
    "hc xyz": "'xyz': it is monitor hc break|list|delete [N]",
    "step": "it is monitor step window|frame",
    "back home": "it is monitor back window|frame|instruction|call|denied",
    "arm step": "it is monitor step window|frame",
    "hc break a0 khs_nothing": "'khs_nothing' is neither a partition nor a hypercall",
    "hc break a0 b": "'b': one partition and one hypercall at most",
    "break fault call": "'call' is a hypercall: monitor break fault [PARTITION]",
}


@pytest.mark.parametrize("command", WRONG)
def test_a_wrong_command_is_told_what_is_right(command: str) -> None:
    session = toys("b")
    with pytest.raises(KhsError, match=re.escape(WRONG[command])):
        execute(session, command)
    assert not session.points.wishes and session.armed is None
    assert session.handle(b"qRcmd," + command.encode().hex().encode()) == b"E01", "gdb fails"


def test_partitions_go_by_both_names() -> None:
    session = toys("b", "c")
    assert execute(session, "hc break s1.c port_write") == ["1: stops at khs_port_write of c"]
    assert execute(session, "hc break c port_write") == ["1: stops at khs_port_write of c"]
