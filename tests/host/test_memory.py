"""Memory: what restarts keep, what partitions share, and that nothing is left behind."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from khs.engine.native import Failure, Host, LoadError, check_config
from tests.host.conftest import Load
from tests.host.system import (
    COLD,
    KEEP_FLAG,
    LOG,
    PAGE,
    RAM,
    SHARED,
    SHARED_FLAG,
    WARM,
    Arch,
    Partition,
    R,
    Region,
    System,
    W,
    X,
    build,
    policy,
)

KEEP = 0x45000000


#: khs_partition_mode_set (KHS_MODE_NORMAL): out of a cold start no restart is a warm one.
READY = {
    Arch.ARMV7: struct.pack("<3I", 0xE3A07005, 0xE3A00003, 0xEF000000),
    Arch.X86: b"\xb8\5\0\0\0\xbb\3\0\0\0\xcd\x80",
    Arch.X64: b"\xb8\5\0\0\0\xbf\3\0\0\0\x0f\x05",
}


def counting(arch: Arch, *addresses: int) -> bytes:
    """Adds one to a word at each address, then does what no guest may."""
    if arch is Arch.ARMV7:
        words = []
        for address in addresses:
            words += [
                0xE59F0000 | 20,
                0xE5901000,
                0xE2811001,
                0xE5801000,
                0xEA000002,
                0,
                0,
                address,
            ]
        return struct.pack(f"<{len(words) + 1}I", *words, 0xE7F000F0)
    code = b"".join(b"\xbb" + struct.pack("<I", address) + b"\xff\x03" for address in addresses)
    return code + b"\x0f\x0b"


def word(host: Host, address: int, partition: int = 0) -> int:
    return int.from_bytes(host.read(partition, address, 4), "little")


@pytest.mark.parametrize("arch", Arch)
@pytest.mark.parametrize("action", [WARM, COLD])
def test_restarts(load: Load, arch: Arch, action: int) -> None:
    regions = (
        Region("keep", KEEP, R | W, flags=KEEP_FLAG),
        Region("shared", SHARED, R | W, flags=SHARED_FLAG),
    )
    code = READY[arch] + counting(arch, RAM, KEEP, SHARED)
    partition = Partition(code, data=struct.pack("<I", 100), regions=regions, action=action)
    host = load(System(arch, [partition], costs=(500, 0, 0)))
    host.run(frames=20)
    restarts = host.view(0).restarts
    assert restarts > 100
    assert word(host, SHARED) in (restarts, restarts + 1)
    assert word(host, KEEP) in ((0, 1) if action == COLD else (restarts, restarts + 1))
    assert word(host, RAM) in (100, 101)


def test_memory_is_shared_at_once_and_only_by_name(load: Load) -> None:
    writer = Partition(
        b"\xbb" + struct.pack("<I", SHARED) + b"\xff\x03\xeb\xfc",
        regions=(Region("common", SHARED, R | W, flags=SHARED_FLAG),),
    )
    # reads the word and keeps it in its own memory
    reader = Partition(
        b"\xbb"
        + struct.pack("<I", SHARED)
        + b"\x8b\x03\xa3"
        + struct.pack("<I", RAM)
        + b"\xeb\xf7",
        regions=(Region("common", SHARED, R, flags=SHARED_FLAG),),
    )
    host = load(System(Arch.X86, [writer, reader], [(0, 1001), (1, 500)]))
    host.run(frames=7)
    assert word(host, RAM, 1) == word(host, SHARED, 0) == 7 * 1001 // 2
    assert word(host, RAM, 0) == 0


def test_a_reader_cannot_write_what_is_shared(load: Load) -> None:
    regions = (Region("common", SHARED, R, flags=SHARED_FLAG),)
    code = b"\xbb" + struct.pack("<I", SHARED) + b"\xff\x03"
    host = load(System(Arch.X64, [Partition(code, regions=regions, action=LOG)]))
    host.run(frames=1)
    assert host.view(0).faults == 1
    assert word(host, SHARED) == 0


@pytest.mark.parametrize("arch", Arch)
def test_a_thousand_restarts_leave_nothing(load: Load, arch: Arch) -> None:
    partition = Partition(counting(arch, RAM, RAM + 0x8000), action=COLD)
    host = load(System(arch, [partition], [(0, 10_000)], costs=(20, 0, 0)))

    def go(restarts: int) -> None:
        while host.view(0).restarts < restarts:
            host.run(frames=host.status().frames + 1)
            for _ in host.drain():
                pass

    go(300)
    before = resident()
    go(1500)
    assert resident() - before < 1 << 20


def test_leaving_the_instruction_set_a_hundred_times(load: Load) -> None:
    """Each costs new engines, and the old ones are closed."""
    code = struct.pack("<4I", 0xE28F0001, 0xE12FFF10, 0xE1A00000, 0xE1A00000)
    host = load(System(Arch.ARMV7, [Partition(code, action=COLD)], [(0, 1000)], costs=(990, 0, 0)))
    host.run(frames=30)
    before = resident()
    host.run(frames=100)
    assert host.view(0).faults >= 90
    assert resident() - before < 4 << 20


def test_open_and_close_leave_nothing() -> None:
    config, memory = build(System(Arch.X64, [Partition(b"\xeb\xfe")] * 4))

    def go(times: int) -> None:
        for _ in range(times):
            with Host(config, memory, [policy()]) as host:
                host.boot()
                host.run(frames=1)

    go(20)
    before, files = resident(), descriptors()
    go(100)
    assert resident() - before < 4 << 20
    assert descriptors() == files


def test_boot_again_starts_from_nothing(load: Load) -> None:
    partition = Partition(
        counting(Arch.X86, RAM, SHARED), regions=(Region("s", SHARED, R | W, flags=SHARED_FLAG),)
    )
    host = load(System(Arch.X86, [partition]))

    def events() -> list[bytes]:
        host.run(frames=2)
        return [bytes(drained.records) for drained in host.drain()]

    first = events()
    host.boot()
    assert (word(host, RAM), word(host, SHARED)) == (0, 0)
    assert events() == first


# ---- what is refused -------------------------------------------------------


def refused(system: System, **changes: bytes) -> LoadError:
    config, memory = build(system)
    images = {"config": config, "memory": memory} | changes
    with pytest.raises(LoadError) as error:
        Host(images["config"], images["memory"], [policy()])
    return error.value


def test_code_that_another_partition_could_write() -> None:
    code = Region("code", SHARED, R | X, data=b"\xc3", flags=SHARED_FLAG)
    one = Partition(b"\xeb\xfe", regions=(code,))
    other = Partition(b"\xeb\xfe", regions=(replace(code, rights=R | W),))
    error = refused(System(Arch.X86, [one, other]))
    assert error.failure is Failure.CONFIG
    assert "writable in one partition and executable in another" in str(error)


def test_nothing_is_mapped_where_null_points() -> None:
    for address, fine in ((0, False), (PAGE, True)):
        region = Region("low", address, R | W)
        config, _ = build(System(Arch.X86, [Partition(b"\xeb\xfe", regions=(region,))]))
        assert (check_config(config) is None) is fine


def test_memory_image_that_is_too_short() -> None:
    error = refused(System(Arch.X86, [Partition(b"\xeb\xfe")]), memory=b"")
    assert error.failure is Failure.MEMORY


def test_damaged_configurations_are_refused_or_harmless() -> None:
    config, _ = build(System(Arch.X86, [Partition(b"\xeb\xfe")]))
    assert check_config(config) is None
    for at in range(0, len(config), 3):
        for value in (0, 0x7F, 0xFF):
            damaged = config[:at] + bytes([value]) + config[at + 1 :]
            where = check_config(damaged)
            assert where is None or where <= len(damaged)
    for size in range(0, len(config), 7):
        assert check_config(config[:size]) is not None


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    """Open files of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))
