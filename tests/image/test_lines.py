"""The named counter of lines to trust."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from khs.image import lines
from khs.resources import project


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("int a;\n\n  \nint b;\n", 2),
        ("/* one\n two\n three */\nint a;\n", 1),
        ("int a; /* behind\n and on */ int b;\n", 2),
        ("// all\nint a; // rest\n", 1),
        ('char *s = "/* no comment";\nint a;\n/* one */\n', 2),
        ("char c = '\"'; /* quote */\nint a;\n", 2),
        ('#define URL "http://x"\n', 1),
        ("/**/ /**/\n", 0),
    ],
)
def test_count(text: str, expected: int) -> None:
    assert lines.count(text) == expected


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name, count in (
        ("khs/core/a.c", 3),
        ("khs/core/a.h", 2),
        ("khs/core/README.md", 50),
        ("monitor/vm/vm.c", 7),
        ("khs/host/host.c", 11),
        ("boards/firmware/common/uart.c", 13),
        ("boards/firmware/armv7/start.S", 17),
        ("boards/firmware/armv7/link.ld", 1),
        ("boards/firmware/x64/start.S", 19),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("line\n" * count)
    return tmp_path


def test_parts(sources: Path) -> None:
    assert lines.count_project(sources) == {
        "core": 5,
        "vm": 7,
        "host": 11,
        "port/armv7": 31,
        "port/x64": 32,
        "port/x86": 13,
    }


def test_counts_travel_with_the_package(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_COUNTED", tmp_path / "trusted_lines.json")
    monkeypatch.setattr(lines, "project", lambda: None)
    assert lines.lines_for("armv7") == lines.Lines(0, 0, 0, 0)
    (tmp_path / "trusted_lines.json").write_text(json.dumps(lines.count_project(sources)))
    assert lines.lines_for("armv7") == lines.Lines(core=5, vm=7, board=31, host=11)
    assert lines.lines_for("armv7").trusted() == {"core": 5, "vm": 7, "board": 31}


@pytest.mark.skipif(project() is None, reason="needs the sources")
def test_the_trusted_base_stays_small() -> None:
    for arch in ("armv7", "x64", "x86"):
        counted = lines.lines_for(arch)
        assert counted.core > 500 and counted.vm > 500
        assert counted.core + counted.vm < 5000
        assert 500 < counted.board < 2000


def thousands(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.mark.skipif(project() is None, reason="needs the sources")
def test_the_readme_tells_what_is_counted() -> None:
    """Kernel and policy VM as a bound, ports to the hundred."""
    root = project()
    assert root is not None
    text = " ".join((root / "README.md").read_text(encoding="utf-8").split())
    base = re.search(r"freestanding C of less than ([\d,]+) lines together", text)
    ports = re.search(r"port comes on top, ([\d,]+) to ([\d,]+) lines", text)
    assert base is not None and ports is not None
    counted = [lines.lines_for(arch) for arch in ("armv7", "x64", "x86")]
    assert counted[0].core + counted[0].vm < thousands(base[1])
    boards = [each.board for each in counted]
    assert thousands(ports[1]) == min(boards) // 100 * 100
    assert thousands(ports[2]) == -(-max(boards) // 100) * 100
