"""Many batches, and what is done about one that goes wrong: it is made as small as possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from tests.fuzz.batch import Job, Outcome
from tests.fuzz.generate import make_cases
from tests.fuzz.worker import Worker
from tests.host.system import Arch

#: Cases of a batch: a power of two.
BATCH = 2048
#: Batches that may be run to make a finding smaller.
TRIALS = 150


@dataclass(frozen=True)
class Finding:
    """Cases after which something was wrong."""

    arch: Arch
    seed: int  # of the batch
    wrong: Sequence[str]
    cases: dict[int, bytes]  # by number

    def __str__(self) -> str:
        lines = [f"{self.arch.name.lower()}, batch {self.seed}: {'; '.join(self.wrong)}"]
        lines += [f"  case {number}: {code.hex()}" for number, code in self.cases.items()]
        command = f"python scripts/fuzz.py guests --arch {self.arch.name.lower()}"
        return "\n".join([*lines, f"  repeat: {command} --seed {self.seed} --cases {BATCH}"])


@dataclass
class Total:
    """Sums over the batches so far."""

    batches: int = 0
    cases: int = 0
    faults: int = 0
    hypercalls: int = 0
    resident_mib: int = 0  # the most that the child used
    findings: list[Finding] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.batches += 1
        for name in ("cases", "faults", "hypercalls"):
            setattr(self, name, getattr(self, name) + getattr(outcome, name))

        self.resident_mib = max(self.resident_mib, outcome.resident_mib)

    def __str__(self) -> str:
        return (
            f"{self.cases} cases, {self.faults} faults, {self.hypercalls} hypercalls, "
            f"{len(self.findings)} findings"
        )


def campaign(arch: Arch, seeds: Iterable[int], worker: Worker) -> Iterator[Total]:
    """Runs a batch for each seed; the same object again after each."""
    total = Total()
    for seed in seeds:
        job = Job(arch, seed, BATCH)
        outcome = worker.run(job)
        total.add(outcome)
        total.findings += _findings(job, outcome, worker)
        yield total


def _findings(job: Job, outcome: Outcome, worker: Worker) -> Iterator[Finding]:
    arch = Arch(job.arch)
    cases = make_cases(arch, job.seed, job.count)
    for number, detail in outcome.engine_faults:
        found = {number: cases[number]}
        yield Finding(arch, job.seed, [f"the engine gave up, detail {detail:#x}"], found)
    if outcome.wrong:
        yield Finding(arch, job.seed, outcome.wrong, smallest(job, cases, worker.run))


def smallest(job: Job, cases: Sequence[bytes], trial: Callable[[Job], Outcome]) -> dict[int, bytes]:
    """Few cases, cut short, with which `job` still goes wrong."""
    left = TRIALS

    def fails(kept: Sequence[int], codes: dict[int, bytes]) -> bool:
        nonlocal left
        left -= 1
        others = tuple(number for number in range(job.count) if number not in kept)
        changed = {number: code.hex() for number, code in codes.items()}
        outcome = trial(replace(job, left_out=others, replaced=changed))
        return bool(outcome.wrong or outcome.engine_faults)

    kept, parts = list(range(job.count)), 2
    while left > 0 and len(kept) > 1 and parts <= len(kept):  # delta debugging
        size = -(-len(kept) // parts)
        chunks = [kept[at : at + size] for at in range(0, len(kept), size)]
        rests = [[n for n in kept if n not in set(chunk)] for chunk in chunks] if parts > 2 else []
        smaller = next((each for each in (*chunks, *rests) if left > 0 and fails(each, {})), None)
        if smaller is None:
            parts *= 2
        else:
            kept, parts = smaller, 2
    codes = {number: cases[number] for number in kept}
    for number in kept if len(kept) <= 8 else ():
        codes[number] = _shorter(codes, number, lambda tried: left > 0 and fails(kept, tried))
    return codes


def _shorter(
    codes: dict[int, bytes], number: int, fails: Callable[[dict[int, bytes]], bool]
) -> bytes:
    """The case cut at its end and at its beginning, in words, as long as it fails."""
    code = codes[number]
    for begin, end in ((0, -4), (4, None)):
        while len(code) > 4 and fails({**codes, number: code[begin:end]}):
            code = code[begin:end]
    return code
