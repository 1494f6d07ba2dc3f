"""The crossing: it works, and a lights controller that wants harm shows nothing dangerous."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from khs.resources import shipped
from khs.trace import events
from tests.guests.systems import BOARDS, Run, built, run

FRAMES = 300
FAULT = shipped("images") / "traffic-light" / "fault.toml"

RED = ("red", "red")
AFTER = {
    ("dark", "dark"): {("yellow", "yellow"), RED},
    ("yellow", "yellow"): {("dark", "dark"), RED},
    RED: {("green", "red"), ("red", "green"), ("yellow", "yellow")},
    ("green", "red"): {("yellow", "red")},
    ("yellow", "red"): {RED},
    ("red", "green"): {("red", "yellow")},
    ("red", "yellow"): {RED},
}


def pictures(played: Run) -> list[tuple[str, str]]:
    """What the lamps showed, one after the other."""
    found = re.findall(r"^A (\S+), B (\S+)$", played.console("diagnostics"), re.MULTILINE)
    return [(a, b) for a, b in found]


def test_the_directions_take_turns(arch: str) -> None:
    played = run(built("traffic-light", BOARDS[arch]), FRAMES)
    shown = pictures(played)
    assert set(shown) == set(AFTER)
    assert all(later in AFTER[before] for before, later in pairwise(shown))
    greens = [picture for picture in shown if "green" in picture]
    assert len(greens) > 8
    assert all(one != two for one, two in pairwise(greens))
    assert played.result.verdicts["denied"] == 0
    assert played.result.partitions["gpio"].deadline_missed == 0
    assert not played.of(events.Fault)


@pytest.fixture(scope="module")
def attacked() -> Run:
    return run(built("traffic-light", "sabrelite", (FAULT,)), FRAMES)


def test_two_greens_are_never_shown(attacked: Run) -> None:
    """Diagnostics sees every second or third picture at best: what counts is what was granted."""
    assert "DANGER" not in attacked.console("diagnostics")
    shown = pictures(attacked)
    assert set(shown) <= set(AFTER)
    assert ("green", "red") in shown
    assert ("red", "green") in shown


def test_each_attempt_is_denied(attacked: Run) -> None:
    by = {name: part.denied for name, part in attacked.result.partitions.items()}
    assert by["lights"] > 10
    assert by["diagnostics"] == 8
    assert by["control"] == by["gpio"] == 0
    assert re.search(r"was refused \d+ times", attacked.console("diagnostics"))
    assert not any(part.restarts for part in attacked.result.partitions.values())
