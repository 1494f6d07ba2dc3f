"""Compilers for the tests of generated headers."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wpedantic", "-Wshadow", "-Wconversion"]
STRICT_CXX = ["-std=c++11", *STRICT[1:]]
ZIG = [sys.executable, "-m", "ziglang", "cc"]
TARGETS = ["arm-freestanding-eabi", "x86-freestanding", "x86_64-freestanding"]
CXX = [shutil.which("g++") or shutil.which("c++") or ""]
needs_cxx = pytest.mark.skipif(not CXX[0], reason="needs a compiler of C++")
needs_zig = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None, reason="needs ziglang, the C compiler of the tests"
)
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def compiled(source: Path, folder: Path) -> Path:
    """The program in one file, for this machine, with sanitizers if its compiler has them."""
    path = source.with_suffix("")
    # the system's compiler starts much faster, where there is one
    system = shutil.which("cc")
    for native in ([system, *SANITIZE], ZIG) if system else (ZIG,):
        command = [*native, *STRICT, "-g", "-O1", "-I", str(folder), str(source), "-o", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return path
    raise AssertionError(done.stderr)
