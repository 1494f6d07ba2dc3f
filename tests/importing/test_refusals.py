"""Solutions that cannot be imported: each is refused with a place, and nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from khs.config.checks import partition
from khs.errors import ConfigError, Finding, KhsError
from khs.importing import import_solution, survey
from tests.importing.solutions import FILES, imported, write

INIT, POLICY = "einit/src/init.yaml.in", "einit/src/security.psl.in"


def refused(solution: Path, **options: object) -> list[Finding]:
    with pytest.raises(ConfigError) as caught:
        imported(solution, **options)
    assert [path.name for path in solution.parent.iterdir()] == [solution.name]
    assert all(each.severity == "error" for each in caught.value.findings)
    assert not any(".import-" in each.words() for each in caught.value.findings)
    return list(caught.value.findings)


@pytest.mark.parametrize(
    ("name", "text", "rule", "line"),
    [
        (INIT, "entities: {", "INIT-001", 1),
        (INIT, "entities: &a [*a]\n", "INIT-001", 1),
        (INIT, "entities: []\n", "IMP-005", 0),
        (INIT, "", "INIT-003", 1),
        (INIT, "- x\n", "INIT-004", 1),
        (INIT, "entities:\n- name: ../../etc\n", "INIT-004", 2),
        (INIT, "entities:\n- name: bank.Vault\n  color: red\n", "INIT-002", 3),
        (INIT, "entities:\n- name: bank.Vault\n- name: bank.Vault\n", "INIT-005", 3),
        (INIT, "entities:\n- name: bank.Vault\n  env: {A: '@X@'}\n", "SRC-005", 3),
        (INIT, "entities:\n- name: \0\n", "INIT-001", 2),
        (INIT, "[" * 5000, "INIT-001", 1),
        (POLICY, "use EDL @WHO@\n", "SRC-005", 1),
        (POLICY, "{% if X %}\n", "SRC-008", 1),
        (POLICY, FILES[POLICY] + "request { nothing () }\n", None, 15),
        (POLICY, FILES[POLICY] + "use gone._\n", "PSL-009", 15),
        ("einit/src/rules/vault.psl", "request dst=bank.Vault, endpoint=no { grant () }", None, 1),
        ("resources/idl/ILock.idl", "package bank.ILock\ninterface { Open(in Nope x); }", None, 2),
        ("resources/Door.cdl", "component bank.Door\nendpoints {", None, None),
    ],
)
def test_a_wrong_file(
    name: str, text: str, rule: str | None, line: int | None, tmp_path: Path
) -> None:
    solution = write(tmp_path / "Bank", {name: text})
    findings = refused(solution)
    assert {Path(each.file) for each in findings} == {solution / name}
    assert rule in (None, *(each.rule for each in findings))
    assert line in (None, *(each.line for each in findings))


def test_lines_of_templates_are_those_of_the_file(tmp_path: Path) -> None:
    """The two classes that stand for one line make the copy longer than the file."""
    init = (
        FILES[INIT]
        .replace("target: kl.VfsNet", "target: kl.A")
        .replace(
            "bank.Vault\n    id: vault\n  - target: front", "kl.B\n    id: b\n  - target: front"
        )
    )
    text = FILES[POLICY] + "request src=bank.Nobody { grant () }\n"
    (found,) = refused(write(tmp_path / "Bank", {INIT: init, POLICY: text}))
    assert (found.line, found.column) == (15, 13)


def test_a_class_that_the_policy_does_not_know(tmp_path: Path) -> None:
    kept = ("execute", "use nk", "use EDL Einit", "use EDL kl")
    lines = [line for line in FILES[POLICY].splitlines() if line.startswith(kept)]
    solution = write(
        tmp_path / "Bank",
        {INIT: "entities:\n- name: bank.Vault\n", POLICY: "\n".join(lines)},
    )
    (found,) = refused(solution)
    assert (found.rule, found.line, Path(found.file)) == ("IMP-004", 2, solution / INIT)
    assert found.help == "use EDL bank.Vault in einit/src/security.psl.in"


def test_no_init_description(tmp_path: Path) -> None:
    (found,) = refused(write(tmp_path / "Bank", {INIT: None}))
    assert found.rule == "IMP-001"


def test_one_of_several_init_descriptions_is_chosen(tmp_path: Path) -> None:
    solution = write(tmp_path / "Bank", {"test/init.yaml": "entities:\n- name: bank.Vault\n"})
    (found,) = refused(solution)
    assert found.rule == "IMP-001"
    assert "einit/src/init.yaml.in, test/init.yaml" in found.help
    done = imported(solution, init=Path("test/init.yaml"))
    assert any(item.startswith("einit/src/init.yaml.in: ") for item in done.lost)


def test_a_file_may_be_chosen_from_where_one_is(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bank / "init.yaml").write_text("entities:\n- name: bank.Vault\n")
    monkeypatch.chdir(bank / "einit")
    assert imported(bank, init=Path("src/init.yaml.in")).folder.is_dir()


def test_no_policy(tmp_path: Path) -> None:
    (found,) = refused(write(tmp_path / "Bank", {POLICY: None}))
    assert found.rule == "IMP-002"


def test_policies_that_are_equally_near(tmp_path: Path) -> None:
    solution = write(tmp_path / "Bank", {"einit/src/security.psl": FILES[POLICY]})
    (found,) = refused(solution)
    assert found.rule == "IMP-002"
    far = {"einit/src/security.psl": None, "other/security.psl": "?"}
    assert imported(write(tmp_path / "Far", far)).folder.is_dir()


@pytest.mark.parametrize("name", ["/etc/passwd", "../Bank.yaml", "resources/edl/Vault.edl", "gone"])
def test_a_chosen_file_is_one_of_the_solution(name: str, bank: Path) -> None:
    for option in ("init", "policy"):
        (found,) = refused(bank, **{option: Path(name)})
        assert found.rule == "IMP-006"


def test_links_do_not_lead_outside(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside" / "Bank")
    solution = write(tmp_path / "inside" / "Bank", {INIT: None})
    (solution / "einit/src/init.yaml").symlink_to(outside / INIT)
    (found,) = refused(solution)
    assert found.rule == "IMP-001"


def test_endless_trees(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "MAX_FILES", 5)
    assert [each.rule for each in refused(bank)] == ["IMP-003"]
    monkeypatch.setattr(survey, "MAX_ENTRIES", 10)
    assert [each.rule for each in refused(bank)] == ["IMP-003"]


def test_what_a_system_may_not_be_is_told_of_the_init_description(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition, "PARTITIONS_MAX", 2)
    (found,) = refused(bank)
    assert (found.rule, Path(found.file), found.line) == ("PART-002", bank / INIT, 0)


def test_what_is_no_text(bank: Path) -> None:
    (bank / "resources/edl/Vault.edl").write_bytes(b"task class bank.Vault\n\xff\xfe")
    (found,) = refused(bank)
    assert (found.rule, found.line) == ("SRC-002", 2)


def test_no_folder(tmp_path: Path) -> None:
    for place in (tmp_path / "gone", Path("/dev/null")):
        with pytest.raises(KhsError, match="there is no folder"):
            import_solution(place, tmp_path / "system")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_told(bank: Path) -> None:
    (bank / "locked").mkdir(mode=0)
    assert "locked: cannot be read: Permission denied" in imported(bank).lost
