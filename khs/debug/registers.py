"""Registers by gdb's names, and what of them a debugger may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from unicorn import arm_const, x86_const


@dataclass(frozen=True, slots=True)
class Register:
    """`number` is Unicorn's, `size` in bytes. `mask`: bits that may be written; a guest could not
    write others either, and must not get the rights that go with them."""

    number: int
    size: int
    mask: int


def _arm(names: Iterable[str], size: int, mask: int) -> Iterator[tuple[str, Register]]:
    for name in names:
        yield name, Register(getattr(arm_const, f"UC_ARM_REG_{name.upper()}"), size, mask)


def _x86(
    names: Iterable[str], size: int, mask: int | None = None, of: str = ""
) -> Iterator[tuple[str, Register]]:
    for name in names:
        number = getattr(x86_const, f"UC_X86_REG_{(of or name).upper()}")
        yield name, Register(number, size, (1 << 8 * size) - 1 if mask is None else mask)


_EFLAGS = 0x0CD5  # carry, parity, adjust, zero, sign, direction, overflow
_SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
_X87 = {"fctrl": "fpcw", "fstat": "fpsw", "ftag": "fptag", "fioff": "fip", "fiseg": "fcs"}
_X87 |= {"fooff": "fdp", "foseg": "fds", "fop": "fop"}
_WORD, _DOUBLE = (1 << 32) - 1, (1 << 64) - 1

ARMV7 = {
    **dict(_arm([f"r{n}" for n in range(13)] + ["sp", "lr"], 4, _WORD)),
    **dict(_arm(["pc"], 4, _WORD & ~3)),
    **dict(_arm(["cpsr"], 4, 0xF80F0000)),
    **dict(_arm([f"d{n}" for n in range(32)], 8, _DOUBLE)),
    **dict(_arm(["fpscr"], 4, 0xFFC00000 | 0x9F)),
}


def _x86_registers(core: list[str], pc: str, wide: bool) -> dict[str, Register]:
    size = 8 if wide else 4
    words = {name: next(_x86([name], 4, 0xFFFF, of))[1] for name, of in _X87.items()}
    return {
        **dict(_x86([*core, pc], size)),
        **dict(_x86(["eflags"], 4, _EFLAGS)),
        **dict(_x86(_SEGMENTS, 4, 0)),
        **(dict(_x86(["fs_base", "gs_base"], 8, (1 << 47) - 1)) if wide else {}),
        **dict(_x86([f"st{n}" for n in range(8)], 10)),
        **words,
        **dict(_x86([f"xmm{n}" for n in range(16 if wide else 8)], 16)),
        **dict(_x86(["mxcsr"], 4, 0xFFBF)),
    }


X86 = _x86_registers(["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"], "eip", False)
X64 = _x86_registers(
    ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16))],
    "rip",
    True,
)
BY_ARCH = {"armv7": ARMV7, "x86": X86, "x64": X64}
