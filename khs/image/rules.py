"""Every rule of building: stable id -> what it asks for. Ids are never reused."""

from __future__ import annotations

from typing import Final

RULES: Final[dict[str, str]] = {
    # programs
    "PROG-001": "`program.toml` holds `sources`, `include` and `define`, and their files exist.",
    "PROG-002": "A partition's program exists and compiles, or its ELF file can be read.",
    "ELF-001": "An ELF file is whole: headers, segments and symbols lie inside it.",
    "ELF-002": "It is built for the board: machine, 32 or 64 bit, little-endian.",
    "ELF-003": "It is a static executable: no dynamic linker, no thread-local storage.",
    "ELF-004": "No segment is writable and executable, and all code is in the file.",
    "ELF-005": "Segments do not overlap; each has pages of its own.",
    "ELF-006": "The entry point is in the code.",
    "ELF-007": "Segments lie within the address plan.",
    "ELF-008": "ARM programs are A32 code alone; Thumb code is refused.",
    "ELF-009": "A program has the SHA-256 that the configuration pins.",
    "ELF-010": "File and symbol table have a sensible size.",
    "ELF-011": "Every segment is readable: no board has pages for code or data that are not.",
    "CODE-001": "x86 code has no locked bit test of a register.",
    "CODE-002": "x86 code has no x87 instruction computed by the host's mathematics library.",
    # archives
    "ARCHIVE-001": "An archive is whole: every member is there, as its manifest describes it.",
    "ARCHIVE-002": "The kernel loads and boots it.",
    "ARCHIVE-003": "With `khs check --release`, it was built with `khs build --release`.",
    # memory
    "MEM-010": "Program, heap, stack and its guard fit between 0x40000000 and 0x48000000.",
    "MEM-011": "The memory of all partitions fits the board.",
    "MEM-012": "No two parts of a partition's memory overlap.",
    # policies and channels
    "POL-001": "Every policy knows the kernel's class, Einit and the class of every partition.",
    "POL-002": "All policies of a system see the same endpoints and messages in its channels.",
    "POL-003": "Every policy has a rule for the start of the kernel, Einit and each partition.",
    "POL-004": "Every policy can grant NORMAL mode to each partition with a period.",
    "MSG-001": "A port channel carries a method of an interface.",
    "MSG-002": "A channel leads to one endpoint of its destination's class.",
    "MSG-003": "Messages between partitions carry no handles; calls go without such methods.",
    "MSG-004": "A message has at most 60 KiB.",
}
