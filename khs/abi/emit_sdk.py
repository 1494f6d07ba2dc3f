"""partitions/sdk/include/khs/hypercall.h: the table as guest programs use it.

One trap function per architecture and argument count, and one typed wrapper a hypercall.
Unused argument registers are left alone: the kernel reads only what the table says.
"""

from __future__ import annotations

import textwrap

from khs.abi import emit_c
from khs.abi.table import Argument, Hypercall, Table

WORD = "uintptr_t"


def header(table: Table) -> str:
    """The whole header, freestanding C11, for ARMv7 (A32), x64 and x86."""
    counts = sorted({len(row.arguments) for row in table.hypercalls})
    lines = [
        "/* Hypercalls: a trap into the separation kernel, one typed function each.",
        f" * {emit_c.NOTE}. */",
        "#ifndef KHS_HYPERCALL_H",
        "#define KHS_HYPERCALL_H",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        *emit_c.numbers(table),
        "",
        "/* What a hypercall returns: a return code, and a value where its comment says so. */",
        "typedef struct {",
        "    uint32_t code;",
        "    uint32_t value;",
        "} khs_result;",
        '_Static_assert(sizeof(khs_result) == 8, "khs_result");',
        "",
        *emit_c.structs(table),
        "/* The trap, by number of arguments. The kernel keeps every register but the two of the",
        " * result (and rcx, r11, which `syscall` itself destroys). */",
        "#if defined(__arm__)",
        "#if defined(__thumb__)",
        '#error "KHS partitions are A32: compile with -marm"',
        "#endif",
        *(line for count in counts for line in _arm(count)),
        "#elif defined(__x86_64__)",
        *(line for count in counts for line in _x64(count)),
        "#elif defined(__i386__)",
        *(line for count in counts for line in _x86(count)),
        "#else",
        '#error "KHS partitions are ARMv7, x64 or x86"',
        "#endif",
    ]
    for row in table.hypercalls:
        lines += ["", *_wrapper(row)]
    return "\n".join([*lines, "", "#endif", ""])


def _signature(count: int) -> str:
    head = f"static inline khs_result khs_trap{count}("
    break_at = 4  # arguments on the first line
    first = "".join(f", {WORD} a{n}" for n in range(min(count, break_at)))
    rest = ", ".join(f"{WORD} a{n}" for n in range(break_at, count))
    return f"{head}uint32_t number{first}" + (f",\n{' ' * len(head)}{rest})" if rest else ")")


def _asm(instruction: str, outputs: list[str], inputs: list[str], clobbers: list[str]) -> list[str]:
    quoted = ", ".join(f'"{name}"' for name in clobbers)
    return [
        f"    __asm__ volatile({instruction}",
        f"                     : {', '.join(outputs)}",
        f"                     : {', '.join(inputs)}".rstrip(),
        f"                     : {quoted});",
    ]


def _arm(count: int) -> list[str]:
    def start(n: int) -> str:
        return f" = a{n}" if n < count else ""

    registers = [
        f'    register uint32_t r{n} __asm__("r{n}"){start(n)};' for n in range(max(2, count))
    ]
    return [
        _signature(count),
        "{",
        '    register uint32_t r7 __asm__("r7") = number;',
        *registers,
        *_asm(
            '"svc #0"',
            [f'"{"+" if n < count else "="}r"(r{n})' for n in range(2)],
            ['"r"(r7)', *(f'"r"(r{n})' for n in range(2, count))],
            ["memory", "cc"],
        ),
        "    return (khs_result){ r0, r1 };",
        "}",
    ]


def _x64(count: int) -> list[str]:
    constraints = {0: '"D"(a0)', 1: '"S"(a1)', 3: '"r"(r10)', 4: '"r"(r8)', 5: '"r"(r9)'}
    late = {3: "r10", 4: "r8", 5: "r9"}
    third = '"+d"(value)' if count > 2 else '"=d"(value)'
    return [
        _signature(count),
        "{",
        f"    uint64_t code = number, value{' = a2' if count > 2 else ''};",
        *(f'    register uint64_t {late[n]} __asm__("{late[n]}") = a{n};' for n in range(3, count)),
        *_asm(
            '"syscall"',
            ['"+a"(code)', third],
            [constraints[n] for n in range(count) if n != 2],
            ["rcx", "r11", "memory", "cc"],
        ),
        "    return (khs_result){ (uint32_t)code, (uint32_t)value };",
        "}",
    ]


def _x86(count: int) -> list[str]:
    constraints = {0: '"b"(a0)', 1: '"c"(a1)', 3: '"S"(a3)', 4: '"D"(a4)', 5: '"g"(a5)'}
    third = '"+d"(value)' if count > 2 else '"=d"(value)'
    # The sixth argument goes in ebp, which may be the frame pointer: by way of the stack.
    sixth = [
        '"pushl %[sixth]\\n\\t"',
        '"pushl %%ebp\\n\\t"',
        '"movl 4(%%esp), %%ebp\\n\\t"',
        '"int $0x80\\n\\t"',
        '"popl %%ebp\\n\\t"',
        '"addl $4, %%esp"',
    ]
    constraints[5] = '[sixth] "g"(a5)'
    instruction = ("\n" + " " * 21).join(sixth) if count > 5 else '"int $0x80"'
    return [
        _signature(count),
        "{",
        f"    uint32_t code = number, value{' = a2' if count > 2 else ''};",
        *_asm(
            instruction,
            ['"+a"(code)', third],
            [constraints[n] for n in range(count) if n != 2],
            ["memory", "cc"],
        ),
        "    return (khs_result){ code, value };",
        "}",
    ]


def _wrapper(row: Hypercall) -> list[str]:
    head = f"static inline khs_result {row.name}("
    parameters = ", ".join(_parameter(argument) for argument in row.arguments) or "void"
    unbroken = parameters.replace(" ", "\xa0").replace(",\xa0", ", ")  # between parameters only
    indent = " " * len(head)
    passed = "".join(f", {_cast(argument)}" for argument in row.arguments)
    return [
        *_comment(row),
        *_wrap(f"{head}{unbroken})", indent),
        "{",
        f"    return khs_trap{len(row.arguments)}({emit_c.macro(row)}{passed});",
        "}",
    ]


def _wrap(text: str, indent: str) -> list[str]:
    lines = textwrap.wrap(text, 100, subsequent_indent=indent, break_long_words=False)
    return [line.replace("\xa0", " ") for line in lines]


def _comment(row: Hypercall) -> list[str]:
    parts = [row.doc]
    if row.value:
        parts.append(f"Value: {row.value}.")
    if row.errors:
        parts.append(f"Errors: {', '.join(row.errors)}.")
    if row.privilege:
        parts.append(f"Privilege: {row.privilege}.")
    lines = [line for part in parts for line in textwrap.wrap(part, 95)]
    return [f"/* {lines[0]}", *(f" * {line}" for line in lines[1:]), " */"]


def _parameter(argument: Argument) -> str:
    types = {
        "u32": "uint32_t ",
        "address": "uintptr_t ",
        "in": "const void *",
        "out": "void *",
        "struct": f"struct {argument.of} *",
    }
    return types[argument.kind] + argument.name


def _cast(argument: Argument) -> str:
    if argument.kind in ("u32", "address"):
        return argument.name
    return f"({WORD}){argument.name}"
