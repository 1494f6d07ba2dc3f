"""Guests that play a list of accesses, and the ticks at which each comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from khs.abi.hypercalls import HYPERCALLS
from khs.engine.devices import MODELS
from khs.engine.native import End, Host
from khs.engine.structures import HostDevice
from khs.trace import events
from tests.hil.bench import IRQ, WINDOW
from tests.host.assemble import assemble
from tests.host.system import CODE, COLD, RAM, Arch, Partition, System, build, policy

HZ = 125_000_000
NUMBERS = {call.name: call.number for call in HYPERCALLS}


@dataclass(frozen=True)
class Write:
    offset: int
    value: int


@dataclass(frozen=True)
class Read:
    offset: int


@dataclass(frozen=True)
class Wait:
    """So many turns of a loop of two instructions."""

    turns: int


Op = Write | Read | Wait


@dataclass(frozen=True)
class Kind:
    """A device as its guest sees it. `width` of an access in bytes; `more` interrupts than one."""

    kind: str
    arch: Arch
    address: int
    size: int
    width: int
    more: int = 0


EPIT = Kind("imx-epit", Arch.ARMV7, WINDOW, 0x4000, 4)
GPIO = Kind("imx-gpio", Arch.ARMV7, WINDOW, 0x4000, 4, 1)
WDOG = Kind("imx-wdog", Arch.ARMV7, WINDOW, 0x4000, 2)
PIT = Kind("i8254", Arch.X86, 0x40, 4, 1)
IB700 = Kind("ib700", Arch.X86, 0x441, 3, 1)
FLEXCAN = Kind("imx-flexcan", Arch.ARMV7, WINDOW, 0x4000, 4)
SJA1000 = Kind("sja1000", Arch.X86, 0xD000, 128, 1)
KINDS = [EPIT, GPIO, WDOG, PIT, IB700, FLEXCAN, SJA1000]


def _arm(kind: Kind, op: Op, label: int) -> tuple[list[str], int]:
    """Its instructions, and which of them accesses the device."""
    suffix = "h" if kind.width == 2 else ""
    match op:
        case Write(offset, value):
            return [f"ldr r0, ={value}", f"str{suffix} r0, [r10, #{offset}]"], 1
        case Read(offset):
            return [f"ldr{suffix} r0, [r10, #{offset}]", "str r0, [r11], #4"], 0
        case Wait(turns):
            return [f"ldr r5, ={turns}", f"{label}: subs r5, r5, #1", f"bne {label}b"], 0


def _x86(kind: Kind, op: Op, label: int) -> tuple[list[str], int]:
    match op:
        case Write(offset, value):
            return [f"mov edx, {kind.address + offset}", f"mov al, {value}", "out dx, al"], 2
        case Read(offset):
            read = [f"mov edx, {kind.address + offset}", "xor eax, eax", "in al, dx"]
            return [*read, "mov [edi], eax", "add edi, 4"], 2
        case Wait(turns):
            return [f"mov ecx, {turns}", f"{label}: dec ecx", f"jne {label}b"], 0


def script(kind: Kind, ops: Sequence[Op], handler: Sequence[Op] = ()) -> tuple[bytes, list[int]]:
    """The program, and the tick of each access of `ops` if nothing interrupts it. What is read goes
    to RAM, 4 bytes each. `handler`: what an interrupt's handler does."""
    arm = kind.arch is Arch.ARMV7
    one = _arm if arm else _x86
    back = NUMBERS["khs_interrupt_return"]
    attach = NUMBERS["khs_interrupt_attach"]
    handles = [line for op in handler for line in one(kind, op, 2)[0]]
    if arm:
        handles = ["b main", *handles, f"mov r7, #{back}", "svc #0", "main:"]
        begin = [f"ldr r10, ={kind.address}", f"ldr r11, ={RAM}", f"mov r7, #{attach}"]
        begin += [f"ldr r0, ={CODE + 4}", "mov r1, #0", "svc #0"]
    else:
        handles = ["jmp main", *handles, f"mov eax, {back}", "int 0x80", "main:"]
        begin = [f"mov edi, {RAM}", f"mov eax, {attach}", f"mov ebx, {CODE + 2}"]
        begin += ["xor ecx, ecx", "int 0x80"]
    if not handler:
        handles, begin = [], begin[: 2 if arm else 1]
    lines = handles + begin
    ticks, now = [], len(begin) + bool(handler)
    for op in ops:
        text, access = one(kind, op, 1)
        if not isinstance(op, Wait):
            ticks.append(now + access)
        now += 1 + 2 * op.turns if isinstance(op, Wait) else len(text)
        lines += text
    lines += ["9: b 9b", ".ltorg"] if arm else ["9: jmp 9b"]
    return assemble(kind.arch, "\n".join(lines)), ticks


@dataclass
class Left:
    """What there is to know after a run."""

    read: list[int]
    interrupts: list[int]  # ticks
    expired: list[int]  # ticks at which the health monitor was told of a watchdog
    trace: bytes
    counts: dict[str, int]
    sent: bytes
    faults: int
    irqs: list[int]  # of the interrupts, from the device's first on


def place(kind: Kind, partition: int = 0) -> HostDevice:
    """The first device of its owner."""
    is_io, model = kind.arch is not Arch.ARMV7, MODELS[kind.kind]
    return HostDevice(partition, model, is_io, IRQ, kind.address, kind.size, 0, kind.more)


def left(
    kind: Kind,
    code: bytes,
    windows: Sequence[tuple[int, int]],
    reads: int = 0,
    inputs: Sequence[tuple[int, bytes]] = (),
    hz: int = HZ,
) -> Left:
    """Runs one major frame; partition 0 owns the device, partition 1 does nothing."""
    idle = assemble(kind.arch, "9: b 9b" if kind.arch is Arch.ARMV7 else "9: jmp 9b")
    system = System(
        kind.arch, [Partition(code, action=COLD), Partition(idle)], windows, clock_hz=hz
    )
    where = place(kind)
    records = bytearray()
    trace = bytearray()
    with Host(*build(system), [policy()]) as host:
        assert host.add_device(where) == 0
        for tick, data in inputs:
            assert host.add_input(tick, host.device_target(0), data)
        host.boot()
        end = End.DRAIN
        while end is not End.REACHED:
            end = host.run(1)
            for drained in host.drain():
                records += drained.records
                for _, part in drained.parts:
                    trace += part
        row = host.device_counts(0)
        counts = {name: int(getattr(row, name)) for name, _ in row._fields_}
        ram = host.read(0, RAM, 4 * max(reads, 1))
        found = [events.decode(record) for record in events.split(memoryview(records))]
        return Left(
            [int.from_bytes(ram[4 * i : 4 * i + 4], "little") for i in range(reads)],
            [event.tick for event in found if isinstance(event, events.Interrupt)],
            [event.tick for event in found if isinstance(event, events.Health)],
            bytes(trace),
            counts,
            host.device_output(0),
            host.view(0).faults,
            [event.irq - IRQ for event in found if isinstance(event, events.Interrupt)],
        )
