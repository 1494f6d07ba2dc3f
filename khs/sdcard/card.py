"""A system on an SD card for a real board: firmware, boot image, and a script for the U-Boot that
the board has. Its distro boot finds `boot.scr` on the first bootable partition by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from khs.config.model import Arch
from khs.engine.qemu.board import PROFILES
from khs.engine.qemu.boot import boot_image
from khs.errors import ImageError, shown
from khs.image import Archive
from khs.sdcard import fat
from khs.sdcard.script import script
from khs.toolchain.firmware import build_firmware

#: Where U-Boot puts the firmware's file before it starts it; free on every i.MX6 board.
_STAGING = 0x2000_0000
#: U-Boot's caches go first, so that what it loads is in memory and nowhere else. The image may lie
#: where the script does: what follows is on one line, which U-Boot has read.
_SCRIPT = """\
echo KHS: {system}
dcache off
icache off
setenv autostart yes
load ${{devtype}} ${{devnum}}:${{distro_bootpart}} {staging:#x} khs.elf && \
load ${{devtype}} ${{devnum}}:${{distro_bootpart}} {image:#x} system.ksb && \
bootelf -p {staging:#x}
"""


def card(archive: Archive, progress: Callable[[str], None] | None = None) -> bytes:
    """The card's bytes up to the last file's end: the same archive and firmware give the same.
    ImageError if the board starts from no card, or the system is not for the firmware alone."""
    manifest = archive.manifest
    arch, board = Arch[str(manifest["arch"]).upper()], manifest["board"]
    if arch is not Arch.ARMV7:
        raise ImageError(
            f"{board} starts from no SD card\n  help: --board sabrelite, or khs run --engine qemu"
        )
    if archive.machines:
        raise ImageError('partitions of kind "board" have no place on an SD card')
    place, system = PROFILES[arch].image, str(manifest["system"])
    image = boot_image(
        config=archive.config,
        memory=archive.memory,
        policies=archive.policies,
        inputs=sorted(archive.inputs, key=lambda row: row[0]),
        swaps={},
        ram_size=int(manifest["hardware"]["memory"]),
        frames=0,
        clock_hz=0,
        timer_hz=0,
        emulated=False,
        counted=False,
        devices=list(manifest.get("devices", ())),
    )
    room = _STAGING - place
    if len(image) > room:
        raise ImageError(f"the boot image has {len(image)} bytes, and there is room for {room}")
    files = {
        "boot.scr": script(
            f"KHS {system}", _SCRIPT.format(system=system, staging=_STAGING, image=place)
        ),
        "khs.elf": build_firmware(arch, progress),
        "system.ksb": image,
    }
    return fat.disk("KHS", files)


def write(path: Path, image: bytes) -> None:
    """Writes a card; what is empty takes no room where the file system knows holes. ImageError if
    it cannot be written."""
    try:
        with path.open("wb") as file:
            file.write(image)
            file.truncate(fat.size(image))
    except OSError as error:
        raise ImageError(f"cannot write {shown(path)}: {error.strerror}") from error
