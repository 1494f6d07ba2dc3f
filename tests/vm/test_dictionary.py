"""Dictionaries in the state: exact, bounded in what they write, undone without a trace."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.vm.conftest import VM, compile_c

HERE = Path(__file__).parent


def test_dictionaries_of_all_shapes(tmp_path: Path) -> None:
    sources = [*sorted(VM.glob("*.c")), HERE / "dictionary.c"]
    sanitize = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    program = compile_c(tmp_path / "dictionary", sources, *sanitize)
    done = subprocess.run([program], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "") and int(done.stdout) > 300_000
