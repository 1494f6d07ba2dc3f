"""What comes out of a board is not believed."""

from __future__ import annotations

import asyncio
import struct

import pytest

from khs.engine.qemu.channel import Kind, packets
from khs.engine.qemu.memory import LOG_HEAD, Log, Memory
from khs.errors import EngineError

BASE, RING = 0x1000, 64


def board_log(memory: Memory, written: int, taken: int, ring: bytes) -> Log:
    memory.write(BASE, struct.pack("<II", written, taken))
    memory.write(BASE + LOG_HEAD, ring.ljust(RING, b"\0"))
    return Log(memory, BASE, RING)


def heard(log: Log, bells: int = 1, patience: float = 5.0) -> list[tuple[Kind, bytes]]:
    async def listen() -> list[tuple[Kind, bytes]]:
        bell = asyncio.StreamReader()
        bell.feed_data(b"\1" * bells)
        bell.feed_eof()
        return [packet async for packet in packets(bell, log, patience)]

    return asyncio.run(listen())


def test_packets_pass_the_end_of_the_ring() -> None:
    packet = struct.pack("<II", Kind.EVENTS, 5) + b"hello"
    ring = bytearray(RING)
    for index, byte in enumerate(packet):
        ring[(60 + index) % RING] = byte
    with Memory(BASE, 4096) as memory:
        log = board_log(memory, 60 + len(packet), 60, bytes(ring))
        assert heard(log) == [(Kind.EVENTS, b"hello")]
        assert memory.read(BASE, 8) == struct.pack("<II", 60 + len(packet), 60 + len(packet))


def test_counters_wrap() -> None:
    packet = struct.pack("<II", Kind.EVENTS, 0)
    ring = packet[4:] + bytes(RING - 8) + packet[:4]
    with Memory(BASE, 4096) as memory:
        assert heard(board_log(memory, 4, 2**32 - 4, ring)) == [(Kind.EVENTS, b"")]


@pytest.mark.parametrize(
    ("written", "ring", "words"),
    [
        (RING + 1, b"", "the board's log is broken: 65 written, 0 taken"),
        (8, struct.pack("<II", 9, 0), "carries nonsense: 0900000000000000"),
        (8, struct.pack("<II", 1, 0xFFFFFFFF), "carries nonsense"),
    ],
)
def test_nonsense_is_refused(written: int, ring: bytes, words: str) -> None:
    with Memory(BASE, 4096) as memory, pytest.raises(EngineError, match=words):
        heard(board_log(memory, written, 0, ring))


def test_a_packet_without_an_end_is_none() -> None:
    with Memory(BASE, 4096) as memory:
        log = board_log(memory, 12, 0, struct.pack("<II", Kind.EVENTS, 40) + b"half")
        assert heard(log) == []


def test_memory_has_bounds() -> None:
    with Memory(BASE, 4096) as memory:
        for address, size in ((BASE - 1, 1), (BASE + 4095, 2), (BASE + 4096, 1)):
            with pytest.raises(IndexError):
                memory.read(address, size)
    with pytest.raises(EngineError, match="no room"):
        Memory(0, -1)
