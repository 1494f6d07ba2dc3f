"""config.bin against the C compiler and the kernel's own check."""

from __future__ import annotations

import ctypes
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from khs.config.model import Arch
from khs.engine import native
from khs.image import build, records
from khs.image.configbin import with_policy_state
from khs.image.records import NONE
from khs.monitor import class_hash
from khs.resources import project
from tests.image.systems import load_system

ROOT = project()
CC = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
needs_compiler = pytest.mark.skipif(not CC or not ROOT, reason="needs a C compiler and sources")
Flags = list[str]

STRUCTS: dict[type[ctypes.LittleEndianStructure], str] = {
    records.Table: "khs_table",
    records.Slice: "khs_slice",
    records.Config: "khs_config",
    records.Partition: "khs_cfg_partition",
    records.Schedule: "khs_cfg_schedule",
    records.Window: "khs_cfg_window",
    records.Region: "khs_cfg_region",
    records.Map: "khs_cfg_map",
    records.Channel: "khs_cfg_channel",
    records.Reader: "khs_cfg_reader",
    records.Port: "khs_cfg_port",
    records.Input: "khs_cfg_input",
    records.Health: "khs_cfg_health",
}


def run_c(folder: Path, source: str, *flags: str) -> str:
    assert CC and ROOT
    (folder / "probe.c").write_text(source)
    command = [CC, "-std=gnu11", f"-I{ROOT}", *flags, "probe.c", "-o", "probe"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return subprocess.run(
        ["./probe"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


@needs_compiler
def test_mirror_agrees_with_the_c_compiler(tmp_path: Path) -> None:
    lines, expected = [], []
    for mirror, name in STRUCTS.items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        expected.append(f"{name} {ctypes.sizeof(mirror)}")
        for field, *_ in mirror._fields_:
            probe = f"(({name} *)0)->{field}"
            lines.append(
                f'printf("{name}.{field} %zu %zu\\n", offsetof({name}, {field}), sizeof({probe}));'
            )
            descriptor: Any = getattr(mirror, field)
            expected.append(f"{name}.{field} {descriptor.offset} {descriptor.size}")
    constants = {
        "KHS_CONFIG_MAGIC": records.MAGIC,
        "KHS_CONFIG_VERSION": records.VERSION,
        "KHS_NONE": records.NONE,
        "KHS_REGION_SHARED": records.REGION_SHARED,
        "KHS_REGION_KEEP": records.REGION_KEEP,
    }
    for name, value in constants.items():
        lines.append(f'printf("{name} %u\\n", (unsigned){name});')
        expected.append(f"{name} {value}")
    body = "\n".join(lines)
    includes = "#include <stddef.h>\n#include <stdio.h>\n#include <khs/core/config.h>\n"
    out = run_c(tmp_path, f"{includes}int main(void)\n{{\n{body}\nreturn 0;\n}}\n")
    assert out.splitlines() == expected


@needs_compiler
def test_mirror_has_every_field(tmp_path: Path) -> None:
    """A structure initialised field by field in the mirror's order leaves nothing out."""
    checks = []
    for mirror, name in STRUCTS.items():
        numbers = ", ".join(
            "{0, 0}" if issubclass(kind, ctypes.Structure) else "0"
            for _, kind, *_ in mirror._fields_
        )
        checks.append(f"{name} a_{name} = {{ {numbers} }}; (void)a_{name};")
    body = "\n".join(checks)
    source = f"#include <khs/core/config.h>\nint main(void)\n{{\n{body}\nreturn 0;\n}}\n"
    run_c(tmp_path, source, "-Wall", "-Wextra", "-Werror")


# ---- what is written ---------------------------------------------------------


class Reader:
    """Reads tables back through the mirror."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.header = records.Config.from_buffer_copy(data)

    def table(self, name: str, kind: type[ctypes.LittleEndianStructure]) -> list[Any]:
        table = getattr(self.header, name)
        assert table.offset % 8 == 0
        size = ctypes.sizeof(kind)
        return [
            kind.from_buffer_copy(self.data, table.offset + n * size) for n in range(table.count)
        ]


@pytest.fixture(params=list(Arch), ids=lambda arch: arch.name.lower())
def built(request: pytest.FixtureRequest, tmp_path: Path) -> Reader:
    return Reader(build(load_system(tmp_path / "pair", request.param)).config)


def test_header(built: Reader) -> None:
    header = built.header
    assert (header.magic, header.version, header.size) == (0x4346534B, 3, len(built.data))
    assert header.clock_hz == 125_000_000 and header.policies == 1
    assert header.kernel_class == class_hash("kl.core.Core")
    assert header.einit_class == class_hash("Einit")
    assert header.max_message == 600, "the input wire is the largest"
    assert header.policy_image >= 65536 and header.policy_image % 4096 == 0
    assert header.policy_state > 0 and header.policy_state % 16 == 0


def test_room_for_a_policy_from_outside(built: Reader) -> None:
    had = built.header.policy_state
    for wanted, has in ((had - 1, had), (had + 1, had + 4096), (had + 4096, had + 4096)):
        changed = Reader(with_policy_state(built.data, wanted))
        assert changed.header.policy_state == has
        assert changed.data[ctypes.sizeof(changed.header) :] == built.data[152:]
        assert native.check_config(changed.data) is None


def test_partitions(built: Reader) -> None:
    left, right = built.table("partitions", records.Partition)
    assert left.class_hash == class_hash("demo.Left")
    assert (left.entry, left.stack_top, left.start_info) == (0x40000000, 0x48000000, 0x4F000000)
    assert (left.stack_guard, left.stack_guard_size) == (0x48000000 - 0x4000 - 0x10000, 0x10000)
    assert (left.period, left.deadline, left.phase) == (1_250_000, 500_000, 0)
    assert left.privileges == 3
    assert (left.restart_limit, left.restart_within) == (0, 0)
    assert right.privileges == 0 and right.period == 0
    assert (right.restart_limit, right.restart_within, right.restart_then) == (3, 125_000_000, 4)


def test_schedules(built: Reader) -> None:
    normal, rescue = built.table("schedules", records.Schedule)
    windows = built.table("windows", records.Window)
    assert (normal.major_frame, normal.windows.first, normal.windows.count) == (1_250_000, 0, 2)
    assert (rescue.major_frame, rescue.windows.first, rescue.windows.count) == (2_500_000, 2, 1)
    assert [(w.start, w.length, w.partition) for w in windows] == [
        (0, 500_000, 0),
        (625_000, 375_000, 1),
        (125_000, 375_000, 1),
    ]


def test_regions_and_maps(built: Reader) -> None:
    regions = built.table("regions", records.Region)
    maps = built.table("maps", records.Map)
    assert [(r.size, r.flags, r.file_size) for r in regions[:2]] == [(8192, 3, 0), (4096, 0, 0)]
    assert all(region.flags == 0 for region in regions[2:])
    left, right = built.table("partitions", records.Partition)
    assert left.maps.first == 0 and right.maps.first == left.maps.count
    assert left.maps.count + right.maps.count == len(maps)
    for each in (left, right):
        own = maps[each.maps.first : each.maps.first + each.maps.count]
        assert [m.address for m in own] == sorted(m.address for m in own)
    shared = [(m.address, m.rights) for m in maps if m.region < 2]
    assert shared == [(0x50000000, 3), (0x50000000, 1), (0x50010000, 3)]


def test_channels(built: Reader) -> None:
    level, log, control = built.table("channels", records.Channel)
    readers = built.table("readers", records.Reader)
    assert (level.kind, level.source, level.mid, level.message_size) == (0, 0, 1, 16)
    assert (level.refresh, level.depth) == (5_000_000, 0)
    assert (log.kind, log.source, log.mid, log.message_size, log.depth) == (1, 1, 0, 56, 8)
    assert (control.kind, control.source, control.mid) == (2, 0, NONE)
    assert control.message_size == 116, "the reply of Set: 16 and an arena of 100"
    assert [(r.channel, r.partition, r.riid) for r in readers] == [(0, 1, 1), (1, 0, 0), (2, 1, 0)]


def test_ports(built: Reader) -> None:
    ports = built.table("ports", records.Port)
    assert [(p.channel, p.direction, p.reader) for p in ports] == [
        (0, 0, NONE),
        (1, 1, 1),
        (2, 0, NONE),
        (0, 1, 0),
        (1, 0, NONE),
        (2, 1, 2),
    ]


def test_inputs_are_ordered_by_partition(built: Reader) -> None:
    inputs = built.table("inputs", records.Input)
    assert [(i.partition, i.capacity, i.depth) for i in inputs] == [(0, 16, 1), (1, 600, 4)]
    left, right = built.table("partitions", records.Partition)
    assert (left.inputs.first, left.inputs.count) == (0, 1)
    assert (right.inputs.first, right.inputs.count) == (1, 1)


def test_health(built: Reader) -> None:
    cells = built.table("health", records.Health)
    assert len(cells) == 2 * 2 * 10
    left, right = cells[:20], cells[20:]
    assert (left[0].level, left[0].action) == (1, 1), "deadline-missed is logged"
    assert (left[4].level, left[4].action) == (2, 5), "memory-fault.initialising stops the module"
    assert (left[14].level, left[14].action) == (1, 3), "memory-fault is a cold restart"
    assert right[14].action == 4, "memory-fault of right stops it"


# ---- the kernel's own check ----------------------------------------------------


CHECK = """
#include <khs/core/core.h>
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    uint32_t size;
    while (fread(&size, sizeof size, 1, stdin) == 1) {
        void *config = malloc(size); /* malloc aligns to 16 */
        size_t where = 0;
        if (fread(config, size, 1, stdin) != 1)
            return 1;
        printf("%d\\n", khs_config_check(config, size, &where));
        free(config);
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def kernel_check(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[bytes]], list[int]]:
    """khs_config_check of the kernel, on several files; 0 is fine. The core's host is missing and
    never called."""
    if not CC or not ROOT:
        pytest.skip("needs a C compiler and sources")
    folder = tmp_path_factory.mktemp("core")
    (folder / "check.c").write_text(CHECK)
    sources = [*(ROOT / "khs" / "core").glob("*.c"), *(ROOT / "monitor" / "vm").glob("*.c")]
    includes = [f"-I{path}" for path in (ROOT, ROOT / "khs" / "core", ROOT / "monitor" / "vm")]
    command = [
        CC,
        "-std=gnu11",
        "-O0",
        "-no-pie",
        "-Wl,--unresolved-symbols=ignore-all,-z,lazy",
        *includes,
    ]
    files = ["check.c", *map(str, sources)]
    subprocess.run([*command, *files, "-o", "check"], cwd=folder, check=True, capture_output=True)

    def check(files: list[bytes]) -> list[int]:
        stream = b"".join(len(data).to_bytes(4, "little") + data for data in files)
        done = subprocess.run([folder / "check"], input=stream, capture_output=True, check=True)
        return [int(line) for line in done.stdout.split()]

    return check


def test_the_kernel_accepts_it(
    built: Reader, kernel_check: Callable[[list[bytes]], list[int]]
) -> None:
    assert kernel_check([built.data]) == [0]


def test_the_kernel_refuses_a_damaged_one(
    built: Reader, kernel_check: Callable[[list[bytes]], list[int]]
) -> None:
    rng = random.Random("config")
    damaged = []
    for _ in range(300):
        data = bytearray(built.data)
        at = rng.randrange(ctypes.sizeof(records.Config) // 4) * 4
        data[at : at + 4] = rng.choice((0xFFFFFFFF, 0x7FFFFFFF, 1 << 20)).to_bytes(4, "little")
        damaged.append(bytes(data))
    statuses = kernel_check(damaged)
    assert len(statuses) == 300
    assert sum(status != 0 for status in statuses) > 150
