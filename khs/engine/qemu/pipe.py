"""A serial line over two named pipes, for guests that are to run the same each time.

A guest sees how fast its line is read once QEMU's writes would wait: on a socket after some 280
bytes, for each has a buffer of its own there. A pipe takes a MiB before.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path

_ROOM = 1 << 20


class Pipe:
    """`path` with .in and .out, as QEMU's chardev "pipe" has them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: list[int] = []

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Our ends. Both pipes have their other ends open until `settle`."""
        loop = asyncio.get_running_loop()
        ends = []
        for suffix, mode in (".out", os.O_RDONLY), (".in", os.O_WRONLY):
            name = f"{self.path}{suffix}"
            os.mkfifo(name, 0o600)
            self._held.append(os.open(name, os.O_RDWR | os.O_NONBLOCK))
            ends.append(os.open(name, mode | os.O_NONBLOCK))
        with suppress(OSError):  # more than this machine allows
            fcntl(ends[0], F_SETPIPE_SZ, _ROOM)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        await loop.connect_read_pipe(lambda: protocol, os.fdopen(ends[0], "rb", 0))
        transport, flow = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, os.fdopen(ends[1], "wb", 0)
        )
        return reader, asyncio.StreamWriter(transport, flow, None, loop)

    def settle(self) -> None:
        """QEMU has opened its ends: from now on they say when it is gone."""
        while self._held:
            os.close(self._held.pop())
