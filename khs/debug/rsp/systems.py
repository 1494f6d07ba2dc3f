"""The systems under the debugger with all that is known of them: names, programs, what happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from khs.abi.hypercalls import HYPERCALLS
from khs.debug.rsp.past import Past
from khs.debug.rsp.world import Process, World
from khs.debug.target import Target
from khs.errors import KhsError
from khs.monitor.ask import Answer
from khs.runs import Plan
from khs.trace.history import History, history
from khs.trace.kinds import Mode
from khs.trace.text import describe

#: Where `Target.registers` has a hypercall's arguments, see khs/abi/hypercalls.toml.
_ARGUMENTS = {
    "armv7": (0, 1, 2, 3, 4, 5),
    "x64": (5, 4, 3, 10, 8, 9),
    "x86": (3, 1, 2, 6, 7, 5),
}
#: Explains a verdict with the texts of a system's policies.
Explain = Callable[[History], Answer]


class Systems:
    """`plans` and `explains` by system; who explains raises KhsError if it has no texts."""

    def __init__(
        self, world: World, plans: Sequence[Plan], explains: Sequence[Explain | None] = ()
    ) -> None:
        self.world = world
        self.plans = tuple(plans)
        self.pasts = tuple(
            Past(target, plan.header) for target, plan in zip(world.targets, plans, strict=True)
        )
        self._explains = tuple(explains) or (None,) * len(self.plans)

    def target(self, process: Process) -> Target:
        return self.world.targets[process.system]

    # ---- programs

    def path(self, process: Process) -> str:
        """Where gdb finds the process's program."""
        return f"/{self.world.labels[process.system]}/{process.name}.elf"

    def file(self, path: str) -> bytes | None:
        for process in self.world.processes:
            if self.path(process) == path:
                return self.plans[process.system].archive.elfs.get(process.name)
        return None

    # ---- what they do

    def state(self, process: Process) -> str:
        """What a partition does, in words."""
        target = self.target(process)
        view = target.view(process.partition)
        mode = Mode(view.mode)
        if view.halted:
            return "halted by a fault, waits for a restart"
        if mode is Mode.IDLE:
            return "idle: does not run"
        past = self.pasts[process.system]
        if view.blocked < 1 << 16:
            return past.waits(process.partition, view.blocked)
        where = "has the processor" if target.running() == process.partition else "ready"
        return where if mode is Mode.NORMAL else f"{where}, in {mode.word}"

    def explain(self, system: int, number: int | None, denied: bool) -> tuple[str, ...]:
        """Why a verdict is what it is; None for the last one. KhsError if there is no such."""
        past = self.pasts[system]
        if number is None and not denied:
            number = past.last_verdict(self.world.targets[system].stop.record)
        elif number is None:
            number = self.world.targets[system].verdicts()["denied"]
        found = history(past, max(number, 1), denied=denied)
        explain, why = self._explains[system], ""
        try:
            if explain is not None:
                return explain(found).lines
        except KhsError as error:
            why = f"its values are not known: {error}"
        return (describe(found.verdict, past.names()), *why.splitlines())

    def call(self, process: Process, number: int) -> str:
        """The hypercall that a partition makes, with its arguments."""
        registers = self.target(process).registers(process.partition)
        places = _ARGUMENTS[self.target(process).arch]
        row = HYPERCALLS[number] if number < len(HYPERCALLS) else None
        values = [registers[at] for at in places[: len(row.arguments) if row else 0]]
        past = self.pasts[process.system]
        return past.calling(process.partition, number, tuple(values))

    # ---- when it is

    def time(self, system: int) -> str:
        """Virtual time, frame, and whose window it is."""
        target, names = self.world.targets[system], self.pasts[system].names()
        position, status = target.position, target.status()
        running = target.running()
        whose = "no window" if running is None else f"window of {names.partition(running)}"
        before = "" if position.settled else ", before what comes of the hypercall"
        when = f"{names.ms(position.tick)} ms  frame {status.frames}"
        return f"{when}  {whose}, tick {position.tick}{before}"
