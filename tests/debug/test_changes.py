"""What a debugger writes is an input of the run: it comes again, and cuts the future."""

from __future__ import annotations

import pytest

from khs.debug.course import Course
from khs.debug.stops import Calls, Cause, Position
from khs.debug.target import Target
from khs.engine import stepping
from khs.engine.changes import Change
from khs.engine.native import Options
from khs.engine.unicorn import Machine
from khs.errors import EngineError
from tests.debug.systems import plan, target, undebugged
from tests.debug.test_stops import FRAMES, LINES, PC, addresses, system
from tests.debug.test_walk import system as wild
from tests.host.system import CODE, COLD, INFO, RAM, Arch, Partition, System

COUNTER = {Arch.ARMV7: "r2", Arch.X86: "ebp", Arch.X64: "rbp"}
VECTOR = {Arch.ARMV7: "d9", Arch.X86: "xmm3", Arch.X64: "xmm12"}
PCS = {Arch.ARMV7: "pc", Arch.X86: "eip", Arch.X64: "rip"}


def states(each: Target) -> list[str]:
    """At a few positions, there and back."""
    ticks = (10, 129, 130, 131, 180, 259)
    found = []
    for tick in (*ticks, *reversed(ticks)):
        each.go_to(Position(tick))
        found.append(each.state_hash())
    assert found[: len(ticks)] == found[: len(ticks) - 1 : -1]
    return found


@pytest.mark.parametrize("arch", Arch)
def test_changes_come_again_and_cut_the_future(arch: Arch) -> None:
    with target(system(arch), FRAMES) as each:
        as_it_was = states(each)
        each.go_to(Position(130))
        size = len(each.read_register(0, COUNTER[arch]) or b"")
        each.write_register(0, COUNTER[arch], (1000).to_bytes(size, "little"))
        each.write_register(0, VECTOR[arch], bytes(range(8)))
        assert each.write(1, RAM + 0x900, b"changed") == 7
        assert [type(change) for change in each.changes()] == [Change] * 3
        changed = states(each)
        assert changed[:2] == as_it_was[:2]
        assert all(a != b for a, b in zip(changed[2:6], as_it_was[2:6], strict=True))
        each.go_to(Position(250))
        assert each.read(1, RAM + 0x900, 7) == b"changed"
        assert (each.read_register(0, VECTOR[arch]) or b"")[:8] == bytes(range(8))
        count = int.from_bytes(each.read_register(0, COUNTER[arch]) or b"", "little")
        assert 1000 < count < 1100
        each.go_to(Position(50))
        assert each.read(1, RAM + 0x900, 7) == bytes(7)
        each.write(1, RAM + 0x900, b"another")
        assert [change.position for change in each.changes()] == [Position(50)]
        each.go_to(Position(250))
        assert each.read(1, RAM + 0x900, 7) == b"another"
        assert int.from_bytes(each.read_register(0, COUNTER[arch]) or b"", "little") < 1000


@pytest.mark.parametrize("arch", Arch)
def test_a_hypercall_is_changed_before_it_is_done(arch: Arch) -> None:
    """Its number, while it is held: the kernel sees another one, each time the run passes."""
    with target(system(arch), FRAMES) as each:
        each.set_calls((Calls(0, result=False),))
        held = each.go().position
        before = len(each.events())
        each.write_register(0, PCS[arch], addresses(arch)[0].to_bytes(8, "little"))
        each.set_calls(())
        for _ in range(2):
            each.go_to(Position(held.tick))
            assert each.registers(0)[PC[arch]] == addresses(arch)[0]
            assert len(each.events()) == before + 1
            each.go_to(Position(5))
        assert each.go().cause is Cause.END
        assert b"".join(each.events()) != undebugged(system(arch), FRAMES)
        each.go_to(held)
        assert each.position == held
        assert each.registers(0)[PC[arch]] == addresses(arch)[0]


@pytest.mark.parametrize("arch", Arch)
def test_a_guest_gets_no_rights_by_a_debugger(arch: Arch) -> None:
    flags = "cpsr" if arch is Arch.ARMV7 else "eflags"
    with target(system(arch), FRAMES) as each:
        each.step()
        before = each.read_register(0, flags)
        assert before is not None
        each.write_register(0, flags, b"\xff\xff\xff\xff")
        new = int.from_bytes(each.read_register(0, flags) or b"", "little")
        assert new & 0x10 if arch is Arch.ARMV7 else new & 0x3000 == 0  # user mode, no I/O
        if arch is Arch.ARMV7:
            assert new & 0x3F == 0x10
        else:
            assert new & 0x20300 == 0x200
            each.write_register(0, "cs", b"\x08\0\0\0")
            assert each.read_register(0, "cs") == b"\x1b\0\0\0"
        assert each.write(0, CODE, b"\0") == 0
        assert each.write(0, INFO, b"\0") == 0
        assert each.write(0, 0x1000, b"\0") == 0
        assert each.write(0, RAM + 0xFFFF, b"ab") == 1
        assert each.write(7, RAM, b"ab") == 0
        assert each.read(7, RAM, 2) == b""


