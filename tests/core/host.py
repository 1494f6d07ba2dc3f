"""Runs systems on the fake host: scripts of what partitions do, and the events that come of it."""

from __future__ import annotations

import importlib.util
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

from khs.abi import hypercalls
from tests.core.systems import System, policy

ROOT = Path(__file__).resolve().parents[2]
NONE = 0xFFFFFFFF
MODULE = 0xFFFF

Call = IntEnum("Call", {each.name[4:].upper(): each.number for each in hypercalls.HYPERCALLS})
Code = IntEnum("Code", {each.name: each.number for each in hypercalls.CODES})
IDLE, COLD_START, WARM_START, NORMAL = range(4)

BOOT, START, MODE, HYPERCALL, RESUME, VERDICT, FAULT, HEALTH = range(1, 9)
INTERRUPT, INPUT, CONSOLE, SCHEDULE, POLICY, STOP, WAIT, AUDIT = range(9, 17)
FAULT_READ, FAULT_WRITE, FAULT_EXECUTE, FAULT_UNDEFINED = range(1, 5)
FAULT_DIVIDE, FAULT_ENGINE = 6, 11
EXECUTE, REQUEST, RESPONSE, ERROR, SECURITY = range(5)
BY_RULES, BY_DEFAULT, BY_ERROR, MALFORMED = range(4)

_RECORD = struct.Struct("<QIHHQHHIIHHII")


@cache
def build_native() -> Any:
    """scripts/build_native.py as a module."""
    location = ROOT / "scripts" / "build_native.py"
    spec = importlib.util.spec_from_file_location("build_native", location)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_native"] = module
    spec.loader.exec_module(module)
    return module


@cache
def build(*, sanitize: bool) -> Path:
    """The fake host's program, with the core and the policy VM as they are now."""
    module = build_native()
    sources = sorted((ROOT / "tests" / "core" / "fake").glob("*.c"))
    name = "fake_host_sanitized" if sanitize else "fake_host"
    target = ROOT / "build" / "native" / name
    built: Path = module.build_program(target, sources, sanitize=sanitize)
    return built


# ---- scripts -------------------------------------------------------------------


class Guest:
    """What a partition does from one of its starts on, or in an interrupt handler. At the end it
    spins. Hypercalls, `wait`, `jump` and `again` take one tick each, `poke` and `peek` none."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __len__(self) -> int:
        return len(self.lines)

    def _line(self, *words: object) -> Guest:
        self.lines.append(" ".join(str(int(w)) if isinstance(w, int) else str(w) for w in words))
        return self

    def run(self, ticks: int) -> Guest:
        return self._line("run", ticks)

    def call(self, number: int, *arguments: int | str) -> Guest:
        """Arguments are numbers, "@ADDRESS" (the 32-bit word there) or "result" (the last value)."""
        return self._line("call", number, *arguments)

    def wait(self) -> Guest:
        return self._line("wait")

    def fault(self, kind: int, address: int = 0, detail: int = 0) -> Guest:
        return self._line("fault", kind, address, detail)

    def poke(self, address: int, data: bytes) -> Guest:
        return self._line("poke", address, data.hex())

    def peek(self, address: int, size: int) -> Guest:
        return self._line("peek", address, size)

    def jump(self, at: int = 0) -> Guest:
        return self._line("jump", at)

    def again(self, times: int, at: int = 0, counter: int = 0) -> Guest:
        """Goes back to line `at` so many times, then on."""
        return self._line("again", at, times, counter)

    def normal(self) -> Guest:
        return self.call(Call.PARTITION_MODE_SET, NORMAL)


class Script:
    """The guests of a system."""

    def __init__(self) -> None:
        self._sections: list[tuple[str, Guest]] = []

    def _section(self, head: str) -> Guest:
        guest = Guest()
        self._sections.append((head, guest))
        return guest

    def start(self, partition: int, number: int = 1) -> Guest:
        """From the partition's `number`-th start on, until a later one is described."""
        return self._section(f"start {partition} {number}")

    def handler(self, partition: int, address: int) -> Guest:
        return self._section(f"handler {partition} {address}")

    def text(self) -> str:
        return "".join(
            f"{head}\n" + "".join(f"{line}\n" for line in guest.lines)
            for head, guest in self._sections
        )


# ---- what happened ----------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """A record of the event stream."""

    tick: int
    partition: int
    visible: bool
    local: int
    type: int
    number: int
    code: int
    value: int
    args: tuple[int, ...]
    data: bytes
    part: bytes  # the partition's part of the record

    @property
    def kind(self) -> int:
        """Of a verdict: execute, request, response, error or security."""
        return self.args[0] & NONE

    @property
    def sids(self) -> tuple[int, int]:
        """Of a verdict: source and destination."""
        return self.args[2] & NONE, self.args[2] >> 32

    @property
    def ends(self) -> tuple[int, int]:
        """Of a verdict: source and destination partition."""
        return self.args[4] & NONE, self.args[4] >> 32


