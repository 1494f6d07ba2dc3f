"""Snapshots of a host, without what a debugger makes of them."""

from __future__ import annotations

from khs.engine.native import Host
from khs.engine.stepping import Stepper
from tests.host.assemble import assemble
from tests.host.system import Arch, Partition, System, build, policy

R11, R15 = 11, 15


def test_the_flags_of_a_hypercall_that_waits() -> None:
    """`syscall` leaves them in r11, which is set when the hypercall returns."""
    waits = "mov eax, 3; stc; syscall; mov r15, r11; mov eax, 0; clc; syscall; loop: jmp loop"
    with Host(*build(System(Arch.X64, [Partition(assemble(Arch.X64, waits))])), [policy()]) as host:
        stepper = Stepper(host)

        def run(until: int) -> None:
            host.run(until=until)
            for _ in host.drain():
                pass

        host.boot()
        run(50)
        frame = stepper.window()[2]
        kept = stepper.snapshot()
        for _ in range(2):
            run(frame + 50)
            registers = host.registers(0)
            assert (registers[R15] & 1, registers[R11] & 1) == (1, 0), "stc, then clc"
            stepper.restore(kept)
        stepper.forget(kept)
