"""Every rule, by a system that is wrong in just that way.

tests/data/systems/RULE-what_is_wrong.toml marks the line at fault with "# wrong"; expected.txt
holds the findings in full. `python tests/config/test_checks.py` writes expected.txt anew: read
the difference before you commit it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from khs import config
from khs.config.rules import RULES, suggest
from khs.errors import ConfigError, Finding, shown

SYSTEMS = Path(__file__).parents[1] / "data" / "systems"
FILES = sorted(SYSTEMS.glob("*.toml"))
EXPECTED = SYSTEMS / "expected.txt"

#: Rules that a file in a repository cannot break; tests below do.
ELSEWHERE = {"FILE-001", "PART-002"}

#: Rules of `khs build --release`.
RELEASE = ("PART-017", "POLICY-005")


def findings(path: Path) -> list[Finding]:
    return config.check(path, release=path.name.startswith(RELEASE))


def text(finding: Finding) -> str:
    return finding.words().replace(f"{shown(SYSTEMS)}/", "")


def expected() -> dict[str, str]:
    sections = EXPECTED.read_text(encoding="utf-8").split("== ")[1:]
    return {name: body.strip() for name, body in (s.split("\n", 1) for s in sections)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_finding(path: Path) -> None:
    found = findings(path)
    rule = path.stem.rsplit("-", 1)[0]
    assert {finding.rule for finding in found} == {rule}
    assert {finding.severity for finding in found} == {RULES[rule].severity}
    for finding in found:
        assert finding.message and finding.help
        lines = Path(finding.file).read_text(encoding="utf-8").splitlines()
        marked = [number for number, line in enumerate(lines, 1) if "# wrong" in line]
        assert [finding.line] == (marked or [1]) or path.stem == "TOML-001-array_not_closed"
        assert 1 <= finding.column <= len(lines[finding.line - 1]) + 1
    assert "\n".join(map(text, found)) == expected()[path.stem]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_load_refuses_errors_alone(path: Path) -> None:
    found = findings(path)
    release = path.name.startswith(RELEASE)
    if any(finding.severity == "error" for finding in found):
        with pytest.raises(ConfigError) as caught:
            config.load(path, release=release)
        assert list(caught.value.findings) == found
    else:
        assert list(config.load(path, release=release).warnings) == found


def test_every_rule_has_a_system() -> None:
    tested = {path.stem.rsplit("-", 1)[0] for path in FILES}
    assert tested | ELSEWHERE == set(RULES)
    assert expected().keys() == {path.stem for path in FILES}


def test_rules_are_documented() -> None:
    for rule in RULES.values():
        assert rule.text.endswith("."), rule.id
    checks = [rule for rule in RULES.values() if rule.check is not None]
    assert len(checks) >= 40


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("buton", ["lamp", "button"], "button"),
        ("cold-restart", ["warm_restart", "cold_restart"], "cold_restart"),
        ("Sensor", ["sensor"], "sensor"),
        ("uart9", ["uart1", "uart2"], None),
        ("urt1", ["uart2", "uart1"], "uart1"),
        ("zebra", ["lamp", "button"], None),
        ("x", [], None),
    ],
)
def test_did_you_mean(name: str, known: list[str], meant: str | None) -> None:
    help = suggest(name, known, "names")
    assert help.startswith(f'did you mean "{meant}"?') if meant else "mean" not in help
    assert help.endswith("names: " + (", ".join(f'"{word}"' for word in known) or "none"))


def test_all_findings_in_one_run(tmp_path: Path) -> None:
    """Values of the wrong type hide neither each other nor what other values break."""
    path = tmp_path / "system.toml"
    path.write_text(
        """format = 1
