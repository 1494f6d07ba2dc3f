"""The checked, frozen description of one system: what `khs.config.load` returns.

Everything that builds, runs or reports a system reads this and nothing else. All times are in
ticks, all sizes and addresses in bytes, all paths absolute. Partitions, schedules, regions,
channels and inputs keep the order of the document; the place in the tuple is the number the
kernel knows them by. The enumerations have the values of khs/core/config.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from khs.errors import Finding, Severity

PAGE = 4096
#: Named regions lie from here upwards, at the same address in every partition.
REGION_BASE = 0x5000_0000
#: What a partition's own program, heap, stack and start information may occupy.
PROGRAM_BASE, STACK_TOP, STACK_GUARD, START_INFO = (
    0x4000_0000,
    0x4800_0000,
    64 * 1024,
    0x4F00_0000,
)
#: Registers of a partition's devices lie from here upwards, each device on pages of its own.
DEVICE_BASE = 0x4C00_0000
#: Virtual interrupts of a partition that are for devices: IRQ_DEVICE up to IRQ_COUNT of the ABI.
DEVICE_IRQS = 29
#: Numbers at an interrupt controller are less than this: the GIC's (architecture 2.0) go that far.
LINES = 1020


class Arch(IntEnum):
    """Processor architecture of a board."""

    ARMV7 = 1
    X86 = 2
    X64 = 3

    @property
    def user_end(self) -> int:
        """First address past what a partition may ever map."""
        return 0x7FFF_FFFF_F000 if self is Arch.X64 else 0xC000_0000


class Right(IntFlag):
    """Memory rights of a partition on a region; never W and X together."""

    R = 1
    W = 2
    X = 4


class ChannelKind(IntEnum):
    """How a channel carries messages."""

    SAMPLING = 0
    QUEUING = 1
    CALL = 2


class Privilege(IntFlag):
    """What a partition may ask of the kernel beyond its own affairs."""

    SCHEDULE_SWITCH = 1
    PARTITION_CONTROL = 2
    POLICY_SWAP = 4
    HEALTH_LOG = 8
    MODULE_STOP = 16


class Error(IntEnum):
    """Error ids of the health monitor."""

    DEADLINE_MISSED = 0
    APPLICATION_ERROR = 1
    NUMERIC_ERROR = 2
    ILLEGAL_INSTRUCTION = 3
    MEMORY_FAULT = 4
    STACK_OVERFLOW = 5
    START_DENIED = 6
    INPUT_OVERFLOW = 7
    HARDWARE_FAULT = 8
    DEVICE_FAULT = 9


class State(IntEnum):
    """System state in which an error happened."""

    INITIALISING = 0
    RUNNING = 1


class Level(IntEnum):
    """Whom an error concerns."""

    PROCESS = 0
    PARTITION = 1
    MODULE = 2


class Action(IntEnum):
    """What the health monitor does about an error."""

    IGNORE = 0
    LOG = 1
    WARM_RESTART = 2
    COLD_RESTART = 3
    IDLE = 4
    MODULE_STOP = 5


#: The words of documents for some of them.
PRIVILEGES = {item.name.lower().replace("_", "-"): item for item in Privilege if item.name}
ERRORS = {item.name.lower().replace("_", "-"): item for item in Error}
STATES = {item.name.lower(): item for item in State}
LEVELS = {item.name.lower(): item for item in Level}
ACTIONS = {item.name.lower(): item for item in Action}
KINDS = {item.name.lower(): item for item in ChannelKind}


class Position(NamedTuple):
    """Where a key or value stands: 1-based line and column; the column counts characters."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Costs:
    """Ticks a hypercall is charged beside its trap instruction."""

    call: int
    copy: int  # per started 64 bytes
    verdict: int


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the board that one partition may own."""

    name: str
    kind: str  # the model of the device: "imx-uart", "16550"
    bus: str  # "memory" or "io" (x86 port space)
    address: int
    size: int
    irqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One board file: the facts about the hardware that a system builds on."""

    name: str
    title: str
    path: Path = field(compare=False)
    arch: Arch
    cpu: str
    clock_hz: int
    memory_base: int
    memory_size: int
    costs: Costs
    console: str | None  # the device that the kernel keeps for its console
    devices: Mapping[str, Device]
    qemu: Mapping[str, str]  # "machine", "cpu"

    def ticks(self, ns: int) -> int:
        """Whole ticks in `ns` nanoseconds, rounded down."""
        return ns * self.clock_hz // 1_000_000_000

    def ns(self, ticks: int) -> int:
        """Nanoseconds of `ticks`, rounded down."""
        return ticks * 1_000_000_000 // self.clock_hz


@dataclass(frozen=True, slots=True)
class Run:
    """Defaults of a run. `audit_on_full` is "stop" or "count"."""

    frames: int
    seed: int
    preemption_dependent: tuple[str, ...]
    audit_on_full: str
    audit_limit: int | None  # bytes
    audit_patience: int  # nanoseconds of the host


@dataclass(frozen=True, slots=True)
class Response:
    """One cell of the health table."""

    level: Level
    action: Action


