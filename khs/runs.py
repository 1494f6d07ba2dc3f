"""One run of an archive with everything people want to know about it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from khs import record as records
from khs.audit import Auditor, AuditPlan
from khs.config.model import Arch
from khs.engine import unicorn
from khs.engine.inputs import Inputs, Stamped
from khs.engine.qemu.control import Control
from khs.engine.result import Result
from khs.errors import KhsError
from khs.image import Archive
from khs.image.configbin import POLICY_STATE_MAX
from khs.image.outline import outline
from khs.record import Record
from khs.swaps import Swap
from khs.toolchain.firmware import build_firmware
from khs.trace import Names, Writer
from khs.trace.console import ConsoleLines
from khs.trace.header import header
from khs.trace.summary import Summary

Progress = Callable[[int, int], None]


class Machine(Protocol):
    """What the engines have in common."""

    def run(
        self,
        frames: int,
        *,
        sink: Callable[[memoryview], None] | None = None,
        notable: Callable[[memoryview], None] | None = None,
        progress: Progress | None = None,
    ) -> Result: ...

    def stop(self) -> None: ...

    @property
    def inputs(self) -> list[Stamped]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What to run, and how. `engine`: "unicorn" or "qemu", with `accel`, QEMU's accelerator.
    `trace` is a file to write, `audit` what becomes of audit records, `record` a folder for what
    comes from outside; `replay` comes in the place of that. `control`: who lets an emulated board
    run, None for itself."""

    archive: Archive
    frames: int
    seed: int
    engine: str = "unicorn"
    swaps: Sequence[Swap] = ()
    isolate: bool = False
    trace: Path | None = None
    audit: AuditPlan | None = None
    record: Path | None = None
    replay: Record | None = None
    accel: str = "tcg"
    control: Control | None = None
    header: dict[str, Any] = field(init=False)

    @property
    def machines(self) -> bool:
        """Whether machines run beside the native partitions."""
        return bool(self.archive.machines) and self.replay is None

    def __post_init__(self) -> None:
        archive = self.archive
        names = {**archive.names}
        names["policies"] = [*archive.names["policies"], *(swap.name for swap in self.swaps)]
        content = header(
            manifest=archive.manifest,
            names=names,
            policies=[*archive.policy_maps, *(swap.map for swap in self.swaps)],
            elfs=archive.elfs,
            run={"engine": self.engine, "seed": self.seed},
            outline=outline(archive.config),
        )
        object.__setattr__(self, "header", content)


def plan(
    archive: Archive,
    *,
    frames: int | None = None,
    seed: int | None = None,
    engine: str = "unicorn",
    swaps: Sequence[Swap] = (),
    isolate: bool = False,
    trace: Path | None = None,
    audit: Path | None = None,
    record: Path | None = None,
    replay: Path | None = None,
    accel: str | None = None,
) -> Plan:
    """A plan; frames and seed default to what the system's description says. There is room for the
    state of every swap. KhsError if a policy would come after the run's end, if the kernel has no
    room for it, or if the engine cannot do what is asked."""
    _check_engine(archive, engine, isolate, accel)
    for option, path in (("--trace", trace), ("--audit", audit)):
        if path == Path("-"):
            raise KhsError(
                f"{option} -: it writes a file, not standard output\n  help: name a file"
            )
    recorded = None if replay is None else records.read(replay)
    if recorded is not None:
        recorded.check(archive)
        frames = recorded.frames if frames is None else frames
        seed = int(recorded.about["seed"]) if seed is None else seed
    if record is not None:
        records.prepare(record)
    declared = archive.manifest["run"]
    wanted = declared["frames"] if frames is None else frames
    for swap in swaps:
        if swap.frame >= wanted:
            raise KhsError(
                f"{swap}: the run ends after {wanted} frames\n"
                f"  help: a frame from 1 to {wanted - 1}, or a longer run with --frames"
            )
        if swap.state > POLICY_STATE_MAX:
            raise KhsError(
                f"{swap}: the policy needs {swap.state} bytes of state, and the kernel has room "
                f"for {POLICY_STATE_MAX}\n  help: fewer objects, or fewer contexts in each"
            )
    return Plan(
        archive.reserving(max((swap.state for swap in swaps), default=0)),
        wanted,
        declared["seed"] if seed is None else seed,
        engine,
        sorted(swaps, key=lambda swap: swap.frame),
        isolate,
        trace,
        _audit(audit, declared) if audit else None,
        record,
        recorded,
        accel or "tcg",
    )


def _check_engine(archive: Archive, engine: str, isolate: bool, accel: str | None) -> None:
    """KhsError if the engine cannot do what is asked."""
    if isolate and engine != "unicorn":
        raise KhsError(
            f"--isolate is for the unicorn engine: guests of {engine} run in a process of its own"
        )
    if accel is not None and engine != "qemu":
        raise KhsError(
            f"--accel is for QEMU: the {engine} engine counts instructions and has no other way\n"
            "  help: --engine qemu, or leave --accel out"
        )
    if archive.machines and (isolate or engine != "unicorn"):
        raise KhsError(
            'partitions of kind "board" run beside the unicorn engine alone, without --isolate'
        )


