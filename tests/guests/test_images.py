"""Programs that users link themselves: the command lines of docs/sdk.md, as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from khs import config, image
from khs.new import scaffold
from khs.resources import shipped
from tests.guests.systems import run

PAGE = shipped("docs") / "sdk.md"
ROOT = Path(__file__).parents[2]
BOARDS = ("sabrelite", "q35", "pc")
#: The commands of this checkout, however it is installed.
TOOLS = f"""
set -eu
export PYTHONPATH='{ROOT}:{ROOT / "monitor"}'
python() {{ '{sys.executable}' "$@"; }}
khs() {{ python -m khs "$@"; }}
kss() {{ python -m kss "$@"; }}
"""


def blocks() -> list[str]:
    """The shell texts of the page: preparation, with zig, with GCC."""
    found = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 3
    return [str(block) for block in found]


def command(block: str, board: str) -> str:
    """The line after the comment that begins with the board's name."""
    lines = block.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith(f"# {board}: ")]
    return lines[at + 1]


def build_and_run(folder: Path, board: str, block: int) -> None:
    pytest.importorskip("ziglang")
    scaffold("tank", folder)
    document = folder / "system.toml"
    text, count = re.subn(r'program = "meter".*', 'image = "meter.elf"', document.read_text())
    assert count == 1
    document.write_text(text)
    script = TOOLS + blocks()[0] + command(blocks()[block], board)
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert image.check(config.load(folder, board=board)) == []
    done_run = run(image.build(config.load(folder, board=board)), 5)
    assert "reading 1: 7" in done_run.console("display")
    assert done_run.result.partitions["meter"].faults == 0


@pytest.mark.parametrize("board", BOARDS)
def test_with_zig(board: str, tmp_path: Path) -> None:
    build_and_run(tmp_path / "tank", board, 1)


@pytest.mark.parametrize(
    ("board", "compiler"),
    [("sabrelite", "arm-none-eabi-gcc"), ("q35", "gcc -m64"), ("pc", "gcc -m32")],
)
def test_with_gcc(board: str, compiler: str, tmp_path: Path) -> None:
    program, *flags = compiler.split()
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}")
    empty = ["-nostdlib", "-static", "-o", str(tmp_path / "empty"), "-x", "c", "/dev/null", "-lgcc"]
    done = subprocess.run([program, *flags, *empty], capture_output=True, text=True, check=False)
    if "cannot find -lgcc" in done.stderr:
        pytest.skip(f"{compiler} has no library: gcc-multilib")
    build_and_run(tmp_path / "tank", board, 2)
