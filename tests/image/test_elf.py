"""Programs that are refused, by name, and that no bytes cause anything else than findings."""

from __future__ import annotations

import hashlib
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from khs.config.model import Arch, Right
from khs.errors import ConfigError
from khs.image import elf
from tests.image.elves import DYNAMIC, FUNCTION, INTERP, TLS, Elf, R, Segment, W, X, loop

ARCHES = pytest.mark.parametrize("arch", list(Arch), ids=lambda arch: arch.name.lower())


def code(arch: Arch, address: int = 0x40000000, size: int = 64) -> Segment:
    return Segment(address, loop(arch, size), R | X)


def refused(data: bytes, arch: Arch, sha256: str | None = None) -> list[str]:
    """`RULE: message` of every finding."""
    with pytest.raises(ConfigError) as caught:
        elf.read(data, arch, "guest.elf", sha256)
    for finding in caught.value.findings:
        assert finding.file == "guest.elf"
        assert finding.help, f"{finding.rule} says nothing about what would be right"
    return [f"{finding.rule}: {finding.message}" for finding in caught.value.findings]


@ARCHES
def test_a_right_program_is_read(arch: Arch) -> None:
    data = bytes(Elf(arch, symbols=[("start", 0x40000000, 8, FUNCTION), ("x", 0x40002000, 4, 1)]))
    program = elf.read(data, arch, "guest.elf", hashlib.sha256(data).hexdigest().upper())
    assert program.entry == 0x40000000
    assert program.sha256 == hashlib.sha256(data).hexdigest()
    assert [(s.address, s.size, s.data, s.rights) for s in program.segments] == [
        (0x40000000, 64, loop(arch), Right.R | Right.X),
        (0x40001000, 9, b"constants", Right.R),
        (0x40002000, 0x100, b"data", Right.R | Right.W),
    ]
    assert [symbol.name for symbol in program.symbols] == ["start"], "symbols name code only"
    assert program.place(0x40000004) == "start+0x4 (0x40000004)"
    assert program.place(0x3FFFFFFF) == "0x3fffffff"


