"""Reads a guest program and refuses everything that is not a static executable of the board.

The file is hostile input: whatever is in it, the outcome is a `Program` or findings.
"""

from __future__ import annotations

import hashlib
import io
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from elftools.common.utils import struct_parse
from elftools.elf.elffile import ELFFile

from khs.config.model import PAGE, PROGRAM_BASE, STACK_GUARD, STACK_TOP, Arch, Right
from khs.errors import ConfigError, Finding
from khs.image import attributes

#: Largest file, most segments and symbols that are looked at.
MAX_FILE = 64 << 20
MAX_SEGMENTS = 64
MAX_SYMBOLS = 200_000
_MAX_NAME = 256

#: The rule about `sha256`.
PIN = "ELF-009"

_MACHINES = {Arch.ARMV7: "EM_ARM", Arch.X86: "EM_386", Arch.X64: "EM_X86_64"}
_EF_ARM_BE8 = 0x0080_0000
_FUNCTION = 2  # STT_FUNC


@dataclass(frozen=True, slots=True)
class Segment:
    """One PT_LOAD: `data` at `address`, zeros up to `size` bytes."""

    address: int
    size: int
    data: bytes
    rights: Right

    @property
    def end(self) -> int:
        return self.address + self.size

    @property
    def pages(self) -> tuple[int, int]:
        """First byte of the first page and end of the last one."""
        return self.address // PAGE * PAGE, -(-self.end // PAGE) * PAGE


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function or a label of the code."""

    address: int
    size: int
    name: str


@dataclass(frozen=True, slots=True)
class Program:
    """A program fit for the board. Segments ascend; symbols ascend and name code only."""

    file: str
    arch: Arch
    sha256: str
    entry: int
    segments: tuple[Segment, ...]
    symbols: tuple[Symbol, ...]

    def place(self, address: int) -> str:
        """`main+0x12`, or the bare address if no symbol is known before it."""
        at = bisect_right(self.symbols, address, key=lambda symbol: symbol.address)
        if not at:
            return f"{address:#x}"
        symbol = self.symbols[at - 1]
        return f"{symbol.name}+{address - symbol.address:#x} ({address:#x})"


class _RefusedError(Exception):
    """Nothing more can be said about this file."""


class _Reader:
    """Collects the findings of one file."""

    def __init__(self, data: bytes, arch: Arch, file: str) -> None:
        self.data, self.arch, self.file = data, arch, file
        self.findings: list[Finding] = []

    def error(self, rule: str, message: str, help: str) -> None:
        self.findings.append(Finding(rule, "error", self.file, 0, 0, message, help))

    def refuse(self, rule: str, message: str, help: str) -> _RefusedError:
        self.error(rule, message, help)
        return _RefusedError()

    def parse(self, what: str, read: Callable[[], Any]) -> Any:
        """Runs a part of pyelftools. It answers bad input with many kinds of exceptions, all of
        which mean the same here: the file is damaged."""
        try:
            return read()
        except _RefusedError:
            raise
        except Exception as error:
            raise self.refuse(
                "ELF-001", f"the {what} is damaged ({type(error).__name__})", _BUILD_AGAIN
            ) from error


_BUILD_AGAIN = "build the program again; the file may be truncated"


def read(data: bytes, arch: Arch, file: str, sha256: str | None = None) -> Program:
    """The program in `data`, built for `arch`; `file` is how messages call it.

    `sha256` pins the file's content. ConfigError with every finding if it is refused.
    """
    reader = _Reader(data, arch, file)
    try:
        digest = _check_pin(reader, sha256)
        elf = _open(reader)
        _check_kind(reader, elf)
        segments = _segments(reader, elf)
        symbols, thumb = _symbols(reader, elf, segments)
        entry = int(elf.header["e_entry"])
        _check_segments(reader, segments)
        _check_thumb(reader, elf, entry, thumb)
        _check_entry(reader, segments, entry)
    except _RefusedError:
        pass
    if reader.findings:
        raise ConfigError(reader.findings)
    return Program(file, arch, digest, entry, tuple(segments), tuple(symbols))


def _check_pin(reader: _Reader, pin: str | None) -> str:
    if len(reader.data) > MAX_FILE:
        size = f"{len(reader.data)} bytes"
        raise reader.refuse("ELF-010", f"the file has {size}", f"at most {MAX_FILE} bytes are read")
    digest = hashlib.sha256(reader.data).hexdigest()
    if pin is not None and pin.lower() != digest:
        reader.error(
            PIN,
            f"its SHA-256 is {digest}, not the pinned {pin}",
            "use the program that was pinned, or pin this one after reviewing it",
        )
    return digest


# ---- header ----------------------------------------------------------------


def _open(reader: _Reader) -> ELFFile:
    if reader.data[:4] != b"\x7fELF":
        raise reader.refuse(
            "ELF-001",
            "this is no ELF file",
            "give an ELF executable, or name a program to be compiled",
        )
    elf: ELFFile = reader.parse("ELF header", lambda: ELFFile(io.BytesIO(reader.data)))
    header = elf.header
    if header["e_phnum"] > MAX_SEGMENTS or header["e_phnum"] == 0:
        raise reader.refuse(
            "ELF-001",
            f"it has {header['e_phnum']} program headers",
            f"an executable has 1 to {MAX_SEGMENTS}",
        )
    return elf


def _check_kind(reader: _Reader, elf: ELFFile) -> None:
    machine, arch = elf.header["e_machine"], reader.arch
    bits = 64 if arch is Arch.X64 else 32
    found = f"{machine}, {elf.elfclass} bit, {'little' if elf.little_endian else 'big'}-endian"
    wrong = machine != _MACHINES[arch] or elf.elfclass != bits or not elf.little_endian
    if arch is Arch.ARMV7 and elf.header["e_flags"] & _EF_ARM_BE8:
        wrong, found = True, f"{found}, big-endian data"
    if wrong:
        raise reader.refuse(
            "ELF-002",
            f"it is built for {found}",
            f"the board needs {_MACHINES[arch]}, {bits} bit, little-endian: build it for "
            f"{arch.name.lower()}, or choose another board",
        )
    if elf.header["e_type"] != "ET_EXEC":
        raise reader.refuse(
            "ELF-003",
            f"its type is {elf.header['e_type']}, not a static executable",
            f"link it with -static -no-pie at {PROGRAM_BASE:#x}",
        )


# ---- segments --------------------------------------------------------------


def _segments(reader: _Reader, elf: ELFFile) -> list[Segment]:
    headers = reader.parse(
        "program header table", lambda: _headers(elf, elf.structs.Elf_Phdr, "e_ph")
    )
    loads = []
    for header in headers:
        kind = header["p_type"]
        if kind in ("PT_INTERP", "PT_DYNAMIC"):
            reader.error("ELF-003", f"it needs a dynamic linker ({kind})", "link it with -static")
        elif kind == "PT_TLS":
            reader.error(
                "ELF-003",
                "it has thread-local storage",
                "use static data: there are no threads",
            )
        elif kind == "PT_LOAD" and header["p_memsz"]:
            loads.append(_load(reader, header))
    if not loads:
        raise reader.refuse("ELF-003", "it has nothing to load", "link it with the SDK's link.ld")
    return sorted(loads, key=lambda segment: segment.address)


def _load(reader: _Reader, header: Any) -> Segment:
    offset, filled, size = header["p_offset"], header["p_filesz"], header["p_memsz"]
    if filled > size or offset + filled > len(reader.data):
        raise reader.refuse(
            "ELF-001",
            f"the segment at {header['p_vaddr']:#x} takes the bytes {offset:#x} to "
            f"{offset + filled:#x} of a file of {len(reader.data):#x}, for {size:#x} in memory",
            _BUILD_AGAIN,
        )
    rights = Right(0)
    for bit, right in ((1, Right.X), (2, Right.W), (4, Right.R)):
        if header["p_flags"] & bit:
            rights |= right
    return Segment(header["p_vaddr"], size, reader.data[offset : offset + filled], rights)


def _check_segments(reader: _Reader, segments: list[Segment]) -> None:
    limit = STACK_TOP - STACK_GUARD
    for segment in segments:
        name = f"the segment {segment.address:#x} to {segment.end:#x}"
        if Right.W in segment.rights and Right.X in segment.rights:
            reader.error(
                "ELF-004",
                f"{name} is writable and executable",
                "keep code and data in segments of their own: link with the SDK's link.ld",
            )
        if Right.R not in segment.rights:
            help = "give it the flag PF_R, or leave it out: link with the SDK's link.ld"
            reader.error("ELF-011", f"{name} is not readable", help)
        if Right.X in segment.rights and len(segment.data) < segment.size:
            reader.error(
                "ELF-004",
                f"{name} is executable, but not all of it is in the file",
                "keep zero-initialised data (.bss) in the data segment",
            )
        if segment.address < PROGRAM_BASE or segment.pages[1] > limit:
            reader.error(
                "ELF-007",
                f"{name} is outside the address plan",
                f"programs lie between {PROGRAM_BASE:#x} and {limit:#x}, where the stack begins",
            )
    for low, high in pairwise(segments):
        if high.pages[0] < low.pages[1]:
            what = "overlap" if high.address < low.end else "share a page"
            reader.error(
                "ELF-005",
                f"the segments at {low.address:#x} and {high.address:#x} {what}",
                f"start each segment on its own page of {PAGE} bytes: link with the SDK's link.ld",
            )


# ---- code ------------------------------------------------------------------


def _code(segments: list[Segment], address: int) -> Segment | None:
    for segment in segments:
        inside = segment.address <= address < segment.address + len(segment.data)
        if Right.X in segment.rights and inside:
            return segment
    return None


def _check_entry(reader: _Reader, segments: list[Segment], entry: int) -> None:
    thumb = reader.arch is Arch.ARMV7 and entry & 1
    if not thumb and _code(segments, entry) is None:
        reader.error(
            "ELF-006",
            f"the entry point {entry:#x} is not in the code",
            "name it in the linker script: ENTRY(_start)",
        )
    elif reader.arch is Arch.ARMV7 and entry & 3 == 2:
        reader.error("ELF-006", f"the entry point {entry:#x} is not aligned to 4", _BUILD_AGAIN)


def _check_thumb(reader: _Reader, elf: ELFFile, entry: int, thumb: list[int]) -> None:
    """Only A32: the engine could not stop a window inside an IT block."""
    if reader.arch is not Arch.ARMV7:
        return
    why = []
    if entry & 1:
        why.append(f"the entry point {entry:#x} is Thumb")
    if thumb:
        more = f" and {len(thumb) - 1} more places" if len(thumb) > 1 else ""
        why.append(f"there is Thumb code at {thumb[0]:#x}{more}")
    if reader.parse("ARM attributes section", lambda: _lacks_a32(elf, reader.data)):
        why.append("its attributes say that the processor has no A32 instructions")
    if why:
        reader.error("ELF-008", "; ".join(why), "partitions run A32 code only: compile with -marm")


def _lacks_a32(elf: ELFFile, data: bytes) -> bool:
    """Whether build attributes say that the code is for a processor without A32 (Cortex-M)."""
    for section in _sections(elf):
        if section["sh_type"] == "SHT_ARM_ATTRIBUTES":
            content = data[section["sh_offset"] :][: section["sh_size"]]
            return attributes.read(content).get(attributes.ARM_ISA_USE, 1) == 0
    return False


def _symbols(
    reader: _Reader, elf: ELFFile, segments: list[Segment]
) -> tuple[list[Symbol], list[int]]:
    """Names of the code, and the addresses where the symbols say that Thumb code begins."""
    named: dict[int, Symbol] = {}
    thumb = set()
    code = [segment for segment in segments if Right.X in segment.rights]
    arm = reader.arch is Arch.ARMV7
    for name, value, size, kind in reader.parse(
        "symbol table", lambda: list(_symbol_records(reader, elf))
    ):
        address = value & ~1 if arm and kind == _FUNCTION else value
        if _code(code, address) is None:
            continue
        if arm and (address != value or name == "$t" or name.startswith("$t.")):
            thumb.add(address)
        if name and not name.startswith("$") and (kind == _FUNCTION or address not in named):
            named[address] = Symbol(address, size, name)
    return [named[address] for address in sorted(named)], sorted(thumb)


def _symbol_records(reader: _Reader, elf: ELFFile) -> Iterator[tuple[str, int, int, int]]:
    """(name, value, size, type) of every symbol; read from the bytes, which is fast and bounded."""
    layout = struct.Struct("<IBBHQQ" if elf.elfclass == 64 else "<IIIBBH")
    sections = reader.parse("section header table", lambda: _sections(elf))
    for table in [header for header in sections if header["sh_type"] == "SHT_SYMTAB"][:1]:
        content = _content(reader, table, "symbol table")
        texts = _content(reader, sections[table["sh_link"]], "table of symbol names")
        whole = len(content) // layout.size
        if whole > MAX_SYMBOLS:
            raise reader.refuse("ELF-010", f"it has {whole} symbols", f"at most {MAX_SYMBOLS}")
        for record in layout.iter_unpack(content[: whole * layout.size]):
            if elf.elfclass == 64:
                at, info, _, _, value, size = record
            else:
                at, value, size, info, _, _ = record
            text = texts[at : at + _MAX_NAME].partition(b"\0")[0]
            yield text.decode("utf-8", "replace"), value, size, info & 15


def _sections(elf: ELFFile) -> list[Any]:
    """The section headers; bare structures, because sections of pyelftools parse eagerly."""
    if elf.header["e_shoff"] == 0:
        return []
    return _headers(elf, elf.structs.Elf_Shdr, "e_sh")


def _headers(elf: ELFFile, kind: Any, prefix: str) -> list[Any]:
    header = elf.header
    first, step, count = (header[prefix + field] for field in ("off", "entsize", "num"))
    return [struct_parse(kind, elf.stream, first + n * step) for n in range(count)]


def _content(reader: _Reader, header: Any, what: str) -> bytes:
    start, size = header["sh_offset"], header["sh_size"]
    if start + size > len(reader.data):
        raise reader.refuse("ELF-001", f"the {what} lies outside the file", _BUILD_AGAIN)
    return reader.data[start : start + size]
