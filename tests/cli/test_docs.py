"""The manual says what is: its examples, its links, the options it names."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from khs import resources
from khs.cli import app
from khs.trace import events

from .conftest import Khs

ROOT = resources.project()
pytestmark = pytest.mark.skipif(ROOT is None, reason="needs the sources")
assert ROOT is not None
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.glob("*.md")),
    *sorted((ROOT / "images").glob("*/README.md")),
]
PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: "/".join(page.parts[-2:]))


def links(page: Path) -> Iterator[str]:
    yield from re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))


def test_the_index_names_every_page() -> None:
    named = {(DOCS / link).resolve() for link in links(DOCS / "README.md")}
    written = {*DOCS.glob("*.md"), *(ROOT / "images").glob("*/README.md")}
    assert {page for page in written if page not in named} == {DOCS / "README.md"}


@PAGE
def test_links_lead_somewhere(page: Path) -> None:
    local = [link for link in links(page) if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def told(page: Path) -> Iterator[tuple[str, str]]:
    """Every command line of khs on a page: the command, and the line."""
    pattern = r"(?:^ {4}|`|\$\(|&& )khs ([a-z]+)\b([^`\n)|#&]*)"
    yield from re.findall(pattern, page.read_text(encoding="utf-8"), re.MULTILINE)


@PAGE
def test_commands_have_the_options_that_are_told(page: Path) -> None:
    group = typer.main.get_command(app)
    known = {
        name: {option for each in command.params for option in each.opts}
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }
    for command, line in told(page):
        assert command in known, f"khs {command}{line}"
        for option in re.findall(r"(?<=\s)--?[a-z][a-z-]*", line):
            assert option in known[command], f"khs {command}{line}"


def untimed(text: str) -> list[str]:
    """Words but for times, which every change of a program moves."""
    return re.sub(r"[\d.]+ ms", "", text).split()


def test_the_example_of_a_trace_is_current(khs: Khs, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    trace = tmp_path / "run.trace"
    assert khs("run", "iot-gateway", "--with", "attack.toml", "--trace", trace).code == 0
    page = (DOCS / "traces.md").read_text(encoding="utf-8")
    shown = page.split("```")[1]
    told = khs("trace", trace, "--denied").out
    assert untimed(shown) == untimed(told)
    rules = re.compile(r"security\.psl:\d+")
    assert set(rules.findall(page)) <= set(rules.findall(told)), "outside the example, too"


def carried_out(khs: Khs, commands: str, folder: Path) -> str:
    """The lines of an example in a folder beside images/; what the last one of khs printed."""
    told = ""
    for line in filter(None, (each.strip().removeprefix("$ ") for each in commands.splitlines())):
        name, *arguments = shlex.split(line)
        if name == "khs":
            done = khs(*arguments)
            assert done.code == 0 or "--policy" in arguments, done.err
            told = done.out
        else:
            subprocess.run(line, shell=True, check=True, cwd=folder)
    return told


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images/, which the commands run in."""
    pytest.importorskip("ziglang")
    (tmp_path / "images").symlink_to(resources.shipped("images"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_of_a_replay_under_another_policy_is_current(khs: Khs, here: Path) -> None:
    example = (DOCS / "replay.md").read_text(encoding="utf-8").partition("## Another policy")[2]
    indented = re.findall("^    (.*)$", example, re.MULTILINE)
    commands = [line for line in indented if line.startswith("$ ")]
    told = carried_out(khs, "\n".join(commands), here)
    lines = [untimed(line) for line in told.splitlines()]
    shown = [line for line in indented if line.strip() != "..." and line not in commands]
    assert len(commands) == 3 and len(shown) == 8
    assert [line for line in shown if untimed(line) not in lines] == []


def test_the_examples_of_another_policy_run(khs: Khs, here: Path) -> None:
    page = (DOCS / "running.md").read_text(encoding="utf-8")
    swaps = page.partition("## Another policy\n")[2].partition("\nAt the beginning")[0]
    assert "stricter" in carried_out(khs, swaps, here)
    explained = re.findall(
        r"^    khs .*run\.trace.*10=stricter.*$|^    khs .*10=stricter.*run\.trace$",
        page,
        re.MULTILINE,
    )
    assert len(explained) == 2
    assert "stricter.psl" in carried_out(khs, "\n".join(explained), here)


def test_every_key_of_a_run_s_document_is_described(khs: Khs, tmp_path: Path) -> None:
    """And none that there is not."""
    pytest.importorskip("ziglang")
    (tmp_path / "bad.bin").write_bytes(b"KSSP" + bytes(100))
    swaps = ("--policy-at", "2=security", "--policy-at", f"3={tmp_path / 'bad.bin'}")
    audit = ("--audit", tmp_path / "audit.jsonl")
    found = json.loads(khs("run", "iot-gateway", "--frames", 9, *swaps, *audit, "--json").out)
    sections = (DOCS / "running.md").read_text(encoding="utf-8").partition("\n## JSON\n")[2]
    whole, partition, policy = sections.split("| key | is |\n")[1:]
    for rows, section in (
        ([found], whole),
        (list(found["partitions"].values()), partition),
        (found["policies"], policy),
    ):
        keys = {key for row in rows for key in row}
        cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
        assert {key for cell in cells for key in re.findall("`(.*?)`", cell)} == keys
    assert found["policies"][1]["refusal"] is not None
    audit_page = (DOCS / "audit.md").read_text(encoding="utf-8")
    assert [key for key in found["audit"] if f"`{key}`" not in audit_page] == []


def test_every_key_of_json_lines_is_described(khs: Khs, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    keys = {"type", "tick", "ns", "partition"}
    for kind in events.Event.__subclasses__():
        keys |= {name for name in kind.__dataclass_fields__ if name != "kind"}
    trace = tmp_path / "run.trace"
    arguments = ("--with", "attack.toml", "--trace", trace, "--frames", 80, "--policy-at")
    images = resources.shipped("images")
    swap = f"20={images / 'iot-gateway' / 'security.psl'}"
    assert khs("run", "iot-gateway", *arguments, swap).code == 0
    for line in khs("trace", trace, "--json").out.splitlines():
        row = json.loads(line)
        keys |= row.keys()
        for name in ("rule", "nearest"):
            rule = row.get(name) or {}
            keys |= rule.keys() & {"file", "line", "column", "object", "method", "text"}
        for fate in row.get("objects", []):
            keys |= fate.keys()
    page = (DOCS / "traces.md").read_text(encoding="utf-8")
    section = page.partition("## JSON lines")[2].partition("\n## ")[0]
    assert [key for key in sorted(keys) if f"`{key}`" not in section] == []