CASES: dict[str, tuple[Callable[[Arch], bytes], str]] = {
    "empty": (lambda arch: b"", "ELF-001: this is no ELF file"),
    "text": (lambda arch: b"#!/bin/sh\n", "ELF-001: this is no ELF file"),
    "truncated_header": (lambda arch: bytes(Elf(arch))[:30], "ELF-001: the ELF header is damaged"),
    "truncated_program_headers": (
        lambda arch: bytes(Elf(arch))[:70],
        "ELF-001: the program header table is damaged",
    ),
    "truncated_data": (
        lambda arch: bytes(Elf(arch))[:-1],
        "ELF-001: the segment at 0x40002000 takes the bytes",
    ),
    "bad_class": (
        lambda arch: b"\x7fELF\x09" + bytes(Elf(arch))[5:],
        "ELF-001: the ELF header is damaged",
    ),
    "other_machine": (
        lambda arch: bytes(Elf(arch, machine=243)),
        "ELF-002: it is built for EM_RISCV",
    ),
    "shared_object": (
        lambda arch: bytes(Elf(arch, type=3)),
        "ELF-003: its type is ET_DYN, not a static executable",
    ),
    "object_file": (
        lambda arch: bytes(Elf(arch, type=1)),
        "ELF-003: its type is ET_REL, not a static executable",
    ),
    "dynamic": (
        lambda arch: bytes(Elf(arch, [code(arch), Segment(0, b"", R, kind=DYNAMIC)])),
        "ELF-003: it needs a dynamic linker (PT_DYNAMIC)",
    ),
    "interpreter": (
        lambda arch: bytes(Elf(arch, [code(arch), Segment(0, b"/ld\0", R, kind=INTERP)])),
        "ELF-003: it needs a dynamic linker (PT_INTERP)",
    ),
    "thread_local": (
        lambda arch: bytes(Elf(arch, [code(arch), Segment(0, b"1", R, kind=TLS)])),
        "ELF-003: it has thread-local storage",
    ),
    "nothing_to_load": (
        lambda arch: bytes(Elf(arch, [Segment(0, b"note", R, kind=4)])),
        "ELF-003: it has nothing to load",
    ),
    "writable_code": (
        lambda arch: bytes(Elf(arch, [Segment(0x40000000, loop(arch), R | W | X)])),
        "ELF-004: the segment 0x40000000 to 0x40000040 is writable and executable",
    ),
    "no_rights": (
        lambda arch: bytes(Elf(arch, [code(arch), Segment(0x40001000, b"", 0, memory=16)])),
        "ELF-011: the segment 0x40001000 to 0x40001010 is not readable",
    ),
    "write_only": (
        lambda arch: bytes(Elf(arch, [code(arch), Segment(0x40001000, b"x", W)])),
        "ELF-011: the segment 0x40001000 to 0x40001001 is not readable",
    ),
    "execute_only": (
        lambda arch: bytes(Elf(arch, [Segment(0x40000000, loop(arch), X)])),
        "ELF-011: the segment 0x40000000 to 0x40000040 is not readable",
    ),
    "code_not_in_the_file": (
        lambda arch: bytes(Elf(arch, [Segment(0x40000000, loop(arch), R | X, memory=4096)])),
        "ELF-004: the segment 0x40000000 to 0x40001000 is executable, but not all",
    ),
    "overlap": (
        lambda arch: bytes(Elf(arch, [code(arch), Segment(0x40000020, b"x", R)])),
        "ELF-005: the segments at 0x40000000 and 0x40000020 overlap",
    ),
    "shared_page": (
        lambda arch: bytes(Elf(arch, [code(arch), Segment(0x40000800, b"x", R | W)])),
        "ELF-005: the segments at 0x40000000 and 0x40000800 share a page",
    ),
    "overlap_by_memory_size": (
        lambda arch: bytes(
            Elf(
                arch,
                [code(arch, 0x40004000), Segment(0x40000000, b"x", R | W, memory=0x4001)],
                entry=0x40004000,
            )
        ),
        "ELF-005: the segments at 0x40000000 and 0x40004000 overlap",
    ),
    "entry_in_data": (
        lambda arch: bytes(Elf(arch, entry=0x40002000)),
        "ELF-006: the entry point 0x40002000 is not in the code",
    ),
    "entry_zero": (
        lambda arch: bytes(Elf(arch, entry=0)),
        "ELF-006: the entry point 0x0 is not in the code",
    ),
    "entry_past_the_code": (
        lambda arch: bytes(Elf(arch, entry=0x40000040)),
        "ELF-006: the entry point 0x40000040 is not in the code",
    ),
    "below_the_plan": (
        lambda arch: bytes(Elf(arch, [code(arch, 0x10000)], entry=0x10000)),
        "ELF-007: the segment 0x10000 to 0x10040 is outside the address plan",
    ),
    "null_page": (
        lambda arch: bytes(Elf(arch, [code(arch), Segment(0, b"x", R)])),
        "ELF-007: the segment 0x0 to 0x1 is outside the address plan",
    ),
    "over_the_stack": (
        lambda arch: bytes(Elf(arch, [code(arch), Segment(0x47FFF000, b"x", R | W)])),
        "ELF-007: the segment 0x47fff000 to 0x47fff001 is outside the address plan",
    ),
    "huge_bss": (
        lambda arch: bytes(
            Elf(arch, [code(arch), Segment(0x40001000, b"", R | W, memory=0xBFFFE000)])
        ),
        "ELF-007: the segment 0x40001000 to 0xfffff000 is outside the address plan",
    ),
}


@ARCHES
@pytest.mark.parametrize("name", CASES)
def test_refused(name: str, arch: Arch) -> None:
    make, expected = CASES[name]
    findings = refused(make(arch), arch)
    assert any(finding.startswith(expected) for finding in findings), findings


def test_more_bytes_in_the_file_than_in_memory() -> None:
    data = bytes(Elf(Arch.X86, [Segment(0x40000000, loop(Arch.X86), R | X, memory=32)]))
    assert refused(data, Arch.X86)[0].startswith("ELF-001: the segment at 0x40000000 takes")


