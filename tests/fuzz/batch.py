"""One batch: a system full of random cases, run twice, and everything that must hold afterwards."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from khs.engine.native import End, Host, Options
from khs.trace import events
from tests.core import systems
from tests.fuzz import system
from tests.fuzz.generate import make_cases
from tests.fuzz.system import BYSTANDER, HOSTILE, MAJOR_FRAME, NEIGHBOUR, WARDEN
from tests.host.system import Arch

#: Partitions nobody can touch: their traces are those of a benign run.
APART = (BYSTANDER, WARDEN)
#: Looked at in steps of so many major frames.
STEP = 64
KIB = 1024


@dataclass(frozen=True)
class Job:
    """Which cases: `count` of `seed`, but for those left out and those replaced."""

    arch: int
    seed: int
    count: int
    left_out: tuple[int, ...] = ()
    replaced: dict[int, str] = field(default_factory=dict)  # hexadecimal
    unscanned: bool = False  # without the loader's look at the code

    def cases(self) -> list[bytes]:
        """The cases of the seed, with those changes."""
        made = make_cases(Arch(self.arch), self.seed, self.count)
        for number in self.left_out:
            made[number] = b""
        for number, code in self.replaced.items():
            made[int(number)] = bytes.fromhex(code)
        return made


@dataclass
class Outcome:
    """What a batch came to; `wrong` is empty if everything held."""

    cases: int = 0
    frames: int = 0
    faults: int = 0
    hypercalls: int = 0
    run_sha256: str = ""
    resident_mib: int = 0  # of the process, afterwards
    #: (case, detail): the engine gave up, and how. The batch goes on without the case.
    engine_faults: list[tuple[int, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        return asdict(self)


class Trace:
    """What came out of a run so far."""

    def __init__(self) -> None:
        self.run = hashlib.sha256()
        self.parts = {partition: bytearray() for partition in APART}
        self.last = b""  # records drained last

    def take(self, host: Host) -> None:
        for drained in host.drain():
            self.run.update(drained.records)
            self.last = bytes(drained.records)
            for partition, part in drained.parts:
                if partition in self.parts:
                    self.parts[partition] += part

    def engine_detail(self) -> int:
        """How the engine gave up, if it did: `detail` of the last fault."""
        found = [events.decode(record) for record in events.split(self.last)]
        faults = [event for event in found if isinstance(event, events.Fault)]
        return faults[-1].detail if faults else 0


def forward(host: Host, frames: int, trace: Trace) -> End:
    """Runs up to that many major frames."""
    while True:
        end = host.run(frames=frames)
        trace.take(host)
        if end not in (End.DRAIN, End.YIELDED):
            return end


class Benign:
    """The same system with a hostile partition that does nothing, frame by frame."""

    def __init__(self, arch: Arch) -> None:
        self.host, self.trace = _open(system.system(arch, ()), ring=1024 * KIB)
        self.frames = 0
        self.sizes = [dict.fromkeys(APART, 0)]
        self.memories = [b""]

    def _reach(self, frames: int) -> None:
        while self.frames < frames:
            self.frames += STEP
            forward(self.host, self.frames, self.trace)
            self.sizes.append({each: len(part) for each, part in self.trace.parts.items()})
            self.memories.append(_memory(self.host))

    def part(self, partition: int, frames: int) -> bytes:
        self._reach(frames)
        return bytes(self.trace.parts[partition][: self.sizes[frames // STEP][partition]])

    def memory(self, frames: int) -> bytes:
        self._reach(frames)
        return self.memories[frames // STEP]


@cache
def _benign(arch: Arch) -> Benign:
    return Benign(arch)


def _memory(host: Host) -> bytes:
    """The bystander's data without its stack."""
    return host.read(BYSTANDER, systems.DATA, systems.DATA_SIZE - 256)


def _open(made: system.Fuzzed, *, ring: int, unscanned: bool = False) -> tuple[Host, Trace]:
    policies = [system.policy(), system.policy()]
    options = Options(ring_bytes=ring, unscanned=unscanned)
    host = Host(made.config(), made.memory(), policies, options)
    for frame in range(0, 40 * STEP, 7):
        host.add_input(frame * MAJOR_FRAME + frame, 0, bytes(range(frame % 60)))
    host.boot()
    return host, Trace()


