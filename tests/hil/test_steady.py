"""Reads that change nothing may be made without their tick: nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from khs.engine.devices import MODELS
from khs.engine.native import NEVER, End, Host
from khs.engine.structures import HostDevice
from tests.hil.bench import IRQ, PORT, WINDOW
from tests.host.assemble import assemble
from tests.host.system import COLD, RAM, Arch, Partition, System, build, policy
from tests.host.windows import cut

TICKS = 6000
HZ = 5_000_000  # an event about every 400 ticks


@dataclass(frozen=True)
class Case:
    """A loop whose body is steady reads, others, and both in one instruction; what is read is kept in RAM."""

    arch: Arch
    kind: str
    source: str
    is_io: bool = False
    size: int = 0x4000


def arm(setup: str, body: str) -> str:
    return f"ldr r1, ={WINDOW}\nldr r9, ={RAM}\n{setup}\n1: {body}\nb 1b\n.ltorg"


def pc(body: str) -> str:
    """A UART that sends, and hears, as fast as it can."""
    setup = [(3, 0x80), (0, 1), (1, 0), (3, 3)]
    writes = "\n".join(f"mov edx, {PORT + at}\nmov al, {value}\nout dx, al" for at, value in setup)
    return f"mov edi, {RAM}\n{writes}\nmov edx, {PORT + 5}\n1: {body}\njmp 1b"


STATUS = "in al, dx\nin al, dx\nin al, dx\nadd ebx, eax\nrol ebx, 3\nmov [edi], ebx"
FETCH = "sub edx, 5\nin al, dx\nadd ebx, eax\nout dx, al\nadd edx, 5\nmov [edi + 4], ebx"
SETTLE = "ldr r0, =5000\nstr r0, [r1, #8]\nldr r0, =3000\nstr r0, [r1, #12]\nldr r0, =0x0100000f\nstr r0, [r1]"
CASES = {
    # STATUS twice, COMPARE and COUNTER by one instruction, of which only the last must know its tick
    "epit": Case(
        Arch.ARMV7,
        "imx-epit",
        arm(
            SETTLE,
            "ldr r2, [r1, #4]\nldr r3, [r1, #4]\nadd r4, r4, r2\nadd r1, r1, #12\n"
            "ldm r1, {r2, r3}\nsub r1, r1, #12\nadd r4, r3, r4, ror #3\nstr r4, [r9]\nstr r3, [r9, #4]",
        ),
    ),
    # reads a register that it writes: the twin repeats the read
    "gpio": Case(
        Arch.X86,
        "imx-gpio",
        f"mov esi, {WINDOW}\nmov edi, {RAM}\nmov dword ptr [esi + 4], -1\n"
        "1: add dword ptr [esi], 5\nmov eax, [esi + 8]\nadd ebx, [esi]\nmov [edi], ebx\njmp 1b",
    ),
    "uart": Case(Arch.X86, "16550", pc(f"{STATUS}\n{FETCH}"), True, 8),
    "uart-x64": Case(Arch.X64, "16550", pc(f"{STATUS}\n{FETCH}").replace("[edi", "[rdi"), True, 8),
}


def played(case: Case, windows: Sequence[int], back_at: Sequence[int] = ()) -> tuple[object, ...]:
    """All that can be known afterwards."""
    code = assemble(case.arch, case.source)
    slots = [(0, ticks) for ticks in windows]
    system = System(case.arch, [Partition(code, action=COLD)], slots, clock_hz=HZ)
    base = PORT if case.is_io else WINDOW
    trace = bytearray()
    with Host(*build(system), [policy()]) as host:
        where = HostDevice(0, MODELS[case.kind], case.is_io, IRQ, base, case.size)
        assert host.add_device(where) == 0
        if case.kind == "16550":
            assert host.add_input(700, host.device_target(0), b"The quick brown fox")
        host.boot()
        for tick in [*back_at, NEVER]:
            while host.run(1, tick) is not End.REACHED:
                pass
            for drained in host.drain():
                for _, part in drained.parts:
                    trace += part
        view, row = host.view(0), host.device_counts(0)
        counts = {name: int(getattr(row, name)) for name, _ in row._fields_}
        assert view.faults == 0
        assert counts["accesses"] > 500
        left = [host.read(0, RAM, 8), host.device_output(0), *host.registers(0)]
        return bytes(trace), counts, view.ticks, left


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("window", [1, 2, 3, 7, 12, 50, 333])
def test_windows_change_nothing(name: str, window: int) -> None:
    case = CASES[name]
    assert played(case, cut(TICKS, window)) == played(case, [TICKS])


@pytest.mark.parametrize("name", CASES)
def test_coming_back_changes_nothing(name: str) -> None:
    case = CASES[name]
    assert played(case, [TICKS], range(1, TICKS, 7)) == played(case, [TICKS])
