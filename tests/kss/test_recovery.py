"""Several syntax errors in one run: parsing goes on with the next declaration."""

from __future__ import annotations

from pathlib import Path

import pytest
from kss import syntax
from kss.api import load_policy
from kss.errors import DescriptionError, Findings
from kss.grammar.parser import MAX_ERRORS
from kss.grammar.psl import parse_policy
from kss.source import Source

from tests.kss.conftest import LIB, PRELUDE


def parsed(text: str) -> tuple[list[syntax.Declaration], list[tuple[int, int]]]:
    findings = Findings()
    found, sound = parse_policy(Source("t.psl", text), findings)
    assert sound == (not findings.failed)
    return found, [(finding.line, finding.column) for finding in findings.items]


def test_each_broken_declaration_is_told_and_the_sound_ones_are_kept() -> None:
    text = """\
use nk.base._
request src= { grant () }
policy object x : Flow { config = [ }
request src=a.B { match dst=c.D { grant }
  assert (1) }
audit default = p
audit profile q { }
use EDL c.D
error { grant (); deny () }
"""
    found, places = parsed(text)
    assert places == [(2, 14), (3, 37), (4, 41), (7, 1), (7, 17), (9, 17)]
    assert [type(item).__name__ for item in found] == ["UseFile", "UseClass"]


@pytest.mark.parametrize(
    ("broken", "line", "column"),
    [
        ("request { grant (", 2, 5),  # a bracket is not closed
        ("request { grant () } }", 1, 22),  # one too many
        ("request { a { b : [ 1, ( } grant () }", 1, 26),
        ('request { assert "x }', 1, 18),
        ("reqest src=request, dst=use { grant () }", 1, 1),
        ("use EDL", 2, 5),
        ("task clas A : B", 1, 6),
        ("policy object request { }", 1, 23),
        ("assert { sequence { app ~ vault : x } }", 1, 25),
    ],
)
def test_the_next_declaration_is_found(broken: str, line: int, column: int) -> None:
    found, places = parsed(f"{broken}\nuse EDL a.B\nrequest src=a.B {{ grant () }}\n")
    assert places == [(line, column)]
    assert isinstance(found[-1], syntax.Binding)


def test_words_in_selectors_and_names_do_not_begin_declarations() -> None:
    text = "request src=a.B dst=c.D endpoint=use method=error ; { grant () }\nerror { grant () }\n"
    found, places = parsed(text)
    assert places == [(1, 51)] and len(found) == 1


def test_types_are_declarations_too() -> None:
    found, places = parsed("task clas A : B\ntype X = UInt8\naudit profil x = {}\ntype Y = ,\n")
    assert places == [(1, 6), (3, 7), (4, 10)]
    assert [type(item).__name__ for item in found] == ["TypeDeclaration"]


def test_indented_declarations() -> None:
    found, places = parsed("  request { grant ( }\n  use EDL a.B\n  error { deny ( }\n")
    assert [line for line, _ in places] == [1, 3] and len(found) == 1


def test_errors_of_one_file_have_a_limit() -> None:
    _, places = parsed("request ;\n" * 10_000)
    assert len(places) == MAX_ERRORS


def test_files_and_languages_together(tmp_path: Path) -> None:
    """Syntax errors of the policy, of a file it uses, and of interfaces are told in one run; what
    only follows from them is not."""
    files = {
        "security.psl": PRELUDE + "use parts.more._\nuse EDL bank.Bad\nrequest { grnt ) }\n"
        "policy object door : Flow { type }\n"
        "request src=bank.Teller { door.init { sid : src_sid } assert (1) }\n",
        "parts/more.psl": "response { grant () }\nerror { deny ] }\n",
        "bank/Bad.edl": "task class bank.Bad\nendpoints { a bank.IBad }\nsecurity bank.IBad\n",
        "bank/IBad.idl": "package bank.IBad\nconst UInt8 = 1;\nstruct S { UInt8 a }\n"
        "interface { Do(in UInt8); Done(); Undo(in UInt8 x y); }\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(DescriptionError) as error:
        load_policy(tmp_path / "security.psl", [LIB])
    found = {(Path(f.file).name, f.line, f.rule) for f in error.value.findings}
    assert found == {
        ("security.psl", 9, "SRC-003"),
        ("security.psl", 10, "SRC-003"),
        ("security.psl", 11, "PSL-030"),
        ("more.psl", 2, "SRC-003"),
        ("Bad.edl", 2, "SRC-003"),
    }
