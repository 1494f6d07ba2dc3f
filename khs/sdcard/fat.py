"""A disk with one bootable FAT16 partition: a few files in its root, written once.

The structures are those of Microsoft's FAT specification (fatgen103), 3. Files lie one after the
other, there is neither clock nor chance, so that the same files give the same bytes; ready-made
libraries write the time of day. Nothing is mounted and no other program is needed.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from khs.errors import ImageError

SECTOR = 512
#: Where the partition begins: what lies before belongs to boot loaders.
FIRST = 2048
_ENTRIES = 512  # of the root directory
_ENTRY = struct.Struct("<8s3sB 8x HHHHI")  # with room for times
_RESERVED, _FATS, _MEDIA = 1, 2, 0xF8
_FEWEST, _MOST = 4085 + 16, 65524 - 16  # clusters of FAT16, with some distance
_LARGEST_CLUSTER = 64  # sectors
_END = 0xFFFF
_DATE = 1 << 5 | 1  # 1980-01-01, the first there is
_ARCHIVE, _FAT16_LBA, _BOOTABLE = 0x20, 0x0E, 0x80
_SIGNATURE = b"\x55\xaa"


def disk(label: str, files: Mapping[str, bytes]) -> bytes:
    """The disk's bytes up to the last file's; its size is that of the partition table and a power
    of two, as cards have it. Names as 8.3. ImageError for what does not fit a FAT16 partition."""
    sectors, cluster = _geometry(files)
    begin = bytearray(FIRST * SECTOR)
    entry = (_BOOTABLE, b"\xfe\xff\xff", _FAT16_LBA, b"\xfe\xff\xff", FIRST, sectors - FIRST)
    struct.pack_into("<B3sB3sII", begin, 446, *entry)
    begin[SECTOR - 2 : SECTOR] = _SIGNATURE
    return bytes(begin) + _partition(label, files, sectors - FIRST, cluster)


def size(image: bytes) -> int:
    """Bytes of the whole disk."""
    first, count = struct.unpack_from("<II", image, 446 + 8)
    return int(first + count) * SECTOR


def _geometry(files: Mapping[str, bytes]) -> tuple[int, int]:
    """Sectors of the disk, and of a cluster."""
    content = sum(len(data) for data in files.values())
    sectors = 2 * FIRST * 8  # 16 MiB
    while sectors * SECTOR < content + content // 64 + 2 * FIRST * SECTOR:
        sectors *= 2
    cluster = 4
    while (sectors - FIRST) // cluster > _MOST:
        cluster *= 2
    if cluster > _LARGEST_CLUSTER:
        raise ImageError(f"{content} bytes are too much for an SD card's FAT16 partition")
    assert (sectors - FIRST) // cluster > _FEWEST
    return sectors, cluster


def _partition(label: str, files: Mapping[str, bytes], sectors: int, cluster: int) -> bytes:
    root_sectors = _ENTRIES * 32 // SECTOR
    fat_sectors = -(-2 * (sectors // cluster + 2) // SECTOR)
    fat = [_END & ~0xFF | _MEDIA, _END]
    root, content = bytearray(), bytearray()
    for name, data in files.items():
        count = -(-len(data) // (cluster * SECTOR))
        first = len(fat) if count else 0
        fat += [*range(len(fat) + 1, len(fat) + count), _END][:count]
        stem, _, suffix = name.upper().partition(".")
        assert len(stem) <= 8 and len(suffix) <= 3, name
        parts = (stem.ljust(8).encode(), suffix.ljust(3).encode(), _ARCHIVE)
        root += _ENTRY.pack(*parts, 0, 0, _DATE, first, len(data))
        content += data + bytes(-len(data) % (cluster * SECTOR))
    boot = _boot_sector(label, sectors, cluster, fat_sectors)
    table = struct.pack(f"<{len(fat)}H", *fat).ljust(fat_sectors * SECTOR, b"\0")
    return boot + table * _FATS + bytes(root).ljust(root_sectors * SECTOR, b"\0") + bytes(content)


def _boot_sector(label: str, sectors: int, cluster: int, fat_sectors: int) -> bytes:
    small = sectors if sectors < 0x10000 else 0
    sector = bytearray(SECTOR)
    struct.pack_into(
        "<3s8sHBHBHHBHHHIIBBBI11s8s",
        sector,
        0,
        *(b"\xeb\xfe\x90", b"KHS     ", SECTOR, cluster, _RESERVED, _FATS, _ENTRIES),
        *(small, _MEDIA, fat_sectors, 63, 255, FIRST, 0 if small else sectors),
        *(0x80, 0, 0x29, 0, label.upper().ljust(11)[:11].encode(), b"FAT16   "),
    )
    sector[SECTOR - 2 :] = _SIGNATURE
    return bytes(sector)
