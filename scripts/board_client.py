"""Compiles the client of board partitions for Linux guests: boards/client, static, with musl.

python -m scripts.board_client armv7                            # prints where it is
python -m scripts.board_client x64 --add-to initrd.gz new.gz    # as its /bin/khs
python -m scripts.board_client x64 --add-to initrd.gz new.gz --start calls.sh
"""

from __future__ import annotations

import argparse
import gzip
import sys
from pathlib import Path

from khs.errors import KhsError
from khs.toolchain import cache, zig
from scripts import initramfs

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("boards/client/khs.c", "partitions/board-proxy/channel.h")
#: A Linux target of the compiler for each architecture.
TARGETS = {
    "armv7": ("-target", "arm-linux-musleabihf", "-mcpu=cortex_a9"),
    "x64": ("-target", "x86_64-linux-musl"),
    "x86": ("-target", "x86-linux-musl", "-mcpu=pentium4"),
}
FLAGS = ("-std=gnu17", "-Os", "-s", "-static", "-Wall", "-Wextra", "-Werror")


def build(arch: str) -> Path:
    """The client; ImageError if it does not compile. The C library makes the first time take a
    minute."""
    target = TARGETS[arch]
    parts: list[str | bytes] = ["board-client-1", zig.identity(), *target, *FLAGS]
    parts += [(ROOT / name).read_bytes() for name in SOURCES]

    def make(work: Path) -> None:
        include = f"-I{(ROOT / SOURCES[1]).parent}"
        command = ["cc", *target, *FLAGS, include, ROOT / SOURCES[0], "-o", work / "khs"]
        zig.run(command, cwd=work, caches=cache.root() / "zig")

    return cache.product("board-client", cache.key(parts), make) / "khs"


def added(initrd: bytes, arch: str, start: bytes | None = None) -> bytes:
    """An initial RAM file system with the client in it: Linux unpacks archives one behind another.
    `start` is a script for the init of `initramfs.shell` to run before its shell."""
    files = {"bin/khs": build(arch).read_bytes()}
    if start is not None:
        files["khs/start"] = start
    return initrd + gzip.compress(initramfs.newc(files), mtime=0)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("arch", choices=TARGETS)
    parser.add_argument("--add-to", nargs=2, type=Path, metavar=("INITRD", "OUT"))
    parser.add_argument("--start", type=Path, metavar="SCRIPT", help="a script to begin with")
    options = parser.parse_args()
    if options.start and not options.add_to:
        parser.error("--start goes with --add-to")
    try:
        if not options.add_to:
            print(build(options.arch))
            return 0
        initrd, out = options.add_to
        start = options.start.read_bytes() if options.start else None
        out.write_bytes(added(initrd.read_bytes(), options.arch, start))
    except (OSError, KhsError) as error:
        print(f"board_client: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