def test_wraps_around_64_bits() -> None:
    data = bytes(Elf(Arch.X64, [code(Arch.X64), Segment(2**64 - 4096, b"", R | W, memory=8192)]))
    assert any(finding.startswith("ELF-007") for finding in refused(data, Arch.X64))


def test_many_defects_are_all_reported() -> None:
    data = bytes(Elf(Arch.X86, [Segment(0x1000, loop(Arch.X86), R | W | X)], entry=0x9000))
    rules = [finding[:7] for finding in refused(data, Arch.X86, sha256="0" * 64)]
    assert rules == ["ELF-009", "ELF-004", "ELF-007", "ELF-006"]


def test_wrong_hash() -> None:
    data = bytes(Elf(Arch.X64))
    digest = hashlib.sha256(data).hexdigest()
    (finding,) = refused(data, Arch.X64, sha256="ab" * 32)
    assert finding == f"ELF-009: its SHA-256 is {digest}, not the pinned {'ab' * 32}"


@pytest.mark.parametrize("board", list(Arch))
@ARCHES
def test_programs_run_on_their_own_architecture_only(arch: Arch, board: Arch) -> None:
    if arch is board:
        elf.read(bytes(Elf(arch)), board, "guest.elf")
    else:
        (finding,) = refused(bytes(Elf(arch)), board)
        assert finding.startswith("ELF-002: it is built for EM_")


def test_big_endian() -> None:
    data = bytearray(bytes(Elf(Arch.ARMV7)))
    data[5] = 2
    data[16:20] = bytes.fromhex("00020028")  # type and machine, so that the header makes sense
    data[42:46] = bytes.fromhex("00200001")  # e_phentsize and e_phnum
    assert "big-endian" in refused(bytes(data), Arch.ARMV7)[0]


def test_be8() -> None:
    (finding,) = refused(bytes(Elf(Arch.ARMV7, flags=0x05800000)), Arch.ARMV7)
    assert finding.startswith("ELF-002") and finding.endswith("big-endian data")


M_PROFILE = b"A\x16\0\0\0aeabi\0\x01\x0c\0\0\0\x06\x0b\x08\x00\x09\x02"


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (Elf(Arch.ARMV7, entry=0x40000001), "the entry point 0x40000001 is Thumb"),
        (
            Elf(Arch.ARMV7, symbols=[("$a", 0x40000000, 0, 0), ("$t", 0x40000010, 0, 0)]),
            "there is Thumb code at 0x40000010",
        ),
        (
            Elf(Arch.ARMV7, symbols=[("f", 0x40000011, 4, FUNCTION), ("$t.1", 0x40000020, 0, 0)]),
            "there is Thumb code at 0x40000010 and 1 more places",
        ),
        (
            Elf(Arch.ARMV7, attributes=M_PROFILE),
            "its attributes say that the processor has no A32 instructions",
        ),
    ],
)
def test_thumb(program: Elf, why: str) -> None:
    findings = refused(bytes(program), Arch.ARMV7)
    assert f"ELF-008: {why}" in findings


def test_thumb_help_names_the_flag() -> None:
    with pytest.raises(ConfigError, match="-marm"):
        elf.read(bytes(Elf(Arch.ARMV7, entry=0x40000001)), Arch.ARMV7, "guest.elf")


def test_arm_entry_must_be_aligned() -> None:
    assert refused(bytes(Elf(Arch.ARMV7, entry=0x40000002)), Arch.ARMV7) == [
        "ELF-006: the entry point 0x40000002 is not aligned to 4"
    ]


def test_data_may_be_called_like_thumb_code() -> None:
    data = bytes(Elf(Arch.ARMV7, symbols=[("$t", 0x40002000, 0, 0)]))
    assert elf.read(data, Arch.ARMV7, "guest.elf").symbols == ()


@ARCHES
def test_section_headers_cut_off(arch: Arch) -> None:
    data = bytes(Elf(arch, symbols=[("start", 0x40000000, 8, FUNCTION)]))
    assert refused(data[:-1], arch) == [
        "ELF-001: the section header table is damaged (ELFParseError)"
    ]


