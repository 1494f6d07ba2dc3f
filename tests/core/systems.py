"""Small systems for the kernel core's tests: config.bin and policies, without TOML and ELF.

One tick is one microsecond, hypercalls cost nothing unless a test says so, and every partition has
the same memory: code, constants, data, a region that survives warm restarts, and a shared one.
"""

from __future__ import annotations

import ctypes
import hashlib
import struct
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from kss.api import load_policy
from kss.compiler import class_hash, compile_policy

from khs.image import records

NONE = records.NONE
SAMPLING, QUEUING, CALLS = range(3)
R, W, X = 1, 2, 4

DEADLINE, APPLICATION, NUMERIC, ILLEGAL, MEMORY, STACK, START_DENIED, OVERFLOW, HARDWARE, DEVICE = (
    range(10)
)
ERRORS = 10
HANDLED = (DEADLINE, APPLICATION, OVERFLOW, DEVICE)  # errors that may be of process level
INITIALISING, RUNNING = range(2)
PROCESS, PARTITION, MODULE = range(3)
IGNORE, LOG, WARM, COLD, IDLE, STOP = range(6)

PRIVILEGES = {
    "schedule-switch": 1,
    "partition-control": 2,
    "policy-swap": 4,
    "health-log": 8,
    "module-stop": 16,
}

PAGE = 4096
SHARED, CODE, CONSTANTS, DATA, GUARD = (n << 16 for n in range(1, 6))
DATA_SIZE = 2 * PAGE
KEEP = DATA + DATA_SIZE  # right behind it

# Endpoints of every test class; RIIDs in this order.
REPORT, ALARM, SERVICE, WIDE = range(4)
REPORT_SIZE, ALARM_SIZE, SERVICE_SIZE, WIDE_SIZE = 16, 16, 16, 64


@dataclass(frozen=True)
class Partition:
    """`class_name` is test.A to test.H unless it says otherwise; times in ticks."""

    class_name: str
    period: int = 0
    deadline: int = 0
    phase: int = 0
    privileges: tuple[str, ...] = ()
    limit: tuple[int, int, int] | None = None  # restarts, within, then
    inputs: tuple[tuple[int, int], ...] = ()  # capacity, depth
    shared: int = R | W  # rights on the shared region, 0: not mapped


@dataclass(frozen=True)
class Channel:
    """A sampling, queuing or call channel; partitions by number."""

    kind: int
    source: int
    to: tuple[int, ...]
    endpoint: int
    size: int = 16
    depth: int = 0
    refresh: int = 0
    mid: int = 0


