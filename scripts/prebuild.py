"""Compiles the programs of the shipped systems for every board, and the boards' firmware, for a
wheel to carry.

    python scripts/prebuild.py CACHE

CACHE gets `elf/KEY/program.elf` and `firmware/KEY/firmware.elf`; the toolchain finds a product
there by the hash of its inputs, so that what nobody changed needs no cross compiler. Without one
nothing is made.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ("ziglang", "msgspec", "elftools")
KINDS = ("elf", "firmware")


def prebuild(target: Path) -> int:
    """Builds every system and the firmware for every board; returns the number of products."""
    sys.path[:0] = [str(ROOT), str(ROOT / "monitor")]
    from khs.config.model import Arch
    from khs.resources import shipped
    from khs.toolchain.firmware import build_firmware

    boards = sorted(path.stem for path in shipped("boards").glob("*.toml"))
    systems = sorted(path.parent for path in shipped("images").glob("*/system.toml"))
    with tempfile.TemporaryDirectory() as cache:
        os.environ["KHS_CACHE"] = cache
        for system in systems:
            for board in boards:
                _build(system, board)
        for arch in Arch:
            build_firmware(arch)
        for kind in KINDS:
            shutil.copytree(Path(cache) / kind, target / kind, dirs_exist_ok=True)
    return sum(1 for kind in KINDS for _ in target.glob(f"{kind}/*/*.elf"))


def _build(system: Path, board: str) -> None:
    """As it is, or with the first of its overlays that makes it fit the board."""
    from khs.errors import ConfigError
    from khs.image import open_system

    overlays = [[], *([path] for path in sorted(system.glob("*.toml")) if path.stem != "system")]
    for number, overlay in enumerate(overlays, 1):
        try:
            open_system(system, overlays=overlay, board=board)
            return
        except ConfigError:
            if number == len(overlays):
                raise


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"prebuild: nothing prebuilt, missing: {', '.join(missing)}", file=sys.stderr)
        return 0
    print(f"prebuild: {prebuild(Path(arguments[0]))} programs and firmwares")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