def parse(stream: bytes) -> list[Event]:
    events, at = [], 0
    while at < len(stream):
        tick, size, partition, flags, local, type, number, code, value, args, _, data, _ = (
            _RECORD.unpack_from(stream, at)
        )
        body = at + _RECORD.size
        numbers = struct.unpack_from(f"<{args}Q", stream, body)
        body += 8 * args
        events.append(
            Event(
                tick,
                partition,
                bool(flags & 1),
                local,
                type,
                number,
                code,
                value,
                numbers,
                stream[body : body + data],
                stream[at + 16 : at + size],
            )
        )
        at += size
    return events


@dataclass(frozen=True)
class View:
    mode: int
    sid: int
    blocked: int
    restarts: int
    halted: int
    ticks: int
    idle: int
    hypercalls: int
    denied: int
    granted: int
    faults: int
    met: int
    missed: int


@dataclass(frozen=True)
class Run:
    """A finished run."""

    stream: bytes
    events: list[Event]
    observed: list[tuple[int, int, bytes]]  # partition, address, bytes: what scripts peeked
    views: list[View]
    now: int
    frames: int
    frame_end: int
    schedule: int
    stopped: bool
    returns: int  # of guests to the kernel

    def of(self, type: int, partition: int | None = None) -> list[Event]:
        return [
            event
            for event in self.events
            if event.type == type and partition in (None, event.partition)
        ]

    def results(self, partition: int, number: int | None = None) -> list[tuple[int, int, int]]:
        """(tick, code, value) of each hypercall that has ended."""
        return [
            (event.tick, event.code, event.value)
            for event in self.events
            if event.type in (HYPERCALL, RESUME)
            and event.partition == partition
            and event.code != NONE
            and (event.number == number if number is not None else event.number != MODULE)
        ]

    def codes(self, partition: int, number: int | None = None) -> list[int]:
        return [code for _, code, _ in self.results(partition, number)]

    def peeked(self, partition: int) -> list[bytes]:
        return [data for number, _, data in self.observed if number == partition]

    def visible(self, partition: int) -> bytes:
        """The partition's own trace."""
        return b"".join(
            event.part for event in self.events if event.visible and event.partition == partition
        )


def encode_inputs(inputs: Iterable[tuple[int, int, bytes] | tuple[int, int]]) -> bytes:
    """(tick, input, bytes) in order of ticks, or (frame, policy number) to swap the policy."""
    body = b""
    for item in inputs:
        if len(item) == 2:
            body += struct.pack("<QIIII", item[0], 1, item[1], 0, 0)
        else:
            tick, target, data = item
            body += struct.pack("<QIIII", tick, 0, target, len(data), 0)
            body += data + bytes(-len(data) % 8)
    return body


def execute(arguments: Sequence[object], *, sanitize: bool = True) -> str:
    command = [str(build(sanitize=sanitize)), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(
    system: System,
    script: Script,
    until: int,
    *,
    policies: Sequence[bytes] | None = None,
    inputs: Iterable[tuple[int, int, bytes] | tuple[int, int]] = (),
    slice: int = 0,
    ring: int = 0,
) -> Run:
    """Runs from boot to tick `until`, or until the module stops."""
    with tempfile.TemporaryDirectory(prefix="khs-core-") as name:
        folder = Path(name)
        files = {
            "config": system.config(),
            "memory": system.memory(),
            "inputs": encode_inputs(inputs),
            "script": script.text().encode(),
        }
        for file, data in files.items():
            (folder / file).write_bytes(data)
        arguments: list[object] = ["run", folder / "config"]
        for number, binary in enumerate(policies or [policy()]):
            (folder / f"policy{number}").write_bytes(binary)
            arguments.append(folder / f"policy{number}")
        for file in ("memory", "inputs", "script", "events", "observe", "views"):
            arguments += [f"--{file}", folder / file]
        arguments += ["--until", until, "--slice", slice, "--ring", ring]
        words = execute(arguments).split()
        stream = (folder / "events").read_bytes()
        observed = [line.split(" ") for line in (folder / "observe").read_text().splitlines()]
        views = (folder / "views").read_text().splitlines()
    return Run(
        stream=stream,
        events=parse(stream),
        observed=[(int(p), int(at, 16), bytes.fromhex(data)) for p, at, data in observed],
        views=[View(*map(int, line.split())) for line in views],
        now=int(words[1]),
        frames=int(words[3]),
        frame_end=int(words[5]),
        schedule=int(words[7]),
        stopped=words[9] == "1",
        returns=int(words[11]),
    )
