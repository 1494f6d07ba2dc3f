"""Builds the native libraries, when their sources are newer than they are.

    khs/_lib/libkhs.so          the kernel on Unicorn: khs/core, monitor/vm, khs/host
    monitor/kss/_lib/libkss.so  the policy VM alone

`--libkss DIR` puts the policy VM there for use in other kernels and programs: kss.h, libkss.a and
libkss.so.

The compiler is $CC, else cc, else `python -m ziglang cc`. The same sources and compiler give
the same bytes. `--program OUT SOURCE...` links test harnesses written in C with the kernel and the
policy VM.

`--sanitize` builds with AddressSanitizer and UndefinedBehaviorSanitizer: harnesses, or without
--program build/native/sanitized/libkhs.so, for a process that has the sanitizers preloaded.
"""

from __future__ import annotations

import argparse
import fcntl
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OBJECTS = ROOT / "build" / "native"
CORE, VM, HOST = ROOT / "khs/core", ROOT / "monitor/vm", ROOT / "khs/host"
FOLDERS = (CORE, VM, HOST, HOST / "devices")
LIBKHS = ROOT / "khs/_lib/libkhs.so"
BENCH = ROOT / "monitor/bench"
LIBKSS = ROOT / "monitor/kss/_lib/libkss.so"
# It exports what kss.h declares, and no more.
KSS_OPTIONS = ["-Wl,-soname,libkss.so", f"-Wl,--version-script={VM / 'kss.map'}"]
SANITIZED_LIBKHS = OBJECTS / "sanitized/libkhs.so"

WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Werror",
]
PLAIN = ["-O2", "-g0"]
SANITIZED = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


class BuildError(Exception):
    """The compiler refused, or a part is missing."""


@dataclass(frozen=True)
class Flavour:
    """One way to compile: where objects go and with which flags."""

    name: str
    flags: tuple[str, ...]


HIDDEN = Flavour("hidden", (*PLAIN, "-fPIC", "-fvisibility=hidden"))
EXPORTED = Flavour("exported", (*PLAIN, "-fPIC"))
CHECKED = Flavour("sanitized", (*SANITIZED, "-fPIC"))


def compiler() -> list[str]:
    """The command that compiles C."""
    if command := os.environ.get("CC"):
        return shlex.split(command)
    if found := shutil.which("cc"):
        return [found]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    raise BuildError("no C compiler: install gcc or clang, or `pip install ziglang`")


def unicorn() -> Path:
    """Folder of the unicorn package, with its headers and library."""
    spec = importlib.util.find_spec("unicorn")
    if spec is None or spec.origin is None:
        raise BuildError("the Python package unicorn is missing: pip install unicorn==2.1.4")
    return Path(spec.origin).parent


def sources(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.glob("*.c"))


def _headers() -> list[Path]:
    return [path for folder in FOLDERS for path in folder.glob("*.h")]


def _newest(paths: Sequence[Path]) -> float:
    return max((path.stat().st_mtime for path in paths), default=0.0)


def _language(source: Path) -> list[str]:
    """Core and policy VM are strict and freestanding; the host needs the C library."""
    if source.parent in (CORE, VM):
        return [
            "-std=c11",
            "-ffreestanding",
            "-fno-builtin-memset",
            "-Wconversion",
            "-Wno-sign-conversion",
        ]
    return ["-std=gnu11", "-I", str(unicorn() / "include"), "-I", str(ROOT)]


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise BuildError(f"{shlex.join(command)}\n{done.stderr}")
    return done.stdout


def _object(source: Path, flavour: Flavour, headers: float) -> Path:
    relative = source.relative_to(ROOT) if source.is_relative_to(ROOT) else Path(source.name)
    target = OBJECTS / flavour.name / relative.with_suffix(".o")
    newest = max(headers, source.stat().st_mtime, Path(__file__).stat().st_mtime)
    if target.exists() and target.stat().st_mtime >= newest:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    flags = [*flavour.flags, *_language(source), *WARNINGS]
    if flavour is CHECKED and source.is_relative_to(HOST):
        flags.append("-fno-sanitize=shift-base")  # Unicorn's own macros shift into the sign
    prefix = f"-ffile-prefix-map={ROOT}=."
    _output([*compiler(), *flags, prefix, "-c", str(source), "-o", str(target)])
    return target


