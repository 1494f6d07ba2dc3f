"""The line of a finding and the marks below it."""

from __future__ import annotations

from pathlib import Path

import pytest
from kss.errors import Finding
from kss.excerpt import excerpt, told


def finding(path: Path, line: int, column: int, text: str, help: str = "") -> Finding:
    return Finding("PSL-012", "error", str(path), line, column, "it is wrong", help, text)


@pytest.mark.parametrize(
    ("line", "column", "text", "shown"),
    [
        ("    grnt ()", 5, "grnt", ["    grnt ()", "    ^^^^"]),
        ("\tx\tbad y  ", 4, "bad", ["    x    bad y", "         ^^^"]),
        ("bad", 2, "ad and\nmore", ["    bad", "     ^^"]),
        ("bad", 3, "", ["    bad", "      ^"]),
        ("a\u202eb", 2, "\u202e", [r"    a\u202eb", "     ^^^^^^"]),
        ("a\x1b[31m", 2, "\x1b", [r"    a\u001b[31m", "     ^^^^^^"]),
        ("bad", 4, "", []),
        ("", 1, "", []),
        ("  \t ", 2, "", []),
    ],
)
def test_lines(line: str, column: int, text: str, shown: list[str]) -> None:
    assert excerpt(("", line), 2, column, text) == shown
    assert excerpt(("",), 2, column, text) == []


def test_of_a_long_line_the_part_around_the_place_is_shown() -> None:
    line = "." * 400 + "bad" + "," * 400
    above, below = excerpt((line,), 1, 401, "bad")
    assert above[below.index("^") :].startswith("bad,") and below.count("^") == 3
    assert above.startswith("    ... .") and above.endswith(", ...") and len(above) < 120
    above, below = excerpt((line,), 1, 401, line[400:])
    assert len(below) < 120 and below.endswith("^")


def test_marks_stand_below_the_text_whatever_the_file_begins_and_lines_end_with(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.psl"
    path.write_bytes(b"\xef\xbb\xbfuse EDL a.B\r\nbad\r\n")
    (shown, second) = told([finding(path, 1, 9, "a.B", "do this"), finding(path, 2, 1, "bad")])
    assert shown.split("\n")[1:] == ["    use EDL a.B", "            ^^^", "  help: do this"]
    assert second.split("\n")[1:] == ["    bad", "    ^^^"]


def test_a_file_that_cannot_be_read_is_told_without(tmp_path: Path) -> None:
    (tmp_path / "b.psl").write_bytes(b"\xff\xfe")
    for name in ("none.psl", "b.psl", "", "a\0b"):
        found = finding(tmp_path / name, 1, 1, "")
        assert list(told([found])) == [str(found)]
