"""What a file is that is to be booted as a kernel on an ARM board.

QEMU's loader for PCs refuses what it does not know; the one for ARM boards takes anything else for
raw code and starts it, and nothing happens.
"""

from __future__ import annotations

import struct
from pathlib import Path

from khs.errors import EngineError, shown

_ELF, _ELF32, _EM_ARM = b"\x7fELF", 1, 40
#: Documentation/arm/booting.rst of Linux: at 0x24 of a zImage, in the byte order of the kernel.
_ZIMAGE_AT, _ZIMAGE = 0x24, (b"\x18\x28\x6f\x01", b"\x01\x6f\x28\x18")
#: include/image.h of U-Boot.
_UIMAGE = b"\x27\x05\x19\x56"
#: Documentation/arch/x86/boot.rst of Linux.
_BZIMAGE_AT, _BZIMAGE = 0x202, b"HdrS"
_HEAD = 0x210


def check_arm(file: Path, board: str) -> None:
    """EngineError for a kernel of another architecture."""
    head = _head(file)
    if head.startswith(_ELF):
        machine = struct.unpack_from("<H", head, 18)[0] if len(head) >= 20 else 0
        if head[4:5] != bytes([_ELF32]) or machine != _EM_ARM:
            raise EngineError(
                f"{shown(file)} is no ELF file for {board}: its machine is {machine}, and 32-bit "
                f"ARM is {_EM_ARM}\n  help: build it for ARMv7, or --board q35 or pc for one of x86"
            )
    elif head[_BZIMAGE_AT : _BZIMAGE_AT + 4] == _BZIMAGE:
        raise EngineError(
            f"{shown(file)} is a Linux for PCs\n  help: --board q35 or pc, or the zImage of {board}"
        )


def raw(file: Path) -> str:
    """A warning if an ARM board takes the file for raw code; else empty."""
    head = _head(file)
    zimage = head[_ZIMAGE_AT : _ZIMAGE_AT + 4] in _ZIMAGE
    if zimage or head.startswith((_ELF, _UIMAGE)):
        return ""
    return f"{shown(file)} is no ELF file, zImage or U-Boot image: it is started as raw code"


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_HEAD)
    except OSError as error:
        raise EngineError(f"{shown(file)} cannot be read: {error.strerror}") from error