def _audit(path: Path, run: Mapping[str, Any]) -> AuditPlan:
    return AuditPlan(
        path, run["audit_on_full"], run["audit_limit"], run["audit_patience"] / 1_000_000_000
    )


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a run. `audit` is what became of its audit trail, None without one; `stopped`
    tells that the trail ended the run, and why; `refused` are the policies of `Plan.swaps` that did
    not come into force, each with the reason. `machines`: how those of partitions of kind "board"
    ran; `replayed`: whether a replay came to the same trace."""

    result: Result
    summary: Summary
    audit: dict[str, Any] | None = None
    stopped: str = ""
    refused: tuple[str, ...] = ()
    machines: dict[str, Any] | None = None
    replayed: bool | None = None

    @property
    def healthy(self) -> bool:
        """The module went on to the end, so did the audit trail, and every policy that was to come
        into force did."""
        fine = not self.stopped and not self.refused and self.replayed is not False
        return self.result.healthy and fine

    def to_json(self) -> dict[str, Any]:
        """The document of `khs run --json`."""
        document = self.result.to_json() | {"policies": self.summary.swaps()}
        more = {"audit": self.audit, "machines": self.machines, "replay_equal": self.replayed}
        return document | {key: value for key, value in more.items() if value is not None}


def run(
    plan: Plan,
    progress: Progress | None = None,
    console: Callable[[str], object] | None = None,
) -> Ran:
    """Runs the plan; `console` is given each line that a guest writes, with its name, during the
    run. EngineError or TraceError if it cannot be run or written, KhsError if its audit trail
    cannot be begun."""
    names = Names.from_header(plan.header)
    summary = Summary(names)
    with ExitStack() as stack:
        if console is not None:
            lines = ConsoleLines(names, console)
            stack.callback(lines.close)
            summary.on_console = lines.add
        machine = stack.enter_context(open_machine(plan, console=console))
        sinks: list[Callable[[memoryview], None]] = []
        if plan.trace:
            sinks.append(stack.enter_context(Writer(plan.trace, plan.header)))
        auditor = None
        if plan.audit:
            auditor = Auditor(plan.audit, names, _begin(plan), machine.stop)
            sinks.append(stack.enter_context(auditor))

        def sink(records: memoryview) -> None:
            for each in sinks:
                each(records)

        result = machine.run(
            plan.frames, sink=sink if sinks else None, notable=summary, progress=progress
        )
        if auditor is not None:
            auditor.end(result)
        if plan.record is not None:
            records.write(plan.record, plan.archive, result, machine.inputs)
    return Ran(
        result,
        summary,
        auditor.to_json() if auditor else None,
        auditor.why if auditor and auditor.stopped else "",
        tuple(_refused(plan, summary)),
        _machines(machine),
        _is_same(plan, result),
    )


def _machines(machine: Machine) -> dict[str, Any] | None:
    from khs.engine.qemu import beside

    if not isinstance(machine, beside.Machine):
        return None
    return {peer.about.name: peer.to_json() for peer in machine.peers}


def _is_same(plan: Plan, result: Result) -> bool | None:
    """Whether a replay came to the trace of its record, if it went as far."""
    recorded = plan.replay
    if recorded is None or result.frames != recorded.frames or recorded.trace_sha256 is None:
        return None
    return result.trace_sha256 == recorded.trace_sha256


def _refused(plan: Plan, summary: Summary) -> Iterator[str]:
    """Which policies of the plan the kernel refused, and why."""
    first = len(plan.archive.policies)
    for number, refusal in sorted(summary.refused_policies.items()):
        if number >= first:
            yield f"{plan.swaps[number - first]}: refused, the old one stays: {refusal.reason}"


def _begin(plan: Plan) -> dict[str, Any]:
    """What the audit trail tells of a run before it begins."""
    manifest = plan.archive.manifest
    about = {key: manifest[key] for key in ("system", "board")} | {"archive": manifest["sha256"]}
    policies = plan.header["names"]["policies"]
    return {"by": "khs run", **about, "engine": plan.engine, "policy": policies[0]}


def open_machine(
    plan: Plan,
    say: Callable[[str], None] | None = None,
    console: Callable[[str], object] | None = None,
) -> Machine:
    """The plan's system on its engine; `console` gets what machines beside it say. EngineError or
    ImageError if it cannot be had."""
    policies = {swap.frame: swap.binary for swap in plan.swaps}
    if plan.machines:
        from khs.engine.qemu import beside

        return beside.Machine(plan.archive, plan.seed, policies, console or (lambda line: None))
    if plan.engine == "unicorn":
        image = plan.archive if plan.replay is None else Inputs(plan.archive, plan.replay.inputs)
        prompt = plan.audit is not None and plan.audit.on_full == "stop"
        return unicorn.Machine(
            image, seed=plan.seed, policy_at=policies, isolate=plan.isolate, prompt=prompt
        )
    from khs.engine import qemu

    firmware = build_firmware(Arch[plan.archive.manifest["arch"].upper()], say)
    return qemu.Machine(
        plan.archive,
        firmware,
        seed=plan.seed,
        policy_at=policies,
        accel=plan.accel,
        control=plan.control,
    )


def remarks(plan: Plan) -> list[str]:
    """What the plan asks for and the engine does not have."""
    if plan.engine == "qemu":
        return []
    owners = {
        name: about["devices"]
        for name, about in plan.archive.manifest["partitions"].items()
        if about["devices"]
    }
    if not owners:
        return []
    told = "; ".join(f"{name}: {', '.join(devices)}" for name, devices in sorted(owners.items()))
    return [f"the {plan.engine} engine has no devices, partitions will not find theirs ({told})"]