[system]
name = 5
board = "sabrelite"
policy = "none.psl"
[schedule.normal]
major_frame = "20ms"
windows = [
  { partition = "a", start = 0, length = "4ms" },
  { partition = "b", start = "4ms", length = "40ms" },
  { partition = "c", start = "8ms", length = "4ms" },
]
[partition.a]
class = "A"
program = "a"
stak = "1KiB"
[partition.b]
class = "B"
program = "b"
period = "x"
deadline = "3ms"
privileges = ["root"]
[health]
default = { level = "partition", action = "explode" }
""",
        encoding="utf-8",
    )
    assert [(finding.rule, finding.line) for finding in config.check(path)] == [
        ("KEY-003", 3),
        ("POLICY-001", 5),
        ("UNIT-001", 9),
        ("SCHED-004", 10),
        ("SCHED-005", 11),
        ("SCHED-003", 11),
        ("KEY-001", 16),
        ("UNIT-001", 20),
        ("PART-009", 22),
        ("KEY-004", 24),
    ]


def test_too_many_partitions(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(1025)]
    lines = ["format = 1", "[system]", 'name = "many"', 'board = "sabrelite"']
    lines += [
        f'policy = "{SYSTEMS}/security.psl"',
        "[schedule.s]",
        'major_frame = "2ms"',
        "windows = [",
    ]
    lines += [
        f'{{ partition = "{name}", start = "{number}us", length = "1us" }},'
        for number, name in enumerate(names)
    ]
    lines += ["]", "[health]", 'default = { level = "partition", action = "idle" }']
    lines += [f'[partition.{name}]\nclass = "A"\nprogram = "a"' for name in names]
    path = tmp_path / "system.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    found = config.check(path)
    assert [finding.rule for finding in found] == ["PART-002"]
    assert found[0].line == len("\n".join(lines).splitlines()) - 2


@pytest.mark.parametrize("name", ["missing", "folder"])
def test_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (finding,) = config.check(tmp_path / name)
    assert finding.rule == "FILE-001" and finding.line == 0 and finding.help


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "system.toml"
    path.write_bytes(b'format = 1\nname = "\xff"\n')
    (finding,) = config.check(path)
    assert (finding.rule, finding.line, finding.column) == ("TOML-001", 2, 9)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    path = tmp_path / "system.toml"
    path.write_bytes(b"\xef\xbb\xbfformat = 2\n")
    assert ("FORMAT-001", 1, 10) in [(f.rule, f.line, f.column) for f in config.check(path)]
    path.write_bytes(b'\xef\xbb\xbfformat = 1\nname = "\xff"\n')
    (finding,) = config.check(path)
    assert (finding.rule, finding.line, finding.column) == ("TOML-001", 2, 9)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("inside/system.toml", "inside/system.toml"),
        ("{here}/inside/system.toml", "inside/system.toml"),
        ("inside/../system.toml", "system.toml"),
        ("../outside.toml", "{above}/outside.toml"),
        ("/elsewhere/system.toml", "/elsewhere/system.toml"),
    ],
)
def test_paths_are_relative_inside_the_current_folder_and_absolute_outside(
    file: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    (here / "inside").mkdir(parents=True)
    monkeypatch.chdir(here)
    words = {"here": here, "above": tmp_path}
    finding = Finding("RULE-001", "error", file.format(**words), 3, 7, "wrong")
    assert finding.words() == f"{told.format(**words)}:3:7: error RULE-001: wrong"
    assert finding.to_json()["file"] == told.format(**words)


def test_later_stages_report_through_the_system() -> None:
    def later(system: config.System) -> list[Finding]:
        path = ("partition", "sensor", "class")
        return [system.finding("POL-001", path, "no class plant.Sensor", "declare it in an EDL")]

    path = SYSTEMS / "valid" / "complete.toml"
    (finding,) = config.check(path, also=[later])
    line = path.read_text(encoding="utf-8").splitlines()[finding.line - 1]
    assert line[finding.column - 1 :] == '"plant.Sensor"'
    with pytest.raises(ConfigError, match="POL-001"):
        config.load(path, also=[later])


if __name__ == "__main__":
    body = "".join(f"== {p.stem}\n" + "\n".join(map(text, findings(p))) + "\n\n" for p in FILES)
    EXPECTED.write_text(body, encoding="utf-8")
