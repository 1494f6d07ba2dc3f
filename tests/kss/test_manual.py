"""docs/policy.md: whatever it shows is tried, and its table of findings is current.

A block's first word after the language is the file that it is. PSL without one is checked behind the
beginning of a policy; `wrong RULE` has that finding and no other. Lines of a console are run.
"""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kss import cli, manual
from kss.api import EventNames, Kind, load_init, load_policy
from kss.errors import DescriptionError, Findings
from kss.evaluate import Evaluation
from kss.format import LANGUAGES as LANGUAGES_OF_FMT
from kss.format import format_source
from kss.models import FILES, MODELS
from kss.reference import Reference
from kss.rules import RULES
from kss.source import PACKAGE, Source
from kss.template import Template

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "policy.md").read_text("utf-8")
LANGUAGES = {"idl", "edl", "cdl", "psl", "json", "jsonl", "console", "yaml", "text", "python"}
PRELUDE = "".join(f"use {file}._\n" for file in FILES) + (
    "use EDL kl.core.Core\nuse EDL Einit\nuse EDL yard.Gate\nuse EDL yard.Panel\n"
    "use EDL demo.Server\nexecute { grant () }\n"
)


class Block(NamedTuple):
    line: int
    language: str
    info: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}"


def blocks(page: str = PAGE) -> Iterator[Block]:
    for match in re.finditer(r"(?m)^(```+)(\w*) ?(.*)\n((?:.*\n)*?)\1$", page):
        yield Block(page.count("\n", 0, match.start()) + 1, *match.groups()[1:])


def of(language: str, *, named: bool) -> list[Block]:
    return [b for b in blocks() if b.language == language and named == ("." in b.info)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for block in blocks():
        if "." in block.info:
            path = tmp_path / block.info
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
    return tmp_path


def test_every_block_is_of_a_kind_that_is_tried() -> None:
    assert {block.language for block in blocks()} == LANGUAGES
    rest = re.sub(r"(?m)^(```+)(\w*) ?(.*)\n((?:.*\n)*?)\1$", "", PAGE)
    assert "```" not in rest


@pytest.mark.parametrize("block", of("psl", named=True), ids=str)
def test_whole_policies(block: Block, folder: Path) -> None:
    """Good, but for the one that grants nothing."""
    found = [warning.rule for warning in load_policy(folder / block.info).warnings]
    assert found == (["PSL-081"] if block.info == "nothing.psl" else [])


@pytest.mark.parametrize("block", of("psl", named=False), ids=str)
def test_parts_of_policies(block: Block, folder: Path) -> None:
    path = folder / "part.psl"
    path.write_text(PRELUDE + block.text)
    try:
        found = [warning.rule for warning in load_policy(path).warnings]
    except DescriptionError as error:
        found = [finding.rule for finding in error.findings]
    assert found == re.findall(r"wrong (\S+)", block.info)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_policies_and_interfaces_are_in_the_form_of_kss_fmt(page: Path) -> None:
    """In every page of the manual; but for the one that shows what fmt does."""
    for block in blocks(page.read_text("utf-8")):
        if f".{block.language}" in LANGUAGES_OF_FMT and block.info != "loose.psl":
            findings = Findings()
            source = Source(f"{page.name}, {block}", block.text)
            form = format_source(source, f".{block.language}", findings)
            assert form == block.text, findings.items or f"{source.name}: {form}"


@pytest.mark.parametrize("block", of("jsonl", named=False), ids=str)
def test_events(block: Block, folder: Path) -> None:
    path = folder / "all.psl"
    path.write_text(PRELUDE + "request { grant () } security { grant () }")
    policy = load_policy(path)
    told = Evaluation(policy, Reference(policy.tree)).lines(block.text.splitlines())
    assert [row.get("verdict", row) for row in told] == ["granted"] * block.text.count("\n")


@pytest.mark.parametrize("block", of("console", named=False), ids=str)
def test_commands(
    block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch, library: Path, capsys: Any
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KSS_LIBRARY", str(library))
    for command, output in re.findall(r"(?m)^\$ (kss .*)\n((?:[^$].*\n)*)", block.text):
        monkeypatch.setattr("sys.argv", shlex.split(command))
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
        with pytest.raises(SystemExit):
            cli.main()
        assert capsys.readouterr().out == output


@pytest.mark.parametrize("block", of("yaml", named=True), ids=str)
def test_init_descriptions(block: Block, folder: Path) -> None:
    assert load_init(folder / block.info).processes and not load_init(folder / block.info).notes


def test_the_template(folder: Path) -> None:
    """Each of its classes for what the conditions say."""
    (block,) = of("text", named=False)
    for board, debug, name in (("rpi4", "", "Gpio"), ("", "", "Nothing"), ("pc", "1", "Console")):
        findings = Findings()
        template = Template({"BOARD": board, "DEBUG": debug})
        text = template.expand(Source("t.psl", block.text), findings).text
        assert text.split() == ["use", "EDL", f"acme.{name}"] and not findings.items


def test_the_last_example_is_what_the_text_says(folder: Path) -> None:
    policy = load_policy(folder / "security.psl")
    told = Evaluation(policy, Reference(policy.tree))
    for line in (folder / "events.jsonl").read_text().splitlines():
        told.judge(json.loads(line))
    reset = {"event": "request", "src": "yard.Panel", "dst": "yard.Gate", "method": "Reset"}
    assert told.judge(reset)["reason"] == "default"
    names = EventNames(
        Kind.REQUEST, "yard.Panel", "yard.Gate", "yard.IService", "yard.Service", "service.port"
    )
    nearest = policy.nearest(replace(names, method="Reset")).replace(f"{folder}/", "")
    assert nearest in " ".join(PAGE.split())


def test_findings_are_current() -> None:
    """`python -m kss.manual docs/policy.md` brings them up to date."""
    assert manual.updated(PAGE) == PAGE
    assert all(f"| {rule} | " in PAGE for rule in RULES)


def test_every_model_has_a_section() -> None:
    titles = " ".join(re.findall(r"(?m)^### (.*)$", PAGE))
    offered = [model.name for model in MODELS.values() if model.file]
    assert [name for name in offered if name not in titles] == []
    own = [f"kss.{path.stem}" for path in (PACKAGE / "sdk/kss").glob("*.model")]
    assert [file for file in [*FILES, *own] if f"use {file}._" not in titles] == []


def test_the_own_model_of_the_page(folder: Path) -> None:
    policy = load_policy(folder / "offices.psl")
    told = Evaluation(policy, Reference(policy.tree))
    panel = {"src": "yard.Panel", "dst": "yard.Gate", "method": "Move", "endpoint": "gate"}
    told.judge({"event": "execute", "src": "Einit", "dst": "yard.Panel"})
    found = [
        told.judge({"event": "request", **panel, "message": {"position": position}})["verdict"]
        for position in (0, 9, 1, 2, 9, 0, 1)
    ]
    assert "".join(verdict[0] for verdict in found) == "gddgggd"


def test_links_lead_somewhere() -> None:
    titles = re.findall(r"(?m)^#+ (.*)$", PAGE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    targets = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert {target[1:] for target in targets if target.startswith("#")} <= anchors
    here = Path(__file__).parents[2] / "docs"
    for target in targets:
        assert target.startswith("#") or (here / target.split("#")[0]).is_file(), target