@dataclass(frozen=True)
class System:
    """What config.bin says. Windows are (partition, start, length)."""

    partitions: Sequence[Partition]
    schedules: Sequence[tuple[int, Sequence[tuple[int, int, int]]]]
    channels: Sequence[Channel] = ()
    # (error, state) or error -> (level, action), for all partitions or for one
    health: Mapping[object, tuple[int, int]] = field(default_factory=dict)
    default_health: tuple[int, int] = (PARTITION, COLD)
    clock_hz: int = 1_000_000
    costs: tuple[int, int, int] = (0, 0, 0)
    policies: int = 8
    policy_image: int = 16384
    policy_state: int = 65536
    kernel_class: str = "kl.core.Core"

    def port(self, partition: int, channel: int) -> int:
        """The partition's number for its end of a channel."""
        return [number for number, _, _ in self._ports(partition)].index(channel)

    def _ports(self, partition: int) -> list[tuple[int, int, int]]:
        """(channel, direction, reader) of each port."""
        ports = []
        reader = 0
        for number, channel in enumerate(self.channels):
            if channel.source == partition:
                ports.append((number, 0, NONE))
            for to in channel.to:
                if to == partition:
                    ports.append((number, 1, reader))
                reader += 1
        return ports

    def response(self, partition: int, error: int, state: int) -> tuple[int, int]:
        for key in ((partition, error, state), (error, state), error):
            if key in self.health:
                return self.health[key]
        return self.default_health

    def config(self) -> bytes:
        """config.bin"""
        header = records.Config(
            magic=records.MAGIC,
            version=records.VERSION,
            clock_hz=self.clock_hz,
            arch=1,
            policies=self.policies,
            kernel_class=class_hash(self.kernel_class),
            einit_class=class_hash("Einit"),
            cost_call=self.costs[0],
            cost_copy=self.costs[1],
            cost_verdict=self.costs[2],
            max_message=512,
            policy_image=self.policy_image,
            policy_state=self.policy_state,
        )
        tables = {
            "partitions": self._partition_records(),
            "schedules": self._schedule_records(),
            "windows": [
                records.Window(partition=partition, start=start, length=length)
                for _, windows in self.schedules
                for partition, start, length in windows
            ],
            "regions": self._regions(),
            "maps": [each for n in range(len(self.partitions)) for each in self._maps(n)],
            "channels": self._channel_records(),
            "readers": [
                records.Reader(channel=number, partition=to, riid=channel.endpoint)
                for number, channel in enumerate(self.channels)
                for to in channel.to
            ],
            "ports": [
                records.Port(channel=channel, direction=direction, reader=reader)
                for n in range(len(self.partitions))
                for channel, direction, reader in self._ports(n)
            ],
            "inputs": [
                records.Input(partition=n, capacity=capacity, depth=depth)
                for n, partition in enumerate(self.partitions)
                for capacity, depth in partition.inputs
            ],
            "health": [
                records.Health(*self.response(n, error, state))
                for n in range(len(self.partitions))
                for state in (INITIALISING, RUNNING)
                for error in range(ERRORS)
            ],
        }
        body = bytearray(ctypes.sizeof(header))
        for name, table in tables.items():
            setattr(header, name, records.Table(len(body), len(table)))
            body += b"".join(bytes(record) for record in table)
            body += bytes(-len(body) % 8)
        header.size = len(body)
        return bytes(header) + bytes(body[ctypes.sizeof(header) :])

    def _partition_records(self) -> list[records.Partition]:
        made = []
        maps = ports = inputs = 0
        for n, partition in enumerate(self.partitions):
            restarts, within, then = partition.limit or (0, 0, IDLE)
            counts = len(self._maps(n)), len(self._ports(n)), len(partition.inputs)
            made.append(
                records.Partition(
                    class_hash=class_hash(partition.class_name),
                    entry=CODE,
                    stack_top=DATA + DATA_SIZE,
                    stack_guard=GUARD,
                    stack_guard_size=PAGE,
                    period=partition.period,
                    deadline=partition.deadline,
                    phase=partition.phase,
                    restart_within=within,
                    restart_limit=restarts,
                    restart_then=then,
                    privileges=sum(PRIVILEGES[name] for name in partition.privileges),
                    maps=records.Slice(maps, counts[0]),
                    ports=records.Slice(ports, counts[1]),
                    inputs=records.Slice(inputs, counts[2]),
                )
            )
            maps, ports, inputs = maps + counts[0], ports + counts[1], inputs + counts[2]
        return made

    def _schedule_records(self) -> list[records.Schedule]:
        made, first = [], 0
        for major_frame, windows in self.schedules:
            made.append(
                records.Schedule(
                    major_frame=major_frame, windows=records.Slice(first, len(windows))
                )
            )
            first += len(windows)
        return made

    def _channel_records(self) -> list[records.Channel]:
        made, first = [], 0
        for channel in self.channels:
            made.append(
                records.Channel(
                    kind=channel.kind,
                    source=channel.source,
                    readers=records.Slice(first, len(channel.to)),
                    mid=NONE if channel.kind == CALLS else channel.mid,
                    message_size=channel.size,
                    depth=channel.depth,
                    refresh=channel.refresh,
                )
            )
            first += len(channel.to)
        return made

    def _regions(self) -> list[records.Region]:
        """The shared region, then code, constants, data and the kept one of each partition."""
        made = [records.Region(size=PAGE, file_offset=0, file_size=16, flags=records.REGION_SHARED)]
        for n in range(len(self.partitions)):
            for size, flags in ((PAGE, 0), (PAGE, 0), (DATA_SIZE, 0), (PAGE, records.REGION_KEEP)):
                offset = 16 * len(made)
                made.append(
                    records.Region(size=size, file_offset=offset, file_size=16, flags=flags)
                )
            assert len(made) == 5 + 4 * n
        return made

    def _maps(self, partition: int) -> list[records.Map]:
        own = 1 + 4 * partition
        rights = ((CODE, R | X), (CONSTANTS, R), (DATA, R | W), (KEEP, R | W))
        made = [
            records.Map(address=address, region=own + n, rights=right)
            for n, (address, right) in enumerate(rights)
        ]
        if shared := self.partitions[partition].shared:
            made.insert(0, records.Map(address=SHARED, region=0, rights=shared))
        return made

    def memory(self) -> bytes:
        """memory.bin: every region starts with 16 bytes that name it."""
        return b"".join(
            f"region {n:<8} ".encode()[:16] for n in range(1 + 4 * len(self.partitions))
        )


