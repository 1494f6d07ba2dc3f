"""docs/hypercalls.md: the reference page."""

from __future__ import annotations

from khs.abi import emit_c
from khs.abi.table import Argument, Hypercall, Table

INTRO = """# Hypercalls

<!-- {note} -->

A hypercall is a trap; the number and the arguments are in registers, and it returns a code in the
first result register and, where a row says so, a value in the second (0 otherwise). All other
registers keep their values.

| architecture | trap | number | arguments | code | value |
|---|---|---|---|---|---|
| ARMv7 (A32) | `svc #0` | r7 | r0 r1 r2 r3 r4 r5 | r0 | r1 |
| x64 | `syscall` (destroys rcx, r11) | rax | rdi rsi rdx r10 r8 r9 | rax | rdx |
| x86 | `int $0x80` | eax | ebx ecx edx esi edi ebp | eax | edx |

Guest programs include `<khs/hypercall.h>`, which has one typed function for each row. Where a row
names a security event, the security monitor judges that event before anything happens; a denial
is `DENIED` and changes nothing. Privileges are given in `system.toml`. In gdb, started with
`gdb -data-directory "$(khs doctor --where gdb)"`, `catch syscall NAME` and
`catch syscall group:GROUP` stop at them.
"""


def page(table: Table) -> str:
    """The whole page, Markdown."""
    lines = [INTRO.format(note=emit_c.NOTE), "## Overview", ""]
    lines += ["| number | name | group | does |", "|---|---|---|---|"]
    for row in table.hypercalls:
        lines.append(f"| {row.number} | [`{row.name}`](#{row.name}) | {row.group} | {row.doc} |")
    lines += ["", "## Return codes", "", "| code | name | meaning |", "|---|---|---|"]
    lines += [f"| {code.number} | `{code.name}` | {code.doc} |" for code in table.codes]
    lines += ["", "## Reference"]
    for row in table.hypercalls:
        lines += ["", *_reference(row)]
    lines += ["", "## Constants", "", "| name | value |", "|---|---|"]
    lines += [f"| `KHS_{name}` | {_number(value)} |" for name, value in table.constants.items()]
    lines += [
        "",
        "## Structs",
        "",
        "Written by the kernel, little-endian, the same on every board.",
    ]
    for struct in table.structs:
        lines += ["", f"`struct {struct.name}`, {struct.size} bytes", ""]
        lines += ["| offset | type | field |", "|---|---|---|"]
        lines += [f"| {field.offset} | {field.type} | `{field.name}` |" for field in struct.fields]
    return "\n".join(lines) + "\n"


def _reference(row: Hypercall) -> list[str]:
    names = ", ".join(argument.name for argument in row.arguments)
    lines = [f"### {row.name}", "", f"`{row.name}({names})`, number {row.number}. {row.doc}", ""]
    lines += [f"- `{argument.name}`: {_kind(argument)}" for argument in row.arguments]
    if row.value:
        lines.append(f"- value: {row.value}")
    codes = ", ".join(f"`{name}`" for name in ("OK", *row.errors))
    lines.append(f"- codes: {codes}")
    if row.privilege:
        lines.append(f"- privilege: `{row.privilege}`")
    lines.append(f"- security event: {row.event}")
    return lines


def _kind(argument: Argument) -> str:
    kinds = {
        "u32": "a 32-bit value",
        "address": "an address that the kernel does not follow",
        "in": f"address of `{argument.of}` bytes that the kernel reads",
        "out": f"address of `{argument.of}` bytes that the kernel may write",
        "struct": f"address of a `struct {argument.of}` that the kernel writes",
    }
    return kinds[argument.kind]


def _number(value: int) -> str:
    return str(value) if value < 1 << 16 else f"{value:#x}"