@dataclass(frozen=True, slots=True)
class Limit:
    """More than `restarts` restarts within `within` ticks: `then` instead of the next one."""

    restarts: int
    within: int
    then: Action


#: What runs in a partition of `kind = "board"`: makes the hypercalls that its machine asks for.
BOARD_PROXY = "board-proxy"
#: Its heap and the input through which requests come; a message is a header and data.
PROXY_HEAP, PROXY_CAPACITY, PROXY_DEPTH = 2 * PAGE, 20 + 4096, 2


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of a partition of `kind = "board"`. `files` by key of the document: "kernel",
    "initrd", "dtb", "bios"."""

    board: str
    files: Mapping[str, Path] = field(compare=False)
    append: str | None


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition. Exactly one of `program` and `image` is given; one with a `machine` has the
    program BOARD_PROXY."""

    name: str
    number: int
    class_name: str  # its EDL: "gateway.Sensor"
    program: str | None  # a folder of partitions/, compiled for the board's architecture
    image: Path | None
    sha256: str | None  # 64 lower-case hex digits, of the ELF
    stack: int  # multiple of PAGE
    heap: int  # multiple of PAGE, may be 0
    period: int  # 0 = none
    deadline: int  # from the release point; 0 = none
    phase: int  # first release point: start of its first window; 0 without a period
    privileges: Privilege
    devices: tuple[str, ...]
    args: tuple[str, ...]
    env: Mapping[str, str]
    health: tuple[tuple[Response, ...], ...]  # [State][Error]
    limit: Limit | None
    machine: Machine | None = None

    def response(self, error: Error, state: State) -> Response:
        """What the health monitor does about `error` of this partition in `state`."""
        return self.health[state][error]


@dataclass(frozen=True, slots=True)
class Window:
    """Processor time of a partition, from the start of the major frame."""

    partition: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cyclic schedule; windows ascend and do not overlap. The first one is the initial one."""

    name: str
    number: int
    major_frame: int
    windows: tuple[Window, ...]

    def slack(self) -> int:
        """Ticks of the major frame that no window covers."""
        return self.major_frame - sum(window.length for window in self.windows)


@dataclass(frozen=True, slots=True)
class Region:
    """Named memory, at the same address in every partition that maps it."""

    name: str
    number: int
    size: int  # multiple of PAGE
    address: int  # multiple of PAGE
    rights: Mapping[str, Right]  # partition -> rights, in the order of the document
    keep: bool


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel. Ports carry `message`, a method of an interface; calls go to `endpoint`."""

    name: str
    number: int
    kind: ChannelKind
    source: str  # writer, sender or client
    readers: tuple[str, ...]  # destinations; one, the server, for calls
    message: str | None  # "gateway.ITelemetry.Report"
    endpoint: str | None  # "[component.]endpoint" of the server's EDL
    depth: int  # of each reader's queue; 0 unless queuing
    refresh: int  # sampling: age up to which a value is valid; 0 = always


@dataclass(frozen=True, slots=True)
class Message:
    """One declared outside input."""

    at: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Input:
    """Bytes from outside the system to one partition."""

    name: str
    number: int
    partition: str
    capacity: int  # bytes of the largest message
    depth: int
    messages: tuple[Message, ...]  # ascending time


@dataclass(frozen=True)
class System:
    """One system, checked. `where` finds the position of a key for findings of later stages."""

    root: Path = field(compare=False)  # folder that paths in the document are relative to
    files: tuple[Path, ...] = field(compare=False)  # the document and the overlays laid on it
    name: str
    board: Board
    policy: Path = field(compare=False)
    policies: Mapping[str, Path] = field(compare=False)  # further ones, sorted by name: number 1..
    include: tuple[Path, ...] = field(compare=False)
    stub: bool = field(compare=False)  # missing descriptions are taken on trust
    run: Run
    schedules: tuple[Schedule, ...]
    partitions: tuple[Partition, ...]
    regions: tuple[Region, ...]
    channels: tuple[Channel, ...]
    inputs: tuple[Input, ...]
    document: str  # the effective TOML document, as `khs resolve` prints it
    positions: Mapping[tuple[str | int, ...], Position] = field(compare=False, repr=False)
    warnings: tuple[Finding, ...] = field(compare=False, repr=False)

    def partition(self, name: str) -> Partition:
        """The partition called `name`; KeyError if there is none."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Partition]:
        return {partition.name: partition for partition in self.partitions}

    def number(self, name: str) -> int:
        """The number of the partition called `name`."""
        return self.partition(name).number

    def where(self, *path: str | int) -> Position:
        """Position of the value at `path` (`"partition", "sensor", "class"`), or of the nearest
        table around it if the key is not in the document."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, Position(str(self.files[0]), 1, 1))

    def finding(
        self,
        rule: str,
        path: tuple[str | int, ...],
        message: str,
        help: str,
        *,
        warning: bool = False,
    ) -> Finding:
        """A finding of a later stage about the value at `path`."""
        position = self.where(*path)
        severity: Severity = "warning" if warning else "error"
        return Finding(rule, severity, position.file, position.line, position.column, message, help)
