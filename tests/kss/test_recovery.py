"""Several syntax errors in one run: parsing goes on with the next declaration."""

from __future__ import annotations

from pathlib import Path

import pytest
from kss import syntax
from kss.api import check, load_policy
from kss.errors import DescriptionError, Findings
from kss.grammar.parser import MAX_ERRORS
from kss.grammar.psl import parse_policy
from kss.source import Source

from tests.kss.conftest import LIB, PRELUDE, Load


def parsed(text: str) -> tuple[list[syntax.Declaration], list[tuple[int, int]]]:
    findings = Findings()
    found, hidden = parse_policy(Source("t.psl", text), findings)
    assert bool(hidden) == findings.failed
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
        *(("IBad.idl", line, "SRC-003") for line in (2, 3, 4)),
    }


def rules(load: Load, text: str, **options: object) -> list[tuple[int, str]]:
    """Lines, those of the prelude not counted, and rules of the findings."""
    with pytest.raises(DescriptionError) as error:
        load(text, **options)
    skipped = PRELUDE.count("\n")
    return [(f.line - skipped, f.rule) for f in error.value.findings if f.severity == "error"]


def test_a_syntax_error_hides_nothing_but_what_its_declaration_declares(load: Load) -> None:
    """Findings of every kind stand behind the broken declarations; uses of what these declare are
    no findings."""
    found = rules(
        load,
        """\
policy object door : Flow { config = [ }
request src=bank.Robber { grant () }
request src=bank.Teller { window.init { sid : src_sid } door.init { sid : src_sid } }
request dst=bank.Vault endpoint=door method=Smash { grant () }
request dst=bank.Vault endpoint=cellar { grant () }
policy object gate : Flw { type State = "a" }
policy object set : HashSet { type Entry = Nothing, }
type Sett = Nothing
audit profile p = { 0 : { door : ] }
audit default = p 0
request src=bank.Teller { audit q grant () }
assert "s" { sequence "t" { grant execute dst=bank.Robber } }
assert "s" { sequence "t" { grant bank.Teller ~> bank.Vault : door.Smash } }
""",
    )
    assert found == [
        (1, "SRC-003"), (7, "SRC-003"), (9, "SRC-003"), (8, "PSL-063"), (6, "PSL-021"),
        (2, "PSL-012"), (3, "PSL-022"), (4, "PSL-016"), (5, "PSL-015"), (11, "PSL-070"),
        (12, "PSL-012"), (13, "PAL-004"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "use"),
    [
        ("polcy object own : Flow {}", "request src=bank.Teller { own.init () }"),
        ("policy objct own : Flow {}", "request src=bank.Teller { own.init () }"),
        ("use EDL 5 bank.Robber", "request src=bank.Robber { grant () }"),
        ("task clas bank.Robber : bank.Teller", "request src=bank.Robber { grant () }"),
        ("use bank.Vault", "request src=bank.Vault { grant () }"),
        ("type Key = |", "type Own = Key"),
        ("audit profil p = {}", "audit default = p 0"),
        ("request { grant (\n  policy object own : Flow { }", "error { own.init () }"),
        ("@CLASSES@", "request src=bank.Robber { own.init () }"),
    ],
)
def test_what_a_broken_declaration_may_declare_is_known(load: Load, broken: str, use: str) -> None:
    found = rules(load, f"{broken}\n{use}\nerror {{ 1 }}\n")
    assert [rule for _, rule in found][:-1] == [found[0][1]] and found[-1][1] == "SRC-003", found


def test_a_file_named_in_the_wrong_form_is_read_all_the_same(load: Load, tmp_path: Path) -> None:
    (tmp_path / "more.psl").write_text("policy object door : Flow { }\n")
    found = rules(load, "use more\nrequest src=bank.Teller { window.init () }\n")
    assert (1, "PSL-005") in found and (2, "PSL-022") in found


def test_a_model_that_cannot_be_read_hides_itself_only(load: Load, tmp_path: Path) -> None:
    (tmp_path / "lock.model").write_text("class Lock:\n    def (\n")
    found = rules(load, "use lock._\npolicy object l : Lock {}\nerror { l.a () m.a () }\n")
    assert [rule for _, rule in found] == ["SRC-003", "PSL-022"]


def test_interfaces_go_on_after_a_syntax_error(tmp_path: Path) -> None:
    """Names of broken declarations, those that are imported too, are no findings; others are, and
    so is what is wrong with a file whose head is broken."""
    files = {
        "P.idl": "package P\nstruct S { UInt8 }\nconst UInt8 N M = 1;\nstruct T { Nothing n; }\n",
        "Q.idl": "packge Q\nimport P\ntypedef array<S, N> A;\ntypedef Nowhere B;\n"
        "interface { Do(in S s, in Never n, out A a); }\n",
        "C.edl": "task class C\ninterfaces { a Q }\nendpoints { q : Q nowhere : R }\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = sorted((Path(f.file).name, f.line, f.rule) for f in check(tmp_path / "C.edl"))
    assert found == [
        ("C.edl", 2, "SRC-003"), ("C.edl", 3, "EDL-005"),
        ("P.idl", 2, "SRC-003"), ("P.idl", 3, "SRC-003"), ("P.idl", 4, "IDL-002"),
        ("Q.idl", 1, "SRC-003"), ("Q.idl", 4, "IDL-002"), ("Q.idl", 5, "IDL-002"),
    ]  # fmt: skip


def test_a_declaration_that_lost_its_name_may_declare_any(tmp_path: Path) -> None:
    (tmp_path / "P.idl").write_text("package P\nconst UInt8 = 4;\n")
    (tmp_path / "Q.idl").write_text("package Q\nimport P\nstruct S { bytes<Max> b; }\nx\n")
    found = check(tmp_path / "Q.idl")
    assert [(Path(f.file).name, f.rule) for f in found] == [
        ("Q.idl", "SRC-003"),
        ("P.idl", "SRC-003"),
    ]


@pytest.mark.parametrize("broken", ["interface { Do(", "interfce { Do(); }", "@INTERFACE@"])
def test_a_broken_interface_is_not_told_as_a_missing_one(broken: str, tmp_path: Path) -> None:
    (tmp_path / "P.idl").write_text(f"package P\n{broken}\nconst UInt8 X = 1;\nstruct S {{ }}\n")
    (tmp_path / "C.edl").write_text("task class C\nendpoints { p : P }\n")
    found = [finding.rule for finding in check(tmp_path / "C.edl")]
    assert found in (["SRC-003", "IDL-013"], ["SRC-005", "IDL-013"])


def test_a_package_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "P.idl").write_text("package P\nimport Gone\nstruct S { Far f; bytes<Max> b; }\n")
    found = check(tmp_path / "P.idl")
    assert [finding.rule for finding in found] == ["IDL-011"]
