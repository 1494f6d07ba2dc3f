"""Boards in QEMU: how soon a partition speaks, what a judged call takes, and how QEMU compares
with Unicorn. Only where QEMU is installed."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from khs import resources
from khs.bench.figures import Figure
from khs.bench.load import BENCH, BOARDS, TICK_NS, Load
from khs.config.model import Arch
from khs.engine import qemu, unicorn
from khs.engine.qemu.board import Board
from khs.engine.qemu.memory import Memory
from khs.engine.qemu.process import Process
from khs.errors import EngineError
from khs.image import Archive, open_system
from khs.toolchain import zig
from khs.toolchain.firmware import PORTS, build_firmware

WINDOW = 100_000  # ticks
TRIES = 9  # of a start
FRAMES = (8, 40)  # of runs whose difference is measured
DEMONSTRATION, DEMONSTRATION_FRAMES = "iot-gateway", 100
PATIENCE = 20.0  # seconds for a byte


def missing() -> str:
    """What this section needs and is not here; "" if it can be measured."""
    try:
        for arch in BOARDS:
            _board(Load(arch, "null", WINDOW).archive()).find_qemu()
    except EngineError as error:
        return f"needs QEMU: {error}"
    return ""


def boards() -> Iterator[Figure]:
    """Per board: start, calls in instructions, and wall time beside Unicorn's."""
    for arch in BOARDS:
        firmware = build_firmware(Arch[arch.upper()])
        yield _start(arch, firmware)
        yield from _calls(arch, firmware)
        yield _wall(arch, firmware)


def _board(archive: Archive) -> Board:
    return Board.of(archive.manifest)


# ---------------------------------------------------------------- start


def _start(arch: str, firmware: bytes) -> Figure:
    """From QEMU's start to the first byte that a partition prints, beside a program that does
    nothing but print one."""
    archive = Load(arch, "print", WINDOW).archive()
    board = _board(archive)
    with (
        tempfile.TemporaryDirectory(prefix="khs-bench-") as work,
        qemu.Machine(archive, firmware) as machine,
    ):
        files = [Path(work) / name for name in ("firmware.elf", "boot.image")]
        files[0].write_bytes(firmware)
        files[1].write_bytes(machine.boot_image(1))
        bare = bare_program(arch, Path(work))
        pairs = [
            (_first_byte(board, files[0], files[1]), _first_byte(board, bare, files[1]))
            for _ in range(TRIES)
        ]
    ours, alone = (min(times) for times in zip(*pairs, strict=True))
    return Figure.at_most(
        1.5,
        section="boards",
        name="start to the first output",
        arch=arch,
        value=ours * 1e3,
        unit="ms",
        baseline=alone * 1e3,
        ratio=ours / alone,
    )


def bare_program(arch: str, work: Path) -> Path:
    """The smallest program for a board, built and placed like the firmware."""
    root = resources.shipped("sources")
    port = PORTS[Arch[arch.upper()]]
    source = resources.shipped("images") / "bench/bare" / f"{port.folders[-1]}.S"
    part, path = work / "bare.o", work / "bare.elf"
    target = zig.TARGETS[Arch[arch.upper()]]
    zig.run(["clang", *port.flags, "-c", source, "-o", part], cwd=work)
    script = root / "boards/firmware" / port.script
    zig.run(["ld.lld", "-m", target.linker, "-T", str(script), part, "-o", path], cwd=work)
    return path


def _first_byte(board: Board, kernel: Path, image: Path) -> float:
    """Seconds until a board's console says something."""
    with Memory(board.profile.ram, board.ram_size) as memory:
        command = board.command(board.find_qemu(), kernel, image, memory.path)
        return asyncio.run(_wait_for_byte(command, memory))


async def _wait_for_byte(command: Sequence[str], memory: Memory) -> float:
    began = time.perf_counter()
    async with Process(command, lines=2, inherited=[memory.descriptor]) as process:
        await process.resume()
        with contextlib.suppress(TimeoutError):
            if await asyncio.wait_for(process.serial[1].read(1), PATIENCE):
                return time.perf_counter() - began
    raise EngineError("the board says nothing")


# ---------------------------------------------------------------- calls


def _calls(arch: str, firmware: bytes) -> Iterator[Figure]:
    """Instructions that QEMU counts for a call, all that the kernel and the guest's loop do about
    it included, beside a trap into the kernel and straight back."""
    loads = (("null", "null hypercall", None), ("port", "judged 64-byte port write", 6.0))
    for mode, name, most in loads:
        archive = Load(arch, mode, WINDOW).archive()
        with qemu.Machine(archive, firmware) as machine:
            few, many = (_counted(machine, frames) for frames in FRAMES)
            hz = machine.board.profile.hz
            trap = machine.report.trap_ticks
        ours = (many[0] - few[0]) * 1e9 / hz / TICK_NS / (many[1] - few[1])
        row = Figure("boards", name, arch, ours, "instructions", trap, ours / trap)
        yield row if most is None else Figure.at_most(most, **row.to_json() | {"asked": None})


def _counted(machine: qemu.Machine, frames: int) -> tuple[int, int]:
    """The board's clock after a run, and hypercalls of the busy partition."""
    machine.run(frames)
    view = machine.report.views[BENCH]
    if view.faults:
        raise EngineError(f"the load does not run on {machine.board.name}")
    return machine.report.clock, view.hypercalls


# ---------------------------------------------------------------- wall time


def _wall(arch: str, firmware: bytes) -> Figure:
    """The demonstration on the emulated board and on Unicorn: host time."""
    archive = open_system(DEMONSTRATION, board=BOARDS[arch])
    with qemu.Machine(archive, firmware) as board, unicorn.Machine(archive) as here:
        pairs = [
            (board.run(DEMONSTRATION_FRAMES).wall_s, here.run(DEMONSTRATION_FRAMES).wall_s)
            for _ in range(3)
        ]
    ours, other = (min(times) for times in zip(*pairs, strict=True))
    name = f"{DEMONSTRATION}, {DEMONSTRATION_FRAMES} frames, beside Unicorn"
    return Figure("boards", name, arch, ours * 1e3, "ms", other * 1e3, ours / other)
