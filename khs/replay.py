"""A recorded run once more: bit by bit as it was, or under another policy from the start.

    replay(recording)         runs it and compares with the hash of its trace
    judge(recording, policy)  runs it as it was and under the policy; tells the first decision that
                              differs, and what follows from it

What came from outside, also from machines beside the system, comes as it was recorded.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from khs import runs
from khs.attached import Attached
from khs.engine.result import PartitionResult, Result
from khs.errors import KhsError, TraceError, shown
from khs.hil import kept
from khs.image import Archive
from khs.image.archive import encode_json
from khs.record import Recording
from khs.runs import Plan, Progress, Ran
from khs.swaps import Swap, read_policy
from khs.trace import Difference, Reader, diff, diff_decisions

Console = Callable[[str], object]
#: What is counted of each partition under either policy.
COUNTS = ("ticks", "hypercalls", "denied", "faults", "restarts", "deadline_missed")


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay. `equal`: whether it came to the recorded trace, None if none is known;
    `difference`: the first event that differs, if the recording's trace is at hand; `parted`: the
    partitions that could observe a difference."""

    ran: Ran
    equal: bool | None
    difference: Difference | None = None
    parted: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document of `khs replay --json`."""
        first = None if self.difference is None else self.difference.to_json()
        return self.ran.to_json() | {"equal": self.equal, "first_difference": first}


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a partition did under both policies; `difference`: the first event that it could
    observe and that differs, None if there is none."""

    recorded: PartitionResult
    other: PartitionResult
    difference: Difference | None

    def to_json(self) -> dict[str, Any]:
        sides = {"recorded": self.recorded, "other": self.other}
        counts = {side: {key: getattr(row, key) for key in COUNTS} for side, row in sides.items()}
        first = None if self.difference is None else self.difference.to_json()
        return {"equal": self.difference is None, "first_difference": first, **counts}


@dataclass(frozen=True, slots=True)
class Judged:
    """A run under another policy. `recorded` is the run as it was, `difference` the first decision
    that differs, `partitions` what follows from it."""

    policy: str
    recorded: Ran
    ran: Ran
    difference: Difference | None
    partitions: dict[str, Consequence]

    @property
    def equal(self) -> bool:
        """No decision differs, and no partition could tell the policies from each other."""
        return self.difference is None and not any(
            row.difference for row in self.partitions.values()
        )

    def to_json(self) -> dict[str, Any]:
        """The document of `khs replay --policy --json`."""
        verdicts = {"recorded": self.recorded, "other": self.ran}
        return self.ran.to_json() | {
            "policy": self.policy,
            "equal": self.equal,
            "first_difference": None if self.difference is None else self.difference.to_json(),
            "follows": {
                "verdicts": {side: ran.result.verdicts for side, ran in verdicts.items()},
                "partitions": {name: row.to_json() for name, row in self.partitions.items()},
            },
        }


