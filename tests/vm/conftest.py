"""Builds the VM for these tests with the host's C compiler: plain, and under sanitizers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VM = ROOT / "monitor" / "vm"

STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion"]


def compile_c(output: Path, sources: list[Path], *flags: str) -> Path:
    compiler = shutil.which("cc")
    command = [compiler] if compiler else [sys.executable, "-m", "ziglang", "cc"]
    command += [*STRICT, *flags, f"-I{VM}", "-o", str(output), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libkss.so of the sources as they are, so that no stale library is tested."""
    path = tmp_path_factory.mktemp("libkss") / "libkss.so"
    compile_c(path, sorted(VM.glob("*.c")), "-O2", "-ffreestanding", "-fPIC", "-shared")
    return path


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The VM with a main program that reads cases from a file, under ASan and UBSan."""
    path = tmp_path_factory.mktemp("harness") / "harness"
    sanitize = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [*sorted(VM.glob("*.c")), Path(__file__).with_name("harness.c")]
    return compile_c(path, sources, *sanitize)
