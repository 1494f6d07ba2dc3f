"""Rigs of systems whose kernel tells what happens: Unicorn, and boards in QEMU."""

from __future__ import annotations

import difflib
import hashlib
import struct
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

from khs.attached import UARTS
from khs.engine.log import Log, Mark
from khs.engine.stepping import Batch
from khs.errors import KhsError
from khs.hil.testing.audit import Audit
from khs.hil.testing.canbus import CanBus, CanWire
from khs.hil.testing.console import Console, Wire
from khs.hil.testing.partition import Partition
from khs.hil.testing.rig import HealthLine, HypercallLine, Rig
from khs.hil.testing.spec import Spec
from khs.record import versions
from khs.runs import Plan
from khs.trace import Names, Writer, decode, text
from khs.trace.events import Console as Written
from khs.trace.events import Event, Health, Hypercall, Verdict
from khs.trace.kinds import EventType
from khs.trace.verdicts import Verdicts

_SIZE_KIND = struct.Struct("<8xI12xH")
_CONSOLE = int(EventType.CONSOLE)
_KINDS = {int(EventType.HYPERCALL), int(EventType.VERDICT)}
_HEALTH = frozenset({int(EventType.HEALTH)})
_POLICY = frozenset({int(EventType.POLICY)})
#: Kinds of devices by what they are good for, see FEATURES.
_GOOD_FOR = {
    "imx-uart": "uart",
    "16550": "uart",
    "imx-flexcan": "can",
    "sja1000": "can",
    "imx-gpio": "gpio",
}
#: Records that are looked through for a hypercall.
_FAR = 4096


