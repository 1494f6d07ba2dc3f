"""khs build --sd"""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Khs


def test_build_writes_a_card_too_the_same_each_time(khs: Khs, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.img", "b.img")]
    for path in paths:
        done = khs(
            "build", "iot-gateway", "--board", "sabrelite", "-o", tmp_path / "x.khs",
            "--sd", path, "--json",
        )  # fmt: skip
        assert done.code == 0, done.err
        assert json.loads(done.out)["sd"] == str(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_size == 16 << 20


def test_boards_without_a_card_are_told(khs: Khs, tmp_path: Path) -> None:
    done = khs("build", "iot-gateway", "--board", "q35", "-o", tmp_path / "x", "--sd", "card.img")
    assert done.code == 2
    assert "q35 starts from no SD card\n  help: --board sabrelite" in done.err


def test_a_card_that_cannot_be_written_is_told(khs: Khs, tmp_path: Path) -> None:
    card = tmp_path / "no/card.img"
    done = khs("build", "iot-gateway", "--board", "sabrelite", "-o", tmp_path / "x", "--sd", card)
    assert done.code == 2
    assert "card.img: No such file or directory" in done.err