@ARCHES
def test_symbol_table_outside_the_file(arch: Arch) -> None:
    elf_file = Elf(arch, symbols=[("start", 0x40000000, 8, FUNCTION)])
    wide = arch is Arch.X64
    size, offset_at, width = (64, 24, 8) if wide else (40, 16, 4)
    data = bytearray(bytes(elf_file))
    at = len(data) - 2 * size + offset_at
    data[at : at + width] = len(data).to_bytes(width, "little")
    assert refused(bytes(data), arch) == ["ELF-001: the symbol table lies outside the file"]


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(Elf(Arch.X86, symbols=[("f", 0x40000000, 0, FUNCTION)] * 9))
    monkeypatch.setattr(elf, "MAX_SYMBOLS", 10)
    elf.read(data, Arch.X86, "guest.elf")
    monkeypatch.setattr(elf, "MAX_SYMBOLS", 9)
    assert refused(data, Arch.X86) == ["ELF-010: it has 10 symbols"]
    monkeypatch.setattr(elf, "MAX_FILE", len(data) - 1)
    assert refused(data, Arch.X86) == [f"ELF-010: the file has {len(data)} bytes"]


def test_section_table_that_never_ends() -> None:
    """65535 section headers, all the same symbol table, must not take for ever."""
    data = bytearray(bytes(Elf(Arch.X86, symbols=[("f", 0x40000000, 0, FUNCTION)] * 2000)))
    data[46:50] = b"\0\0\xff\xff"  # e_shentsize 0, e_shnum 65535
    at = int.from_bytes(data[32:36], "little")
    data[32:36] = (at + 80).to_bytes(4, "little")  # e_shoff: the symbol table's header
    start = time.process_time()
    elf.read(bytes(data), Arch.X86, "guest.elf")
    assert time.process_time() - start < 5


@ARCHES
def test_mutations_never_cause_anything_else_than_findings(arch: Arch) -> None:
    rng = random.Random(f"elf-{arch.name}")
    symbols = [(f"f{n}", 0x40000000 + 4 * n, 4, FUNCTION) for n in range(8)]
    original = bytes(Elf(arch, symbols=symbols, attributes=M_PROFILE[:-1] + b"\x01"))
    outcomes = {True: 0, False: 0}
    for _ in range(800):
        data = bytearray(original)
        for _ in range(rng.randint(1, 6)):
            # headers and section headers matter more than what lies between
            at = rng.choice((rng.randrange(160), rng.randrange(len(data)), -rng.randint(1, 300)))
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        if rng.random() < 0.1:
            del data[rng.randrange(len(data)) :]
        try:
            elf.read(bytes(data), arch, "guest.elf")
            outcomes[True] += 1
        except ConfigError:
            outcomes[False] += 1
    assert min(outcomes.values()) > 30, outcomes


READELF = shutil.which("readelf")
LOAD_LINE = re.compile(r"\s+LOAD" + r"\s+0x([0-9a-f]+)" * 5 + r"\s+([RWE ]{3})")


@pytest.mark.skipif(READELF is None, reason="needs readelf")
@ARCHES
def test_agrees_with_readelf(arch: Arch, tmp_path: Path, compiled: Callable[[Arch], bytes]) -> None:
    data = compiled(arch)
    path = tmp_path / "program.elf"
    path.write_bytes(data)
    listing = subprocess.run(
        [str(READELF), "-lW", str(path)], capture_output=True, text=True, check=True
    ).stdout
    expected = []
    for match in LOAD_LINE.finditer(listing):
        offset, address, _, filled, size = (int(match[n], 16) for n in range(1, 6))
        rights = match[6].replace(" ", "").replace("E", "X")
        expected.append((address, size, data[offset : offset + filled], rights))
    program = elf.read(data, arch, "program.elf")
    found = [
        (s.address, s.size, s.data, "".join(r.name or "" for r in Right if r in s.rights))
        for s in program.segments
    ]
    assert len(expected) >= 2
    assert found == expected
    entry = re.search(r"Entry point 0x([0-9a-f]+)", listing)
    assert entry and program.entry == int(entry[1], 16)
