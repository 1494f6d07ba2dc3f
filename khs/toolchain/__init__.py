"""From a guest program's folder to its ELF, with the cross compiler of the `ziglang` package."""

from __future__ import annotations

from khs.toolchain.program import Progress, build_program
from khs.toolchain.sources import ProgramSources, find_program, read_program
from khs.toolchain.zig import NoCompilerError, identity

__all__ = [
    "NoCompilerError",
    "ProgramSources",
    "Progress",
    "build_program",
    "find_program",
    "identity",
    "read_program",
]
