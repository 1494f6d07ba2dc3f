"""Documents that nobody would write by mistake."""

from __future__ import annotations

import tomllib
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from khs.config import boards, rules
from khs.config.document import Document, UnreadableError
from khs.config.freeze import Freezer
from khs.config.read import Reader
from khs.config.render import render
from khs.config.salvage import salvage
from khs.config.toml import Source

COMPLETE = Path(__file__).parents[1] / "data" / "systems" / "valid" / "complete.toml"

JUNK = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(
        ["", "x", "0ms", "1ns", "20ms", "7000000s", "1GiB", "0x5000_0000", "rwx", "idle", ".", "\0"]
    )
    | st.lists(st.sampled_from(["a", "sensor", 1, {}]), max_size=3)
    | st.dictionaries(
        st.sampled_from(["a", "sensor", "level", "x.y"]), st.sampled_from(["r", {}, 1]), max_size=2
    )
)


@settings(deadline=None, max_examples=250)
@given(st.data(), st.randoms(use_true_random=False))
def test_no_document_makes_the_checks_fail(data: st.DataObject, random: Random) -> None:
    """Documents with some values replaced or removed lead to findings, never to an exception."""
    document = tomllib.loads(COMPLETE.read_text(encoding="utf-8"))
    for _ in range(data.draw(st.integers(1, 4))):
        container, key = random.choice(list(places(document)))
        junk = data.draw(JUNK)
        if junk is None:
            del container[key]
        else:
            container[key] = junk
    source = Source(document, {})
    reader = Reader(source, "f")
    typed = reader.document(Document)
    board = boards.load(boards.folder() / "q35.toml")
    context = rules.Context(typed, source, COMPLETE.parent, board)
    findings = reader.findings + rules.run(context, "f")
    salvage(context, (COMPLETE,))
    try:
        render(typed)
    except UnreadableError:
        assert reader.findings
    if not any(finding.severity == "error" for finding in findings):
        Freezer(typed, board, COMPLETE.parent).system((COMPLETE,), source, ())


def places(value: Any) -> Any:
    """Every container and key in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)
