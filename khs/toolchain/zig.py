"""The compiler and linker inside the `ziglang` package, and how each architecture is compiled.

clang and ld.lld are called directly: some 30 ms a file, no cache folder, no wall clock in what
they write. Nothing of the host (headers, libraries, environment) takes part.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from khs.config.model import Arch
from khs.errors import ImageError

#: The version that pyproject.toml pins.
SHIPPED_VERSION = "0.17.1"


@dataclass(frozen=True, slots=True)
class Target:
    """How one architecture is compiled. `zig` and `zig_cpu` are for the compiler's own library."""

    flags: tuple[str, ...]
    linker: str
    zig: str
    zig_cpu: str


#: ARMv7 code is A32 with VFP and NEON under the soft calling convention; x86 computes in SSE2,
#: because x87 arithmetic has excess precision.
TARGETS = {
    Arch.ARMV7: Target(
        ("--target=armv7a-none-eabi", "-mcpu=cortex-a9", "-mfloat-abi=softfp", "-marm"),
        "armelf_linux_eabi",
        "arm-freestanding-eabi",
        "cortex_a9",
    ),
    Arch.X86: Target(
        ("--target=i686-unknown-none-elf", "-march=pentium4", "-mfpmath=sse"),
        "elf_i386",
        "x86-freestanding-none",
        "pentium4",
    ),
    Arch.X64: Target(
        ("--target=x86_64-unknown-none-elf", "-march=x86-64"),
        "elf_x86_64",
        "x86_64-freestanding-none",
        "baseline",
    ),
}

COMMON_FLAGS = (
    "-std=gnu17",
    "-O2",
    "-g",
    "-Wall",
    "-Wextra",
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    "-ffp-contract=off",
    "-fno-pic",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fdebug-compilation-dir=.",
    "-nostdinc",
)
LINK_FLAGS = (
    "-static",
    "--gc-sections",
    "--build-id=none",
    "--no-dynamic-linker",
    "-z",
    "noexecstack",
    "-z",
    "max-page-size=4096",
)


class NoCompilerError(ImageError):
    """The ziglang package is not installed."""


@cache
def _installed() -> Path | None:
    spec = importlib.util.find_spec("ziglang")
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


def folder() -> Path:
    """The folder of the ziglang package."""
    place = _installed()
    if place is None:
        raise NoCompilerError(
            "guest programs are compiled with the 'ziglang' package, which is not installed\n"
            "  help: pip install 'khs[toolchain]', or give an ELF with image = \"path/to.elf\""
        )
    return place


@cache
def identity() -> str:
    """Name and version of the compiler, as the manifest states it. If it is not installed: of the
    one that the shipped programs were built with, so that those are found."""
    return f"ziglang {version('ziglang') if _installed() else SHIPPED_VERSION}"


def builtin_headers() -> Path:
    """stdint.h, stddef.h and the other headers that belong to the compiler."""
    return folder() / "lib" / "include"


def run(arguments: Sequence[str | Path], cwd: Path, caches: Path | None = None) -> str:
    """Runs the zig binary and returns what it wrote on stderr (warnings).

    ImageError with the tool's own words, which name file and line, if it fails. The environment
    is empty but for what the tools need, so that no variable can change what they write.
    """
    environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(cwd)}
    if caches is not None:
        environment["ZIG_GLOBAL_CACHE_DIR"] = environment["ZIG_LOCAL_CACHE_DIR"] = str(caches)
    done = subprocess.run(
        [str(folder() / "zig"), *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        words = done.stderr.strip() or f"exit status {done.returncode} without a word"
        raise ImageError(words)
    return done.stderr
