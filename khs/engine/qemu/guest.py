"""Other people's images on an emulated board: the command line, with nothing of ours on the board.

They are hostile like any guest: no semihosting, no network, no disk, and QEMU confined by seccomp.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from khs.config import boards
from khs.config.model import Arch
from khs.engine.qemu import kernels
from khs.engine.qemu.board import ICOUNT, Board
from khs.errors import EngineError, shown

_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
#: Like ICOUNT, but idle time takes its time: for people at the keyboard, and beside native windows.
_LIVE = ("-icount", "shift=3,sleep=on", "-rtc", "base=2020-01-01,clock=vm")
#: The image vector table at the start of an i.MX boot image: i.MX 6Dual/6Quad Applications
#: Processor Reference Manual, 8.7.1. Tag, length and version, entry, six more, self at 20.
_IVT = struct.Struct("<I I 12x I")
_IVT_TAG, _IVT_MASK = 0x40_2000D1, 0xF0_FFFFFF


@dataclass(frozen=True, slots=True)
class Guest:
    """An image and its board. `bios` starts instead of the board's own firmware, on the SABRE Lite
    instead of a kernel. `accel` of QEMU; by default it counts instructions, so that a run is the
    same each time, and skips idle time unless `live`."""

    board: Board
    kernel: Path | None = None
    initrd: Path | None = None
    dtb: Path | None = None
    append: str | None = None
    bios: Path | None = None
    accel: str | None = None
    live: bool = False

    def check(self) -> None:
        """EngineError if it cannot be booted; says what would be right."""
        if self.kernel is None and self.bios is None:
            raise EngineError("nothing to boot\n  help: --kernel FILE or --bios FILE")
        if self.kernel is None:
            needless = {"--initrd": self.initrd, "--dtb": self.dtb, "--append": self.append}
            for option, value in needless.items():
                if value is not None:
                    raise EngineError(f"{option} is for a kernel, and there is none")
        for file in (self.kernel, self.initrd, self.dtb, self.bios):
            if file is not None and not file.is_file():
                raise EngineError(f"there is no file {shown(file)}")
        if self.board.arch is Arch.ARMV7:
            if self.kernel and self.bios:
                raise EngineError(
                    f"{self.board.name} starts a kernel or a boot loader, not both\n"
                    "  help: --kernel alone, or --bios with the boot loader alone"
                )
            if self.kernel:
                kernels.check_arm(self.kernel, self.board.name)
        elif self.dtb:
            raise EngineError(f"{self.board.name} has no device tree\n  help: leave --dtb out")
        self.board.check_accelerator(self.accel or "")

    @property
    def doubt(self) -> str:
        """What speaks against the image, though QEMU will start it; empty if nothing does."""
        arm = self.board.arch is Arch.ARMV7
        return kernels.raw(self.kernel) if arm and self.kernel is not None else ""

    @property
    def reproducible(self) -> bool:
        """Whether, left alone, it does the same each time."""
        return self.accel is None and not self.live

    @property
    def console(self) -> int:
        """The number of the serial line that systems take for their console."""
        return 1 if self.board.arch is Arch.ARMV7 else 0

    @property
    def channel(self) -> int:
        """The number of the other serial line: UART1 of the SABRE Lite, COM2 of a PC."""
        return 1 - self.console

    def command(self, qemu: str) -> list[str]:
        """QEMU's arguments but for the serial lines. EngineError for a boot loader that is none."""
        cpu = "host" if self.accel == "kvm" else self.board.cpu
        timing = ("-accel", self.accel) if self.accel else _LIVE if self.live else ICOUNT
        pairs = {"-kernel": self.kernel, "-initrd": self.initrd, "-dtb": self.dtb}
        files = [str(part) for pair in pairs.items() if pair[1] for part in pair]
        append = [] if self.append is None else ["-append", self.append]
        return [
            qemu,
            *("-M", self.board.machine, "-cpu", cpu, "-m", str(self.board.ram_size // 2**20)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-nic", "none"),
            *("-no-reboot", "-sandbox", _SANDBOX),
            *timing,
            *files,
            *append,
            *(self._loader(self.bios) if self.bios else ()),
        ]

    def _loader(self, file: Path) -> tuple[str, ...]:
        if self.board.arch is not Arch.ARMV7:
            return "-bios", str(file)
        with file.open("rb") as stream:
            head = stream.read(_IVT.size)
        tag, entry, address = _IVT.unpack(head) if len(head) == _IVT.size else (0, 0, 0)
        if tag & _IVT_MASK != _IVT_TAG:
            raise EngineError(
                f"{shown(file)} is no boot image of an i.MX: it has no image vector table\n"
                "  help: the .imx file of a boot loader; a kernel is given with --kernel"
            )
        name = str(file).replace(",", ",,")
        return (
            *("-device", f"loader,file={name},addr={address:#x},force-raw=on"),
            *("-device", f"loader,addr={entry:#x},cpu-num=0"),
        )


def board_named(name: str) -> Board:
    """A board of boards/, or of a board file. EngineError if there is none."""
    path = boards.find(name)
    if path is None:
        known = ", ".join(boards.names())
        raise EngineError(f"there is no board {name!r}\n  help: one of {known}, or a board file")
    found = boards.load(path)
    machine, cpu = found.qemu["machine"], found.qemu["cpu"]
    return Board(found.name, found.arch, machine, cpu, found.memory_size)
