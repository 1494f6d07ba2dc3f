"""The drivers of partitions/uart, unchanged, on the models of the UARTs of all three boards."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from khs import compare, runs
from khs.engine import unicorn
from khs.engine.inputs import Inputs, Stamped
from khs.engine.native import Host
from khs.engine.result import Result
from khs.engine.structures import HostDevice
from khs.image import Archive, open_system
from khs.trace import Names
from tests.hil.bench import PORT, WINDOW, place
from tests.host.assemble import assemble
from tests.host.system import Arch, Partition, System, build, policy

ROOT = Path(__file__).parents[2]
BOARDS = ["sabrelite", "pc", "q35"]
EMULATORS = {"sabrelite": "qemu-system-arm", "pc": "qemu-system-i386", "q35": "qemu-system-x86_64"}
PORT_NAME = "driver.uart3"
MS = 125_000


@cache
def archive(board: str) -> Archive:
    return open_system(str(ROOT / "images" / "uart"), [], board)


def play(
    board: str, inputs: Sequence[tuple[int, bytes]], frames: int = 30, steps: Sequence[int] = ()
) -> tuple[bytes, Result, unicorn.Machine]:
    """What the port sent, what came of it, and the closed machine. `steps`: further ticks at which
    the run comes back."""
    rows: list[Stamped] = [(tick, 0, data) for tick, data in inputs]
    sent = bytearray()
    with unicorn.Machine(Inputs(archive(board), rows)) as machine:
        assert machine.devices.ports[PORT_NAME].target == 0
        fetch = machine.devices.fetch

        def kept() -> dict[str, bytes]:
            out = fetch()
            sent.extend(out.get(PORT_NAME, b""))
            return out

        machine.devices.fetch = kept  # type: ignore[method-assign]
        for tick in steps:
            machine.advance(lambda drained: None, until=tick)
        result = machine.run(frames - machine.host.status().frames)
        machine.counted = machine.devices.counts()[PORT_NAME]  # type: ignore[attr-defined]
    return bytes(sent), result, machine


@pytest.mark.parametrize("board", BOARDS)
def test_the_driver_answers(board: str) -> None:
    """As in QEMU: tests/boards/test_devices.py."""
    said = b"abc xyz, and 20 more bytes\n"
    sent, result, _ = play(board, [(7 * MS, said)])
    assert sent == b"ready\n" + said.upper()
    assert all(row.faults == 0 for row in result.partitions.values())


@pytest.mark.parametrize("board", BOARDS)
def test_nothing_is_lost(board: str) -> None:
    """More than FIFOs hold comes at once, while the driver has no window: it waits outside."""
    said = bytes(range(256)) * 8
    sent, _, machine = play(board, [(4 * MS, said[:1000]), (4 * MS, said[1000:])], frames=400)
    assert sent == b"ready\n" + said.upper()
    counted = machine.counted  # type: ignore[attr-defined]
    assert counted["overruns"] == 0
    assert (counted["received"], counted["waiting"]) == (len(said), 0)


@pytest.mark.parametrize("board", BOARDS)
def test_coming_back_changes_nothing(board: str) -> None:
    inputs = [(3 * MS + 17, b"some bytes that the driver answers"), (25 * MS, b"more")]
    sent, result, _ = play(board, inputs)
    again, same, _ = play(board, inputs, steps=range(1000, 40 * MS, 77_777))
    assert again == sent
    assert same.trace_sha256 == result.trace_sha256
    assert same.partitions == result.partitions


@pytest.mark.parametrize("board", BOARDS)
def test_nobody_else_notices(board: str) -> None:
    """Interrupts of a device come in its owner's windows, however much comes in."""
    busy = play(board, [(5 * MS, b"x" * 500)])[1].partitions["bystander"]
    quiet = play(board, [])[1].partitions["bystander"]
    assert busy == quiet


@pytest.mark.parametrize("board", BOARDS)
def test_both_engines_compare_equal(board: str) -> None:
    from khs.engine import qemu
    from tests.boards.conftest import firmware

    if shutil.which(EMULATORS[board]) is None:
        pytest.skip(f"{EMULATORS[board]} is not installed")
    built = archive(board)
    recorders = [compare.Recorder(2) for _ in range(2)]
    with unicorn.Machine(built) as here, qemu.Machine(built, firmware(board)) as there:
        result = here.run(30, sink=recorders[0])
        there.run(30, sink=recorders[1])
    left_out = compare.incomparable(built.manifest)
    assert left_out == {}
    names = Names.from_header(runs.plan(built).header)
    last = result.ticks - result.ticks // 30
    found = compare.compare(names, *recorders, left_out=left_out, last_frame=last)
    assert found.difference is None
    assert set(found.compared) == {"driver", "bystander"}


# ---- registers ----------------------------------------------------------------------------


def left(
    arch: Arch, source: str, ticks: int, said: bytes = b""
) -> tuple[list[int], dict[str, int], bytes]:
    """Registers at the end, counts of the UART, and what it sent."""
    model = 1 if arch is Arch.ARMV7 else 2
    where: HostDevice = place(arch, size=0x4000 if arch is Arch.ARMV7 else 8, model=model)
    system = System(arch, [Partition(assemble(arch, source))], [(0, ticks)])
    with Host(*build(system), [policy()]) as host:
        assert host.add_device(where) == 0
        host.add_input(0, host.device_target(0), said)
        host.boot()
        host.run(1)
        assert host.view(0).faults == 0
        row = host.device_counts(0)
        counts = {name: int(getattr(row, name)) for name, _ in row._fields_}
        return host.registers(0), counts, host.device_output(0)


