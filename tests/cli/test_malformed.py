"""What is wrong with a malformed message: in the summary of a run, in its trace, explained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Khs

pytest.importorskip("ziglang")

CONFORMS = "the message does not conform to its interface"


@pytest.mark.parametrize(
    ("case", "role", "defect"),
    [
        ("length-below-constant", "echo", "23 bytes, the constant part has 24"),
        ("span-far-outside", "echo", "data: 4 bytes at 65536 leave the arena of 4"),
        ("method-unknown", "echo", "its header names method 77; endpoint echo has 2, from 0 on"),
        ("reply-malformed", "client", "its header has flag 0, that of a response is 1"),
    ],
)
def test_it_is_told_everywhere(khs: Khs, tmp_path: Path, case: str, role: str, defect: str) -> None:
    overlay, trace = tmp_path / "case.toml", tmp_path / "run.trace"
    overlay.write_text(
        f'[input.case]\nmessages = [{{ at = "0ms", text = "{case}" }}]\n'
        f'[input.role]\nmessages = [{{ at = "0ms", text = "{role}" }}]\n'
    )
    done = khs("run", "hostile", "--with", overlay, "--trace", trace, "--frames", 10)
    assert done.code == 0, done.err
    assert f"\n    {CONFORMS}: {defect}\n" in done.out
    done = khs("trace", trace, "--denied")
    assert done.out.endswith(f"]  {CONFORMS}: {defect}\n") or "method 77  " in done.out
    done = khs("trace", trace, "--denied", "--json")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["defect"] for row in rows] == [defect]
    explained = ("explain", "hostile", "--with", overlay, trace)
    assert khs(*explained, "--denied").out == f"denied: {CONFORMS}: {defect}\n"
    told = json.loads(khs(*explained, "--denied", "--json").out)
    assert (told["verdict"], told["reason"]) == ("denied", "malformed")
    assert told["event"]["src"] == "hostile.Hostile" and told["bindings"] == []

    verdicts = khs("trace", trace, "--type", "verdict").out.splitlines()
    assert khs(*explained, len(verdicts)).code == 0  # one after it, which knows nothing of it
    lines = khs("trace", trace, "--events").out.splitlines()
    assert len(lines) == len(verdicts) - 1
