"""How each board is emulated: the command line, and what the firmware expects of it.

QEMU counts instructions (icount, 8 ns each), so that a run is the same each time, byte for byte;
it skips idle time, and its clock is virtual too.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from khs.config.model import Arch
from khs.errors import EngineError

#: 2 ** 3 ns an instruction: 125 MHz, the boards' nominal clock.
COUNTED = "tcg"  # the accelerator that can
_RTC = ("-rtc", "base=2020-01-01,clock=vm")
ICOUNT = ("-icount", "shift=3,sleep=off", *_RTC)


#: Lines of the runner: what comes from the firmware, the board's console, and then devices.
BELL, CONSOLE = "line0", "line1"
_CONSOLE_UART = "uart2"


def recording(file: Path) -> tuple[str, ...]:
    """ICOUNT; what the run depends on goes into `file`."""
    return ("-icount", f"shift=3,rr=record,rrfile={file}", *_RTC)


def replaying(file: Path) -> tuple[str, ...]:
    """The clock of a run that was recorded: it does not notice when a debugger stops it."""
    return ("-icount", f"shift=3,rr=replay,rrfile={file}", *_RTC)


@dataclass(frozen=True, slots=True)
class Profile:
    """`uarts`: serial ports in QEMU's order; the firmware's bell is behind `bell` or is the last of
    them. `image`: where the boot image is loaded; `ram`: where memory begins; `hz` of clock and
    timer as emulated; `exit_status` of QEMU for an exit code of the firmware."""

    binary: str
    package: str
    arguments: tuple[str, ...]
    image: int
    ram: int
    hz: int
    uarts: tuple[str, ...]
    bell: tuple[str, ...] = ()
    scale: int = 1
    offset: int = 0

    def exit_status(self, code: int) -> int:
        return code * self.scale + self.offset


#: qboot comes with QEMU and starts a kernel in a tenth of the usual firmware's instructions.
_PC = (
    *("-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
    *("-bios", "qboot.rom", "-vga", "none"),
)
_PORTS = (
    ("uart1", "uart2", "uart3", "uart4"),
    ("-device", f"isa-debugcon,iobase=0xe9,chardev={BELL}"),
)
PROFILES = {
    Arch.ARMV7: Profile(
        "qemu-system-arm",
        "qemu-system-arm",
        ("-semihosting-config", "enable=on,target=native"),
        0x1200_0000,
        0x1000_0000,
        100_000_000,
        ("uart1", "uart2", "uart3", "uart4", "uart5"),
    ),
    Arch.X64: Profile(
        "qemu-system-x86_64", "qemu-system-x86", _PC, 0x0200_0000, 0, 1_000_000_000, *_PORTS, 2, 1
    ),
    Arch.X86: Profile(
        "qemu-system-i386", "qemu-system-x86", _PC, 0x0200_0000, 0, 1_000_000_000, *_PORTS, 2, 1
    ),
}


@dataclass(frozen=True, slots=True)
class Board:
    """One board to emulate, as an archive's manifest describes it."""

    name: str
    arch: Arch
    machine: str
    cpu: str
    ram_size: int

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Board:
        """EngineError if the archive does not say how its board is emulated."""
        try:
            hardware = manifest["hardware"]
            return cls(
                str(manifest["board"]),
                Arch[str(manifest["arch"]).upper()],
                str(hardware["machine"]),
                str(hardware["cpu"]),
                int(hardware["memory"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise EngineError(
                "the archive does not say how its board is emulated\n"
                "  help: build it again with khs build"
            ) from error

    @property
    def profile(self) -> Profile:
        return PROFILES[self.arch]

    def attach(self, uarts: Sequence[str]) -> list[str]:
        """QEMU's arguments that connect the lines: the bell, the console and these serial ports;
        the others lead nowhere. EngineError for a port that the board has not."""
        profile = self.profile
        ports = dict.fromkeys(profile.uarts, "null") | {_CONSOLE_UART: f"chardev:{CONSOLE}"}
        if not profile.bell:
            ports[profile.uarts[-1]] = f"chardev:{BELL}"
        for number, name in enumerate(uarts, 2):
            if ports.get(name) != "null":
                free = ", ".join(port for port, to in ports.items() if to == "null")
                raise EngineError(
                    f"{name} of {self.name} is no serial port that is free\n  help: {free}"
                )
            ports[name] = f"chardev:line{number}"
        return [*profile.bell, *(word for to in ports.values() for word in ("-serial", to))]

    def check_accelerator(self, accel: str) -> None:
        """EngineError for one that this board never has."""
        if self.arch is Arch.ARMV7 and accel.partition(",")[0] == "kvm":
            raise EngineError(
                f"KVM is for PCs alone: {self.name} is emulated\n"
                "  help: leave --accel out, or --board q35"
            )

    def find_qemu(self) -> str:
        """The emulator's path; EngineError with the command that installs what is missing."""
        if not _has_qmp():
            raise EngineError(
                "QEMU is controlled with the 'qemu.qmp' package, which is not installed\n"
                "  help: pip install 'khs[qemu]'"
            )
        found = shutil.which(self.profile.binary)
        if found is None:
            raise EngineError(
                f"{self.profile.binary} is not installed\n"
                f"  help: apt-get install {self.profile.package}"
            )
        return found

    def command(
        self,
        qemu: str,
        firmware: Path,
        image: Path,
        memory: str,
        clock: Sequence[str] = ICOUNT,
        cards: Sequence[str] = (),
    ) -> list[str]:
        """QEMU's arguments but for the channels. `memory`: path of what the board's memory is;
        `clock`: what drives its processor; `cards`: arguments for those of partitions."""
        profile = self.profile
        return [
            qemu,
            *("-M", f"{self.machine},memory-backend=ram", "-cpu", self.cpu),
            *("-m", str(self.ram_size // 2**20)),
            "-object",
            f"memory-backend-file,id=ram,size={self.ram_size},mem-path={memory},share=on",
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none"),
            *profile.arguments,
            *cards,
            *clock,
            *("-kernel", str(firmware)),
            "-device",
            f"loader,file={image},addr={profile.image:#x},force-raw=on",
        ]


def _has_qmp() -> bool:
    try:
        return importlib.util.find_spec("qemu.qmp") is not None
    except ModuleNotFoundError:  # not even the package that it is in
        return False
