"""Several systems in one virtual time: what happens in them is ordered by its nanosecond, then by
the number of the system. With one system, it is that system's own order.

Each system moves by itself; whoever went past the earliest stop is brought back to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from khs.debug.stops import Calls, Cause, Events, Position, Stop, Watch
from khs.debug.target import Target

#: Nanoseconds that several systems run before they wait for each other.
_STRIDE = 20_000_000
_NS = 1_000_000_000
#: Causes that end no run: the system has gone as far as it was let, or as it can.
_QUIET = frozenset((Cause.STEP, Cause.END, Cause.BEGIN))


@dataclass(frozen=True, slots=True)
class Process:
    """A partition, as gdb knows it: `pid` from 1, through all systems. `name` is the partition's,
    `label` what nobody else in the world is called, `full` the same with its system's name."""

    pid: int
    system: int
    partition: int
    name: str
    label: str
    full: str


@dataclass(frozen=True, slots=True)
class Halt:
    """Where the world stopped: the stop of one system, and that system's number."""

    system: int
    stop: Stop


Move = Callable[[Target], Stop]
Key = tuple[int, int]  # nanosecond, system


class World:
    """`targets`: the systems, each at its beginning."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = tuple(targets)
        self.labels = _labels(self.targets)
        self.processes = tuple(self._processes())
        counts = [len(target.names) for target in self.targets]
        self._firsts = [sum(counts[:system]) for system in range(len(counts))]
        self.halt = Halt(0, self.targets[0].stop)
        self._asked = False
        #: Stops of systems that stand right there, while the world is just behind them.
        self._passed: dict[int, Stop] = {}

    def _processes(self) -> Iterator[Process]:
        names = [name for target in self.targets for name in target.names]
        pid = 0
        for system, target in enumerate(self.targets):
            for partition, name in enumerate(target.names):
                pid += 1
                full = f"{self.labels[system]}.{name}"
                label = name if names.count(name) == 1 else full
                yield Process(pid, system, partition, name, label, full)

    def process(self, pid: int) -> Process | None:
        return self.processes[pid - 1] if 0 < pid <= len(self.processes) else None

    def of(self, system: int, partition: int) -> Process:
        """The process that a partition is."""
        return self.processes[self._firsts[system] + partition]

    def close(self) -> None:
        for target in self.targets:
            target.close()

    # ---- where to stop

    def set_breakpoints(self, process: Process, addresses: frozenset[int]) -> None:
        self.targets[process.system].set_breakpoints(process.partition, addresses)

    def set_watches(self, process: Process, watches: tuple[Watch, ...]) -> None:
        self.targets[process.system].set_watches(process.partition, watches)

    def set_calls(self, system: int, calls: tuple[Calls, ...]) -> None:
        self.targets[system].set_calls(calls)

    def set_events(self, system: int, events: tuple[Events, ...]) -> None:
        self.targets[system].set_events(events)

    # ---- moving

    def interrupt(self) -> None:
        """From any thread: whatever moves ends soon."""
        self._asked = True
        for target in self.targets:
            target.interrupt()

    def listen(self) -> None:
        """From here on an interrupt is for the move that comes."""
        self._asked = False

    def go(self) -> Halt:
        """Forward to the first stop, or to the end of all systems."""
        self._passed.clear()
        if len(self.targets) == 1:
            return self._halted(0, self.targets[0].go())
        while True:
            if (asked := self._interrupted()) is not None:
                return self._halted(self.halt.system, asked)
            alive = [n for n, each in enumerate(self.targets) if each.stop.cause is not Cause.END]
            if not alive:
                last = max(range(len(self.targets)), key=self._key)
                return self._halted(last, self.targets[last].stop)
            horizon = min(map(self._next, alive)) + _STRIDE
            halt = self._forward({}, (horizon, len(self.targets)))
            if halt is not None:
                return halt

    def ahead(self, system: int, move: Move) -> Halt:
        """One system moves forward, the others keep up with it."""
        if (asked := self._interrupted()) is not None:
            return self._halted(system, asked)
        if len(self.targets) == 1:
            return self._halted(system, move(self.targets[system]))
        halt = self._forward({system: move}, None)
        return halt or self._halted(system, self.targets[system].stop)

    def behind(self, move: Move, system: int | None = None) -> Halt:
        """Backward to the latest stop that a move of any system, or of this one, comes to."""
        if (asked := self._interrupted()) is not None:
            return self._halted(self.halt.system, asked)
        movers = range(len(self.targets)) if system is None else (system,)
        stops: dict[int, Stop] = {}
        passed, self._passed = self._passed, {}
        for number in movers:
            stops[number] = passed.get(number) or move(self.targets[number])
        asked_for = [n for n, stop in stops.items() if stop.cause is Cause.INTERRUPT]
        chosen = asked_for[0] if asked_for else max(stops, key=self._key)
        limit = self._key(chosen)
        for number in range(len(self.targets)):
            if number != chosen:
                self._to(number, limit)
                stop = stops.get(number)
                if stop is not None and stop.position == self.targets[number].position:
                    self._passed[number] = stop
        return self._halted(chosen, stops[chosen])

    def places(self) -> tuple[Position, ...]:
        """Where every system stands."""
        return tuple(target.position for target in self.targets)

    def return_to(self, places: Sequence[Position]) -> Halt:
        """Back or on to where they stood, past all stops; the stop is of the one told of last."""
        system = self.halt.system
        self._passed.clear()
        stops = [target.go_to(place) for target, place in zip(self.targets, places, strict=True)]
        return self._halted(system, stops[system])

    def _forward(self, movers: dict[int, Move], limit: Key | None) -> Halt | None:
        """Everybody up to the limit, or as far as the mover gets; the first real stop of all."""
        best: Halt | None = None
        self._passed.clear()
        order = [*movers, *(n for n in range(len(self.targets)) if n not in movers)]
        for number in order:
            target = self.targets[number]
            if number in movers:
                stop = movers[number](target)
                limit = self._key(number)
            else:
                assert limit is not None
                last = self._last(number, limit)
                if target.stop.cause is Cause.END or last <= target.position.tick:
                    continue
                stop = target.go(last)
            if stop.cause not in _QUIET:
                best, limit = Halt(number, stop), self._key(number)
                if stop.cause is Cause.INTERRUPT:
                    break
        if best is None:
            return None
        for number in range(len(self.targets)):
            if number != best.system and self._key(number) > self._key(best.system):
                self._to(number, self._key(best.system))
        return self._halted(best.system, best.stop)

    def _to(self, number: int, limit: Key) -> None:
        """A system to the last point before the limit, without stops on the way."""
        target, last = self.targets[number], self._last(number, limit)
        if target.position.tick != last:
            target.go_to(Position(max(last, 0)))

    def _key(self, number: int) -> Key:
        return self.targets[number].ns(), number

    def _next(self, number: int) -> int:
        """The nanosecond of a system's next tick."""
        return (self.targets[number].position.tick + 1) * _NS // self.clock_hz(number)

    def _last(self, number: int, limit: Key) -> int:
        """The last tick of a system that is not behind the limit."""
        ns, system = limit
        hz = self.clock_hz(number)
        last = ((ns + 1) * hz - 1) // _NS if number <= system else (ns * hz - 1) // _NS
        return last if last >= 0 else 0

    def clock_hz(self, system: int) -> int:
        return int(self.targets[system].archive.manifest["clock_hz"])

    def _interrupted(self) -> Stop | None:
        """The stop where the world stands, if somebody asked before it moved. One system alone
        keeps that in mind itself."""
        if not self._asked or len(self.targets) == 1:
            return None
        self._asked = False
        target = self.targets[self.halt.system]
        return Stop(Cause.INTERRUPT, target.position, target.running())

    def _halted(self, system: int, stop: Stop) -> Halt:
        if stop.cause is Cause.INTERRUPT:
            self._asked = False
        self.halt = Halt(system, stop)
        return self.halt


def _labels(targets: Sequence[Target]) -> tuple[str, ...]:
    """A name for each system that no other one has."""
    names = [str(target.archive.manifest["system"]) for target in targets]
    placed = [
        f"{name}.{t.archive.manifest['board']}" for name, t in zip(names, targets, strict=True)
    ]
    return tuple(
        name
        if names.count(name) == 1
        else place
        if placed.count(place) == 1
        else f"{place}.{number + 1}"
        for number, (name, place) in enumerate(zip(names, placed, strict=True))
    )
