"""Every rule of the checker, each shown by files that are wrong in one way.

A case is one text: `#### RULE file:line:column help`, then the files, each after `#### name`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kss.api import check_policy
from kss.errors import Finding
from kss.rules import RULES

HERE = Path(__file__).parent
CASES = sorted((HERE / "wrong").glob("*.txt"))
HEAD = re.compile(r"#### (\S+) (\S+):(\d+):(\d+) ?(.*)\n")
# not reached by what files say: a file that cannot be read, or holds something else than text
BESIDE = {"SRC-001", "SRC-002", "SRC-006", "PSL-009", "EDL-010", "EDL-011", "IDL-014", "IDL-017"}


def unpack(case: Path, into: Path) -> re.Match[str]:
    text = case.read_text("utf-8")
    head = HEAD.match(text)
    assert head, f"{case.name} has no head"
    for part in re.split(r"(?m)^#### ", text[head.end() :])[1:]:
        name, _, content = part.partition("\n")
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    return head


def findings_of(path: Path, include: Path, stub: bool = False) -> tuple[Finding, ...]:
    return check_policy(path, [include], stub=stub)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_finding(case: Path, tmp_path: Path) -> None:
    head = unpack(case, tmp_path)
    stub = case.name.startswith("STUB")
    found = findings_of(tmp_path / "security.psl", HERE / "lib", stub)
    assert len(found) == 1, [str(finding) for finding in found]
    (finding,) = found
    rule, file, line, column, help = head.groups()
    place = f"{Path(finding.file).relative_to(tmp_path)}:{finding.line}:{finding.column}"
    assert (finding.rule, place) == (rule, f"{file}:{line}:{column}"), str(finding)
    assert finding.help and help in finding.help
    source = (tmp_path / file).read_text("utf-8").split("\n")[finding.line - 1]
    assert source[finding.column - 1 :].startswith(finding.text.split("\n")[0])


def test_every_rule_has_a_case() -> None:
    shown = {case.stem.split("_")[0] for case in CASES}
    assert shown | BESIDE == {rule for rule in RULES if not rule.startswith("INIT")}


def test_file_that_is_not_there(tmp_path: Path) -> None:
    (finding,) = findings_of(tmp_path / "none.psl", tmp_path)
    assert finding.rule == "SRC-001"


def test_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "security.psl"
    path.write_bytes(b"// ok\n// \xff\n")
    (finding,) = findings_of(path, tmp_path)
    assert (finding.rule, finding.line) == ("SRC-002", 2)


def test_endpoints_have_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "security.psl"
    path.write_text("use EDL bank.Many\n")
    entries = "\n".join(f"e{number} : bank.IBolt" for number in range(1025))
    (tmp_path / "Many.edl").write_text(f"task class bank.Many\nendpoints {{\n{entries}\n}}\n")
    (finding,) = findings_of(path, HERE / "lib")
    assert (finding.rule, finding.line) == ("EDL-010", 1024 + 3)


def test_instances_have_a_limit(tmp_path: Path) -> None:
    """Twice as many instances on each level: named once, and at once."""
    path = tmp_path / "security.psl"
    path.write_text("use EDL bank.Many\n")
    (tmp_path / "Many.edl").write_text("task class bank.Many\ncomponents { a : bank.C0 }\n")
    for level in range(40):
        inner = f"a : bank.C{level + 1}\nb : bank.C{level + 1}"
        text = f"component bank.C{level}\ncomponents {{ {inner} }}\n"
        (tmp_path / f"C{level}.cdl").write_text(text)
    (tmp_path / "C40.cdl").write_text("component bank.C40\n")
    (finding,) = findings_of(path, tmp_path)
    assert finding.rule == "EDL-010"


def test_many_findings_in_one_run(tmp_path: Path) -> None:
    path = tmp_path / "security.psl"
    path.write_text(
        """\
use nk.base._
use nk.flow._
use EDL bank.Teller
use EDL bank.Valut
use EDL bank.Vault
policy object x : Flow { type State = "a" config = { states : ["b"], initial : "b" } }
request src=bank.Teler { grant () }
request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open {
  assert (message.amount == -1 || message.nothing)
  assert (message.pin)
  x.enter { sid : src_sid, state : "c" }
  match src=bank.Teller { grnt () }
}
request src=bank.Valut, endpoint=what { assert (message.ever == 1) }
"""
    )
    found = findings_of(path, HERE / "lib")
    places = [(finding.rule, finding.line) for finding in found if finding.severity == "error"]
    assert places == [
        ("EDL-009", 4),
        ("PSL-060", 6),
        ("PSL-012", 7),
        ("PSL-031", 9),
        ("PSL-030", 10),
        ("PSL-023", 12),
    ]


def test_files_have_a_limit(tmp_path: Path) -> None:
    """Nor is more of them read."""
    path = tmp_path / "security.psl"
    with path.open("wb") as stream:
        stream.truncate(100 << 20)
    (finding,) = findings_of(path, tmp_path)
    assert (finding.rule, finding.line) == ("SRC-006", 1)


@pytest.mark.parametrize(
    ("data", "line", "column", "help"),
    [
        ("use nk.base._\n// пример".encode("cp1251"), 2, 4, "save the file as UTF-8"),
        ("// пример".encode("utf-16"), 1, 1, "this is UTF-16"),
        (b"\xef\xbb\xbf// ok \xff", 1, 7, "save the file as UTF-8"),
    ],
)
def test_other_encodings(data: bytes, line: int, column: int, help: str, tmp_path: Path) -> None:
    path = tmp_path / "security.psl"
    path.write_bytes(data)
    (finding,) = findings_of(path, tmp_path)
    assert (finding.rule, finding.line, finding.column) == ("SRC-002", line, column)
    assert help in finding.help


def test_zero_bytes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "security.psl"
    path.write_text("use nk.base._\nrequest \0{ grant () }\n")
    (finding,) = findings_of(path, tmp_path)
    assert finding.message == "unexpected '\\u0000'"


def test_components_within_components_have_a_limit(tmp_path: Path) -> None:
    (tmp_path / "security.psl").write_text("use EDL bank.Deep\n")
    (tmp_path / "Deep.edl").write_text("task class bank.Deep\ncomponents { a : bank.C0 }\n")
    for level in range(2000):
        text = f"component bank.C{level}\ncomponents {{ a : bank.C{level + 1} }}\n"
        (tmp_path / f"C{level}.cdl").write_text(text)
    (finding,) = findings_of(tmp_path / "security.psl", tmp_path)
    assert finding.rule == "EDL-011"


def test_imports_have_a_limit(tmp_path: Path) -> None:
    (tmp_path / "security.psl").write_text("use EDL bank.Deep\n")
    (tmp_path / "Deep.edl").write_text("task class bank.Deep\nendpoints { a : bank.P0 }\n")
    for level in range(2000):
        text = f"package bank.P{level}\nimport bank.P{level + 1}\ninterface {{ }}\n"
        (tmp_path / f"P{level}.idl").write_text(text)
    (finding,) = findings_of(tmp_path / "security.psl", tmp_path)
    assert finding.rule == "IDL-017"