def plan(
    recording: Recording,
    *,
    isolate: bool = False,
    trace: Path | None = None,
    attached: Attached | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> Plan:
    """The recorded run, to run again; with its models in Python, unless others are `attached`.
    `say` is told of those that are not what they were. KhsError if that would write over the
    recording's trace, or devices have no model."""
    known = recording.trace
    if trace is not None and known is not None and trace.exists() and trace.samefile(known):
        raise KhsError(
            f"{shown(trace)} is the trace of the recorded run\n  help: another file for --trace"
        )
    outside = attached or Attached()
    models = {**kept.places(recording.models), **outside.models}
    for line in kept.others(recording.models, models):
        say(line)
    planned = runs.plan(
        recording.archive,
        frames=recording.frames,
        seed=recording.seed,
        swaps=[swap for swap in recording.swaps if swap.frame < recording.frames],
        isolate=isolate,
        trace=trace,
        inputs=recording.inputs,
        attached=replace(outside, models=models, can=recording.can),
    )
    runs.check_devices(planned)
    if recording.changes and isolate:
        raise KhsError(
            f"{shown(recording.folder)}: a debugger wrote to the recorded run, and writes again, "
            "which is not for --isolate\n  help: leave --isolate out"
        )
    return replace(planned, changes=recording.changes)


def replay(
    recording: Recording,
    plan: Plan,
    progress: Progress | None = None,
    console: Console | None = None,
) -> Replayed:
    """Runs the plan and compares. EngineError or TraceError if it cannot be run or written."""
    known, plan = known_trace(recording), _to_its_end(recording, plan)
    with _traced(plan, known is not None) as traced:
        ran = _run(traced, progress, console)
        equal = is_equal(recording, ran.result)
        difference = None
        if equal is False and known is not None and traced.trace is not None:
            difference = diff(known, traced.trace)
    rows = ran.result.partitions.items() if equal is False else ()
    known_hashes = recording.partitions
    parted = tuple(name for name, row in rows if known_hashes.get(name) != row.trace_sha256)
    return Replayed(ran, equal, difference, parted)


def _to_its_end(recording: Recording, plan: Plan) -> Plan:
    """As far as the recorded run came, in the midst of a frame if it was interrupted there."""
    if recording.until is None or recording.changes:
        return plan
    begun = recording.done + 1
    swaps = [swap for swap in recording.swaps if swap.frame < begun]
    return replace(plan, frames=begun, swaps=swaps, until=recording.until)


def _run(plan: Plan, progress: Progress | None, console: Console | None) -> Ran:
    """What a debugger wrote comes again in a debugger."""
    if not plan.changes:
        return runs.run(plan, progress, console)
    from khs.debug.live import run

    return run(plan, progress, console)


def is_equal(recording: Recording, result: Result) -> bool | None:
    """Whether a run came to the recorded trace; None if one of both did not end."""
    if recording.trace_sha256 is None or result.interrupted:
        return None
    return result.trace_sha256 == recording.trace_sha256


def judge(
    recording: Recording,
    policy: Swap,
    plan: Plan,
    progress: Progress | None = None,
    console: Console | None = None,
) -> Judged:
    """Runs the plan as it was recorded and with another policy from the start, of which the plan's
    trace file and `console` tell. KhsError if the recorded run does not come again."""
    plan = _to_its_end(recording, plan)
    other = replace(plan, archive=under(plan.archive, policy))
    with _traced(replace(plan, trace=None), True) as as_was, _traced(other, True) as changed:
        assert as_was.trace is not None and changed.trace is not None
        recorded = runs.run(as_was, progress)
        if is_equal(recording, recorded.result) is False:
            raise KhsError(
                f"{shown(recording.folder)} does not replay here, so another policy tells nothing\n"
                f"  help: khs replay {shown(recording.folder)} tells more"
            )
        if recorded.result.interrupted:
            raise KeyboardInterrupt
        ran = runs.run(changed, progress, console)
        if ran.result.interrupted:
            raise KeyboardInterrupt
        difference = diff_decisions(as_was.trace, changed.trace)
        partitions = {
            name: Consequence(
                row,
                after := ran.result.partitions[name],
                diff(as_was.trace, changed.trace, partition=name)
                if row.trace_sha256 != after.trace_sha256
                else None,
            )
            for name, row in recorded.result.partitions.items()
        }
    return Judged(policy.name, recorded, ran, difference, partitions)


@contextmanager
def _traced(plan: Plan, wanted: bool) -> Iterator[Plan]:
    """The plan with a trace file, if one is wanted: its own, or one that goes away."""
    if plan.trace is not None or not wanted:
        yield plan
        return
    with tempfile.TemporaryDirectory(prefix="khs-replay-") as folder:
        yield replace(plan, trace=Path(folder) / "run.trace")


def known_trace(recording: Recording) -> Path | None:
    """The recorded run's trace file, None if it is not there or is of another run."""
    path, digest = recording.trace, hashlib.sha256()
    if path is None:
        return None
    try:
        with Reader(path) as reader:
            for record in reader.records():
                digest.update(record)
    except TraceError:
        return None
    return path if digest.hexdigest() == recording.trace_sha256 else None


# ---- another policy --------------------------------------------------------


def read(recording: Recording, name: str) -> Swap:
    """The policy of `--policy NAME`: as with `--policy-at`, see `khs.swaps`; a PSL file is compiled
    for the description that the recorded system was built from. KhsError, also if it describes the
    interfaces of the recorded system in another way."""
    option, source = f"--policy {name}", recording.source
    if recording.changes:
        raise KhsError(
            f"{option}: a debugger wrote to the recorded run, and under another policy its writes "
            "would meet another run\n  help: record the run without a debugger"
        )
    system = None if source is None else str(source.system)
    board, overlays = (None, ()) if source is None else (source.board, source.overlays)
    policy = read_policy(option, 0, name, recording.archive, system, board, overlays)
    ours, theirs = _endpoints(recording.archive.policy_map), _endpoints(policy.map)
    for row in recording.archive.manifest["partitions"].values():
        own = row["class"]
        if policy.map and ours.get(own) != theirs.get(own):
            raise KhsError(
                f"{option}: {own} has other endpoints or messages than in the recorded system\n"
                "  help: the interface descriptions that the system was recorded with"
            )
    return policy


def _endpoints(policy_map: Mapping[str, Any]) -> dict[str, Any]:
    """By class; of a map from a file, which may hold anything, what can be had."""
    classes = policy_map.get("classes")
    rows = classes if isinstance(classes, list) else []
    return {str(row.get("name")): row.get("endpoints") for row in rows if isinstance(row, dict)}


def under(archive: Archive, policy: Swap) -> Archive:
    """The archive with the policy in the place of the one that is in force from the start."""
    names = {**archive.names, "policies": [policy.name, *archive.names["policies"][1:]]}
    content = {"policy.bin": policy.binary, "policy.json": encode_json(dict(policy.map))}
    changed = Archive({**archive.manifest, "names": names}, {**archive.members, **content})
    return changed.reserving(policy.state)
