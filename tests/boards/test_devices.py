"""Devices of partitions on emulated boards: registers, ports and interrupts of their owner alone."""

from __future__ import annotations

import asyncio

import pytest

from khs.engine import qemu
from khs.errors import EngineError
from khs.trace import events
from khs.trace.events import Event

from .conftest import archive, firmware

FRAMES = 100_000  # more than there is time for: who talks to the driver ends the run


def played(board: str, said: bytes, owned: str = "uart3") -> tuple[bytes, list[Event]]:
    """What the driver answers to `said`, and everything that happened until then."""
    seen: list[Event] = []
    heard, answered = bytearray(), asyncio.Event()

    def take(records: memoryview) -> None:
        seen.extend(events.decode(record) for record in events.split(records))
        if answered.is_set() and any(isinstance(event, events.Console) for event in seen[-9:]):
            machine.stop()  # the bystander has spoken since

    async def talk(out: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
        heard.extend(await out.readuntil(b"ready\n"))
        into.write(said)
        while not heard.endswith(said.upper()):
            heard.extend(await out.read(64))
        answered.set()

    built = archive("uart", board)
    with qemu.Machine(built, firmware(board), serial={owned: talk}) as machine:
        result = machine.run(FRAMES, sink=take)
    assert result.interrupted
    return bytes(heard), seen


def own_trace(seen: list[Event], partition: int) -> list[Event]:
    return [event for event in seen if event.partition == partition and event.visible]


def test_a_driver_answers_from_its_interrupt(board: str) -> None:
    said = b"abc xyz, and 20 more bytes\n"
    heard, seen = played(board, said)
    assert heard == b"ready\n" + said.upper()
    interrupts = [event for event in seen if isinstance(event, events.Interrupt)]
    assert interrupts
    assert {(event.partition, event.irq) for event in interrupts} == {(0, 3)}


def test_nobody_else_notices(board: str) -> None:
    """Interrupts of a device come in its owner's windows, however much comes in."""
    _, busy = played(board, b"x" * 200 + b"\n")
    _, quiet = played(board, b"\n")
    one, other = own_trace(busy, 1), own_trace(quiet, 1)
    common = min(len(one), len(other))
    assert one[:common] == other[:common]


def test_ports_of_the_kernel_and_of_others_are_not_free(board: str) -> None:
    async def silent(out: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
        raise AssertionError

    with pytest.raises(EngineError, match=r"uart2 of .* is no serial port that is free"):
        qemu.Machine(archive("uart", board), firmware(board), serial={"uart2": silent})
