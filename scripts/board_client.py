"""Compiles the client of board partitions for Linux guests: boards/client, static, with musl.

python -m scripts.board_client armv7        # prints where it is
"""

from __future__ import annotations

import sys
from pathlib import Path

from khs.toolchain import cache, zig

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


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1] not in TARGETS:
        print(f"one of {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    print(build(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
