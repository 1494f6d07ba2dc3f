"""Guests with CAN controllers, each in a partition of its own, and an oracle of their bus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from khs.engine.native import NEVER, End, Host
from khs.hil.frames import Frame, frames
from khs.trace import events
from tests.hil.registers import FLEXCAN, HZ, SJA1000, Kind, Op, Read, Wait, Write, place, script
from tests.host.system import COLD, RAM, Partition, System, build, policy

__all__ = ["FLEXCAN", "SJA1000", "Op", "Read", "Wait", "Write"]

#: Ticks of a bit at 1 Mbit/s, the drivers' rate here.
BIT = HZ // 1_000_000
TAIL, INTERMISSION = 10, 3


# ---- bits, written down once more ----------------------------------------------------------


def bits(frame: Frame) -> str:
    """From the start of frame to the end of its CRC, without stuff bits."""
    rtr = str(int(frame.remote))
    if frame.extended:
        number = f"{frame.id:029b}"
        head = f"0{number[:11]}11{number[11:]}{rtr}00"
    else:
        head = f"0{frame.id:011b}{rtr}00"
    text = head + f"{frame.size:04b}" + "".join(f"{byte:08b}" for byte in frame.data)
    rest = int(text + "0" * 15, 2)
    for at in range(len(text) + 14, 14, -1):  # division by CAN's polynomial
        if rest >> at & 1:
            rest ^= 0xC599 << (at - 15)
    return text + f"{rest:015b}"


def length(frame: Frame) -> int:
    """With stuff bits."""
    sent = ""
    for bit in bits(frame):
        sent += bit
        if sent[-5:] in ("00000", "11111"):
            sent += "1" if bit == "0" else "0"
    return len(sent)


def order(frame: Frame) -> str:
    """What arbitration compares; the lower goes first."""
    return bits(frame)[1 : 33 if frame.extended else 13].ljust(40, "0")


@dataclass(frozen=True)
class Asked:
    """A frame that a controller is told to send at a tick."""

    tick: int
    node: int
    box: int
    frame: Frame


@dataclass(frozen=True)
class Seen:
    """A frame on the bus, and when it was complete."""

    end: int
    asked: Asked


def ticks_of(count: int, bit: Fraction = Fraction(BIT)) -> int:
    return -(-count * bit.numerator // bit.denominator)


def oracle(asked: Iterable[Asked]) -> list[Seen]:
    """When the bus is idle, of those waiting the lowest goes first."""
    waiting = sorted(asked, key=lambda each: each.tick)
    idle, seen = 0, []
    while waiting:
        ready = [each for each in waiting if each.tick < idle] or waiting[:1]
        first = min(ready, key=lambda each: (order(each.frame), each.node, each.box))
        begin = max(idle, first.tick)
        end = begin + ticks_of(length(first.frame) + TAIL)
        seen.append(Seen(end, first))
        idle = end + ticks_of(INTERMISSION)
        waiting.remove(first)
    return seen


# ---- drivers -------------------------------------------------------------------------------

RX, TX = range(24), range(24, 64)


def flexcan_on(control: int = 2 << 24 | 2 << 19 | 2 << 16 | 2, module: int = 0x3003F) -> list[Op]:
    """1 Mbit/s; 24 mailboxes receive anything, the second half of them extended ones; 40 send."""
    freeze = 0x5000_0000
    ops: list[Op] = [Write(0, freeze), Write(0, freeze | module), Write(4, control)]
    for i in RX:
        ops += [Write(0x880 + 4 * i, 0), Write(0x80 + 16 * i, 0x0400_0000 | (i >= 12) << 21)]
    ops += [Write(0x80 + 16 * i, 0x0800_0000) for i in TX]
    return [*ops, Write(0, module)]


def flexcan_send(box: int, frame: Frame) -> list[Op]:
    """The last access is the one that sends it."""
    data = frame.data.ljust(8, b"\0")
    head = 0x0C00_0000 | frame.size << 16 | frame.extended * 3 << 21 | frame.remote << 20
    at = 0x80 + 16 * box
    return [
        Write(at + 4, frame.id if frame.extended else frame.id << 18),
        Write(at + 8, int.from_bytes(data[:4], "big")),
        Write(at + 12, int.from_bytes(data[4:], "big")),
        Write(at, head),
    ]


def flexcan_boxes(boxes: Iterable[int]) -> list[Op]:
    """Reads them all; the timer in the end unlocks the last."""
    reads: list[Op] = [Read(0x80 + 16 * i + 4 * word) for i in boxes for word in range(4)]
    return [*reads, Read(8)]


def flexcan_frames(words: Sequence[int]) -> list[tuple[int, int, Frame]]:
    """Code, time stamp and frame of the mailboxes that `flexcan_boxes` has read, if not empty."""
    found = []
    for at in range(0, len(words) - 3, 4):
        head, number, *data = words[at : at + 4]
        code, size, extended = head >> 24 & 15, head >> 16 & 15, bool(head >> 21 & 1)
        remote = bool(head >> 20 & 1)
        content = b"".join(word.to_bytes(4, "big") for word in data)[:size]
        if code in (2, 6):
            own = number & 0x1FFF_FFFF if extended else number >> 18 & 0x7FF
            frame = Frame(own, b"" if remote else content, extended, remote, size)
            found.append((code, head & 0xFFFF, frame))
    return found


def sja1000_on(mode: int = 8, timing: tuple[int, int] = (0, 0x14)) -> list[Op]:
    """1 Mbit/s; everything passes its one filter; all interrupts."""
    ops = [Write(0, 1), Write(31, 0xC0), Write(0, 1 | mode), Write(6, timing[0])]
    ops += [Write(7, timing[1]), *(Write(16 + i, 0) for i in range(4))]
    return [*ops, *(Write(20 + i, 0xFF) for i in range(4)), Write(4, 0xFF), Write(0, mode)]


def sja1000_send(frame: Frame, command: int = 1) -> list[Op]:
    head = 4 if frame.extended else 2
    number = (frame.id << (3 if frame.extended else 21)).to_bytes(4, "big")[:head]
    info = frame.extended << 7 | frame.remote << 6 | frame.size
    content = bytes([info]) + number + frame.data
    return [*(Write(16 + i, byte) for i, byte in enumerate(content)), Write(1, command)]


# ---- playing -------------------------------------------------------------------------------


@dataclass
class Left:
    """What there is to know after a run; `read` and `counts` by partition."""

    sent: bytes
    read: list[list[int]]
    counts: list[dict[str, int]]
    interrupts: list[tuple[int, int]]  # partition, tick
    trace: bytes
    came: list[bytes] = field(default_factory=list, compare=False)

    @property
    def frames(self) -> list[Frame]:
        return list(frames(self.sent))


def made(kind: Kind, nodes: Sequence[Sequence[Op]]) -> list[tuple[bytes, list[int], int]]:
    """Code, own ticks of accesses, and the number of reads of each."""
    return [(*script(kind, ops), sum(isinstance(op, Read) for op in ops)) for ops in nodes]


def everywhere(own: Sequence[int], windows: Sequence[tuple[int, int]], node: int) -> list[int]:
    """The system's ticks of a partition's own ones."""
    table: list[int] = []
    at = 0
    for partition, length in windows:
        if partition == node:
            table += range(at, at + length)
        at += length
    return [table[tick] for tick in own]


def opened(
    kind: Kind,
    codes: Sequence[bytes],
    windows: Sequence[tuple[int, int]],
    inputs: Sequence[tuple[int, int, bytes]] = (),
    joined: bool = True,
) -> Host:
    """A booted system; inputs are tick, node and records."""
    partitions = [Partition(code, action=COLD) for code in codes]
    host = Host(*build(System(kind.arch, partitions, windows, clock_hz=HZ)), [policy()])
    for node in range(len(codes)):
        assert host.add_device(place(kind, node)) == node
        if joined and node > 0:
            assert host.join_device(node, 0)
    for tick, node, data in inputs:
        assert host.add_input(tick, host.device_target(node), data)
    host.boot()
    return host


def play(
    kind: Kind,
    nodes: Sequence[tuple[bytes, list[int], int]],
    windows: Sequence[tuple[int, int]],
    inputs: Sequence[tuple[int, int, bytes]] = (),
    until: Sequence[int] = (),
    joined: bool = True,
) -> Left:
    """One major frame; comes back at the ticks in `until`, and then notes what was sent so far."""
    with opened(kind, [code for code, _, _ in nodes], windows, inputs, joined) as host:
        records, trace, sent, came = bytearray(), bytearray(), bytearray(), []
        for tick in [*until, NEVER]:
            end = End.DRAIN
            while end is not End.REACHED:
                end = host.run(1, tick)
                for drained in host.drain():
                    records += drained.records
                    for _, part in drained.parts:
                        trace += part
            sent += host.device_output(0)
            came.append(bytes(sent))
        counts = []
        for node in range(len(nodes)):
            assert host.view(node).faults == 0
            row = host.device_counts(node)
            counts.append({name: int(getattr(row, name)) for name, _ in row._fields_})
        read = [
            [
                int.from_bytes(host.read(node, RAM + 4 * i, 4), "little")
                for i in range(nodes[node][2])
            ]
            for node in range(len(nodes))
        ]
        found = [events.decode(record) for record in events.split(memoryview(records))]
        interrupts = [(e.partition, e.tick) for e in found if isinstance(e, events.Interrupt)]
        return Left(bytes(sent), read, counts, interrupts, bytes(trace), came)
