"""A board that stands still, for who wants to look at it from outside."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from khs.engine.qemu.memory import Memory
from khs.engine.qemu.process import Process


@dataclass(frozen=True, slots=True)
class Paused:
    """`memory` is all of the board's; the CPU is asked through QEMU's monitor."""

    memory: Memory
    _process: Process

    async def monitor(self, line: str) -> str:
        """What QEMU's human monitor answers to a command (QEMU, System Emulation, HMP)."""
        answer = await self._process.execute("human-monitor-command", **{"command-line": line})
        return str(answer)

    async def page_tables(self) -> int | None:
        """CR3; None where the monitor does not show it (ARM)."""
        found = re.search(r"CR3=([0-9a-f]+)", await self.monitor("info registers"))
        return int(found[1], 16) if found else None

    async def translate(self, address: int) -> int | None:
        """Where the CPU finds a virtual address now, with the kernel's rights; None: nowhere."""
        found = re.search(r"gpa: 0x([0-9a-f]+)", await self.monitor(f"gva2gpa {address:#x}"))
        return int(found[1], 16) if found else None


#: Called with the board paused.
Inspect = Callable[[Paused], Awaitable[None]]
