"""Source lines of a program: where an address comes from, by the line tables of its DWARF."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from khs.resources import shipped


@dataclass(frozen=True, slots=True)
class Place:
    """A line, from 1, of a file by its name in the debug information: `partitions/sensor/main.c`,
    or `stubs/...`, which lies nowhere."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{PurePosixPath(self.file).name}:{self.line}"


class LineTable:
    """Addresses and lines of one ELF; empty for a stripped or damaged one."""

    def __init__(self, elf: bytes) -> None:
        self._elf = elf

    @cached_property
    def _rows(self) -> list[tuple[int, int, Place]]:
        """(first address, end, line) in ascending order."""
        from elftools.elf.elffile import ELFFile

        try:
            elf = ELFFile(io.BytesIO(self._elf))
            if not elf.has_dwarf_info():
                return []
            dwarf = elf.get_dwarf_info()
            programs = (dwarf.line_program_for_CU(unit) for unit in dwarf.iter_CUs())
            rows = [row for program in programs for row in _rows(program)]
            loaded = [range(each["p_vaddr"], each["p_vaddr"] + each["p_memsz"])
                      for each in elf.iter_segments("PT_LOAD")]  # fmt: skip
        except Exception:  # pyelftools answers damaged files with many kinds of them
            return []
        # Functions that the linker left out are described as if they began at 0.
        kept = [row for row in rows if any(row[0] in each for each in loaded)]
        return sorted(kept, key=lambda row: row[:2])

    def place(self, address: int) -> Place | None:
        """The line that the instruction at `address` is of."""
        at = bisect_right(self._rows, address, key=lambda row: row[0]) - 1
        if at < 0 or address >= self._rows[at][1]:
            return None
        return self._rows[at][2]

    def addresses(self, file: str, line: int) -> list[int]:
        """Where code of a line begins, ascending; `file` is a name's end: `main.c`."""
        wanted = PurePosixPath(file).parts
        return [
            start
            for start, _, place in self._rows
            if place.line == line and PurePosixPath(place.file).parts[-len(wanted) :] == wanted
        ]


def _rows(program: Any) -> Iterator[tuple[int, int, Place]]:
    if program is None:
        return
    header, known = program.header, None
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        if known is not None and known.address < state.address and known.line:
            yield known.address, state.address, Place(file_name(header, known.file), known.line)
        known = None if state.end_sequence else state


def file_name(header: Any, number: int) -> str:
    """Files and folders count from 1 up to DWARF 4, where folder 0 is the compiler's own."""
    old = header["version"] < 5
    entry = header["file_entry"][number - old]
    folders, at = header["include_directory"], entry["dir_index"] - old
    folder = folders[at] if at >= 0 else b"."
    parts = (folder, entry["name"])
    return str(PurePosixPath(*(part.decode(errors="replace") for part in parts)))


class Sources:
    """Texts of files that debug information names relative to one of `folders`."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._read = cache(lambda file: _lines(file, folders))

    def line(self, place: Place | None) -> str:
        """The text, "" if it is not at hand."""
        lines = self._read(place.file) if place else []
        return lines[place.line - 1].rstrip() if place and place.line <= len(lines) else ""


def _lines(file: str, folders: Sequence[Path]) -> list[str]:
    for folder in folders:
        path = folder / file
        try:
            return path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
    return []


def sources(system: Path) -> list[Path]:
    """Folders that file names in debug information are relative to: those of the system whose
    document or archive this is, those of shipped programs, and the firmware's."""
    found = (system.absolute().parent, shipped("partitions").parent, shipped("sources"))
    return list(dict.fromkeys(found))