def run(job: Job) -> Outcome:
    """Runs the batch; without the cases on which the engine gives up, after naming them."""
    cases, outcome = job.cases(), Outcome()
    while True:
        made = system.system(Arch(job.arch), cases)
        host, trace = _open(made, ring=1024 * KIB, unscanned=job.unscanned)
        with host:
            stopped = _go(host, len(cases), trace)
            if stopped is None:
                _judge(host, job, cases, trace, outcome)
                break
            outcome.engine_faults.append((stopped, trace.engine_detail()))
            cases[stopped] = b""
    outcome.wrong += _again(job, cases, outcome)
    outcome.resident_mib = _resident_mib()
    return outcome


def _resident_mib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def _go(host: Host, count: int, trace: Trace) -> int | None:
    """Runs all cases; the one that the engine gave up on, if there is one."""
    frames = 0
    while host.view(HOSTILE).restarts < count and frames <= count + STEP:
        frames += STEP
        if forward(host, frames, trace) is End.STOPPED:
            return int(host.view(HOSTILE).restarts) % count
    return None


def _judge(host: Host, job: Job, cases: list[bytes], trace: Trace, outcome: Outcome) -> None:
    view, status = host.view(HOSTILE), host.status()
    outcome.cases, outcome.frames = len(cases), int(status.frames)
    outcome.faults, outcome.hypercalls = int(view.faults), int(view.hypercalls)
    outcome.run_sha256 = trace.run.hexdigest()
    outcome.wrong += [*_time(host, outcome.frames), *_others(host, job, trace, outcome.frames)]
    outcome.wrong += _memories(host, cases, Arch(job.arch))
    if view.restarts < len(cases):
        outcome.wrong.append(f"only {view.restarts} restarts in {outcome.frames} major frames")
    if status.abandoned:
        outcome.wrong.append(f"{status.abandoned} engines abandoned without a fault")


def _time(host: Host, frames: int) -> Iterator[str]:
    for partition, length in system.WINDOWS:
        view = host.view(partition)
        if view.ticks + view.idle_ticks != frames * length:
            yield f"partition {partition}: {view.ticks} + {view.idle_ticks} ticks are not its windows"
    if host.view(BYSTANDER).deadlines_missed:
        yield "the bystander missed deadlines"


def _others(host: Host, job: Job, trace: Trace, frames: int) -> Iterator[str]:
    benign = _benign(Arch(job.arch))
    for partition in APART:
        if trace.parts[partition] != benign.part(partition, frames):
            yield f"partition {partition} noticed something"
    if _memory(host) != benign.memory(frames):
        yield "the bystander's memory is not that of the benign run"


def _memories(host: Host, cases: list[bytes], arch: Arch) -> Iterator[str]:
    """What nobody may write is as it was."""
    made = system.system(arch, cases)
    for partition in (BYSTANDER, NEIGHBOUR, WARDEN):
        program = made.programs[partition]
        kept = ((systems.CODE, program), (systems.CONSTANTS, system.messages()), *system.CANARIES)
        for address, content in kept:
            if host.read(partition, address, len(content)) != content:
                yield f"partition {partition}: memory at {address:#x} changed"
    own = ((system.CASES, made.cases), (system.image_address(made.cases), made.image))
    for address, content in (*own, (systems.CODE, made.programs[HOSTILE])):
        if host.read(HOSTILE, address, len(content)) != content:
            yield f"the hostile partition's memory at {address:#x} changed"


def _again(job: Job, cases: list[bytes], outcome: Outcome) -> Iterator[str]:
    """The same once more, with events drained at other times."""
    made = system.system(Arch(job.arch), cases)
    host, trace = _open(made, ring=256 * KIB, unscanned=job.unscanned)
    with host:
        _go(host, len(cases), trace)
    if trace.run.hexdigest() != outcome.run_sha256:
        yield "the same cases gave another run"