class EventRig(Rig):
    """Keeps events and consoles since power-on."""

    def __init__(self, spec: Spec, plan: Plan) -> None:
        super().__init__(spec.vtimeout_ns)
        self.spec, self.plan, self.archive = spec, plan, plan.archive
        self._manifest = plan.archive.manifest
        self.partitions = [str(name) for name in self._manifest["names"]["partitions"]]
        self._hz = int(self._manifest["clock_hz"])
        self._log, self._began = Log(), Mark()
        self._consoles = {name: Wire() for name in self.partitions}
        self._ports = {name: Wire() for name, kind in self._devices() if kind in UARTS}
        #: CAN buses by name, and the first controller of each.
        self._buses: dict[str, tuple[str, CanWire]] = {}
        for name, bus in plan.attached.can.items():
            self._buses.setdefault(bus, (name, CanWire()))

    def _devices(self) -> Iterator[tuple[str, str]]:
        """PARTITION.DEVICE and its kind."""
        for row in self._manifest.get("devices", ()):
            yield f"{self.partitions[row['partition']]}.{row['name']}", str(row["kind"])

    def __str__(self) -> str:
        return f"{self._manifest['system']} on {self._manifest['board']} ({self.engine})"

    @property
    def features(self) -> frozenset[str]:
        return self.can | {_GOOD_FOR[kind] for _, kind in self._devices() if kind in _GOOD_FOR}

    def close(self) -> None:
        self._log.close()

    # ------------------------------------------------------------ events

    def _take(self, batch: Batch, notable: memoryview) -> None:
        """Events as they are drained, and among them those that are told one by one."""
        self._log.add(batch)
        place = 0
        while place < len(notable):
            size, kind = _SIZE_KIND.unpack_from(notable, place)
            if kind == _CONSOLE:
                event = decode(notable[place : place + size])
                assert isinstance(event, Written) and event.partition is not None
                self._consoles[self.partitions[event.partition]].put(event.text)
            place += size

    def begin(self, vtimeout_ns: int) -> None:
        super().begin(vtimeout_ns)
        self._began = self._log.here

    def names(self) -> Names:
        """Fresh ones, which have seen nothing."""
        return Names.from_header(self.plan.header)

    def events(self, kinds: frozenset[int], whole: bool = False) -> Iterator[tuple[bool, Event]]:
        """Of these types since power-on, with whether they are of this test; of the time before,
        only policies unless `whole`."""
        before = self._began.count
        early = kinds if whole else kinds & _POLICY
        for record in self._log.read(0, early) if before else ():
            event = decode(record)
            if event.tick * 1_000_000_000 // self._hz >= self.began_ns:
                break
            yield False, event
        for record in self._log.read(before, kinds):
            yield True, decode(record)

    @property
    def audit(self) -> Audit:
        return Audit(self)

    def hypercalls(self, last: int = 16) -> list[HypercallLine]:
        found: list[Event] = []
        calls = 0
        for number, record in enumerate(self._log.backwards()):
            if calls > last or number > _FAR * max(last, 1):
                break
            if _SIZE_KIND.unpack_from(record)[1] in _KINDS:
                found.append(decode(record))
                calls += isinstance(found[-1], Hypercall)
        names = self.names()
        for record in self._log.read(0, _POLICY):
            names.observe(decode(record))
        return list(_lines(reversed(found), names))[-last:] if last > 0 else []

    def health(self) -> list[HealthLine]:
        names = self.names()
        rows = [event for _, event in self.events(_HEALTH) if isinstance(event, Health)]
        return [
            HealthLine(
                row.tick * 1_000_000_000 // self._hz,
                names.partition(row.partition),
                row.error.word,
                row.action.word,
                text.health(row),
            )
            for row in rows
        ]

    # ------------------------------------------------------------ what is in it

    def console(self, name: str) -> Console:
        return Console(name, self.wire(name), self, name in self._ports)

    def wire(self, name: str) -> Wire:
        """The bytes of a console. KhsError if there is none."""
        wires = self._consoles | self._ports
        if name not in wires:
            raise KhsError(f"{self} has no console {name}{meant(name, list(wires))}")
        return wires[name]

    def can_bus(self, name: str | None = None) -> CanBus:
        if not self._buses:
            raise self._lacking("can")
        known = list(self._buses)
        if name is None and len(known) > 1:
            raise KhsError(f"{self} has several CAN buses\n  help: one of {', '.join(known)}")
        if name is not None and name not in self._buses:
            raise KhsError(f"{self} has no CAN bus {name}{meant(name, known)}")
        chosen = known[0] if name is None else name
        return CanBus(chosen, self._buses[chosen][1], self, self._dbc(chosen))

    def _dbc(self, bus: str) -> Path | None:
        bench = self.plan.attached.bench
        table = None if bench is None else bench.document.can.get(bus)
        named = None if table is None or bench is None else table.dbc
        return Path(bench.path(named)) if bench is not None and named is not None else None

    @property
    def _wires(self) -> dict[str, Wire]:
        """All that goes back with the system, by its name in reports."""
        buses = {f"CAN {name}": wire for name, (_, wire) in self._buses.items()}
        return {**self._consoles, **self._ports, **buses}

    def advance(self, until_ns: int) -> None:
        """Up to there, whatever time a test has."""
        self._advance(until_ns)

    def partition(self, name: str) -> Partition:
        if name not in self.partitions:
            raise KhsError(f"{self} has no partition {name}{meant(name, self.partitions)}")
        return Partition(self, self.partitions.index(name), name, self.archive.elfs.get(name))

    def consoles(self) -> dict[str, str]:
        return {name: wire.text for name, wire in self._wires.items() if wire.data}

    # ------------------------------------------------------------ afterwards

    @property
    @abstractmethod
    def trace_sha256(self) -> str: ...

    @property
    def hashes(self) -> dict[str, str]:
        policy = hashlib.sha256(self.archive.policies[0]).hexdigest()
        return {"image": self.archive.sha256, "policy": policy, "kernel": versions()["kernel"]}

    def write_trace(self, path: Path) -> bool:
        with Writer(path, self.plan.header) as writer:
            for batch in self._log.batches():
                writer(batch)
        return True


def meant(name: str, known: list[str]) -> str:
    """The help of an error about a name."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"\n  help: did you mean {close[0]}?" if close else f"\n  help: {', '.join(known)}"


def _lines(found: Iterator[Event], names: Names) -> Iterator[HypercallLine]:
    """Hypercalls with the verdicts before them; they share their tick."""
    verdicts = Verdicts(names)
    for event in found:
        if isinstance(event, Verdict):
            verdicts.judged(event)
        elif isinstance(event, Hypercall):
            rows = tuple(text.verdict(each.verdict, names) for each in verdicts.of(event))
            yield HypercallLine(
                event.tick * 1_000_000_000 // names.clock_hz,
                names.partition(event.partition),
                text.hypercall_name(event.number),
                None if event.code is None else text.code(event.code),
                text.describe(event, names),
                rows,
            )
