"""Makes ELF files byte by byte, right ones and every kind of wrong one."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from khs.config.model import Arch

MACHINES = {Arch.ARMV7: 40, Arch.X86: 3, Arch.X64: 62}
LOAD, DYNAMIC, INTERP, TLS = 1, 2, 3, 7
R, W, X = 4, 2, 1
FUNCTION = 2
_NOTHING = {Arch.ARMV7: bytes.fromhex("feffffea"), Arch.X86: b"\xeb\xfe", Arch.X64: b"\xeb\xfe"}


def loop(arch: Arch, size: int = 64) -> bytes:
    """Code that loops for ever, `size` bytes."""
    code = _NOTHING[arch]
    return (code * size)[:size]


@dataclass
class Segment:
    address: int
    data: bytes
    flags: int
    memory: int | None = None  # size in memory, that of data by default
    kind: int = LOAD


@dataclass
class Elf:
    """An ELF file; `bytes(...)` of it is the file. The default is a right one."""

    arch: Arch
    segments: list[Segment] = field(default_factory=list)
    entry: int = 0x40000000
    symbols: list[tuple[str, int, int, int]] = field(default_factory=list)  # name value size type
    attributes: bytes = b""
    type: int = 2
    machine: int | None = None
    flags: int = 0
    data_encoding: int = 1

    def __post_init__(self) -> None:
        if not self.segments:
            self.segments = [
                Segment(0x40000000, loop(self.arch), R | X),
                Segment(0x40001000, b"constants", R),
                Segment(0x40002000, b"data", R | W, memory=0x100),
            ]

    def __bytes__(self) -> bytes:
        wide = self.arch is Arch.X64
        header_size, entry_size, section_size = (64, 56, 64) if wide else (52, 32, 40)
        body = bytearray(header_size + entry_size * len(self.segments))
        places = []
        for segment in self.segments:
            places.append(len(body))
            body += segment.data
        sections, section_at = self._sections(body, wide), 0
        if sections:
            body += bytes(-len(body) % 8)
            section_at = len(body)
            body += b"".join(sections)
        count = len(sections)
        self._header(body, wide, header_size, entry_size, section_size, section_at, count)
        for n, (segment, at) in enumerate(zip(self.segments, places, strict=True)):
            record = self._program_header(segment, at, wide)
            body[header_size + n * entry_size : header_size + (n + 1) * entry_size] = record
        return bytes(body)

    def _header(
        self, body: bytearray, wide: bool, head: int, entry: int, section: int, at: int, count: int
    ) -> None:
        ident = b"\x7fELF" + bytes([2 if wide else 1, self.data_encoding, 1]) + bytes(9)
        machine = MACHINES[self.arch] if self.machine is None else self.machine
        layout = "<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH"
        numbers = (self.type, machine, 1, self.entry, head, at, self.flags, head, entry)
        body[:head] = ident + struct.pack(
            layout, *numbers, len(self.segments), section, count, 1 if count else 0
        )

    def _program_header(self, segment: Segment, at: int, wide: bool) -> bytes:
        size = len(segment.data)
        memory = size if segment.memory is None else segment.memory
        address = segment.address
        if wide:
            return struct.pack(
                "<IIQQQQQQ", segment.kind, segment.flags, at, address, address, size, memory, 4096
            )
        return struct.pack(
            "<8I", segment.kind, at, address, address, size, memory, segment.flags, 4096
        )

    def _sections(self, body: bytearray, wide: bool) -> list[bytes]:
        """Null, names, symbols and attributes; nothing if there are no symbols nor attributes."""
        if not self.symbols and not self.attributes:
            return []
        names = bytearray(b"\0")
        table = bytearray(24 if wide else 16)
        for name, value, size, kind in self.symbols:
            at = len(names)
            names += name.encode() + b"\0"
            if wide:
                table += struct.pack("<IBBHQQ", at, kind, 0, 1, value, size)
            else:
                table += struct.pack("<IIIBBH", at, value, size, kind, 0, 1)
        sections = [bytes(64 if wide else 40)]
        for kind, content, link, entry in (
            (3, names, 0, 0),
            (2, table, 1, 24 if wide else 16),
            (0x70000003, bytearray(self.attributes), 0, 0),
        ):
            layout = "<IIQQQQIIQQ" if wide else "<10I"
            at = len(body)
            sections.append(struct.pack(layout, 0, kind, 0, 0, at, len(content), link, 0, 1, entry))
            body += content
        return sections
