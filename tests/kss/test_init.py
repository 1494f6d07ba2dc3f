"""Init descriptions: which processes are started, and what is wrong with a file that says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kss.api import check, load_init
from kss.errors import DescriptionError, Finding
from kss.init import MAX_SIZE, Connection, Constant, Init, Process
from kss.rules import RULES

CORPUS = Path(os.environ.get("KHS_CORPUS") or "/nonexistent")


def init(path: Path, text: str, stub: bool = False, **defines: str) -> Init:
    (path / "init.yaml").write_text(text)
    return load_init(path / "init.yaml", defines, stub=stub)


def wrong(path: Path, text: str, stub: bool = False) -> list[Finding]:
    with pytest.raises(DescriptionError) as error:
        init(path, text, stub)
    return list(error.value.findings)


def brief(process: Process) -> tuple[object, ...]:
    return process.name, process.task, process.path, process.args, dict(process.env)


def ends(connection: Connection) -> tuple[str, str | Constant]:
    return connection.target, connection.id


WHOLE = """\
# Who is started.
entities:

- connections:          # keys in any order
  - {id: vault_channel, target: safe}
  - target: bank.Logger
    id: { include: log/client.h, var: LOG_CHANNEL }
  env: { LEVEL: 1, EMPTY: "", "QUOTED": 'a: b', YES: yes }
  name: bank.Teller
  args: [-v, "--mode=x", 007, '']
  task: teller
  path: TellerBinary
- name: bank.Vault
  task: safe
  args:
  env:
  connections:
