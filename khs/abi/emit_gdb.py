"""khs/abi/syscalls/*.xml: names and groups for gdb's `catch syscall`."""

from __future__ import annotations

from khs.abi import emit_c
from khs.abi.table import Table

# gdb picks the file by the architecture of the program, always with a Linux OS ABI.
FILES = ("arm-linux.xml", "amd64-linux.xml", "i386-linux.xml")


def syscalls(table: Table) -> str:
    """One document; it is the same for every architecture, as the numbers are."""
    rows = [
        f'  <syscall name="{row.name}" number="{row.number}" groups="{row.group}"/>'
        for row in table.hypercalls
    ]
    return "\n".join(
        [
            '<?xml version="1.0"?>',
            f"<!-- {emit_c.NOTE} -->",
            '<!DOCTYPE feature SYSTEM "gdb-syscalls.dtd">',
            "<syscalls_info>",
            *rows,
            "</syscalls_info>",
            "",
        ]
    )
