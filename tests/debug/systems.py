"""Systems made by hand under a debugger: see tests/host/system.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from khs.attached import Attached
from khs.debug.target import Target
from khs.engine.native import Host
from khs.runs import Plan
from tests.host.system import Arch, System, build, policy


@dataclass(frozen=True)
class Image:
    """What an engine needs of an archive."""

    config: bytes
    memory: bytes
    policies: tuple[bytes, ...]
    manifest: dict[str, Any]
    inputs: list[tuple[int, int, bytes]]
    machines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Made:
    """A plan as far as a target needs one."""

    archive: Image
    frames: int
    seed: int = 1
    engine: str = "unicorn"
    swaps: tuple[Any, ...] = ()
    isolate: bool = False
    audit: None = None
    inputs: None = None
    changes: tuple[Any, ...] = ()
    machines: bool = False
    until: None = None
    attached: Attached = field(default_factory=Attached)

    @property
    def image(self) -> Image:
        return self.archive


def plan(system: System, frames: int, inputs: list[tuple[int, int, bytes]] | None = None) -> Plan:
    config, memory = build(system)
    manifest = {
        "system": "made",
        "board": "none",
        "arch": {Arch.ARMV7: "armv7", Arch.X86: "x86", Arch.X64: "x64"}[system.arch],
        "clock_hz": system.clock_hz,
        "names": {"partitions": [f"p{n}" for n in range(len(system.partitions))]},
    }
    image = Image(config, memory, (policy(),), manifest, inputs or [])
    return cast(Plan, Made(image, frames))


@contextmanager
def target(system: System, frames: int = 3, **options: Any) -> Iterator[Target]:
    with Target(plan(system, frames), **options) as made:
        yield made


def undebugged(system: System, frames: int) -> bytes:
    """The trace of the run."""
    records = b""
    with Host(*build(system), [policy()]) as host:
        host.boot()
        while host.status().frames < frames and not host.status().stopped:
            host.run(frames=frames)
            records += b"".join(bytes(drained.records) for drained in host.drain())
    return records
