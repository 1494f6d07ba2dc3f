"""All fuzzers of the project, for as long as wished.

    python scripts/fuzz.py [--seconds N] [--seed S]                    each in turn
    python scripts/fuzz.py guests [--arch x64] [--cases N] [--seed S]  or one of them

guests         random code and hypercalls on the real host, per architecture
windows        random code in windows of many lengths, which must not show, per architecture
core           random systems and guests against the kernel core, under sanitizers
policies       damaged policy images, judged by the VM under sanitizers
languages      damaged policies, interfaces and init descriptions: only located findings
differential   random policies and events: the VM against the reference interpreter
debugger       broken packets for the gdb server, on toys and on systems
properties     the property tests, with new examples

A seed repeats a run. A finding says how to repeat it alone, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "monitor")]

ARCHS = ("armv7", "x86", "x64")
FOREVER = float("inf")


@dataclass(frozen=True)
class Step:
    """A piece of work that is done: `count` things, and what was wrong with them."""

    count: int
    findings: Sequence[str] = ()
    about: str = ""


@dataclass(frozen=True)
class Plan:
    """Where a fuzzer begins and how far it goes."""

    seed: int
    cases: float
    arch: str | None


# ---- the fuzzers -----------------------------------------------------------


def guests(plan: Plan) -> Generator[Step, None, None]:
    """A batch of cases a step, the architectures in turn."""
    from tests.fuzz.campaign import campaign
    from tests.fuzz.worker import Worker
    from tests.host.system import Arch

    wanted = [plan.arch] if plan.arch else ARCHS
    with Worker() as worker:
        campaigns = {
            name: campaign(Arch[name.upper()], itertools.count(plan.seed), worker)
            for name in wanted
        }
        done, reported = Counter[str](), Counter[str]()
        while True:
            for name, each in campaigns.items():
                total = next(each)
                findings = [str(found) for found in total.findings[reported[name] :]]
                yield Step(total.cases - done[name], findings, f"{total.resident_mib} MiB")
                done[name], reported[name] = total.cases, len(total.findings)


def windows(plan: Plan) -> Generator[Step, None, None]:
    """A batch of guests a step, the architectures in turn."""
    from tests.fuzz.windows import BATCH, batch
    from tests.host.system import Arch

    wanted = [plan.arch] if plan.arch else ARCHS
    for seed in itertools.count(plan.seed):
        for name in wanted:
            done = batch(Arch[name.upper()], seed)
            fuzzer = f"windows --arch {name}"
            findings = [_again(fuzzer, seed, BATCH, str(each)) for each in done.differences]
            yield Step(done.guests, findings)


def core(plan: Plan) -> Generator[Step, None, None]:
    """A random system a step: run for a while, and with its configuration spoilt."""
    from tests.core import fuzz
    from tests.core.host import build

    program, steps, ticks = build(sanitize=True), 10_000, 1_000_000
    numbers = f"--steps {steps} --ticks {ticks}"
    for seed in itertools.count(plan.seed):
        said = io.StringIO()
        with fuzz.files(seed, ticks) as arguments, contextlib.redirect_stdout(said):
            fine = fuzz.survives(program, arguments, seed, steps, ticks)
        repeat = f"  repeat: python -m tests.core.fuzz --systems 1 --seed {seed} {numbers}"
        yield Step(1, () if fine else [f"{said.getvalue()}\n{repeat}"])


def policies(plan: Plan) -> Generator[Step, None, None]:
    """A policy a step, damaged in many ways, under random events; and its messages."""
    from kss.compiler import compile_policy

    from tests.vm import test_fuzz as vm
    from tests.vm.conftest import VM, compile_c
    from tests.vm.generate import policy
    from tests.vm.generate_events import Events

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checks = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
        sources = [*sorted(VM.glob("*.c")), ROOT / "tests/vm/harness.c"]
        harness = compile_c(folder / "harness", sources, *checks)
        for seed in itertools.count(plan.seed):
            rng = Random(seed)
            tree = policy(rng)
            source = Events(rng, tree)
            data = compile_policy(tree, max_sids=3)
            events = [source.event() for _ in range(vm.EVENTS)]
            spoilers = (vm.overwrite, vm.rearrange)
            damaged = [rng.choice(spoilers)(rng, data) for _ in range(vm.CORRUPTIONS)]
            cases = [vm.pack_case(image, events) for image in (data, *damaged)]
            findings = []
            try:
                if vm.run(harness, cases, folder)[0][0] != "ran":
                    findings.append("a correct policy is refused")
            except (AssertionError, subprocess.TimeoutExpired) as error:
                findings.append(str(error))
            yield Step(len(cases), [_again("policies", seed, 61, found) for found in findings])


def languages(plan: Plan) -> Generator[Step, None, None]:
    """A damaged solution a step."""
    from tests.fuzz.languages import cases

    with tempfile.TemporaryDirectory() as name:
        for seed, found in enumerate(cases(plan.seed, Path(name) / "solution"), start=plan.seed):
            yield Step(1, [_again("languages", seed, 1, each) for each in found])


def differential(plan: Plan) -> Generator[Step, None, None]:
    """A policy and its events a step."""
    from kss.binary import disassemble
    from kss.vm import Vm

    from tests.vm import test_differential as vm
    from tests.vm.conftest import VM, compile_c

    with tempfile.TemporaryDirectory() as name:
        shared = ["-O2", "-ffreestanding", "-fPIC", "-shared"]
        library = compile_c(Path(name) / "libkss.so", sorted(VM.glob("*.c")), *shared)
        for seed in itertools.count(plan.seed):
            case = vm.make_case(seed)
            data = vm.compiled(case)
            found = next(vm.differences(case, Vm(data, library)), None)
            text = [] if found is None else [f"{found}\n{disassemble(data)}"]
            yield Step(len(case.events), [_again("differential", seed, 50, each) for each in text])


def debugger(plan: Plan) -> Generator[Step, None, None]:
    """A conversation a step."""
    from tests.debug.fuzz import PACKETS, cases

    for seed in itertools.count(plan.seed):
        yield Step(PACKETS, [_again("debugger", seed, PACKETS, each) for each in cases(seed)])


def properties(plan: Plan) -> Generator[Step, None, None]:
    """A round of all property tests a step."""
    for seed in itertools.count(plan.seed):
        options = ["-q", "-m", "hypothesis", "--hypothesis-profile", "fuzz"]
        command = [sys.executable, "-m", "pytest", *options, f"--hypothesis-seed={seed}", "-x"]
        if not os.environ.get("PYTEST_XDIST_WORKER"):
            command += ["-n", os.environ.get("WORKERS", "2")]
        done = subprocess.run([*command, "tests"], cwd=ROOT, capture_output=True, text=True)
        summary = (done.stdout.strip().splitlines() or [""])[-1]
        wrong = [] if done.returncode == 0 else [_again("properties", seed, 1, done.stdout[-8000:])]
        yield Step(1, wrong, summary)


def _again(fuzzer: str, seed: int, cases: int, text: str) -> str:
    command = f"python scripts/fuzz.py {fuzzer} --seed {seed} --cases {cases}"
    return f"seed {seed}: {text}\n  repeat: {command}"


#: Name -> the fuzzer and what it counts.
FUZZERS: dict[str, tuple[Callable[[Plan], Generator[Step, None, None]], str]] = {
    "guests": (guests, "cases"),
    "windows": (windows, "guests"),
    "core": (core, "systems"),
    "policies": (policies, "policies"),
    "languages": (languages, "solutions"),
    "differential": (differential, "events"),
    "debugger": (debugger, "packets"),
    "properties": (properties, "rounds"),
}


# ---- the front -------------------------------------------------------------


@dataclass
class Summary:
    """What a fuzzer came to."""

    name: str
    unit: str
    count: int = 0
    findings: int = 0
    seconds: float = 0.0
    about: str = ""

    def __str__(self) -> str:
        rate = self.count / self.seconds if self.seconds else 0.0
        findings = f"{self.findings} finding{'' if self.findings == 1 else 's'}"
        line = f"{self.name:13} {self.count:>10} {self.unit:8} {self.seconds:>6.0f} s"
        return f"{line} {rate:>8.0f}/s  {findings}  {self.about}".rstrip()


def run(name: str, plan: Plan, seconds: float) -> Summary:
    """One fuzzer until its cases or its time are over; findings are printed at once."""
    fuzzer, unit = FUZZERS[name]
    summary, began, shown = Summary(name, unit), time.monotonic(), 0.0
    clear = "\r\033[K" if sys.stdout.isatty() else ""  # the progress line
    steps = fuzzer(plan)
    try:
        for step in steps:
            summary.count += step.count
            summary.findings += len(step.findings)
            summary.seconds, summary.about = time.monotonic() - began, step.about
            for finding in step.findings:
                print(f"{clear}{name}: {finding}", flush=True)
            if clear and summary.seconds - shown > 0.2:
                shown = summary.seconds
                print(f"{clear}{summary}", end="", flush=True)
            if summary.seconds >= seconds or summary.count >= plan.cases:
                break
    finally:
        steps.close()
        print(f"{clear}{summary}", flush=True)
    return summary


def _arguments() -> argparse.Namespace:
    description = __doc__ or ""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fuzzer", nargs="*", help=f"{', '.join(FUZZERS)}; all of them by default")
    parser.add_argument("--seconds", type=float, help="for each fuzzer; 60 unless --cases is given")
    parser.add_argument("--cases", type=float, help="of each fuzzer, in its own unit")
    parser.add_argument("--seed", type=int, default=1, help="to begin with; default 1")
    parser.add_argument("--arch", choices=ARCHS, help="of guests and windows; default all")
    options = parser.parse_args()
    unknown = [name for name in options.fuzzer if name not in FUZZERS]
    if unknown:
        parser.error(f"there is no fuzzer {unknown[0]!r}; there is {', '.join(FUZZERS)}")
    return options


def main() -> int:
    options = _arguments()
    subprocess.run([sys.executable, ROOT / "scripts" / "build_native.py"], check=True)
    limit = 60.0 if options.cases is None else FOREVER
    seconds = limit if options.seconds is None else options.seconds
    plan = Plan(options.seed, options.cases or FOREVER, options.arch)
    try:
        done = [run(name, plan, seconds) for name in options.fuzzer or FUZZERS]
    except KeyboardInterrupt:
        return 130
    return int(any(summary.findings for summary in done))


if __name__ == "__main__":
    sys.exit(main())