def initial(region: int) -> bytes:
    return f"region {region:<8} ".encode()[:16]


# ---- policies ------------------------------------------------------------------

CLASSES = tuple(f"test.{letter}" for letter in "ABCDEFGH")

_IDL = {
    "test.Report": "Put(in UInt32 value, in UInt32 extra);",
    "test.Alarm": "Raise(in UInt32 code, in UInt32 extra);",
    "test.Service": "Ask(in UInt32 question, in UInt32 extra, out UInt32 answer, error UInt32 reason);\n"
    "    Other(in UInt32 question, out UInt32 answer);",
    "test.Wide": "Put("
    + ", ".join(f"in UInt64 v{n}" for n in range(6))
    + ", in UInt32 low, in UInt32 high);",
    "test.Guard": "Check(in UInt32 value);",
}

_EDL = """task class {name}

endpoints {{
    report : test.Report
    alarm : test.Alarm
    service : test.Service
    wide : test.Wide
}}
security test.Guard
"""

HEAD = "\n".join(
    [
        "execute: kl.core.Execute",
        "use nk.basic._",
        "use nk.base._",
        "use nk.flow._",
        "use EDL Einit",
        "use EDL kl.core.Core",
        *(f"use EDL {name}" for name in CLASSES),
        "",
    ]
)

BOOT = (
    "execute src=kl.core.Core, dst=kl.core.Core { grant () }\n"
    "execute src=kl.core.Core, dst=Einit { grant () }\n"
)

STARTS = "execute src=Einit { grant () }\n"
KERNEL = "request dst=kl.core.Core { grant () }\n"
PORTS = "".join(f"request dst={name} {{ grant () }}\n" for name in CLASSES)
REPLIES = "".join(
    f"response src={name} {{ grant () }}\nerror src={name} {{ grant () }}\n" for name in CLASSES
)
SECURITY = "security { grant () }\n"
EVERYTHING = STARTS + "execute src=test.A { grant () }\n" + KERNEL + PORTS + REPLIES + SECURITY


@cache
def _descriptions() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="khs-core-")
    test = Path(folder.name) / "test"
    test.mkdir()
    for name, methods in _IDL.items():
        text = f"package {name}\n\ninterface {{\n    {methods}\n}}\n"
        (test / f"{name.partition('.')[2]}.idl").write_text(text)
    for name in CLASSES:
        (test / f"{name.partition('.')[2]}.edl").write_text(_EDL.format(name=name))
    return folder


def folder() -> Path:
    """Where the descriptions lie; a test may leave files there."""
    return Path(_descriptions().name)


@cache
def policy(
    rules: str = EVERYTHING,
    *,
    max_sids: int = 16,
    boot: str = BOOT,
    classes: tuple[str, ...] = (),
) -> bytes:
    """policy.bin of these rules, behind those of `boot`; `classes` are known beside the usual."""
    base = folder()
    path = base / f"{hashlib.sha256((boot + rules).encode()).hexdigest()[:16]}.psl"
    path.write_text(HEAD + boot + rules)
    for name in classes:
        (base / "test" / f"{name.partition('.')[2]}.edl").write_text(_EDL.format(name=name))
    return compile_policy(load_policy(path, [base]).tree, max_sids=max_sids)


# ---- messages --------------------------------------------------------------------


def message(*values: int, riid: int = 0, mid: int = 0, flags: int = 0) -> bytes:
    """A message whose constant part is 32-bit integers."""
    size = (len(values) * 4 + 7) // 8 * 8
    return struct.pack("<IHH", riid, mid, flags) + struct.pack(f"<{len(values)}I", *values).ljust(
        size, b"\0"
    )


def wide(first: int) -> bytes:
    return struct.pack("<IHH6QII", 0, 0, 0, first, *range(5), 0, 0)
