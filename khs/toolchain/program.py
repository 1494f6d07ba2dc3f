"""Compiles and links a guest program: reproducible byte for byte, kept by the hash of its inputs.

    program's files + stubs of its interfaces --clang--> objects \\
    SDK (start-up, library)                   --clang--> objects  } --ld.lld, sdk/link.ld--> ELF
    the compiler's own library (division, ...) --zig---> object  /

No path of this machine gets into the result: folders are renamed to `partitions/<program>`,
`partitions/sdk` and `stubs`, which is where a debugger started in the project finds them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from khs.config.model import Arch
from khs.errors import ImageError
from khs.toolchain import cache, zig
from khs.toolchain.sources import ProgramSources, read_program

Progress = Callable[[str], None]

#: Raise when the way programs are built changes, so that no old product is taken for a new one.
_FORMAT = "khs-program-1"


@dataclass(frozen=True, slots=True)
class _Unit:
    """Sources compiled alike, and every file that can change the result, by the name it gets."""

    sources: tuple[Path, ...]
    include: tuple[Path, ...]
    define: tuple[tuple[str, str], ...]
    renamed: tuple[tuple[Path, str], ...]  # folder -> name in debug information
    inputs: tuple[Path, ...]


def build_program(
    folder: Path,
    arch: Arch,
    sdk: Path,
    stubs: Mapping[str, str],
    progress: Progress | None = None,
) -> bytes:
    """The ELF of the program in `folder`.

    `stubs` maps header names to their text. ImageError with the compiler's words (file, line,
    what is wrong) if it does not compile.
    """
    try:
        return _build(folder, arch, sdk, stubs, progress or (lambda text: None))
    except OSError as error:
        raise ImageError(f"{error.filename}: {error.strerror}") from error


def _build(folder: Path, arch: Arch, sdk: Path, stubs: Mapping[str, str], say: Progress) -> bytes:
    program = read_program(folder, arch)
    with_stubs = _stub_folder(stubs)
    parts = [_sdk_unit(sdk, arch), _program_unit(program, sdk, with_stubs)]
    names = [_unit_key(unit, arch) for unit in parts]
    script = sdk / "link.ld"
    if not script.is_file():
        raise ImageError(f"the SDK has no linker script {script}")
    target = zig.TARGETS[arch]
    link_key = cache.key(
        [*_base(arch), *zig.LINK_FLAGS, target.linker, *names, script.read_bytes()]
    )

    def make(work: Path) -> None:
        zig.folder()  # say that there is none once, not for each file
        objects: list[Path] = []
        for unit, name, title in zip(parts, names, ("SDK", program.name), strict=True):
            objects += _objects(unit, name, arch, f"compiling {title} for {arch.name.lower()}", say)
        objects.append(_compiler_library(arch, say))
        say(f"linking {program.name} for {arch.name.lower()}")
        _link(work / "program.elf", script, objects, target, say)

    return (cache.product("elf", link_key, make) / "program.elf").read_bytes()


def _sdk_unit(sdk: Path, arch: Arch) -> _Unit:
    files = read_program(sdk / "src", arch)
    include = (sdk / "include", *files.include)
    inputs = (*files.inputs(), *_headers(include))
    return _Unit(files.sources, include, files.define, ((sdk, "partitions/sdk"),), inputs)


def _program_unit(program: ProgramSources, sdk: Path, stubs: Path) -> _Unit:
    include = (program.folder, *program.include, stubs, sdk / "include")
    renamed = (
        *((path, f"partitions/{path.name}") for path in program.include),
        *((path.parent, f"partitions/{path.parent.name}") for path in program.sources),
        (program.folder, f"partitions/{program.name}"),
        (sdk, "partitions/sdk"),
        (stubs, "stubs"),
    )
    inputs = (*program.inputs(), *_headers((stubs, sdk / "include")))
    return _Unit(program.sources, include, program.define, renamed, inputs)


def _headers(folders: Iterable[Path]) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]


def _base(arch: Arch) -> list[str]:
    return [_FORMAT, zig.identity(), arch.name, *zig.TARGETS[arch].flags, *zig.COMMON_FLAGS]


def _unit_key(unit: _Unit, arch: Arch) -> str:
    parts: list[str | bytes] = [*_base(arch), *(f"{name}={text}" for name, text in unit.define)]
    for path in (*unit.sources, *unit.inputs):
        parts += [_shown(path, unit.renamed), path.read_bytes()]
    return cache.key(parts)


def _shown(path: Path, renamed: Sequence[tuple[Path, str]]) -> str:
    """The name a file gets in debug information (the last matching folder counts)."""
    for folder, name in reversed(renamed):
        if path.is_relative_to(folder):
            return f"{name}/{path.relative_to(folder)}"
    return path.name


def _objects(unit: _Unit, key: str, arch: Arch, title: str, say: Progress) -> list[Path]:
    def make(work: Path) -> None:
        say(title)
        jobs = [(path, work / f"{n:03}-{path.stem}.o") for n, path in enumerate(unit.sources)]
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            done = [pool.submit(_compile, unit, arch, path, out, work) for path, out in jobs]
        _report([future.exception() for future in done])
        for future in done:
            if future.result():
                say(future.result().rstrip())

    return sorted(cache.product("objects", key, make).glob("*.o"))


def _report(errors: Sequence[BaseException | None]) -> None:
    words = [str(error) for error in errors if isinstance(error, ImageError)]
    if words:
        raise ImageError("\n".join(words))


def _compile(unit: _Unit, arch: Arch, source: Path, output: Path, work: Path) -> str:
    """Compiles one file and returns the warnings."""
    renames = [(zig.folder(), "zig"), *unit.renamed]
    used = output.with_suffix(".d")
    warnings = zig.run(
        [
            "clang",
            *zig.TARGETS[arch].flags,
            *zig.COMMON_FLAGS,
            *(f"-ffile-prefix-map={folder}={name}" for folder, name in renames),
            *(f"-D{name}={text}" for name, text in unit.define),
            *(f"-I{folder}" for folder in unit.include),
            "-isystem",
            zig.builtin_headers(),
            "-MD",
            "-MF",
            used,
            "-c",
            source,
            "-o",
            output,
        ],
        cwd=work,
    )
    _check_used(unit, source, used.read_text(encoding="utf-8"))
    used.unlink()
    return warnings


def _check_used(unit: _Unit, source: Path, rule: str) -> None:
    """Refuses a file that the hash of the product does not cover: it could change unnoticed."""
    known = {path.resolve() for path in (*unit.sources, *unit.inputs)}
    text = rule.replace("\\\n", " ").partition(": ")[2]
    for escaped in re.findall(r"(?:[^\s\\]|\\.)+", text):
        path = Path(escaped.replace("\\ ", " ").replace("$$", "$")).resolve()
        if path not in known and not path.is_relative_to(zig.folder().resolve()):
            raise ImageError(
                f"{source}: error: includes {path}, which is outside the program's folders\n"
                '  help: name its folder in program.toml: include = ["../common"]'
            )


def _link(
    output: Path, script: Path, objects: Sequence[Path], target: zig.Target, say: Progress
) -> None:
    arguments = ["ld.lld", "-m", target.linker, *zig.LINK_FLAGS, "-T", str(script)]
    warnings = zig.run([*arguments, *objects, "-o", output], cwd=output.parent)
    if warnings:
        say(warnings.rstrip())


def _compiler_library(arch: Arch, say: Progress) -> Path:
    """What the compiler calls without being asked: division, 64-bit arithmetic, memcpy. All of it
    is weak, and the linker keeps only what is used."""
    target = zig.TARGETS[arch]

    def make(work: Path) -> None:
        say(f"compiling the compiler's library for {arch.name.lower()} (once)")
        source = zig.folder() / "lib" / "compiler_rt.zig"
        flags = ["-OReleaseSmall", "-fstrip", "-ffunction-sections", "-fdata-sections"]
        caches = work / "zig-cache"
        place = ["-target", target.zig, f"-mcpu={target.zig_cpu}", "-femit-bin=runtime.o"]
        zig.run(["build-obj", source, *place, *flags], cwd=work, caches=caches)
        shutil.rmtree(caches, ignore_errors=True)

    key = cache.key([_FORMAT, zig.identity(), target.zig, target.zig_cpu])
    return cache.product("runtime", key, make) / "runtime.o"


def _stub_folder(stubs: Mapping[str, str]) -> Path:
    """The generated headers as a folder that `#include` finds."""

    def make(work: Path) -> None:
        for name, text in sorted(stubs.items()):
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    parts = [part for name, text in sorted(stubs.items()) for part in (name, text)]
    return cache.product("stubs", cache.key([_FORMAT, *parts]), make)
