"""Functions that a compiler put into others, by DWARF's DW_TAG_inlined_subroutine (DWARF 5, 3.3.8):
an address in one of them is a frame of each."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from khs.debug.source import Place, file_name


@dataclass(frozen=True, slots=True)
class Inlined:
    """A function, and the line that calls it, if that is known."""

    name: str
    caller: Place | None


class InlinedCalls:
    """Those of one ELF; none for a stripped or damaged one."""

    def __init__(self, elf: bytes) -> None:
        self._elf = elf

    @cached_property
    def _dwarf(self) -> Any:
        from elftools.elf.elffile import ELFFile

        elf = ELFFile(io.BytesIO(self._elf))
        return elf.get_dwarf_info() if elf.has_dwarf_info() else None

    def at(self, address: int) -> list[Inlined]:
        """From the innermost out; [] where nothing is inlined."""
        try:
            found = list(self._find(address)) if self._dwarf is not None else []
        except Exception:  # pyelftools answers damaged files with many kinds of them
            return []
        return found[::-1]

    def _find(self, address: int) -> Iterator[Inlined]:
        for unit in self._dwarf.iter_CUs():
            for die in unit.get_top_DIE().iter_children():
                if die.tag == "DW_TAG_subprogram" and self._covers(die, address):
                    yield from self._within(die, address)
                    return

    def _within(self, die: Any, address: int) -> Iterator[Inlined]:
        for child in die.iter_children():
            if child.tag in _SCOPES and self._covers(child, address):
                if child.tag == "DW_TAG_inlined_subroutine":
                    yield Inlined(_name(child), self._caller(child))
                yield from self._within(child, address)
                return

    def _covers(self, die: Any, address: int) -> bool:
        values = die.attributes
        if "DW_AT_low_pc" in values and "DW_AT_high_pc" in values:
            low, high = values["DW_AT_low_pc"].value, values["DW_AT_high_pc"]
            end = high.value if high.form == "DW_FORM_addr" else low + high.value
            return bool(low <= address < end)
        if "DW_AT_ranges" not in values:
            return False
        return any(begin <= address < end for begin, end in self._ranges(die))

    def _ranges(self, die: Any) -> Iterator[tuple[int, int]]:
        """Spans of addresses, of DWARF 4 and 5 alike."""
        offset = die.attributes["DW_AT_ranges"].value
        base = die.cu.get_top_DIE().attributes.get("DW_AT_low_pc")
        start = base.value if base is not None else 0
        for row in self._dwarf.range_lists().get_range_list_at_offset(offset, die.cu):
            if hasattr(row, "base_address"):
                start = row.base_address
            elif row.is_absolute:
                yield row.begin_offset, row.end_offset
            else:
                yield start + row.begin_offset, start + row.end_offset

    def _caller(self, die: Any) -> Place | None:
        values = die.attributes
        if "DW_AT_call_file" not in values or "DW_AT_call_line" not in values:
            return None
        program = self._dwarf.line_program_for_CU(die.cu)
        number = values["DW_AT_call_file"].value
        return Place(file_name(program.header, number), values["DW_AT_call_line"].value)


_SCOPES = ("DW_TAG_inlined_subroutine", "DW_TAG_lexical_block")


def _name(die: Any) -> str:
    origin = die.get_DIE_from_attribute("DW_AT_abstract_origin")
    name = origin.attributes.get("DW_AT_name")
    return name.value.decode(errors="replace") if name is not None else "inlined"