def _link(target: Path, inputs: Sequence[Path], options: Sequence[str]) -> None:
    """Puts the finished file in place at once: others may be loading the old one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent)
    os.close(handle)
    try:
        objects = [str(path) for path in inputs]
        _output([*compiler(), "-o", name, *objects, "-Wl,--build-id=none", *options])
        Path(name).chmod(0o755)
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def _alone() -> Iterator[None]:
    OBJECTS.mkdir(parents=True, exist_ok=True)
    with (OBJECTS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _library(
    target: Path, flavour: Flavour, folders: Sequence[Path], options: Sequence[str]
) -> bool:
    headers = _newest(_headers())
    objects = [_object(source, flavour, headers) for source in sources(*folders)]
    if target.exists() and target.stat().st_mtime >= _newest(objects):
        return False
    _link(target, objects, ["-shared", *options])
    return True


def _host_options() -> list[str]:
    engine = unicorn() / "lib" / "libunicorn.so.2"
    return ["-Wl,-soname,libkhs.so", "-Wl,-z,now", str(engine), "-lpthread", "-lc"]


def build() -> list[Path]:
    """Brings both libraries up to date; returns those that were rebuilt."""
    with _alone():
        made = [(LIBKSS, _library(LIBKSS, EXPORTED, [VM, BENCH], KSS_OPTIONS))]
        options = [*_host_options(), "-Wl,-z,defs"]
        made.append((LIBKHS, _library(LIBKHS, HIDDEN, FOLDERS, options)))
    return [path for path, new in made if new]


def build_libkss(folder: Path) -> list[Path]:
    """The policy VM for others: header, static and shared library."""
    header, archive, shared = (folder / name for name in ("kss.h", "libkss.a", "libkss.so"))
    folder.mkdir(parents=True, exist_ok=True)
    with _alone():
        objects = [_object(source, EXPORTED, _newest(_headers())) for source in sources(VM)]
        archive.unlink(missing_ok=True)
        _output([*_archiver(), "rcsD", str(archive), *map(str, objects)])
        _link(shared, objects, ["-shared", *KSS_OPTIONS])
        shutil.copyfile(VM / "kss.h", header)
    return [header, archive, shared]


def _archiver() -> list[str]:
    """$AR, else ar, else zig's."""
    if command := os.environ.get("AR"):
        return shlex.split(command)
    if found := shutil.which("ar"):
        return [found]
    return [sys.executable, "-m", "ziglang", "ar"]


def build_sanitized() -> Path:
    """libkhs.so with sanitizers, which the process that loads it must have preloaded."""
    with _alone():
        _library(SANITIZED_LIBKHS, CHECKED, FOLDERS, [*_host_options(), *SANITIZED])
    return SANITIZED_LIBKHS


def sanitizers() -> str:
    """What LD_PRELOAD must name for it; "" if this compiler has no such libraries to share."""
    asked = ("libasan.so", "libubsan.so")
    found = [_output([*compiler(), f"-print-file-name={name}"]).strip() for name in asked]
    return ":".join(found) if all(Path(path).is_absolute() for path in found) else ""


def build_program(target: Path, harness: Sequence[Path], *, sanitize: bool) -> Path:
    """Links C sources of a test with the core and the policy VM."""
    flavour = CHECKED if sanitize else EXPORTED
    with _alone():
        headers = _newest(
            [*_headers(), *(path for source in harness for path in source.parent.glob("*.h"))]
        )
        files = [*sources(CORE, VM), *harness]
        objects = [_object(path.resolve(), flavour, headers) for path in files]
        if not target.exists() or target.stat().st_mtime < _newest(objects):
            _link(target, objects, list(SANITIZED) if sanitize else [])
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--program", nargs="+", metavar=("OUT", "SOURCE"), help="link a test harness"
    )
    parser.add_argument("--libkss", metavar="DIR", help="build the policy VM for other kernels")
    parser.add_argument("--sanitize", action="store_true", help="with ASan and UBSan")
    options = parser.parse_args(arguments)
    try:
        if options.program:
            out, *harness = map(Path, options.program)
            print(build_program(out.resolve(), harness, sanitize=options.sanitize))
        elif options.libkss:
            for path in build_libkss(Path(options.libkss).resolve()):
                print(path)
        elif options.sanitize:
            print(build_sanitized().relative_to(ROOT))
        else:
            for path in build():
                print(path.relative_to(ROOT))
    except BuildError as error:
        print(f"build_native: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
