"""Stops, forwards and backwards, beside what a run tick by tick without a debugger says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest

from khs.debug.stops import Access, Calls, Cause, Events, Noted, Position, Stop, Watch
from khs.debug.target import Target
from khs.engine.native import Host
from tests.debug.systems import target, undebugged
from tests.host.assemble import assemble
from tests.host.system import CODE, COLD, RAM, Arch, Partition, System, build, policy

Touch = tuple[str, int, int]  # access, offset in RAM, size
FRAMES = 2
PC = {Arch.ARMV7: 15, Arch.X86: 8, Arch.X64: 16}


@dataclass(frozen=True)
class Line:
    """One instruction, and what it touches of RAM."""

    text: str
    touches: tuple[Touch, ...] = ()


def line(text: str, *touches: Touch) -> Line:
    return Line(text, touches)


_X86 = [
    line(f"mov esi, {RAM}"),
    line("mov ebp, 0"),
    line("loop: inc ebp"),
    line("mov dword ptr [REG + 0x10], ebp", ("w", 0x10, 4)),
    line("mov byte ptr [REG + 0x15], 7", ("w", 0x15, 1)),
    line("mov edi, dword ptr [REG + 0x10]", ("r", 0x10, 4)),
    line("mov dword ptr [REG + 0xffe], ebp", ("w", 0xFFE, 4)),
    line("movd xmm0, ebp"),
    line("movups xmmword ptr [REG + 0x1ff8], xmm0", ("w", 0x1FF8, 16)),
    line("movq xmm1, qword ptr [REG + 0x10]", ("r", 0x10, 8)),
    line("add dword ptr [REG + 0x3010], 1", ("r", 0x3010, 4), ("w", 0x3010, 4)),
    line("cmp ebp, ebp"),
    line("setz byte ptr [REG + 0x3018]", ("w", 0x3018, 1)),
    line("stc"),
    line("rcl dword ptr [REG + 0x301c], 1", ("r", 0x301C, 4), ("w", 0x301C, 4)),
    line("adc edi, edi"),
    line("xor eax, eax"),
    line("CALL"),
    line("jmp loop"),
]
_ARM = [
    line(f"movw r8, #{RAM & 0xFFFF}"),
    line(f"movt r8, #{RAM >> 16}"),
    line("mov r2, #0"),
    line("movw r3, #0xffe"),
    line("loop: add r2, r2, #1"),
    line("str r2, [r8, #0x10]", ("w", 0x10, 4)),
    line("strb r2, [r8, #0x15]", ("w", 0x15, 1)),
    line("ldr r4, [r8, #0x10]", ("r", 0x10, 4)),
    line("str r2, [r8, r3]", ("w", 0xFFE, 4)),
    line("add r6, r8, #0x2000"),
    line("sub r6, r6, #8"),
    line("stmia r6!, {r2, r3, r4, r5}", ("w", 0x1FF8, 16)),
    line("ldrd r4, r5, [r8, #0x10]", ("r", 0x10, 8)),
    line("mov r7, #0"),
    line("svc #0"),
    line("b loop"),
]
LINES = {
    Arch.ARMV7: _ARM,
    Arch.X86: [
        Line(each.text.replace("REG", "esi").replace("CALL", "int 0x80"), each.touches)
        for each in _X86
    ],
    Arch.X64: [
        Line(each.text.replace("REG", "rsi").replace("CALL", "syscall"), each.touches)
        for each in _X86
    ],
}


@cache
def system(arch: Arch) -> System:
    code = assemble(arch, "\n".join(each.text for each in LINES[arch]))
    partitions = [Partition(code), Partition(code)]
    return System(arch, partitions, [(0, 61), (1, 37), (0, 23)], costs=(3, 1, 1), major_frame=130)


@cache
def executed(arch: Arch) -> list[tuple[int, int, int]]:
    """Tick before, partition and number of the line of every instruction, by looking at it after
    each tick."""
    ran: list[tuple[int, int, int]] = []
    with Host(*build(system(arch)), [policy()]) as host:
        host.boot()
        host.run(until=0)
        pcs = [host.registers(partition)[PC[arch]] for partition in (0, 1)]
        tick = 0
        while host.status().frames < FRAMES:
            host.run(until=tick + 1)
            for _ in host.drain():
                pass
            now = [host.registers(partition)[PC[arch]] for partition in (0, 1)]
            ran += [(tick, p, pcs[p]) for p in (0, 1) if now[p] != pcs[p]]
            pcs, tick = now, tick + 1
    places = sorted({pc for _, _, pc in ran})
    assert len(places) == len(LINES[arch])
    return [(tick, partition, places.index(pc)) for tick, partition, pc in ran]


@cache
def addresses(arch: Arch) -> list[int]:
    """Of the lines."""
    found: dict[int, int] = {}
    with target(system(arch), FRAMES) as each:
        for _, partition, number in executed(arch):
            if partition == 0:
                found.setdefault(number, each.registers(0)[PC[arch]])
                each.step(0)
            if len(found) == len(LINES[arch]):
                return [found[number] for number in range(len(found))]
    raise AssertionError


def met(each: Target) -> list[Stop]:
    """All stops to the end; on the way back they are the same."""
    stops = []
    while (stop := each.go()).cause is not Cause.END:
        stops.append(stop)
    back = []
    while (stop := each.back()).cause is not Cause.BEGIN:
        back.append(stop)
    assert [stop.cause for stop in back[::-1]] == [stop.cause for stop in stops]
    for there, here in zip(stops, reversed(back), strict=True):
        before = there.cause is Cause.WATCHPOINT
        assert here.position.tick == there.position.tick - before
        assert (here.address, here.number) == (there.address, there.number)
    each.go_to(Position(1 << 40))
    assert b"".join(each.events()) == undebugged(system(Arch(_number(each))), FRAMES)
    return stops


def _number(each: Target) -> int:
    return {"armv7": 1, "x86": 2, "x64": 3}[each.arch]


@pytest.mark.parametrize(
    "numbers", [{0}, {2}, {5}, {5, 6}, {-2}, {-1}, {2, -1}, {1, 4, 9}], ids=str
)
@pytest.mark.parametrize("arch", Arch)
def test_breakpoints(arch: Arch, numbers: set[int]) -> None:
    """In a loop, at the first instruction, at a trap, two adjacent ones."""
    places = {number % len(LINES[arch]) for number in numbers}
    with target(system(arch), FRAMES) as each:
        each.set_breakpoints(0, frozenset(addresses(arch)[number] for number in places))
        stops = met(each)
    assert all(stop.cause is Cause.BREAKPOINT and stop.partition == 0 for stop in stops)
    expected = [tick for tick, who, at in executed(arch) if who == 0 and at in places and tick > 0]
    assert [stop.position for stop in stops] == [Position(tick) for tick in expected]


@pytest.mark.parametrize("access", Access)
@pytest.mark.parametrize(
    ("offset", "size"),
    [(0x10, 4), (0x13, 1), (0x14, 1), (0x15, 1), (0x10, 8), (0xFFF, 1), (0x1000, 2),
     (0x1FF8, 1), (0x2004, 4), (0x3010, 4), (0x3018, 8), (0x400, 64)],
)  # fmt: skip
@pytest.mark.parametrize("arch", Arch)
def test_watchpoints(arch: Arch, offset: int, size: int, access: Access) -> None:
    kinds = {Access.WRITE: "w", Access.READ: "r", Access.ANY: "rw"}[access]
    touching = {
        number: max(offset, at)
        for number, each in enumerate(LINES[arch])
        for kind, at, length in each.touches
        if kind in kinds and at < offset + size and offset < at + length
    }
    with target(system(arch), FRAMES) as each:
        watch = Watch(RAM + offset, size, access)
        each.set_watches(0, (Watch(RAM + 0x8000, 4, Access.ANY), watch))
        stops = met(each)
    ran = [(tick, at) for tick, who, at in executed(arch) if who == 0 and at in touching]
    assert [stop.position.tick for stop in stops] == [tick + 1 for tick, _ in ran]
    assert all(stop.watch == watch and stop.cause is Cause.WATCHPOINT for stop in stops)
    assert [stop.address for stop in stops] == [RAM + touching[at] for _, at in ran]


@pytest.mark.parametrize("arch", Arch)
def test_hypercalls(arch: Arch) -> None:
    trap = len(LINES[arch]) - 2
    made = [(tick + 1, who) for tick, who, at in executed(arch) if at == trap]
    with target(system(arch), FRAMES) as each:
        each.set_calls((Calls(None, frozenset({0, 1000}), result=False),))
        calls = met(each)
        each.go_to(Position(0))
        each.set_calls((Calls(1, None, entry=False),))
        returns = met(each)
        each.set_calls((Calls(None, frozenset({5})), Calls(0, frozenset({77}))))
        each.go_to(Position(0))
        assert met(each) == []
    assert [(stop.position, stop.partition) for stop in calls] == [
        (Position(tick, False), who) for tick, who in made
    ]
    begins = [tick for tick, who, _ in executed(arch) if who == 1]
    back = [next((t for t in begins if t >= tick), None) for tick, who in made if who == 1]
    assert [stop.position.tick for stop in returns] == [tick for tick in back if tick is not None]
    assert all(stop.number == 0 and stop.cause is Cause.RETURN for stop in returns)


@pytest.mark.parametrize("arch", Arch)
def test_a_hypercall_is_held_before_anything_of_it_is_done(arch: Arch) -> None:
    trap = len(LINES[arch]) - 2
    with target(system(arch), FRAMES) as each:
        each.set_calls((Calls(0),))
        stop = each.go()
        assert each.registers(0)[PC[arch]] == addresses(arch)[trap + 1]
        assert each.view(0).hypercalls == 0
        count = len(each.events())
        assert each.go_to(Position(stop.position.tick)).cause is Cause.STEP
        assert each.view(0).hypercalls == 1
        assert len(each.events()) == count + 1


@pytest.mark.parametrize("arch", Arch)
def test_faults(arch: Arch) -> None:
    """Stops behind the event: the faulting instruction is not done, its partition starts again."""
    wrong = {Arch.ARMV7: "nop\nnop\nudf #0", Arch.X86: "nop\nnop\nud2", Arch.X64: "nop\nnop\nud2"}
    code = assemble(arch, wrong[arch])
    guest = System(arch, [Partition(code, action=COLD)], [(0, 20)], costs=(2, 0, 0))
    with target(guest, 2) as each:
        for noted in (Noted.FAULT, Noted.HEALTH):
            each.go_to(Position(0))
            each.set_events((Events(noted),))
            stop = each.go()
            assert (stop.cause, stop.partition, stop.position) == (Cause.EVENT, 0, Position(3))
            assert stop.record in each.events()
            assert each.registers(0)[PC[arch]] == CODE
            assert each.go().position == Position(3 + 5)
            assert each.back().position == Position(3)
            each.set_events(())
            assert each.back_step(0).position == Position(2)
            assert each.registers(0)[PC[arch]] == CODE + (8 if arch is Arch.ARMV7 else 2)
            assert each.step(0).position == Position(3)
            each.set_breakpoints(0, frozenset({CODE}))
            assert each.go().position == Position(5)
            each.set_breakpoints(0, frozenset())
