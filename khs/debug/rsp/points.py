"""Where gdb and the monitor's commands want to stop; the systems are told before they move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from khs.abi.hypercalls import HYPERCALLS
from khs.debug.rsp.world import Halt, Process, World
from khs.debug.stops import Access, Calls, Cause, Events, Noted, Watch

#: gdb's kinds of Z packets.
SOFTWARE, HARDWARE = 0, 1
WATCHES = {2: Access.WRITE, 3: Access.READ, 4: Access.ANY}


@dataclass(frozen=True, slots=True)
class Wish:
    """A breakpoint of `monitor`: on hypercalls (`noted` None) or on events; of one process, or of
    all; of one hypercall, or of all."""

    noted: Noted | None = None
    process: Process | None = None
    number: int | None = None

    def __str__(self) -> str:
        name = "" if self.number is None else HYPERCALLS[self.number].name
        what = f"{self.noted}" if self.noted else name or "every hypercall"
        words = [
            what,
            name if self.noted else "",
            f"of {self.process.label}" if self.process else "",
        ]
        return " ".join(word for word in words if word)

    @property
    def numbers(self) -> frozenset[int] | None:
        return None if self.number is None else frozenset((self.number,))

    @property
    def partition(self) -> int | None:
        return self.process.partition if self.process else None

    def concerns(self, system: int) -> bool:
        return self.process is None or self.process.system == system

    def meets(self, halt: Halt) -> bool:
        """Whether the world stopped for this."""
        stop = halt.stop
        if not self.concerns(halt.system):
            return False
        if self.process is not None and stop.partition != self.process.partition:
            return False
        if self.noted is None:
            return stop.cause is Cause.CALL and self.number in (None, stop.number)
        return stop.cause is Cause.EVENT


@dataclass
class Points:
    """`caught`: hypercalls of `catch syscall`: () for none, None for all."""

    world: World
    wishes: dict[int, Wish] = field(default_factory=dict)
    caught: frozenset[int] | None = frozenset()
    _inserted: dict[int, set[tuple[int, int]]] = field(default_factory=dict)  # by pid
    _watches: dict[int, list[Watch]] = field(default_factory=dict)
    _changed: set[int] = field(default_factory=set)  # pids
    _calls_changed: bool = False
    _numbered: int = 0

    # ---- what gdb asks for

    def insert(self, process: Process, kind: int, address: int) -> None:
        self._inserted.setdefault(process.pid, set()).add((kind, address))
        self._changed.add(process.pid)

    def remove(self, process: Process, kind: int, address: int) -> None:
        self._inserted.get(process.pid, set()).discard((kind, address))
        self._changed.add(process.pid)

    def watch(self, process: Process, watch: Watch) -> None:
        watches = self._watches.setdefault(process.pid, [])
        if watch not in watches:
            watches.append(watch)
        self._changed.add(process.pid)

    def unwatch(self, process: Process, watch: Watch) -> None:
        watches = self._watches.get(process.pid, [])
        if watch in watches:
            watches.remove(watch)
        self._changed.add(process.pid)

    def kind_at(self, process: Process, address: int) -> int | None:
        """Which kind of breakpoint is there; None if there is none."""
        found = self._inserted.get(process.pid, set())
        return next((kind for kind in (SOFTWARE, HARDWARE) if (kind, address) in found), None)

    def catch(self, numbers: frozenset[int] | None) -> None:
        self.caught, self._calls_changed = numbers, True

    # ---- what `monitor` asks for

    def add(self, wish: Wish) -> int:
        """Its number, from 1; the one that it has if it is there already."""
        for number, known in self.wishes.items():
            if known == wish:
                return number
        self._numbered += 1
        self.wishes[self._numbered], self._calls_changed = wish, True
        return self._numbered

    def delete(self, number: int | None) -> list[int]:
        """That one, or all; the numbers of those that are gone."""
        gone = [each for each in self.wishes if number in (None, each)]
        for each in gone:
            del self.wishes[each]
        self._calls_changed = self._calls_changed or bool(gone)
        return gone

    def met(self, halt: Halt) -> Wish | None:
        """The wish that the world stopped for; None if it is `catch syscall` alone."""
        return next((wish for wish in self.wishes.values() if wish.meets(halt)), None)

    def catches(self, number: int | None) -> bool:
        return self.caught is None or number in self.caught

    # ---- telling the systems

    def clear(self) -> None:
        """Nobody wants to stop any more."""
        self._changed |= self._inserted.keys() | self._watches.keys()
        self._inserted.clear()
        self._watches.clear()
        self.wishes.clear()
        self.catch(frozenset())

    def forget(self, process: Process) -> None:
        """Nobody wants to stop in this process any more."""
        if self._inserted.pop(process.pid, None) or self._watches.pop(process.pid, None):
            self._changed.add(process.pid)

    def apply(self) -> None:
        """Tells the systems what has changed."""
        for pid in sorted(self._changed):
            process = self.world.process(pid)
            assert process is not None
            addresses = frozenset(address for _, address in self._inserted.get(pid, ()))
            self.world.set_breakpoints(process, addresses)
            self.world.set_watches(process, tuple(self._watches.get(pid, ())))
        self._changed.clear()
        if self._calls_changed:
            self._tell(list(self.wishes.values()), self.caught)
            self._calls_changed = False

    def only(self, wish: Wish | None) -> None:
        """For the next move this is the one thing to stop for, or nothing is; `apply` undoes it."""
        for pid in self._inserted.keys() | self._watches.keys():
            process = self.world.process(pid)
            assert process is not None
            self.world.set_breakpoints(process, frozenset())
            self.world.set_watches(process, ())
            self._changed.add(pid)
        self._tell([wish] if wish else [], frozenset())
        self._calls_changed = True

    def _tell(self, wishes: list[Wish], caught: frozenset[int] | None) -> None:
        for system in range(len(self.world.targets)):
            own = [wish for wish in wishes if wish.concerns(system)]
            self.world.set_calls(system, tuple(_calls(own, caught)))
            self.world.set_events(
                system,
                tuple(
                    Events(wish.noted, wish.partition, wish.numbers)
                    for wish in own
                    if wish.noted is not None
                ),
            )


def _calls(wishes: list[Wish], caught: frozenset[int] | None) -> Iterator[Calls]:
    if caught is None or caught:
        yield Calls(None, caught)
    for wish in wishes:
        if wish.noted is None:
            yield Calls(wish.partition, wish.numbers, entry=True, result=False)
