"""A system that is a function of its tick, in the place of `khs.debug.target.Target`: for tests of
the server and of the order of several systems, where no guest is needed.

Windows of `WINDOW` ticks go round; a partition's program counter goes round in `LOOP` instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

from khs.debug.rsp.systems import Systems
from khs.debug.rsp.world import World
from khs.debug.stops import Access, Calls, Cause, Events, Position, Stop, Watch
from khs.debug.target import Target
from khs.engine.structures import View
from khs.image import Archive, records
from khs.runs import Plan
from khs.trace.kinds import Mode

WINDOW, LOOP, BASE, MEMORY = 20, 16, 0x4000_0000, 0x4000_1000
#: The instruction of a loop that is a hypercall, and the one that writes to MEMORY.
CALLS_AT, WRITES_AT, NUMBER = 7, 3, 16


class Toy:
    """`hz` ticks a second, `end` ticks in all."""

    def __init__(
        self, names: list[str], hz: int, end: int, arch: str = "armv7", system: str = "toy"
    ) -> None:
        self.names, self.arch, self.end = names, arch, end
        manifest = {"system": system, "board": "none", "clock_hz": hz, "arch": arch}
        self.archive = cast(
            Archive, SimpleNamespace(manifest=manifest, elfs={}, config=bytes(records.Config()))
        )
        self.position = Position(0)
        self.stop = Stop(Cause.BEGIN, self.position, 0)
        self.hz, self.asked = hz, False
        self.memory: dict[int, bytearray] = {n: bytearray(64) for n in range(len(names))}
        self.values: dict[tuple[int, str], bytes] = {}
        self.written: list[object] = []
        self.breakpoints: dict[int, frozenset[int]] = {}
        self.watches: dict[int, tuple[Watch, ...]] = {}
        self.calls: tuple[Calls, ...] = ()
        self.snapshots = (1, 0)

    def ns(self) -> int:
        return self.position.tick * 1_000_000_000 // self.hz

    def running(self) -> int:
        return self.position.tick // WINDOW % len(self.names)

    def own(self, partition: int) -> int:
        """Instructions of a partition before here."""
        rounds, rest = divmod(self.position.tick, WINDOW * len(self.names))
        return rounds * WINDOW + min(max(rest - partition * WINDOW, 0), WINDOW)

    def pc(self, partition: int) -> int:
        return BASE + 4 * (self.own(partition) % LOOP)

    def status(self) -> Any:
        return SimpleNamespace(tick=self.position.tick, frames=0, schedule=0, stopped=0)

    def view(self, partition: int) -> Any:
        return View(mode=Mode.NORMAL, blocked=0xFFFF_FFFF)

    def registers(self, partition: int) -> list[int]:
        pc_at = {"armv7": 15, "x64": 16, "x86": 8}[self.arch]
        values = [self.own(partition)] * {"armv7": 17, "x64": 18, "x86": 10}[self.arch]
        values[pc_at] = self.pc(partition)
        return values

    def read_register(self, partition: int, name: str) -> bytes | None:
        return self.values.get((partition, name), bytes(16))

    def write_register(self, partition: int, name: str, value: bytes) -> None:
        self.values[partition, name] = value
        self.written.append(name)

    def read(self, partition: int, address: int, size: int) -> bytes:
        at = address - MEMORY
        return bytes(self.memory[partition][at : at + size]) if 0 <= at < 64 else b""

    def write(self, partition: int, address: int, data: bytes) -> int:
        at = address - MEMORY
        room = data[: max(0, 64 - at)] if at >= 0 else b""
        self.memory[partition][at : at + len(room)] = room
        self.written.append((address, data))
        return len(room)

    def set_breakpoints(self, partition: int, addresses: frozenset[int]) -> None:
        self.breakpoints[partition] = addresses

    def set_watches(self, partition: int, watches: tuple[Watch, ...]) -> None:
        self.watches[partition] = watches

    def set_calls(self, calls: tuple[Calls, ...]) -> None:
        self.calls = calls

    def set_events(self, events: tuple[Events, ...]) -> None:
        pass

    # ---- moving

    def _met(self) -> Stop | None:
        """What there is to stop for where it stands."""
        running, at = self.running(), self.position
        if self.pc(running) in self.breakpoints.get(running, ()):
            return Stop(Cause.BREAKPOINT, at, running)
        step = (self.pc(running) - BASE) // 4
        for wanted in self.calls:
            if wanted.partition in (None, running) and (
                wanted.numbers is None or NUMBER in wanted.numbers
            ):
                if step == CALLS_AT and wanted.entry:
                    return Stop(Cause.CALL, at, running, NUMBER)
                if step == CALLS_AT + 1 and wanted.result:
                    return Stop(Cause.RETURN, at, running, NUMBER)
        for watch in self.watches.get(running, ()):
            if step == WRITES_AT + 1 and watch.access is not Access.READ:
                return Stop(Cause.WATCHPOINT, at, running, watch=watch, address=watch.address)
        return None

    def _stopped(self, stop: Stop | None, cause: Cause = Cause.STEP) -> Stop:
        self.stop = stop or Stop(cause, self.position, self.running())
        return self.stop

    def _run(self, by: int, last: int, wanted: Callable[[], bool], ends: Cause) -> Stop:
        while self.position.tick != last:
            if self.asked:
                self.asked = False
                return self._stopped(None, Cause.INTERRUPT)
            self.position = Position(self.position.tick + by)
            if (met := self._met()) is not None:
                return self._stopped(met)
            if wanted():
                return self._stopped(None)
        return self._stopped(None, ends if last in (0, self.end) else Cause.STEP)

    def go(self, until: int | None = None) -> Stop:
        last = self.end if until is None else min(until, self.end)
        return self._run(1, max(last, self.position.tick), lambda: False, Cause.END)

    def step(self, partition: int | None = None) -> Stop:
        before = self._count(partition)
        return self._run(1, self.end, lambda: self._count(partition) > before, Cause.END)

    def back(self) -> Stop:
        return self._run(-1, 0, lambda: False, Cause.BEGIN)

    def back_step(self, partition: int | None = None) -> Stop:
        before = self._count(partition)
        return self._run(-1, 0, lambda: self._count(partition) < before, Cause.BEGIN)

    def _count(self, partition: int | None) -> int:
        return self.position.tick if partition is None else self.own(partition)

    def step_window(self) -> Stop:
        return self.go_to(Position(min(self.end, (self.position.tick // WINDOW + 1) * WINDOW)))

    step_frame = step_window

    def back_window(self) -> Stop:
        return self.go_to(Position(max(0, (self.position.tick - 1) // WINDOW * WINDOW)))

    back_frame = back_window

    def go_to(self, position: Position) -> Stop:
        self.position = min(position, Position(self.end))
        return self._stopped(None, Cause.END if self.position.tick == self.end else Cause.STEP)

    def interrupt(self) -> None:
        self.asked = True

    def events(self, since: int = 0, kinds: frozenset[int] | None = None) -> list[bytes]:
        return []

    def latest(self) -> Iterator[bytes]:
        return iter(())

    def retell(self, take: object) -> None:
        pass

    def verdicts(self) -> dict[str, int]:
        return {"granted": 0, "denied": 0}

    def queued(self, channel: int, reader: int) -> int:
        return 0

    def changes(self) -> list[object]:
        return self.written

    def state_hash(self) -> str:
        return f"{self.position.tick:064}"

    def result(self) -> Any:
        return SimpleNamespace(verdicts={"granted": 0, "denied": 0})

    def close(self) -> None:
        pass


def systems(*toys: Toy) -> Systems:
    """Toys as the server has them."""
    world = World([cast(Target, toy) for toy in toys])
    plans = [SimpleNamespace(archive=toy.archive, header=header(toy)) for toy in toys]
    return Systems(world, cast(list[Plan], plans))


def header(toy: Toy) -> dict[str, Any]:
    names = {"clock_hz": toy.hz, "partitions": toy.names, "schedules": ["normal"]}
    windows = [[n * WINDOW, WINDOW, n] for n in range(len(toy.names))]
    schedule = {"major_frame": WINDOW * len(toy.names), "windows": windows}
    return {"names": names, "outline": {"schedules": [schedule], "ports": [[] for _ in toy.names]}}
