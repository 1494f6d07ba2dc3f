"""Random systems under random guests, as long as wished:

    python -m tests.core.fuzz [--seed N] [--systems N] [--steps N]

Each system runs under sanitizers, twice (see fake/fuzz.c), and with its config.bin spoilt. Prints the
command that repeats a failure and exits with 1.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.core import systems
from tests.core.host import build, encode_inputs
from tests.core.systems import Channel, Partition, System

SIZES = {
    systems.REPORT: systems.REPORT_SIZE,
    systems.ALARM: systems.ALARM_SIZE,
    systems.SERVICE: systems.SERVICE_SIZE,
    systems.WIDE: systems.WIDE_SIZE,
}

# Nobody stops itself, so that the systems live long; stopping others is granted.
KERNEL = (
    "request dst=kl.core.Core, interface=kl.core.Partition, method=SetMode {\n"
    "    assert (message.mode != 0)\n"
    "}\n"
    "request dst=kl.core.Core, interface=kl.core.Partition, method=Restart { grant () }\n"
    + "".join(
        f"request dst=kl.core.Core, interface=kl.core.{name} {{ grant () }}\n"
        for name in ("Schedule", "Health", "Module", "Console", "Policy")
    )
)
FLOW = """
policy object life : Flow {
    type State = "young" | "old"
    config = {
        states : ["young", "old"],
        initial : "young",
        transitions : { "young" : ["old", "young"], "old" : ["old"] }
    }
}
"""
# A start takes a context out of a small pool; the message decides about what comes next.
STATEFUL = (
    FLOW
    + "".join(
        f"execute src={name} {{ life.init {{ sid : dst_sid }} }}\n"
        for name in ("Einit", *systems.CLASSES)
    )
    + KERNEL
    + "".join(
        f"request dst={name}, interface=test.Report {{ assert (message.value < 3) }}\n"
        f"request dst={name}, interface=test.Alarm {{\n"
        '    life.allow { sid : dst_sid, states : ["young"] }\n'
        '    choice (message.code) { 1 : life.enter { sid : dst_sid, state : "old" } _ : grant () }\n'
        "}\n"
        f"request dst={name}, interface=test.Service {{ grant () }}\n"
        f"response src={name}, interface=test.Service, method=Ask {{ assert (message.answer != 7) }}\n"
        f"error src={name} {{ grant () }}\n"
        for name in systems.CLASSES
    )
)
STARTS = "".join(f"execute src={name} {{ grant () }}\n" for name in ("Einit", *systems.CLASSES))
SOME = STARTS + KERNEL + systems.PORTS
EVERYTHING = SOME + systems.REPLIES + systems.SECURITY
UNSTARTABLE = "execute src=test.A { grant () }\n" + KERNEL


def policies(random: Random) -> list[bytes]:
    """Policies of the archive, the first to boot with; one is no policy."""
    stateful = systems.policy(STATEFUL, max_sids=random.choice([4, 16, 16, 16]))
    made = [systems.policy(EVERYTHING), stateful, systems.policy(SOME)]
    random.shuffle(made)
    if random.random() < 0.2:
        made.append(systems.policy(UNSTARTABLE))
    spoilt = bytearray(made[0])
    spoilt[random.randrange(len(spoilt))] ^= 1 << random.randrange(8)
    return [*made, bytes(spoilt), made[0][:-8]]


def schedule(random: Random, count: int) -> tuple[int, list[tuple[int, int, int]]]:
    windows, at = [], 0
    order = [*range(count), *random.choices(range(count), k=random.randrange(count))]
    random.shuffle(order)
    for partition in order if random.random() < 0.97 else order[:1]:
        at += random.choice([0, 0, 0, random.randrange(200)])
        length = random.randint(1, 900)
        windows.append((partition, at, length))
        at += length
    return at + random.choice([0, random.randrange(300)]), windows


def _partition(random: Random, number: int) -> Partition:
    period = random.choice([0, random.randint(20, 3000)])
    privileges = [name for name in systems.PRIVILEGES if random.random() < 0.4]
    if number == 0:
        privileges = [*systems.PRIVILEGES]
    return Partition(
        random.choice(systems.CLASSES),
        period=period,
        deadline=random.choice([0, period, random.randint(0, period)]),
        phase=random.randrange(500),
        privileges=tuple(privileges),
        limit=(random.randint(0, 4), 5000, systems.IDLE) if random.random() < 0.1 else None,
        inputs=tuple(
            (random.choice([1, 8, 64]), random.randint(1, 3)) for _ in range(random.randrange(3))
        ),
        shared=random.choice([0, systems.R, systems.R | systems.W]),
    )


def _channel(random: Random, count: int) -> Channel:
    kind = random.choice([systems.SAMPLING, systems.QUEUING, systems.CALLS, systems.CALLS])
    endpoint = systems.SERVICE
    if kind != systems.CALLS:
        endpoint = random.choice([systems.REPORT, systems.ALARM, systems.WIDE])
    readers = 1 if kind == systems.CALLS else random.randint(1, min(3, count))
    return Channel(
        kind,
        source=random.randrange(count),
        to=tuple(random.choices(range(count), k=readers)),
        endpoint=endpoint,
        size=SIZES[endpoint],
        depth=random.randint(1, 4) if kind == systems.QUEUING else 0,
        refresh=random.choice([0, 100, 10000]),
    )


def _response(random: Random, error: int, action: int) -> tuple[int, int]:
    """The action at a level that goes with it."""
    handled = error in systems.HANDLED and action != systems.IGNORE
    levels = [systems.PROCESS, systems.PARTITION] if handled else [systems.PARTITION]
    return random.choice(levels), action


def system(random: Random) -> System:
    """A system of two to five partitions in which most things happen."""
    count = random.randint(2, 5)
    actions = [systems.COLD, systems.WARM, systems.LOG, systems.IGNORE] * 50 + [systems.IDLE]
    return System(
        partitions=[_partition(random, number) for number in range(count)],
        schedules=[schedule(random, count) for _ in range(random.randint(1, 3))],
        channels=[_channel(random, count) for _ in range(random.randint(1, 3 * count))],
        health={
            (partition, error, state): _response(random, error, random.choice(actions))
            for partition in range(count)
            for error in range(systems.ERRORS)
            for state in (systems.INITIALISING, systems.RUNNING)
        },
        costs=random.choice([(0, 0, 0), (10, 1, 3), (200, 50, 100)]),
        clock_hz=random.choice([1_000_000, 999_983, 300_000, 125_000_000]),
    )


def inputs(random: Random, made: System, ticks: int) -> bytes:
    """Outside inputs within the first `ticks`."""
    capacities = [capacity for partition in made.partitions for capacity, _ in partition.inputs]
    arriving: list[tuple[int, int, bytes] | tuple[int, int]] = []
    at = 0
    while (at := at + random.choice([0, 1, random.randrange(1, 2 * ticks // 100)])) < ticks:
        target = random.randrange(len(capacities) + 1)
        if target < len(capacities):
            data = random.randbytes(random.randrange(capacities[target] + 3))
            arriving.append((at, target, data))
        elif random.random() < 0.3:
            arriving.append((random.randrange(1, 400), random.randrange(8)))
    return encode_inputs(arriving)


def write(folder: Path, made: System, binaries: Sequence[bytes], arriving: bytes) -> list[str]:
    """The files of a system; the arguments of the fake host for them."""
    data = {"config": made.config(), "memory": made.memory(), "inputs": arriving}
    data |= {f"policy{number}": binary for number, binary in enumerate(binaries)}
    for name, content in data.items():
        (folder / f"{name}.bin").write_bytes(content)
    names = ["config", *(f"policy{number}" for number in range(len(binaries)))]
    arguments = [str(folder / f"{name}.bin") for name in names]
    return [
        *arguments,
        *("--memory", str(folder / "memory.bin")),
        *("--inputs", str(folder / "inputs.bin")),
    ]


def write_random(folder: Path, seed: int, ticks: int) -> list[str]:
    random = Random(seed)
    made = system(random)
    return write(folder, made, policies(random), inputs(random, made, ticks))


@contextmanager
def files_of(
    made: System, binaries: Sequence[bytes], random: Random, ticks: int
) -> Iterator[list[str]]:
    """The arguments of the fake host for a system under random inputs."""
    with tempfile.TemporaryDirectory(prefix="khs-fuzz-") as name:
        yield write(Path(name), made, binaries, inputs(random, made, ticks))


@contextmanager
def files(seed: int, ticks: int) -> Iterator[list[str]]:
    """The arguments of the fake host for system `seed`, whose files live for a while."""
    with tempfile.TemporaryDirectory(prefix="khs-fuzz-") as name:
        yield write_random(Path(name), seed, ticks)


def survives(program: Path, arguments: list[str], seed: int, steps: int, ticks: int) -> bool:
    """Runs one system; if it fails, keeps its files and says how to repeat that."""
    numbers = ["--seed", str(seed), "--until", str(ticks)]
    for mode, count in (("fuzz", steps), ("corrupt", steps // 100)):
        command = [str(program), mode, *arguments, *numbers, "--steps", str(count)]
        done = subprocess.run(command, capture_output=True, text=True)
        print(f"system {seed}: {mode}: {done.stdout.partition(chr(10))[0]}")
        if done.returncode:
            kept = Path(tempfile.mkdtemp(prefix="khs-fuzz-"))
            again = [
                str(program),
                mode,
                *write_random(kept, seed, ticks),
                *numbers,
                "--steps",
                str(count),
            ]
            print(done.stderr, f"repeat with: {shlex.join(again)}", sep="\n")
            return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="of the first system")
    parser.add_argument("--systems", type=int, default=100, help="how many")
    parser.add_argument("--steps", type=int, default=20000, help="returns from guests, each")
    parser.add_argument("--ticks", type=int, default=2_000_000, help="longest run")
    options = parser.parse_args()
    program = build(sanitize=True)
    for seed in range(options.seed, options.seed + options.systems):
        with files(seed, options.ticks) as arguments:
            if not survives(program, arguments, seed, options.steps, options.ticks):
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
