"""The registers that gdb is told of, by architecture, and the XML that tells it.

Numbers, order and sizes are those that gdb has by itself for the architecture: a gdb that reads no
description for one of several processes must find the same. ARM's `g` ends before the registers of
its long gone floating-point accelerator, which gdb counts between r15 and cpsr.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

_CORE = ("rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip eflags", "eax ecx edx "
         "ebx esp ebp esi edi eip eflags")  # fmt: skip
_SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
_CONTROL = ("fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop")
#: The hypercall under way, as Linux calls that register; nobody but the server has it.
CALL_NUMBER = frozenset(("orig_rax", "orig_eax"))


@dataclass(frozen=True, slots=True)
class Register:
    """`number` is gdb's, `core` the place in `Target.registers` or None."""

    name: str
    number: int
    bits: int
    type: str
    group: str = ""
    core: int | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return self.bits // 8


@dataclass(frozen=True)
class Layout:
    """`features` are those of the description, in order. `general` are the registers of `g`, the
    `expedited` ones come with every stop: gdb asks for them first."""

    architecture: str
    features: Sequence[tuple[str, Sequence[Register], str]]
    general: Sequence[Register]
    expedited: Sequence[Register]
    pc: int

    @cached_property
    def _by_number(self) -> dict[int, Register]:
        return {row.number: row for row in self.registers}

    def register(self, number: int) -> Register | None:
        return self._by_number.get(number)

    @property
    def registers(self) -> Iterator[Register]:
        for _, rows, _ in self.features:
            yield from rows

    def description(self) -> str:
        """target.xml."""
        lines = [
            '<?xml version="1.0"?>',
            '<!DOCTYPE target SYSTEM "gdb-target.dtd">',
            f"<target><architecture>{self.architecture}</architecture>",
            "<osabi>GNU/Linux</osabi>",  # gdb has `catch syscall` for Linux alone
        ]
        for name, rows, types in self.features:
            lines.append(f'<feature name="{name}">{types}')
            lines += [_element(row) for row in rows]
            lines.append("</feature>")
        return "\n".join([*lines, "</target>\n"])


def _element(row: Register) -> str:
    group = f' group="{row.group}"' if row.group else ""
    return (
        f'<reg name="{row.name}" bitsize="{row.bits}" type="{row.type}" '
        f'regnum="{row.number}"{group}/>'
    )


@cache
def layout(arch: str) -> Layout:
    """That of "armv7", "x64" or "x86"."""
    return _arm() if arch == "armv7" else _intel(arch == "x64")


def _arm() -> Layout:
    names = [*(f"r{number}" for number in range(13)), "sp", "lr", "pc"]
    types = {"sp": "data_ptr", "pc": "code_ptr"}
    core = [
        Register(name, at, 32, types.get(name, "uint32"), core=at) for at, name in enumerate(names)
    ]
    status = Register("cpsr", 25, 32, "uint32", core=16)
    doubles = [Register(f"d{at}", 26 + at, 64, "ieee_double", "float") for at in range(32)]
    control = Register("fpscr", 58, 32, "int", "float")
    features = [
        ("org.gnu.gdb.arm.core", [*core, status], ""),
        ("org.gnu.gdb.arm.vfp", [*doubles, control], ""),
        ("org.gnu.gdb.arm.neon", [], ""),
    ]
    return Layout("arm", features, core, [core[11], core[13], core[15]], 15)


def _intel(wide: bool) -> Layout:
    names = _CORE[0 if wide else 1].split()
    word, size = ("int64", 64) if wide else ("int32", 32)
    types = {"rip": "code_ptr", "eip": "code_ptr", "eflags": "i386_eflags"}
    types |= dict.fromkeys(("rsp", "rbp", "esp", "ebp"), "data_ptr")
    core = [
        Register(name, at, 32 if name == "eflags" else size, types.get(name, word), core=at)
        for at, name in enumerate(names)
    ]
    at = len(core)
    segments = [Register(name, at + n, 32, "int32") for n, name in enumerate(_SEGMENTS)]
    at += len(segments)
    stack = [Register(f"st{n}", at + n, 80, "i387_ext", "float") for n in range(8)]
    at += len(stack)
    control = [Register(name, at + n, 32, "int", "float") for n, name in enumerate(_CONTROL)]
    at += len(control)
    vectors = [
        Register(f"xmm{n}", at + n, 128, "vec128", "vector") for n in range(16 if wide else 8)
    ]
    at += len(vectors)
    status = Register("mxcsr", at, 32, "i386_mxcsr", "vector")
    call = Register("orig_rax" if wide else "orig_eax", at + 1, size, "int", "system")
    general = [*core, *segments, *stack, *control]
    features = [
        ("org.gnu.gdb.i386.core", general, _flags("i386_eflags", _EFLAGS)),
        ("org.gnu.gdb.i386.sse", [*vectors, status], _VECTOR + _flags("i386_mxcsr", _MXCSR)),
        ("org.gnu.gdb.i386.linux", [call], ""),
    ]
    name = "i386:x86-64" if wide else "i386"
    frame = ("rbp", "rsp", "rip") if wide else ("ebp", "esp", "eip")
    expedited = [row for row in core if row.name in frame]
    return Layout(name, features, general, expedited, names.index(frame[2]))


def _flags(name: str, fields: Sequence[tuple[str, int, int]]) -> str:
    rows = "".join(f'<field name="{flag}" start="{a}" end="{b}"/>' for flag, a, b in fields)
    return f'<flags id="{name}" size="4">{rows}</flags>'


def _bits(text: str) -> list[tuple[str, int, int]]:
    return [("" if name == "-" else name, at, at) for at, name in enumerate(text.split(","))]


_EFLAGS = _bits("CF,-,PF,-,AF,-,ZF,SF,TF,IF,DF,OF,-,-,NT,-,RF,VM,AC,VIF,VIP,ID")
_MXCSR = [
    *_bits("IE,DE,ZE,OE,UE,PE,DAZ,IM,DM,ZM,OM,UM,PM"),
    ("RC", 13, 14),
    ("FZ", 15, 15),
]
_VECTOR = (
    '<vector id="v4f" type="ieee_single" count="4"/>'
    '<vector id="v2d" type="ieee_double" count="2"/>'
    '<vector id="v16i8" type="int8" count="16"/>'
    '<vector id="v8i16" type="int16" count="8"/>'
    '<vector id="v4i32" type="int32" count="4"/>'
    '<vector id="v2i64" type="int64" count="2"/>'
    '<union id="vec128">'
    '<field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>'
    '<field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/>'
    '<field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/>'
    '<field name="uint128" type="uint128"/></union>'
)
