"""Programs compiled once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from khs.config.model import Arch
from khs.resources import shipped
from khs.toolchain import build_program

PROGRAM = """
#include <stdint.h>
static const char words[] = "constants";
static int counter = 7;
static int many[5000];
double ratio(double a, double b) { return a / b; }
uint64_t divide(uint64_t a, uint64_t b) { return a / b; }
int main(void)
{
    for (int i = 0; i < 5000; i++)
        many[i] = words[i % 9] + counter++ + (int)ratio(i, 3) + (int)divide((uint64_t)i << 33, 3);
    return many[17];
}
"""


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Arch], bytes]:
    """The ELF of a small program for an architecture; skips without the compiler."""
    pytest.importorskip("ziglang")
    folder = tmp_path_factory.mktemp("programs") / "small"
    folder.mkdir()
    (folder / "main.c").write_text(PROGRAM)
    sdk = shipped("partitions") / "sdk"

    def compile(arch: Arch) -> bytes:
        return build_program(Path(folder), arch, sdk, {})

    return compile
