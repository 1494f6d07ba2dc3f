"""Random guests on the real host, and whether the fuzzer would notice what it looks for."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from itertools import count

import pytest

from khs.engine.native import scan
from tests.core import systems
from tests.fuzz import batch, system
from tests.fuzz.batch import Job, Outcome
from tests.fuzz.campaign import BATCH, Total, campaign, smallest
from tests.fuzz.emit import TRAP, hypercall
from tests.fuzz.generate import make_cases
from tests.fuzz.system import BYSTANDER, WARDEN
from tests.fuzz.worker import Worker
from tests.host.system import Arch

CASES = 100_000
SEED = 1
ARCHS = pytest.mark.parametrize("arch", Arch, ids=[arch.name.lower() for arch in Arch])

LOCK_BTR = "f00fb3d1"  # aborts the engine
DETAIL_SIGNAL = 0x100


@pytest.mark.slow
@ARCHS
def test_random_guests(arch: Arch) -> None:
    """None crashes the host, disturbs the bystander or leaves a trace of itself."""
    total = Total()
    with Worker() as worker:
        for total in campaign(arch, range(SEED, SEED - -CASES // BATCH), worker):
            assert not total.findings, str(total.findings[0])
    assert total.cases >= CASES
    assert total.faults > CASES // 2
    assert total.hypercalls > 2 * CASES
    assert total.resident_mib < 400


@ARCHS
def test_cases_are_those_of_the_seed(arch: Arch) -> None:
    made = make_cases(arch, 7, 300)
    assert made == make_cases(arch, 7, 300)
    assert made != make_cases(arch, 8, 300)
    assert sum(TRAP[arch] in code for code in made) > 80
    assert len(set(made)) > 290


@ARCHS
def test_another_process_sees_the_same_run(arch: Arch) -> None:
    job = Job(arch, 3, 256)
    with Worker() as worker:
        elsewhere = worker.run(job)
    here = batch.run(job)
    assert elsewhere.wrong == here.wrong == []
    assert elsewhere.run_sha256 == here.run_sha256
    assert here.run_sha256 != batch.run(Job(arch, 4, 256)).run_sha256


# ---- would it notice? ------------------------------------------------------


def _aborts(arch: Arch, seed: int) -> Iterator[bool]:
    return (scan(arch, code) is not None for code in make_cases(arch, seed, 64))


@pytest.mark.parametrize("arch", [Arch.X86, Arch.X64])
def test_an_engine_that_aborts_is_named_with_its_case(arch: Arch) -> None:
    """The abort guard loses the engine; the batch goes on without the case."""
    seed = next(seed for seed in count(1) if not any(_aborts(arch, seed)))
    outcome = batch.run(Job(arch, seed, 64, replaced={5: LOCK_BTR, 41: LOCK_BTR}, unscanned=True))
    detail = DETAIL_SIGNAL + signal.SIGABRT
    assert outcome.engine_faults == [(5, detail), (41, detail)]
    assert outcome.wrong == []


@ARCHS
def test_a_bystander_that_is_stopped(arch: Arch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a policy that lets the hostile partition stop it. The warden sees it by the age of what
    it reads from the bystander's port: its trace holds all that it observes."""
    monkeypatch.setattr(system, "RULES", systems.EVERYTHING + "execute src=test.D { grant () }\n")
    stop = hypercall(arch, 6, BYSTANDER, 0).hex()
    outcome = batch.run(Job(arch, 1, 64, replaced={9: stop}))
    assert f"partition {BYSTANDER} noticed something" in outcome.wrong
    assert "the bystander's memory is not that of the benign run" in outcome.wrong
    assert f"partition {WARDEN} noticed something" in outcome.wrong


@ARCHS
def test_the_policy_keeps_the_bystander_apart(arch: Arch) -> None:
    stop = hypercall(arch, 6, BYSTANDER, 0).hex()
    assert batch.run(Job(arch, 1, 64, replaced={9: stop})).wrong == []


def test_memory_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The neighbour's data is no canary: its own buffer and stack are there."""
    monkeypatch.setattr(system, "CANARIES", ((system.BUFFER, b"\xa5" * 64),))
    wrong = batch.run(Job(Arch.X86, 1, 64)).wrong
    assert any(text.endswith(f"memory at {system.BUFFER:#x} changed") for text in wrong)


def test_windows_that_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    run = batch._time
    monkeypatch.setattr(batch, "_time", lambda host, frames: run(host, frames + 1))
    assert len(batch.run(Job(Arch.X64, 1, 64)).wrong) == len(system.WINDOWS)


def _child(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"import os, sys, time; sys.stdin.readline(); {code}")


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("os.abort()", "the host process died: SIGABRT"),
        ("sys.exit(3)", "the host process died: exit status 3"),
        ("time.sleep(100)", "the host hangs"),
    ],
)
def test_a_child_that_dies(code: str, wrong: str) -> None:
    with Worker(_child(code), patience=1) as worker:
        for _ in range(2):  # in a new child
            assert worker.run(Job(Arch.X86, 1, 4)).wrong == [wrong]


def test_findings_become_small() -> None:
    """Two cases that only together do harm, each with the bytes that matter in its middle."""
    cases = [bytes([number]) * 32 for number in range(64)]
    cases[7] = cases[40] = b"\0" * 12 + b"harm" + b"\0" * 16

    def trial(job: Job) -> Outcome:
        made = [b"" if number in job.left_out else code for number, code in enumerate(cases)]
        for number, code in job.replaced.items():
            made[number] = bytes.fromhex(code)
        return Outcome(wrong=["harm"] if b"harm" in made[7] and b"harm" in made[40] else [])

    assert smallest(Job(Arch.X86, 1, 64), cases, trial) == {7: b"harm", 40: b"harm"}