IMX_ON = f"""
    ldr r1, ={WINDOW}
    ldr r0, =0x4027
    str r0, [r1, #0x84]
    mov r0, #1
    str r0, [r1, #0x80]
"""


def test_imx_takes_its_time() -> None:
    """80 MHz / 6 / 16 is 833,333 baud: a character of 10 bits takes 1500 ticks of 8 ns."""
    source = (
        IMX_ON
        + """
        mov r0, #65
        str r0, [r1, #0x40]
        mov r4, #0
    1:  ldr r0, [r1, #0x98]
        tst r0, #8
        addeq r4, r4, #1
        beq 1b
    2:  b 2b
        .ltorg"""
    )
    registers, counts, sent = left(Arch.ARMV7, source, 10_000)
    assert sent == b"A"
    assert counts["sent"] == 1
    assert abs(registers[4] * 4 - 1500) <= 8


def test_imx_tells_of_an_overrun() -> None:
    """33 characters to itself, and nobody fetches them."""
    source = (
        IMX_ON
        + """
        mov r0, #0x1000
        str r0, [r1, #0xb4]
        mov r4, #34
    1:  ldr r0, [r1, #0x94]
        tst r0, #0x2000
        beq 1b
        str r4, [r1, #0x40]
        subs r4, r4, #1
        bne 1b
        ldr r5, =20000
    2:  subs r5, r5, #1
        bne 2b
        ldr r6, [r1, #0x98]
        ldr r7, [r1, #0x00]
        mov r0, #2
        str r0, [r1, #0x98]
        ldr r8, [r1, #0x98]
    3:  b 3b
        .ltorg"""
    )
    registers, counts, sent = left(Arch.ARMV7, source, 200_000)
    assert (counts["overruns"], counts["faults"], sent) == (2, 1, b"")
    assert registers[6] & 3 == 3  # ORE and RDR
    assert registers[7] == 0x8000 | 0x6000 | 34  # ready, with an error, the first character
    assert registers[8] & 2 == 0


PC_ON = f"""
    mov edx, {PORT + 3}
    mov al, 3
    out dx, al
    mov edx, {PORT + 2}
    mov al, 7
    out dx, al
"""


@pytest.mark.parametrize("arch", [Arch.X86, Arch.X64])
def test_16550_identifies_itself(arch: Arch) -> None:
    """FIFOs are there, the scratch register keeps, the divisor hides behind its bit."""
    source = (
        PC_ON
        + f"""
        mov edx, {PORT + 2}
        in al, dx
        movzx esi, al
        mov edx, {PORT + 7}
        mov al, 0x5a
        out dx, al
        in al, dx
        movzx edi, al
        mov edx, {PORT + 3}
        mov al, 0x83
        out dx, al
        mov edx, {PORT}
        mov ax, 0x0203
        out dx, ax
        xor eax, eax
        in ax, dx
        mov ebp, eax
    1:  jmp 1b"""
    )
    registers, _, _ = left(arch, source, 300)
    esi, edi, ebp = (6, 7, 5) if arch is Arch.X86 else (4, 5, 6)
    assert registers[esi] == 0xC1
    assert registers[edi] == 0x5A
    assert registers[ebp] == 0x0203


@pytest.mark.parametrize("arch", [Arch.X86, Arch.X64])
def test_16550_loops_back_and_overruns(arch: Arch) -> None:
    """17 characters to itself; the driver sees the overrun once, and 16 characters."""
    source = (
        PC_ON
        + f"""
        mov edx, {PORT + 4}
        mov al, 0x10
        out dx, al
        mov ebx, 17
    1:  mov edx, {PORT + 5}
    2:  in al, dx
        test al, 0x20
        je 2b
        mov edx, {PORT}
        mov eax, ebx
        out dx, al
        dec ebx
        jne 1b
        mov edx, {PORT + 5}
    3:  in al, dx
        movzx esi, al
        test al, 2
        je 3b
        in al, dx
        movzx edi, al
        xor ebp, ebp
    4:  mov edx, {PORT + 5}
        in al, dx
        test al, 1
        je 5f
        mov edx, {PORT}
        in al, dx
        inc ebp
        jmp 4b
    5:  jmp 5b"""
    )
    registers, counts, sent = left(arch, source, 4_000_000)
    esi, edi, ebp = (6, 7, 5) if arch is Arch.X86 else (4, 5, 6)
    assert (counts["overruns"], sent) == (1, b"")
    assert registers[esi] & 3 == 3
    assert registers[edi] & 3 == 1
    assert registers[ebp] == 16


def test_a_receiver_that_is_off_takes_nothing() -> None:
    for arch in Arch:
        off = "1: b 1b" if arch is Arch.ARMV7 else "1: jmp 1b"
        _, counts, _ = left(arch, off, 100_000, b"wait")
        assert (counts["received"], counts["waiting"]) == (0, 4)
