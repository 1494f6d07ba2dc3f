"""The effective document."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khs import config
from khs.config.document import Document
from khs.config.read import Reader
from khs.config.render import render
from khs.config.toml import Source
from khs.errors import ConfigError

SYSTEMS = Path(__file__).parents[1] / "data" / "systems"
VALID = sorted((SYSTEMS / "valid").glob("*.toml"))
COMPLETE = SYSTEMS / "valid" / "complete.toml"


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_resolved_document_reads_back(path: Path, tmp_path: Path) -> None:
    systems = shutil.copytree(SYSTEMS, tmp_path / "systems")
    path = systems / path.relative_to(SYSTEMS)
    text = config.resolve(path)
    assert text == config.resolve(path)
    again = path.with_name("resolved.toml")  # beside it: paths are relative to the folder
    again.write_text(text, encoding="utf-8")
    assert config.resolve(again) == text
    assert config.load(again) == config.load(path)
    assert config.load(path).document == text


def test_resolved_text() -> None:
    assert config.resolve(SYSTEMS / "valid" / "minimal.toml") == (
        """format = 1

[system]
name = "one"
board = "pc"
policy = "../security.psl"
policies = {}
include = ["."]
stub = false

[run]
frames = 100
seed = 1
preemption_dependent = []
audit_on_full = "stop"
audit_patience = "10s"

[schedule.only]
major_frame = "1ms"
windows = [
  { partition = "a", start = "0ms", length = "1ms" },
]

[partition.a]
class = "A"
kind = "native"
program = "a"
stack = "16KiB"
heap = "0B"
privileges = []
devices = []
args = []
env = {}

[health]
default = { level = "partition", action = "idle" }
"""
    )


def test_resolve_shows_a_document_that_breaks_rules() -> None:
    assert 'start = "3ms"' in config.resolve(SYSTEMS / "SCHED-003-windows_overlap.toml")
    with pytest.raises(ConfigError, match="KEY-002"):
        config.resolve(SYSTEMS / "KEY-002-no_class.toml")


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


@settings(deadline=None, max_examples=60)
@given(args=st.lists(TEXTS, max_size=4), values=st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_any_text_survives_resolving(args: list[str], values: dict[str, str]) -> None:
    data = tomllib.loads(COMPLETE.read_text(encoding="utf-8"))
    data["partition"]["sensor"] |= {"args": args, "env": values}
    text = render(Reader(Source(data, {}), "f").document(Document))
    again = tomllib.loads(text)["partition"]["sensor"]
    assert (again["args"], again["env"]) == (args, values)
