"""The firmware of a board: the same kernel and policy VM that run on Unicorn, compiled for the
board together with its port.

    khs/core + monitor/vm + boards/firmware/{common, port...} --clang, ld.lld--> ELF

Reproducible byte for byte and kept by the hash of its inputs, like guest programs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from khs.config.model import Arch
from khs.resources import shipped
from khs.toolchain import cache, zig

_FORMAT = "khs-firmware-1"
_SUFFIXES = (".c", ".h", ".S", ".ld")


@dataclass(frozen=True, slots=True)
class Port:
    """How the firmware of one architecture is made; folders and script in boards/firmware."""

    flags: tuple[str, ...]
    folders: tuple[str, ...]
    script: str


#: The kernel computes in general registers alone: the others are always the guests'.
PORTS = {
    Arch.ARMV7: Port(
        (
            *("--target=armv7a-none-eabi", "-mcpu=cortex-a9", "-mfloat-abi=soft", "-marm"),
            "-funwind-tables",  # else functions that never return keep no way back for debuggers
        ),
        ("armv7",),
        "armv7/sabrelite.ld",
    ),
    Arch.X64: Port(
        ("--target=x86_64-unknown-none-elf", "-mno-red-zone", "-mgeneral-regs-only"),
        ("x64", "pc"),
        "pc/pc.ld",
    ),
    Arch.X86: Port(
        (
            *("--target=i686-unknown-none-elf", "-march=i686", "-mgeneral-regs-only"),
            "-mregparm=3",  # trap.S knows
        ),
        ("x86", "pc"),
        "pc/pc.ld",
    ),
}

FLAGS = (
    "-std=gnu11",
    "-O2",
    "-g",
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Werror",
    "-ffreestanding",
    "-fno-builtin",
    "-fno-strict-aliasing",
    "-fno-pic",
    "-fomit-frame-pointer",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-ffunction-sections",
    "-fdata-sections",
    "-fdebug-compilation-dir=.",
    "-nostdinc",
)
#: Code is generated when all is known, so that what every hypercall passes through becomes one
#: function. Not of what the compiler itself calls: there is no knowing before if it will.
WHOLE_FLAGS, WHOLE_LINK_FLAGS = ("-flto",), ("--lto-O2",)
RUNTIME = "runtime.c"


def build_firmware(
    arch: Arch, progress: Callable[[str], None] | None = None, *, root: Path | None = None
) -> bytes:
    """The firmware's ELF, from the sources below `root`, else from those that are shipped.

    ImageError with the compiler's words if it does not compile, or if there is neither a compiler
    nor a firmware that was built before.
    """
    port, root = PORTS[arch], root or shipped("sources")
    folders = [root / "khs/core", root / "monitor/vm"]
    folders += [root / "boards/firmware" / name for name in ("common", *port.folders)]
    files = [
        path for folder in folders for path in sorted(folder.iterdir()) if path.suffix in _SUFFIXES
    ]
    parts: list[str | bytes] = [_FORMAT, zig.identity(), *port.flags, *FLAGS, *zig.LINK_FLAGS]
    parts += [*WHOLE_FLAGS, *WHOLE_LINK_FLAGS]
    for path in files:
        parts += [str(path.relative_to(root)), path.read_bytes()]

    def make(work: Path) -> None:
        if progress is not None:
            progress(f"compiling the firmware for {arch.name.lower()}")
        _make(work, root, port, arch, [path for path in files if path.suffix in (".c", ".S")])

    return (cache.product("firmware", cache.key(parts), make) / "firmware.elf").read_bytes()


def _make(work: Path, root: Path, port: Port, arch: Arch, sources: list[Path]) -> None:
    firmware = root / "boards/firmware"
    include = [f"-I{firmware / name}" for name in port.folders]
    renames = [f"-ffile-prefix-map={root}=.", f"-ffile-prefix-map={zig.folder()}=zig"]
    objects = []
    for number, source in enumerate(sources):
        objects.append(work / f"{number:03}-{source.stem}.o")
        flags = [*port.flags, *FLAGS, *renames, *include, f"-isystem{zig.builtin_headers()}"]
        if source.suffix == ".c" and source.name != RUNTIME:
            flags += WHOLE_FLAGS
        zig.run(["clang", *flags, "-c", source, "-o", objects[-1]], cwd=work)
    target, script = zig.TARGETS[arch], firmware / port.script
    link = ["ld.lld", "-m", target.linker, *zig.LINK_FLAGS, *WHOLE_LINK_FLAGS, "-T", str(script)]
    zig.run([*link, *objects, "-o", work / "firmware.elf"], cwd=work)
    for path in objects:
        path.unlink()