- name: bank.Logger
"""


def test_every_key(tmp_path: Path) -> None:
    found = init(tmp_path, WHOLE)
    teller, safe, logger = found.processes
    assert brief(teller) == (
        "bank.Teller", "teller", "TellerBinary", ("-v", "--mode=x", "007", ""),
        {"LEVEL": "1", "EMPTY": "", "QUOTED": "a: b", "YES": "yes"},
    )  # fmt: skip
    assert [ends(connection) for connection in teller.connections] == [
        ("safe", "vault_channel"), ("bank.Logger", Constant("LOG_CHANNEL", "log/client.h")),
    ]  # fmt: skip
    assert brief(safe) == ("bank.Vault", "safe", "bank.Vault", (), {})
    assert brief(logger) == ("bank.Logger", "bank.Logger", "bank.Logger", (), {})
    assert (teller.location.line, teller.connections[1].location.line) == (4, 6)
    assert found.process("safe") is safe and found.process("bank.Vault") is None


def test_bytes_of_other_systems(tmp_path: Path) -> None:
    path = tmp_path / "init.yaml"
    path.write_bytes("\ufeff# Журнал\r\nentities:\r\n- name: a.B\r\n".encode())
    assert [process.task for process in load_init(path).processes] == ["a.B"]


def test_nothing_to_start(tmp_path: Path) -> None:
    assert init(tmp_path, "entities: []\n").processes == ()
    assert init(tmp_path, "entities:\n").processes == ()


ONE = "entities:\n- name: a.B\n"
TWO = "- name: a.C\n  connections:\n  - "


WRONG = [
        ("", "INIT-003", 1, 1, "entities:"),
        ("entities: [\n", "INIT-001", 2, 1, ""),
        ("entities:\n  - a: b\n c\n", "INIT-001", 3, 2, ""),
        ("- a\n", "INIT-004", 1, 1, "entities"),
        ("entitys: []\n", "INIT-002", 1, 1, "did you mean 'entities'?"),
        ("entities: x\n", "INIT-004", 1, 11, "- name:"),
        ("entities:\n- x\n", "INIT-004", 2, 3, "name, task"),
        ("entities:\n- task: x\n", "INIT-003", 2, 3, "name: bank.Vault"),
        (ONE + "  nmae: x\n", "INIT-002", 3, 3, "did you mean 'name'?"),
        (ONE + "  [x, y]: z\n", "INIT-002", 3, 3, ""),
        (ONE + "  env: [x]\n", "INIT-004", 3, 8, "NAME: text"),
        (ONE + "  env: {x: [y]}\n", "INIT-004", 3, 12, ""),
        (ONE + "  args: {x: y}\n", "INIT-004", 3, 9, "args: ["),
        (ONE + "  args: [[x]]\n", "INIT-004", 3, 10, ""),
        (ONE + "  task: {}\n", "INIT-004", 3, 9, ""),
        (ONE + '  task: ""\n', "INIT-004", 3, 9, ""),
        (ONE + '  task: "\\0"\n', "INIT-004", 3, 9, ""),
        ("entities:\n- name: a..B\n", "INIT-004", 2, 9, "letters, digits"),
        (ONE + "- name: a.B\n", "INIT-005", 3, 3, "the first is at line 2"),
        (ONE + "- name: c.D\n  task: a.B\n", "INIT-005", 3, 3, ""),
        (ONE + TWO + "{target: a.D, id: x}\n", "INIT-006", 5, 5, "did you mean 'a.B'?"),
        (ONE + "  task: b\n" + TWO + "{target: a.B, id: x}\n", "INIT-006", 6, 5, "tasks: b"),
        (ONE + TWO + "{target: a.C, id: x}\n", "INIT-007", 5, 5, "waits for itself"),
        (ONE + TWO + "{target: a.B, id: x}\n  - {target: a.B, id: x}\n", "INIT-007", 6, 5, ""),
        (ONE + TWO + "{target: a.B}\n", "INIT-003", 5, 5, "id: ..."),
        (ONE + TWO + "{id: x}\n", "INIT-003", 5, 5, "target: ..."),
        (ONE + TWO + "{target: a.B, id: {var: X}}\n", "INIT-003", 5, 23, "include:"),
        (ONE + TWO + "{target: a.B, id: {var: X, file: y}}\n", "INIT-002", 5, 32, "include, var"),
        (ONE + TWO + "{target: a.B, id: x, rights: rw}\n", "INIT-002", 5, 26, ""),
        (ONE + "  env: {A: 1, A: 2}\n", "INIT-008", 3, 15, "take one out"),
        (ONE + "  args: &a [x]\n  env: *a\n", "INIT-001", 4, 8, "write what it stands for"),
        (ONE + "---\nentities: []\n", "INIT-001", 3, 1, ""),
        (ONE + "  args: [@X@, y] # @Y@\n", "SRC-005", 3, 10, "--define X="),
        (ONE + "@MORE+@\n", "SRC-005", 3, 1, "--define MORE+="),
        (ONE + "  path: \x01\n", "INIT-001", 3, 9, "take it out"),
        (ONE + "  args: " + "[" * 5000 + "\n", "INIT-001", 1, 1, ""),
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "rule", "line", "column", "help"), WRONG)
def test_wrong(text: str, rule: str, line: int, column: int, help: str, tmp_path: Path) -> None:
    first, *_ = wrong(tmp_path, text)
    assert (first.rule, first.line, first.column) == (rule, line, column), first
    assert first.help and help in first.help
    if help == "write what it stands for":
        assert first.text == "*a"


def test_every_rule_has_a_case() -> None:
    shown = {case[1] for case in WRONG}
    assert {rule for rule in RULES if rule.startswith("INIT")} <= shown


def test_many_findings_in_one_run(tmp_path: Path) -> None:
    text = "entities:\n- nam: x\n- name: 1x\n  path: []\n- name: a\n  connections: [{target: b}]\n"
    assert [finding.line for finding in wrong(tmp_path, text)] == [2, 2, 3, 4, 6]


def test_placeholders(tmp_path: Path) -> None:
    text = "entities:\n- name: a.@WHO@\n@MORE+@\n@REST@\n"
    more = '  args: ["1"]\n  env: {A: B}'
    found = init(tmp_path, text, WHO="B", **{"MORE+": more, "REST": "- name: c.D"})
    assert [process.task for process in found.processes] == ["a.B", "c.D"]
    assert found.processes[0].args == ("1",) and found.processes[1].location.line == 4
    with pytest.raises(DescriptionError) as error:
        init(tmp_path, text, WHO="B", **{"MORE+": "  argz: []", "REST": ""})
    (only,) = error.value.findings
    assert (only.rule, only.line, only.column) == ("INIT-002", 3, 1)


def test_stub_mode(tmp_path: Path) -> None:
    """A placeholder alone on its line may stand for nothing, and targets for what it hides."""
    text = ONE + "@MORE@\n" + TWO + "{target: kl.Vfs, id: vfs}\n@INIT_EXTERNAL_ENTITIES@\n"
    found = init(tmp_path, text, stub=True)
    assert found.left_out == ("MORE", "INIT_EXTERNAL_ENTITIES")
    assert [note.rule for note in found.notes] == ["STUB-003", "STUB-003", "STUB-001"]
    assert found.processes[1].connections[0].target == "kl.Vfs"
    (only,) = wrong(tmp_path, ONE + "  path: x@Y@\n", stub=True)
    assert only.rule == "SRC-005"


def test_large_files(tmp_path: Path) -> None:
    entries = "".join(f"- name: a.B{number}\n" for number in range(3000))
    assert len(init(tmp_path, f"entities:\n{entries}").processes) == 3000
    (only,) = wrong(tmp_path, "#" * (MAX_SIZE + 1))
    assert only.rule == "SRC-006"


def test_check_knows_files_by_their_names(tmp_path: Path) -> None:
    for name in ("init.yaml", "init.yaml.in", "x.yml"):
        (tmp_path / name).write_text("entities: x\n")
        assert [f.rule for f in check(tmp_path / name)] == ["INIT-004"]


WORDS = st.sampled_from(
    ["entities:", "\n", "- ", "  ", "name: a.B", "task:", "x", "{", "}", "[", "]", ",", ": ", "&a",
     "*a", "!!int", "@X@", "#", '"', "'", "connections:", "target: a.B", "id:", "|", ">", "---"]
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(WORDS, max_size=25).map("".join) | st.text(max_size=40))
def test_any_text_is_an_init_description_or_has_located_findings(text: str) -> None:
    from kss.errors import Findings
    from kss.init import _Reader
    from kss.source import Source

    findings = Findings()
    _Reader(Source("init.yaml", text), findings, stub=False).read()
    lines = text.splitlines() or [""]
    assert all(1 <= finding.line <= len(lines) + 1 for finding in findings.items)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="KHS_CORPUS names no folder with solutions")
def test_corpus() -> None:
    """What stands alone is left out; the two names within lines are given."""
    defines = {"ROOTFS_ENTITY": "kl.VfsSdCardFs", "INIT_KlogEntity_PATH": "Klog"}
    files = sorted(CORPUS.rglob("init.yaml.in"))
    assert files
    for path in files:
        assert load_init(path, defines, stub=True).processes
