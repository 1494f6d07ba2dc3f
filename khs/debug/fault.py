"""Faults that explain themselves: a run is taken to the fault once more, and looked at there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from khs.config.model import Arch, Right
from khs.debug.program import COUNTER, REGISTERS, Instruction, Program
from khs.debug.source import Place, Sources, sources
from khs.debug.stops import Cause, Events, Noted
from khs.debug.target import Target
from khs.debug.unwind import Unwinder
from khs.errors import KhsError
from khs.image import records
from khs.image.outline import table
from khs.runs import Plan
from khs.trace import events, text
from khs.trace.events import Event, Fault, Hypercall
from khs.trace.kinds import EventType, FaultKind
from khs.trace.names import Names

#: Hypercalls before the fault that are told.
CALLS = 16
_AROUND = 2  # instructions before and behind the one that faulted
_ACCESSES = (FaultKind.READ, FaultKind.WRITE, FaultKind.EXECUTE)


@dataclass(frozen=True, slots=True)
class Mapped:
    """A region in a partition's memory; `rights`: of `rwx`."""

    name: str
    start: int
    end: int
    rights: str

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "start": self.start, "end": self.end, "rights": self.rights}

    def __str__(self) -> str:
        return f"{self.name} ({self.start:#x} to {self.end:#x}, {self.rights or 'no rights'})"


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a backtrace, by the address that goes on there."""

    address: int
    symbol: str
    place: Place | None

    def to_json(self) -> dict[str, Any]:
        file, line = (self.place.file, self.place.line) if self.place else (None, None)
        return {"address": self.address, "symbol": self.symbol, "file": file, "line": line}


@dataclass(frozen=True)
class Explained:
    """A fault: `registers` by name and `code` as they were before the instruction that faulted;
    `region` that the access hit, or else `below` and `above`, the nearest ones; `end` and
    `guessed`: see `Backtrace`; `calls`: the partition's last hypercalls, `health`: what came of
    it."""

    fault: Fault
    names: Names
    frame: int
    registers: dict[str, int]
    code: tuple[Instruction, ...]
    source: str
    region: Mapped | None
    below: Mapped | None
    above: Mapped | None
    backtrace: tuple[Frame, ...]
    end: str
    guessed: bool
    calls: tuple[Hypercall, ...]
    health: str

    def access(self) -> str:
        """The access and the region that it hit or missed, "" if it was none of memory."""
        fault = self.fault
        if fault.fault not in _ACCESSES:
            return ""
        what = f"{fault.fault.word} of {fault.address:#x}"
        if self.region is not None:
            return f"{what} hits {self.region}"
        near = []
        if self.below is not None:
            by = fault.address - self.below.end
            near.append(f"{f'{by:#x} bytes' if by else 'right'} behind {self.below}")
        if self.above is not None:
            near.append(f"{self.above.start - fault.address:#x} bytes before {self.above}")
        return f"{what} hits no region: {', '.join(near) or 'there is none'}"

    def to_json(self) -> dict[str, Any]:
        """The document of `khs explain --fault --json`."""
        regions = {key: getattr(self, key) for key in ("region", "below", "above")}
        return {
            "fault": text.to_json(self.fault, self.names),
            "frame": self.frame,
            "place": self.backtrace[0].to_json(),
            "source": self.source,
            "registers": self.registers,
            "code": [
                {"address": each.address, "data": each.data.hex(), "text": each.text}
                for each in self.code
            ],
            "access": self.access(),
            **{key: each and each.to_json() for key, each in regions.items()},
            "backtrace": [each.to_json() for each in self.backtrace],
            "backtrace_end": self.end,
            "backtrace_guessed": self.guessed,
            "hypercalls": [text.to_json(each, self.names) for each in self.calls],
            "health": self.health,
        }


def explain(plan: Plan, system: Path, number: int) -> Explained:
    """Fault `number` of the run, from 1. KhsError if it has fewer, or cannot be run here."""
    with Target(plan) as target:
        target.set_events((Events(Noted.FAULT),))
        for count in range(number):
            stop = target.go()
            if stop.cause is not Cause.EVENT or stop.record is None:
                told = f"{count} fault{'s'[: count != 1]}" if count else "no fault"
                raise KhsError(f"the run has {told}, no number {number}")
        assert stop.record is not None
        return _explained(target, plan, system, stop.record)


def _explained(target: Target, plan: Plan, system: Path, record: bytes) -> Explained:
    fault = events.decode(record)
    assert isinstance(fault, Fault)
    assert fault.partition is not None
    names, arch, who = Names.from_header(plan.header), Arch[target.arch.upper()], fault.partition
    calls, health = _history(target, names, fault)
    target.back_step(who)  # what came of it may have taken all away
    program = Program(arch, plan.archive.elfs.get(target.names[who], b""))
    registers = target.registers(who)
    counter = registers[COUNTER[arch]]

    def read(address: int, size: int) -> bytes:
        return target.read(who, address, size)

    trace = Unwinder(program).trace(registers, read)
    shown = trace.addresses
    frames = tuple(
        frame for at, address in enumerate(shown) for frame in _frames(program, address, at > 0)
    )
    region, below, above = _around(_regions(plan, who), fault.address)
    return Explained(
        fault,
        names,
        int(target.status().frames),
        dict(zip(REGISTERS[arch], registers, strict=True)),
        tuple(program.listing(read, counter, _AROUND, _AROUND)),
        Sources(sources(system)).line(frames[0].place).strip(),
        region,
        below,
        above,
        frames,
        trace.end,
        trace.guessed,
        calls,
        health,
    )


def _frames(program: Program, address: int, called: bool) -> Iterator[Frame]:
    """The frames of an address: one, and one for each function that is inlined there. `called`: it
    is behind a call, which may be the last instruction of its function."""
    within = address - called
    place = program.lines.place(within)
    for inlined in program.inlined.at(within):
        yield Frame(address, inlined.name, place)
        place = inlined.caller
    yield Frame(address, program.symbol(address), place)


def _history(target: Target, names: Names, fault: Fault) -> tuple[tuple[Hypercall, ...], str]:
    """The partition's last hypercalls before the fault, and what the health monitor did then."""
    kinds = {EventType.HYPERCALL, EventType.HEALTH, EventType.POLICY}
    calls: deque[Hypercall] = deque(maxlen=CALLS)
    health: Event | None = None
    for record in target.events(0, frozenset(map(int, kinds))):
        event = events.decode(record)
        names.observe(event)
        if isinstance(event, Hypercall) and event.partition == fault.partition:
            calls.append(event)
        if event.kind is EventType.HEALTH and event.tick == fault.tick:
            health = event
    told = text.describe(health, names).removeprefix("health").strip() if health else ""
    return tuple(calls), told


def _regions(plan: Plan, partition: int) -> list[Mapped]:
    """What the partition has in its memory, ascending."""
    config = plan.archive.config
    header = records.Config.from_buffer_copy(config)
    regions = table(config, header.regions, records.Region)
    maps = table(config, header.maps, records.Map)
    own = table(config, header.partitions, records.Partition)[partition].maps
    called = plan.archive.names.get("regions", [])
    rows = []
    for each in maps[own.first : own.first + own.count]:
        name = str(called[each.region]) if each.region < len(called) else str(each.region)
        rights = "".join(
            letter
            for letter, right in zip("rwx", (Right.R, Right.W, Right.X), strict=True)
            if each.rights & right
        )
        rows.append(Mapped(name, each.address, each.address + regions[each.region].size, rights))
    return sorted(rows, key=lambda row: row.start)


def _around(rows: list[Mapped], address: int) -> tuple[Mapped | None, Mapped | None, Mapped | None]:
    """The region at an address, else those below and above it."""
    hit = next((row for row in rows if row.start <= address < row.end), None)
    if hit is not None:
        return hit, None, None
    below = [row for row in rows if row.end <= address]
    above = [row for row in rows if row.start > address]
    return None, below[-1] if below else None, above[0] if above else None
