"""The commands as a user runs them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from kss import cli

from tests.kss.conftest import LIB, PRELUDE


class Command:
    """Runs `kss` in a folder; `out` and `err` are those of the last run."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.out = self.err = ""
        monkeypatch.chdir(folder)

    def policy(self, text: str, name: str = "security.psl", prelude: str = PRELUDE) -> str:
        """Writes a policy behind the usual inclusions; its text begins in line 7."""
        (self.folder / name).write_text(prelude + text)
        return name

    def __call__(self, *arguments: object, stdin: str = "") -> int:
        self._monkeypatch.setattr("sys.argv", ["kss", *map(str, arguments), "-I", str(LIB)])
        stream = io.TextIOWrapper(io.BytesIO(stdin.encode("utf-8", "surrogateescape")))
        self._monkeypatch.setattr("sys.stdin", stream)
        with pytest.raises(SystemExit) as end:
            cli.main()
        self.out, self.err = self._capsys.readouterr()
        return end.value.code if isinstance(end.value.code, int) else 0
