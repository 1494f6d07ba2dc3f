"""Which gdb is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from khs.config.model import Arch
from khs.debug.gdb import NoGdbError, find_gdb


def test_the_one_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mygdb"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.setenv("KHS_GDB", str(mine))
    assert find_gdb(Arch.ARMV7) == str(mine)
    monkeypatch.setenv("KHS_GDB", "no-such-gdb")
    with pytest.raises(NoGdbError, match="KHS_GDB=no-such-gdb: there is no such program"):
        find_gdb(Arch.ARMV7)
