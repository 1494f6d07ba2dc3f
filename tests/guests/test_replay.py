"""Every shipped system, as it is and with each of its overlays, runs again as it was recorded."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khs import record, replay, runs
from khs.errors import ConfigError
from khs.image import Archive, open_system
from khs.resources import shipped
from khs.swaps import Swap

BOARDS = ("sabrelite", "q35", "pc")
FRAMES = 6
#: What drives devices of some boards alone.
SOME_BOARDS = {"uart", "devices"}


def systems() -> list[tuple[str, str | None]]:
    """Every shipped system, and each with an overlay."""
    found: list[tuple[str, str | None]] = []
    for document in sorted(shipped("images").glob("*/system.toml")):
        others = sorted(path for path in document.parent.glob("*.toml") if path != document)
        layers = [path for path in others if not path.name.startswith("bench")]
        name = document.parent.name
        found += [(name, None), *((name, layer.name) for layer in layers)]
    return found


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize(("name", "overlay"), systems())
def test_a_recorded_run_is_the_run(
    name: str, overlay: str | None, board: str, tmp_path: Path
) -> None:
    pytest.importorskip("ziglang")
    document = shipped("images") / name / "system.toml"
    overlays = [document.parent / overlay] if overlay else []
    try:
        archive = open_system(name, overlays, board)
    except ConfigError:
        if name in SOME_BOARDS:
            pytest.skip(f"{name} drives devices that {board} has not")
        raise
    ran = runs.run(runs.plan(archive, frames=FRAMES, record=tmp_path / "kept"))
    recording = record.read(tmp_path / "kept")
    again = replay.replay(recording, replay.plan(recording))
    assert (again.equal, again.parted) == (True, ())
    assert again.ran.result.partitions == ran.result.partitions
    assert again.ran.result.ticks == ran.result.ticks
    own = replay.read(recording, archive.names["policies"][0])
    assert replay.judge(recording, own, replay.plan(recording)).equal


@cache
def gateway() -> Archive:
    return open_system("iot-gateway", [shipped("images") / "iot-gateway" / "attack.toml"])


@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(1, 30),
    at=st.sets(st.integers(1, 29), max_size=4),
    isolate=st.booleans(),
)
def test_whatever_comes_in_between(frames: int, at: set[int], isolate: bool) -> None:
    """Runs of any length with policies that come at any frames."""
    pytest.importorskip("ziglang")
    archive = gateway()
    policy = (archive.policy, archive.policy_map)
    swaps = [Swap(frame, f"at-{frame}", *policy) for frame in sorted(at) if frame < frames]
    with tempfile.TemporaryDirectory() as name:
        kept = Path(name) / "kept"
        runs.run(runs.plan(archive, frames=frames, swaps=swaps, record=kept))
        recording = record.read(kept)
        again = replay.replay(recording, replay.plan(recording, isolate=isolate))
    assert again.equal is True
    assert len(again.ran.summary.swaps()) == len(swaps)
