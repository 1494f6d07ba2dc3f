"""Function symbols of guest programs, for a trace's header."""

from __future__ import annotations

import io


def functions(elf: bytes) -> list[tuple[int, int, str]]:
    """(address, size, name) of every function in ascending order; [] if the ELF is stripped."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    rows: set[tuple[int, int, str]] = set()
    try:
        for section in ELFFile(io.BytesIO(elf)).iter_sections():
            if not isinstance(section, SymbolTableSection):
                continue
            for symbol in section.iter_symbols():
                if symbol["st_info"]["type"] == "STT_FUNC" and symbol.name:
                    rows.add((symbol["st_value"], symbol["st_size"], symbol.name))
    except ELFError:
        return []
    return sorted(rows)
