"""Scripts for U-Boot in its legacy image format, as its mkimage writes them (U-Boot,
include/image.h: struct legacy_img_hdr)."""

from __future__ import annotations

import struct
import zlib

_HEADER = struct.Struct(">IIIIIIIBBBB32s")
_MAGIC = 0x2705_1956
_LINUX, _ARM, _SCRIPT, _PLAIN = 5, 2, 6, 0


def script(name: str, text: str) -> bytes:
    """The image of a script for ARM boards; its time is that of 1970."""
    lines = text.encode()
    data = struct.pack(">II", len(lines), 0) + lines

    def header(own_crc: int) -> bytes:
        crc = zlib.crc32(data)
        kind = (_LINUX, _ARM, _SCRIPT, _PLAIN)
        return _HEADER.pack(
            _MAGIC, own_crc, 0, len(data), 0, 0, crc, *kind, name.encode("ascii", "replace")[:31]
        )

    return header(zlib.crc32(header(0))) + data
