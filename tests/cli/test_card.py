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


def test_without_its_archive_there_is_no_card(khs: Khs, tmp_path: Path) -> None:
    """/dev/full opens, and takes nothing: the error has no file name of its own."""
    card = tmp_path / "card.img"
    done = khs("build", "iot-gateway", "--board", "sabrelite", "-o", "/dev/full", "--sd", card)
    assert done.code == 2
    assert "/dev/full: cannot be written: No space left on device" in done.err
    assert not card.exists()


def test_lines_to_trust_are_told_in_one_order(khs: Khs, tmp_path: Path) -> None:
    first = khs("build", "iot-gateway", "-o", tmp_path / "a.khs").out.splitlines()[-1]
    again = khs("build", tmp_path / "a.khs", "-o", tmp_path / "b.khs").out.splitlines()[-1]
    assert first == again
    assert [part.split()[0] for part in first.split(": ")[1].split(", ")] == ["core", "vm", "board"]
