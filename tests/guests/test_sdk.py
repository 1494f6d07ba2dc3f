"""The SDK: every program compiles without a warning, and a program that checks it from inside."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from khs import config, image, monitor
from khs.config.model import Arch
from khs.resources import shipped
from khs.toolchain import find_program, read_program, zig
from khs.trace import events
from tests.guests.systems import BOARDS, built, run

PARTITIONS, IMAGES = shipped("partitions"), shipped("images")
CHECKER = Path(__file__).parent / "sdk"
SYSTEMS = sorted(path.parent for path in IMAGES.glob("*/system.toml"))
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Wundef", "-Werror")


@pytest.fixture(scope="session")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The headers of every interface of the shipped systems."""
    folder = tmp_path_factory.mktemp("stubs")
    for system in (*SYSTEMS, CHECKER):
        for name, text in monitor.load(config.load(system)).headers.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return folder


PROGRAMS = sorted(path for path in PARTITIONS.iterdir() if path.name != "sdk")
PROGRAMS += sorted(IMAGES.glob("*/partitions/*"))


@pytest.mark.parametrize("folder", [PARTITIONS / "sdk/src", *PROGRAMS], ids=lambda path: path.name)
def test_programs_compile_without_a_warning(
    folder: Path, arch: str, stubs: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ziglang")
    target = Arch[arch.upper()]
    program = read_program(folder, target)
    include = (folder, *program.include, stubs, PARTITIONS / "sdk/include")
    for source in program.sources:
        said = zig.run(
            [
                "clang",
                *zig.TARGETS[target].flags,
                *zig.COMMON_FLAGS,
                *(WARNINGS if source.suffix == ".c" else ()),
                *(f"-I{path}" for path in include),
                "-isystem",
                zig.builtin_headers(),
                "-c",
                source,
                "-o",
                tmp_path / "out.o",
            ],
            cwd=tmp_path,
        )
        assert said == "", source


def test_every_program_is_part_of_a_system() -> None:
    used = {
        find_program(part.program or "", folder, PARTITIONS)
        for folder in SYSTEMS
        for part in config.load(folder).partitions
    }
    used.add(PARTITIONS / "board-proxy")  # of every partition of kind "board"
    assert set(PROGRAMS) == used


#: The hostile partition and its partner call each other: that is one of the cases.
WANTED_FINDINGS = {"hostile": ["CHAN-015"]}


@pytest.mark.parametrize("folder", SYSTEMS, ids=lambda path: path.name)
def test_shipped_systems_have_no_findings(folder: Path, arch: str) -> None:
    """As it is, and with each overlay. On PCs `devices` is what pc.toml makes of it."""
    beside = (path for path in sorted(folder.glob("*.toml")) if path.name != "system.toml")
    others = [path for path in beside if not path.name.startswith("bench")]
    own = [path for path in others if path.name == "pc.toml"]
    always = own if arch != "armv7" else []
    for overlays in (always, *([*always, path] for path in others if path not in own)):
        found = config.check(folder, board=BOARDS[arch], overlays=overlays)
        assert [each.rule for each in found] == WANTED_FINDINGS.get(folder.name, []), overlays


def test_the_address_plan(arch: str) -> None:
    """What is at the same place in every program, and no right too many."""
    for name, data in built("iot-gateway", BOARDS[arch]).elfs.items():
        elf = ELFFile(io.BytesIO(data))
        symbols = elf.get_section_by_name(".symtab")
        at = {
            symbol: symbols.get_symbol_by_name(symbol)[0]["st_value"]
            for symbol in ("_start", "khs_hypercall", "memcpy", "main")
        }
        assert at["_start"] == elf.header.e_entry == 0x4000_0000, name
        assert (at["khs_hypercall"], at["memcpy"]) == (0x4000_0040, 0x4000_0100), name
        rights = [segment.header.p_flags for segment in elf.iter_segments("PT_LOAD")]
        assert rights == [5, 4, 6], name  # r-x, r--, rw-
        assert all(segment.header.p_vaddr % 4096 == 0 for segment in elf.iter_segments("PT_LOAD"))


def test_the_sdk_checked_from_inside(arch: str) -> None:
    pytest.importorskip("ziglang")
    played = run(image.build(config.load(CHECKER, board=BOARDS[arch])), 10)
    assert played.console("checker") == "0 failures\n"
    assert played.console("reader") == "0 failures\n"
    assert not played.of(events.Fault)
    assert played.result.partitions["reader"].mode == "idle"  # main returned
    assert played.result.partitions["checker"].deadline_missed == 0


# ---- bench -------------------------------------------------------------------


def overlay(mode: str) -> tuple[Path, ...]:
    return () if mode == "compute" else (IMAGES / "bench" / f"{mode}.toml",)


@pytest.mark.parametrize("mode", ["compute", "null", "port", "rate"])
def test_bench_keeps_one_partition_busy(mode: str, arch: str) -> None:
    frames = 2 if mode != "compute" else 20
    played = run(built("bench", BOARDS[arch], overlay(mode)), frames)
    bench = played.result.partitions["bench"]
    assert bench.idle_ticks == 0
    assert not played.of(events.Fault)  # every round's result was right
    per_hypercall = bench.ticks / bench.hypercalls
    if mode == "compute":
        assert "100 rounds" in played.console("bench")
    elif mode == "rate":
        assert per_hypercall == pytest.approx(1000, rel=0.02)
    else:
        assert per_hypercall < 300
    if mode == "port":
        writes = [call for call in played.of(events.Hypercall, "bench") if call.number == 16]
        assert len(writes) > 100
        assert {call.arguments[2] for call in writes} == {64}
        assert played.result.verdicts["granted"] >= len(writes)
