"""SD cards for real boards: read back with a reader of our own, bit by bit as the FAT
specification says, and with the CRCs that U-Boot checks."""

from __future__ import annotations

import struct
import zlib

import pytest

from khs import sdcard
from khs.errors import ImageError
from khs.image import Archive, open_system
from khs.sdcard import fat
from khs.sdcard.script import script


def files(disk: bytes) -> dict[str, bytes]:
    """What is in the root of the first partition."""
    active, kind, first, count = struct.unpack_from("<B3xB3xII", disk, 446)
    assert (active, kind, disk[510:512]) == (0x80, 0x0E, b"\x55\xaa")
    assert (first + count) * 512 == fat.size(disk)
    part = disk[first * 512 :]
    bytes_, cluster, reserved, fats, entries = struct.unpack_from("<HBHBH", part, 11)
    (small,) = struct.unpack_from("<H", part, 19)
    (per_fat,) = struct.unpack_from("<H", part, 22)
    (large,) = struct.unpack_from("<I", part, 32)
    assert bytes_ == 512 and part[510:512] == b"\x55\xaa"
    assert count in (small, large)
    root = (reserved + fats * per_fat) * 512
    data = root + entries * 32
    clusters = (count - data // 512) // cluster
    assert 4085 <= clusters < 65525  # that is what makes it FAT16
    assert per_fat * 256 >= clusters + 2
    table = struct.unpack_from(f"<{clusters + 2}H", part, reserved * 512)
    copy = struct.unpack_from(f"<{clusters + 2}H", part, (reserved + per_fat) * 512)
    assert table == copy
    found = {}
    for number in range(entries):
        entry = part[root + 32 * number : root + 32 * number + 32]
        if entry[0] == 0:
            break
        name = f"{entry[:8].decode().rstrip()}.{entry[8:11].decode().rstrip()}".lower()
        at, size = struct.unpack_from("<HI", entry, 26)
        content = bytearray()
        while size and at != 0xFFFF:
            assert 2 <= at < clusters + 2
            begin = data + (at - 2) * cluster * 512
            content += part[begin : begin + cluster * 512]
            at = table[at]
        assert len(content) - size < cluster * 512
        found[name] = bytes(content[:size])
    return found


@pytest.mark.parametrize("sizes", [[], [0, 1], [2048, 2049, 700_000], [5, 90_000_000, 5]])
def test_what_was_written_is_read(sizes: list[int]) -> None:
    written = {f"f{n}.bin": bytes([n + 1]) * size for n, size in enumerate(sizes)}
    disk = fat.disk("test", written)
    assert files(disk) == written
    size = fat.size(disk)
    assert size >= max(len(disk), 16 << 20)
    assert size & (size - 1) == 0


def test_what_is_too_large_for_fat16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fat, "_LARGEST_CLUSTER", 4)
    with pytest.raises(ImageError, match="too much for an SD card"):
        fat.disk("test", {"a.bin": bytes(200_000_000)})


def test_scripts_are_images_as_u_boot_checks_them() -> None:
    image = script("a name", "echo hello\n")
    head = bytearray(image[:64])
    magic, crc, time, size, _, _, data_crc = struct.unpack_from(">7I", head)
    assert (magic, time, bytes(head[28:32])) == (0x27051956, 0, bytes([5, 2, 6, 0]))
    head[4:8] = bytes(4)
    assert zlib.crc32(head) == crc
    assert size == len(image) - 64
    assert zlib.crc32(image[64:]) == data_crc
    assert struct.unpack_from(">II", image, 64) == (11, 0)
    assert image[72:] == b"echo hello\n"
    assert head[32:].rstrip(b"\0") == b"a name"


@pytest.fixture(scope="module")
def archive() -> Archive:
    return open_system("iot-gateway", board="sabrelite")


def test_a_card_has_script_firmware_and_system(archive: Archive) -> None:
    found = files(sdcard.card(archive))
    assert list(found) == ["boot.scr", "khs.elf", "system.ksb"]
    assert found["khs.elf"][:4] == b"\x7fELF"
    magic, _, size = struct.unpack_from("<IIQ", found["system.ksb"])
    assert (magic, size) == (0x4942534B, len(found["system.ksb"]))
    clock, timer, flags, log = struct.unpack_from("<32x4I", found["system.ksb"])
    assert (clock, timer, flags, log) == (0, 0, 0, 0)  # of a real board nothing is known before
    lines = found["boot.scr"][72:].decode().splitlines()
    assert lines.index("dcache off") < len(lines) - 1
    assert "0x12000000 system.ksb && bootelf -p 0x20000000" in lines[-1]


def test_a_card_is_the_same_each_time(archive: Archive) -> None:
    assert sdcard.card(archive) == sdcard.card(open_system("iot-gateway", board="sabrelite"))
