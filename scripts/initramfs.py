"""Initial RAM file systems for Linux guests: cpio archives in the "newc" format, gzipped.

The format is that of the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
The same files give the same bytes.
"""

from __future__ import annotations

import gzip
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

#: What a shell needs to be one; the rest of busybox is there by `busybox NAME`.
APPLETS = (
    "sh",
    "cat",
    "echo",
    "ls",
    "mount",
    "poweroff",
    "reboot",
    "sleep",
    "cut",
    "stty",
    "uname",
)
INIT = """\
#!/bin/sh
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
[ -x /khs/start ] && /khs/start
exec setsid cttyhack sh
"""


def newc(files: Mapping[str, bytes | str], devices: Iterable[tuple[str, int, int]] = ()) -> bytes:
    """A cpio archive. `files`: contents by path, a text is the target of a symbolic link; folders
    come by themselves. `devices`: character devices with their numbers."""
    entries: dict[str, tuple[int, bytes, int, int]] = {}
    for path, content in sorted(files.items()):
        if isinstance(content, str):
            entries[path] = (stat.S_IFLNK | 0o777, content.encode(), 0, 0)
        else:
            entries[path] = (stat.S_IFREG | 0o755, content, 0, 0)
    for path, major, minor in devices:
        entries[path] = (stat.S_IFCHR | 0o600, b"", major, minor)
    for path in [*entries]:
        for parent in [*Path(path).parents][:-1]:
            entries.setdefault(str(parent), (stat.S_IFDIR | 0o755, b"", 0, 0))
    archive = bytearray()
    for number, (path, about) in enumerate(sorted(entries.items()), 1):
        archive += _entry(number, path, *about)
    return bytes(archive + _entry(0, "TRAILER!!!", 0, b"", 0, 0))


def _entry(number: int, path: str, mode: int, data: bytes, major: int, minor: int) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, major, minor, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def shell(busybox: bytes, more: Mapping[str, bytes] | None = None) -> bytes:
    """A system that is a shell of busybox: `busybox` is the program; `more` are
    files beside, of which /khs/start runs before the shell."""
    files: dict[str, bytes | str] = {
        "bin/busybox": busybox,
        "init": INIT.encode(),
        **{f"bin/{name}": "busybox" for name in (*APPLETS, "setsid", "cttyhack")},
        **(more or {}),
    }
    # mount points have to be there
    for name in ("dev", "proc", "sys", "tmp"):
        files[f"{name}/.keep"] = b""
    return gzip.compress(newc(files, [("dev/console", 5, 1)]), mtime=0)
