"""Linux as a partition: its shell makes calls that the policy grants and denies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from khs import record, replay, runs
from khs.image import open_system
from khs.new.scaffold import scaffold
from scripts import board_client

DEVICES = {"q35": "ttyS1", "sabrelite": "ttymxc0"}
CONSOLES = {"q35": "ttyS0", "sabrelite": "ttymxc1,115200"}
ARCHES = {"q35": "x64", "sabrelite": "armv7"}

#: tank.IControl.Reset takes 0 to 1000; what it answers is the value before.
START = """\
#!/bin/sh
export KHS_DEVICE=/dev/DEVICE
tell() { name=$1; shift; said=$(khs "$@"); echo "$name $? $said"; }
tell port port control
tell within call control 00000000000000006400000000000000 1000
tell again call control 0000000000000000c800000000000000 1000
tell beyond call control 00000000000000008813000000000000 1000
tell reading read reading
tell writing write reading 00000000000000000000000000000000
tell unknown port nothing
echo the end
"""

PARTITION = """
[partition.display]
kind = "board"
class = "tank.Display"
board = "{board}"
kernel = "vmlinuz"
initrd = "initrd.gz"
append = "console={console} rdinit=/init quiet"
"""


def system(place: Path, board: str, guest: Path) -> Path:
    scaffold(place.name, place)
    text = (place / "system.toml").read_text(encoding="utf-8")
    head, _, rest = text.partition("[partition.display]")
    rest = rest[rest.index("[channel.reading]") :]
    head = head.replace('"20ms"', '"200ms"').replace(
        'start = "5ms", length = "5ms"', 'start = "10ms", length = "180ms"'
    )
    machine = PARTITION.format(board=board, console=CONSOLES[board])
    if board == "sabrelite":
        machine += 'dtb = "board.dtb"\n'
        (place / "board.dtb").write_bytes((guest / "board.dtb").read_bytes())
    (place / "system.toml").write_text(head + machine + rest, encoding="utf-8")
    (place / "vmlinuz").write_bytes((guest / "vmlinuz").read_bytes())
    start = START.replace("DEVICE\n", f"{DEVICES[board]}\n").encode()
    shell = (guest / "initrd.gz").read_bytes()
    (place / "initrd.gz").write_bytes(board_client.added(shell, ARCHES[board], start))
    return place


@pytest.mark.parametrize("board", ["q35", "sabrelite"])
def test_the_shell_s_calls_are_judged(
    board: str, tmp_path: Path, fetched: Callable[[str], Path], emulator: Callable[[str], None]
) -> None:
    guest = fetched(f"linux-{board}")
    emulator(board)
    pytest.importorskip("ziglang")
    built = open_system(str(system(tmp_path / "tank", board, guest)), [])
    lines: list[str] = []
    plan = runs.plan(built, frames=150, record=tmp_path / "kept")
    ran = runs.run(plan, console=lines.append)
    words = [line.split() for line in lines if line.startswith("display: ")]
    said = {each[1]: each[2:] for each in words if len(each) > 1}
    assert "the" in said, lines
    assert said["port"] == ["0", "OK", "1"]
    assert said["within"][:3] == ["0", "OK", "16"]
    before = int.from_bytes(bytes.fromhex(said["again"][3])[8:12], "little")
    assert before >= 100 and (before - 100) % 7 == 0  # 7 more each period
    assert said["beyond"] == ["7", "DENIED", "0"]
    assert said["reading"][:3] == ["0", "OK", "16"]
    assert said["writing"] == ["4", "INVALID_CONFIG", "0"]
    assert said["unknown"] == ["4", "INVALID_CONFIG", "0"]
    assert ran.result.partitions["display"].denied == 1
    kept = record.read(tmp_path / "kept")
    assert replay.replay(kept, replay.plan(kept)).equal is True
