"""Guests in assembly, for tests that say more than a few bytes can."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from elftools.elf.elffile import ELFFile

from tests.host.system import Arch

_TARGETS = {
    Arch.ARMV7: ["-target", "arm-freestanding-eabi", "-mcpu=cortex_a9"],
    Arch.X86: ["-target", "x86-freestanding"],
    Arch.X64: ["-target", "x86_64-freestanding"],
}


@cache
def assemble(arch: Arch, source: str) -> bytes:
    """The .text section; x86 in Intel syntax. References must be within it."""
    head = (
        ".arm\n.syntax unified\n.fpu neon\n" if arch is Arch.ARMV7 else ".intel_syntax noprefix\n"
    )
    with tempfile.TemporaryDirectory() as work:
        file, made = Path(work) / "guest.s", Path(work) / "guest.o"
        file.write_text(f"{head}.text\n{source}\n")
        command = [sys.executable, "-m", "ziglang", "cc", *_TARGETS[arch], "-c", file, "-o", made]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        elf = ELFFile(io.BytesIO(made.read_bytes()))
        assert elf.get_section_by_name(".rel.text") is None, "a reference out of .text"
        return bytes(elf.get_section_by_name(".text").data())
