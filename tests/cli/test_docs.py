"""The manual says what is: its examples, its links, the options it names."""

from __future__ import annotations

import json
import re
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


def test_the_example_of_a_trace_is_current(khs: Khs, tmp_path: Path) -> None:
    """But for numbers, which every change of a program moves."""
    pytest.importorskip("ziglang")
    trace = tmp_path / "run.trace"
    assert khs("run", "iot-gateway", "--with", "attack.toml", "--trace", trace).code == 0
    page = (DOCS / "traces.md").read_text(encoding="utf-8")
    shown = page.split("```")[1]

    def plain(text: str) -> list[str]:
        return re.sub(r"[\d.]+ ms|psl:\d+", "", text).split()

    assert plain(shown) == plain(khs("trace", trace, "--denied").out)


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