@pytest.mark.parametrize("arch", Arch)
def test_registers_by_name(arch: Arch) -> None:
    with target(system(arch), FRAMES) as each:
        each.go_to(Position(20))
        core = each.registers(0)
        assert int.from_bytes(each.read_register(0, PCS[arch]) or b"", "little") == core[PC[arch]]
        value = int.from_bytes(each.read_register(0, COUNTER[arch]) or b"", "little")
        assert value == core[2 if arch is Arch.ARMV7 else 5 if arch is Arch.X86 else 6]
        for name in VECTOR[arch], "d31" if arch is Arch.ARMV7 else "st2":
            size = len(each.read_register(0, name) or b"")
            each.write_register(0, name, bytes(range(1, size + 1)))
            assert each.read_register(0, name) == bytes(range(1, size + 1))
        with pytest.raises(KeyError):
            each.read_register(0, "none")


@pytest.mark.parametrize("arch", Arch)
def test_looking_everywhere_changes_nothing(arch: Arch) -> None:
    made = wild(arch, 2)
    with target(made, 2) as each:
        while each.go(each.position.tick + 53).cause is not Cause.END:
            for partition in range(3):
                each.registers(partition)
                each.view(partition)
                each.read(partition, RAM, 64)
                each.read_register(partition, VECTOR[arch])
            each.events(5)
            each.result()
        assert b"".join(each.events()) == undebugged(made, 2)


def test_an_interrupt_ends_what_is_under_way() -> None:
    made = wild(Arch.ARMV7, 2)
    with target(made, 4) as each:
        each.interrupt()
        assert each.go().cause is Cause.INTERRUPT
        each.go_to(Position(3000))
        each.interrupt()
        assert each.back().cause is Cause.INTERRUPT
        assert each.position == Position(3000)
        assert each.go().cause is Cause.END


@pytest.mark.parametrize("budget", [0, 1 << 20, 3 << 20])
def test_memory_is_bounded_and_the_way_back_is_the_same(budget: int) -> None:
    arch = Arch.X64
    with target(system(arch), 60_000, budget=budget) as each:
        each.go(3_000_000)
        count, size = each.snapshots
        assert size <= max(budget, 1 << 18)
        assert count == 1 or budget
        state = each.state_hash()
        each.back_step()
        each.go_to(Position(1_234_567))
        middle = each.state_hash()
        each.go_to(Position(0))
        each.go_to(Position(1_234_567))
        assert each.state_hash() == middle
        each.go_to(Position(3_000_000))
        assert each.state_hash() == state


def test_machines_beside_the_system_are_refused() -> None:
    made = plan(system(Arch.X86), 1)
    object.__setattr__(made, "machines", True)
    with pytest.raises(EngineError, match="record a run"):
        Target(made)


def test_the_program_is_as_long_as_its_lines() -> None:
    for arch in Arch:
        assert len(addresses(arch)) == len(LINES[arch])


@pytest.mark.parametrize("arch", [Arch.X86, Arch.X64])
def test_a_guest_that_aborts_its_engine_does_so_again(arch: Arch) -> None:
    """`lock btr` of a register: engines are lost, as many as at that point, and no more count."""
    code = bytes.fromhex("9090f00fb3d1ebf9")
    made = System(arch, [Partition(code, action=COLD)], [(0, 50)], costs=(9, 0, 0))
    archive = plan(made, 3).archive
    machine = Machine(archive, options=Options(unscanned=True, abandoned_most=6))
    course = Course(machine, "x86" if arch is Arch.X86 else "x64", 3, 1 << 20)
    lost = {}
    while course.forward(course.position.tick + 7).cause != stepping.Cause.END:
        lost[course.position] = machine.host.status().abandoned, course.log.here
    assert max(engines for engines, _ in lost.values()) == 7
    for position in reversed(lost):
        course.go_to(position)
        assert lost[position] == (machine.host.status().abandoned, course.log.here)
    course.close()
