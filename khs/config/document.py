"""What may stand in a system.toml and in a board file: one class a table, one field a key.

This is the one source for reading, for the JSON Schema, for `khs resolve` and for the reference
in docs/configuration.md. A field whose value is missing or wrong holds BAD; reading it raises
`UnreadableError`, so that a check that needs it is left out instead of reporting nonsense.
"""

from __future__ import annotations

# ruff: noqa: RUF009  -- key() and others() are dataclasses.field with a description
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from khs.config.units import Address, Duration, Frequency, Size

Keys = tuple[str | int, ...]

PartitionKindName = Literal["native", "board"]
KindName = Literal["sampling", "queuing", "call"]
LevelName = Literal["process", "partition", "module"]
OnFullName = Literal["stop", "count"]
ActionName = Literal["ignore", "log", "warm_restart", "cold_restart", "idle", "module_stop"]
ArchName = Literal["armv7", "x86", "x64"]
BusName = Literal["memory", "io"]


class UnreadableError(Exception):
    """The value was already reported as missing or wrong."""


#: The value of a field that could not be read.
BAD: Any = object()


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a document and its place in it."""

    path: Keys = dataclasses.field(default=(), repr=False, compare=False)

    if not TYPE_CHECKING:  # a type checker shall go on to know the fields

        def __getattribute__(self, name: str) -> Any:
            value = object.__getattribute__(self, name)
            if value is BAD:
                raise UnreadableError(name)
            return value

    @property
    def label(self) -> str:
        """What the document calls the table: its last key."""
        return str(self.path[-1])


def key(doc: str, default: Any = BAD, *, one_or_many: bool = False, shows: str = "") -> Any:
    """A key and its description; mandatory without a default.

    `one_or_many`: an array that may also be written as its only element. `shows`: the default in
    words, where the value itself says nothing.
    """
    required = default is BAD
    meta = {"doc": doc, "one_or_many": one_or_many, "shows": shows, "required": required}
    meta["default"] = None if required else default
    return dataclasses.field(default_factory=lambda: default, metadata=meta)


def others(doc: str, keys: str) -> Any:
    """All keys of the table that no other field names; `keys` says what they are."""
    meta = {"doc": doc, "one_or_many": False, "shows": "", "required": False, "others": keys}
    return dataclasses.field(default_factory=dict, metadata=meta)


def fields(cls: type[Table]) -> dict[str, dataclasses.Field[Any]]:
    """The keys that a table may have, by name, without the field that holds the other keys."""
    known = (field for field in dataclasses.fields(cls) if field.metadata)
    return {field.name.rstrip("_"): field for field in known if "others" not in field.metadata}


def hints_of(cls: type[Table]) -> dict[str, Any]:
    """The types of a table's fields, by name."""
    kind: Any = cls  # a type checker looks for the hash of tables here, not for that of their kinds
    return _hints(kind)


_hints = cache(get_type_hints)


def rest(cls: type[Table]) -> dataclasses.Field[Any] | None:
    """The field that holds all keys that the table does not name, if it has one."""
    return next((f for f in dataclasses.fields(cls) if "others" in f.metadata), None)


def times(table: Table) -> Iterator[tuple[Keys, Duration]]:
    """Every readable time in a table and in the tables in it, with its path."""
    for name, value in vars(table).items():
        yield from _times((*table.path, name), value)


