"""Start information, read back by the SDK's own header."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from khs.config.model import START_INFO, Arch
from khs.image import build, records
from khs.resources import shipped
from tests.image.systems import load_system

CC = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")

DUMP = r"""
#include <khs/start.h>
#include <stdio.h>
static _Alignas(8) unsigned char block[65536];
#define AT(offset) ((const void *)(block + (offset)))
#define EACH(type, list) \
    for (const type *r = AT((list).at), *e = r + (list).count; r != e; r++)
static void texts(const char *title, struct khs_start_list list)
{
    EACH(struct khs_start_text, list) printf("%s %s\n", title, (const char *)AT(r->at));
}
int main(int argc, char **argv)
{
    FILE *file = fopen(argv[argc - 1], "rb");
    size_t size = fread(block, 1, sizeof block, file);
    const struct khs_start_info *i = AT(0);
    if (i->magic != KHS_START_MAGIC || i->version != KHS_START_VERSION || i->size > size)
        return 1;
    printf("name %s number %u\n", (const char *)AT(i->name_at), i->partition);
    printf("heap %#llx %llu\n", (unsigned long long)i->heap, (unsigned long long)i->heap_size);
    printf("time %llu %llu\n", (unsigned long long)i->period_ns, (unsigned long long)i->deadline_ns);
    texts("arg", i->args);
    texts("env", i->env);
    EACH(struct khs_start_port, i->ports)
        printf("port %s %u %u %u %u %u\n", (const char *)AT(r->name_at), r->kind, r->direction,
               r->message_size, r->depth, r->riid);
    EACH(struct khs_start_input, i->inputs)
        printf("input %s %u\n", (const char *)AT(r->name_at), r->capacity);
    EACH(struct khs_start_region, i->regions)
        printf("region %s %u %#llx %llu\n", (const char *)AT(r->name_at), r->rights,
               (unsigned long long)r->address, (unsigned long long)r->size);
    texts("partition", i->partitions);
    texts("schedule", i->schedules);
    EACH(struct khs_start_device, i->devices)
        printf("device %s %u %u %u %#llx\n", (const char *)AT(r->name_at), r->bus, r->irq, r->size,
               (unsigned long long)r->address);
    return 0;
}
"""

LEFT = """\
name left number 0
heap 0x40004000 65536
time 10000000 4000000
arg -v
arg two words
env MODE=demo
port level 0 0 16 0 0
port log 1 1 56 8 0
port control 2 0 116 0 0
input probe 16
region frames 3 0x50000000 8192
partition left
partition right
schedule normal
schedule rescue
"""

RIGHT = """\
name right number 1
heap 0 0
time 0 0
port level 0 1 16 0 1
port log 1 0 56 8 0
port control 2 1 116 0 0
input wire 600
region frames 1 0x50000000 8192
region scratch 3 0x50010000 4096
"""


@pytest.mark.skipif(CC is None, reason="needs a C compiler")
@pytest.mark.parametrize("arch", list(Arch), ids=lambda arch: arch.name.lower())
def test_the_sdk_reads_what_was_written(tmp_path: Path, arch: Arch) -> None:
    archive = build(load_system(tmp_path / "pair", arch))
    (tmp_path / "dump.c").write_text(DUMP)
    include = f"-I{shipped('partitions') / 'sdk' / 'include'}"
    command = [str(CC), "-std=c11", "-Wall", "-Werror", include, "dump.c", "-o", "dump"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    header = records.Config.from_buffer_copy(archive.config)
    for number, expected in enumerate((LEFT, RIGHT)):
        (tmp_path / "start.bin").write_bytes(_start(archive.config, archive.memory, header, number))
        done = subprocess.run(
            ["./dump", "start.bin"], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        assert done.stdout == expected


def _start(config: bytes, memory: bytes, header: records.Config, number: int) -> bytes:
    """The content of the region that a partition sees at START_INFO."""
    partition = _record(records.Partition, config, header.partitions.offset, number)
    for n in range(partition.maps.first, partition.maps.first + partition.maps.count):
        each = _record(records.Map, config, header.maps.offset, n)
        if each.address == START_INFO:
            region = _record(records.Region, config, header.regions.offset, each.region)
            assert each.rights == 1
            data = memory[region.file_offset : region.file_offset + region.file_size]
            return data.ljust(region.size, b"\0")
    raise AssertionError("no start information is mapped")


def _record(kind: type[ctypes.LittleEndianStructure], config: bytes, at: int, number: int) -> Any:
    return kind.from_buffer_copy(config, at + number * ctypes.sizeof(kind))