def _times(path: Keys, value: object) -> Iterator[tuple[Keys, Duration]]:
    if isinstance(value, Duration):
        yield path, value
    elif isinstance(value, Table):
        yield from times(value)
    elif isinstance(value, dict | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _times(path, inner)


@dataclass(frozen=True, kw_only=True)
class SystemTable(Table):
    """The system as a whole. Paths are relative to the folder of the document."""

    name: str = key("name of the system")
    board: str = key("board file: a name from boards/, or a path; `--board` overrides it")
    policy: str = key("the policy; without one, or with an empty one, the system does not boot")
    policies: dict[str, str] = key(
        "further policies in the archive, by name, numbered from 1 in the order of the names", {}
    )
    include: tuple[str, ...] = key("folders searched for .psl, .edl, .cdl and .idl", (".",))
    stub: bool = key(
        "take on trust what missing files would describe; rules that hang on it deny", False
    )


@dataclass(frozen=True, kw_only=True)
class RunTable(Table):
    """Defaults of a run."""

    frames: int = key("length of a run in major frames", 100)
    seed: int = key(
        "recorded in results and traces; reserved: nothing in a run is random so far, so that no "
        "seed changes one",
        1,
    )
    preemption_dependent: tuple[str, ...] = key(
        "partitions whose hypercalls depend on the very instruction they are preempted at, which "
        "engines that measure time differently cannot agree on: khs compare leaves them out",
        (),
    )
    audit_on_full: OnFullName = key(
        "when the audit trail of `khs run --audit` is full or slow: end the run, or count the "
        "records that are not written",
        "stop",
    )
    audit_limit: Size | None = key("bytes that the audit trail may have", None)
    audit_patience: Duration = key(
        "host time that one write to the audit trail may take: the trail is slow beyond it",
        Duration(10_000_000_000),
    )


@dataclass(frozen=True, kw_only=True)
class WindowTable(Table):
    """Processor time of one partition in every major frame."""

    partition: str = key("the partition that runs")
    start: Duration = key("from the start of the major frame")
    length: Duration = key("how long; a partition that waits leaves the rest idle")


@dataclass(frozen=True, kw_only=True)
class ScheduleTable(Table):
    """A cyclic schedule; the first one is the initial schedule."""

    major_frame: Duration = key("length of the cycle")
    windows: tuple[WindowTable, ...] = key("windows, ascending and without overlap")


@dataclass(frozen=True, kw_only=True)
class PartitionTable(Table):
    """A partition. Its number is its place in the document."""

    class_: str = key("its EDL class")
    kind: PartitionKindName = key(
        "native: a program on the system's board; board: a whole machine of its own in QEMU",
        "native",
    )
    program: str | None = key(
        "a folder of partitions/, compiled for the board's architecture; this or `image`", None
    )
    image: str | None = key("an ELF file of the board's architecture; this or `program`", None)
    sha256: str | None = key(
        "hash of the ELF file, checked at build time; mandatory with `khs build --release`", None
    )
    stack: Size = key("stack, whole pages of 4 KiB", Size(16 << 10))
    heap: Size = key("heap, whole pages of 4 KiB", Size(0))
    period: Duration | None = key("time between two release points", None)
    deadline: Duration | None = key("from a release point to `khs_period_wait`", None)
    privileges: tuple[str, ...] = key("what it may ask of the kernel", ())
    devices: tuple[str, ...] = key(
        "devices of the board that it owns alone: registers or ports, and their interrupts in "
        "its own windows; of which the unicorn engine has models, `docs/hil.md` says",
        (),
    )
    args: tuple[str, ...] = key("arguments of the program", ())
    env: dict[str, str] = key("environment of the program", {})
    board: str | None = key("board: what its machine is, one of boards/", None)
    kernel: str | None = key("board: a kernel as QEMU boots it; this or `bios`", None)
    initrd: str | None = key("board: initial RAM file system of the kernel", None)
    dtb: str | None = key("board: device tree, for sabrelite", None)
    append: str | None = key("board: command line of the kernel", None)
    bios: str | None = key("board: firmware or boot loader", None)


@dataclass(frozen=True, kw_only=True)
class RegionTable(Table):
    """Named memory; shared if several partitions map it."""

    size: Size = key("size, whole pages of 4 KiB")
    map: dict[str, str] = key('rights by partition: "r" or "rw"')
    keep: bool = key(
        "its content survives a warm restart of its only partition; what is shared outlives every "
        "restart of one partition, cold or warm",
        False,
    )
    address: Address | None = key(
        "address, the same in every partition", None, shows="the next free one"
    )


@dataclass(frozen=True, kw_only=True)
class ChannelTable(Table):
    """A channel, declared once with both ends."""

    kind: KindName = key("sampling: the last value; queuing: a queue; call: request and reply")
    from_: str = key("the partition that writes, sends or calls")
    to: tuple[str, ...] = key(
        "the partitions that read or receive; the one that serves a call", one_or_many=True
    )
    message: str | None = key(
        "sampling, queuing: the method whose request is the message, package.Interface.Method", None
    )
    endpoint: str | None = key("call: [component.]endpoint of the server's EDL", None)
    depth: int | None = key("queuing: messages that each reader's queue holds", None)
    refresh: Duration | None = key(
        "sampling: age up to which a value is valid", None, shows="always valid"
    )


@dataclass(frozen=True, kw_only=True)
class RowTable(Table):
    """What to do about an error. What a row leaves out, the next general row gives."""

    level: LevelName | None = key("whom the error concerns", None)
    action: ActionName | None = key("what the health monitor does", None)


@dataclass(frozen=True, kw_only=True)
class LimitTable(Table):
    """A limit to the restarts of a partition by the health monitor."""

    restarts: int = key("restarts allowed, 0 to 16")
    within: Duration = key("in any such time")
    then: ActionName = key("what to do instead of the next one")


@dataclass(frozen=True, kw_only=True)
class PartitionHealthTable(Table):
    """Rows that override for one partition, and its limit of restarts."""

    rows: dict[str, RowTable] = others("the row of that error", "error or error.state")
    limit: LimitTable | None = key("limit of restarts", None)


@dataclass(frozen=True, kw_only=True)
class HealthTable(Table):
    """The health monitor's table: error and system state -> level and action."""

    default: RowTable | None = key("the row of every error that no other row names", None)
    errors: dict[str, RowTable] = key('rows by error, or by "error.state"', {})
    partition: dict[str, PartitionHealthTable] = key("rows and limits of single partitions", {})


@dataclass(frozen=True, kw_only=True)
class MessageTable(Table):
    """One message from outside. One of `text`, `hex` and `file`."""

    at: Duration = key("when it arrives")
    text: str | None = key("its content as text, in UTF-8", None)
    hex: str | None = key("its content as pairs of hexadecimal digits", None)
    file: str | None = key("a file with its content", None)


@dataclass(frozen=True, kw_only=True)
class InputTable(Table):
    """Bytes from outside the system to one partition."""

    partition: str = key("the partition that receives them")
    capacity: Size = key("size of the largest message")
    depth: int = key("messages that may wait")
    messages: tuple[MessageTable, ...] = key("messages that arrive in every run, ascending", ())


@dataclass(frozen=True, kw_only=True)
class Document(Table):
    """A system.toml."""

    format: int = key("version of this format, 1")
    system: SystemTable = key("the system as a whole")
    run: RunTable = key("defaults of a run", RunTable())
    schedule: dict[str, ScheduleTable] = key("schedules by name", {})
    partition: dict[str, PartitionTable] = key("partitions by name", {})
    region: dict[str, RegionTable] = key("named memory by name", {})
    channel: dict[str, ChannelTable] = key("channels by name", {})
    health: HealthTable = key("the health monitor's table", HealthTable(path=("health",)))
    input: dict[str, InputTable] = key("inputs by name", {})


@dataclass(frozen=True, kw_only=True)
class BoardTable(Table):
    """The board and its processor."""

    name: str = key("name of the board, also that of its file")
    title: str = key("what the board is, in words")
    arch: ArchName = key("architecture")
    cpu: str = key("processor model; fixed by the architecture")
    clock: Frequency = key("nominal clock: ticks, retired guest instructions, per second")
    console: str | None = key("the device that the kernel keeps for its console", None)


@dataclass(frozen=True, kw_only=True)
class MemoryTable(Table):
    """Memory for partitions."""

    base: Address = key("physical address")
    size: Size = key("size, whole pages")


@dataclass(frozen=True, kw_only=True)
class CostTable(Table):
    """What a hypercall costs beside its trap instruction, in ticks."""

    call: int = key("every hypercall")
    copy: int = key("per started 64 bytes copied")
    verdict: int = key("per security event judged")


@dataclass(frozen=True, kw_only=True)
class DeviceTable(Table):
    """A device that one partition may own."""

    kind: str = key("model of the device")
    bus: BusName = key("memory-mapped, or x86 I/O ports", "memory")
    address: Address = key("physical address, or first port")
    size: Size = key("size of its registers")
    irq: tuple[int, ...] = key(
        "interrupt number at the board's interrupt controller; several in the order of the "
        "device's manual",
        (),
        one_or_many=True,
    )


@dataclass(frozen=True, kw_only=True)
class QemuTable(Table):
    """How QEMU emulates the board; the unicorn engine does not read it."""

    machine: str = key("-machine")
    cpu: str = key("-cpu")


@dataclass(frozen=True, kw_only=True)
class BoardDocument(Table):
    """A board file."""

    format: int = key("version of this format, 1")
    board: BoardTable = key("the board and its processor")
    memory: MemoryTable = key("memory for partitions")
    cost: CostTable = key("costs of hypercalls")
    device: dict[str, DeviceTable] = key("devices by name", {})
    qemu: QemuTable = key("how QEMU emulates the board")
