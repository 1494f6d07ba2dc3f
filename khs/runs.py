"""One run of an archive with everything people want to know about it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

from khs.attached import Attached, check, check_modelled, coroutines
from khs.audit import Auditor, AuditPlan
from khs.config.model import Arch
from khs.engine import interrupt, unicorn
from khs.engine.changes import Change
from khs.engine.device import Device
from khs.engine.devices import device_names
from khs.engine.inputs import Inputs, Stamped
from khs.engine.lines import Line
from khs.engine.native import NEVER
from khs.engine.qemu.control import Control
from khs.engine.result import Result
from khs.errors import KhsError
from khs.hil import calibrate
from khs.hil.around import Around
from khs.hil.can import Buses, quiet, tell_of_lonely
from khs.hil.serial import opened
from khs.hil.served import served
from khs.image import Archive
from khs.image.configbin import POLICY_STATE_MAX
from khs.image.outline import outline
from khs.record import Recorder, Source, prepare
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
    `trace` is a file to write, `audit` what becomes of audit records, `record` a folder for the
    run's recording, of a system from `source`. `inputs` come in the place of all that comes from
    outside. `control`: who lets an emulated board run, None for itself. `attached`: what devices of
    partitions are joined to. `changes`: what a debugger wrote, for `khs.debug.live.run`;
    `until`: a tick where the run ends before its frames do, of the unicorn engine."""

    archive: Archive
    frames: int
    seed: int
    engine: str = "unicorn"
    swaps: Sequence[Swap] = ()
    isolate: bool = False
    trace: Path | None = None
    audit: AuditPlan | None = None
    record: Path | None = None
    source: Source | None = None
    inputs: Sequence[Stamped] | None = None
    accel: str = "tcg"
    control: Control | None = None
    attached: Attached = field(default_factory=Attached)
    changes: Sequence[Change] = ()
    until: int | None = None
    header: dict[str, Any] = field(init=False)

    @property
    def machines(self) -> bool:
        """Whether machines run beside the native partitions."""
        return bool(self.archive.machines) and self.inputs is None

    @property
    def image(self) -> Archive:
        """The archive with room for the state of every policy that comes later."""
        return self.archive.reserving(max((swap.state for swap in self.swaps), default=0))

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
    source: Source | None = None,
    inputs: Sequence[Stamped] | None = None,
    accel: str | None = None,
    attached: Attached | None = None,
) -> Plan:
    """A plan; frames and seed default to what the system's description says. KhsError if a policy
    would come after the run's end, if the kernel has no room for it, or if the engine cannot do
    what is asked."""
    machines = bool(archive.machines) and inputs is None
    _check_engine(engine, machines, isolate, accel, record)
    check(archive.manifest, attached or Attached(), engine, isolate)
    for option, path in (("--trace", trace), ("--audit", audit)):
        if path == Path("-"):
            raise KhsError(
                f"{option} -: it writes a file, not standard output\n  help: name a file"
            )
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
    if record is not None:
        prepare(record)
    return Plan(
        archive,
        wanted,
        declared["seed"] if seed is None else seed,
        engine,
        sorted(swaps, key=lambda swap: swap.frame),
        isolate,
        trace,
        _audit(audit, declared) if audit else None,
        record,
        source,
        inputs,
        accel or "tcg",
        attached=attached or Attached(),
    )


def _check_engine(
    engine: str, machines: bool, isolate: bool, accel: str | None, record: Path | None
) -> None:
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
    if record is not None and engine != "unicorn":
        raise KhsError(
            f"--record is for the unicorn engine: of {engine} no inputs are kept for a replay\n"
            "  help: leave --engine out; khs compare tells whether both do the same"
        )
    if machines and (isolate or engine != "unicorn"):
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
    ran. `devices`: what went in and out of each, by PARTITION.DEVICE. `plants`: the steps of each;
    `pace`: how late frames were, of a run locked to real time; `ending`: which signal ended it."""

    result: Result
    summary: Summary
    audit: dict[str, Any] | None = None
    stopped: str = ""
    refused: tuple[str, ...] = ()
    machines: dict[str, Any] | None = None
    devices: dict[str, Any] | None = None
    plants: dict[str, Any] | None = None
    pace: dict[str, Any] | None = None
    ending: interrupt.Ending = field(default_factory=interrupt.Ending)

    @property
    def healthy(self) -> bool:
        """The module went on to the end, so did the audit trail, and every policy that was to come
        into force did."""
        return self.result.healthy and not self.stopped and not self.refused

    def to_json(self) -> dict[str, Any]:
        """The document of `khs run --json`."""
        document = self.result.to_json() | {"policies": self.summary.swaps()}
        more = {"audit": self.audit, "machines": self.machines, "devices": self.devices,
                "plants": self.plants, "pace": self.pace}  # fmt: skip
        return document | {key: value for key, value in more.items() if value is not None}


def run(
    plan: Plan,
    progress: Progress | None = None,
    console: Callable[[str], object] | None = None,
    say: Callable[[str], object] = lambda line: None,
    out: BinaryIO | None = None,
) -> Ran:
    """Runs the plan; `console` is given each line that a guest writes, with its name, during the
    run, `say` is told of a serial line that is lost; `out` is where the one to the terminal writes,
    if not on standard output. EngineError or TraceError if it cannot be run or written, KhsError
    if its audit trail cannot be begun, or what is attached to it cannot be had."""
    names = Names.from_header(plan.header)
    summary = Summary(names)
    with ExitStack() as stack:
        if console is not None:
            shown = ConsoleLines(names, console)
            stack.callback(shown.close)
            summary.on_console = shown.add
        recording = recorder(plan)
        around = _around(plan, stack, say)
        lines = stack.enter_context(_lines(plan, say, out))
        told, manifest = plan.attached, plan.archive.manifest
        buses = stack.enter_context(Buses(told, device_names(manifest), say))
        lines |= {**buses.lines, **around.lines}
        machine = stack.enter_context(_with(plan, console, lines, around))
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
        around.end()
        counts = _counts(machine, plan)
        if auditor is not None:
            auditor.end(result)
        if recording is not None:
            recording.end(result, machine.inputs, frames=result.frames if around.ended else None)
    return Ran(
        result,
        summary,
        auditor.to_json() if auditor else None,
        auditor.why if auditor and auditor.stopped else around.failure,
        tuple(refused(plan, summary)),
        _machines(machine),
        counts,
        around.plants(),
        around.slip(),
        interrupt.latest,
    )


@contextmanager
def _lines(
    plan: Plan, say: Callable[[str], object], out: BinaryIO | None
) -> Iterator[dict[str, Line]]:
    """All lines of the plan, closed afterwards."""
    if plan.engine == "unicorn":
        tell_of_lonely(plan.attached, plan.archive.manifest, say)
    with ExitStack() as stack:
        lines = stack.enter_context(opened(plan.attached.serial, say, out))
        if plan.attached.serve is not None:
            ports = plan.attached.ports(plan.archive.manifest)
            lines |= stack.enter_context(served(plan.attached.serve, ports, say))
        yield lines


def recorder(plan: Plan, live: bool = False) -> Recorder | None:
    """Who writes the recording, if one is wanted; `live`: what comes is known at the end only."""
    if plan.record is None:
        return None
    return Recorder(
        plan.record,
        plan.archive,
        frames=plan.frames,
        seed=plan.seed,
        swaps=plan.swaps,
        trace=plan.trace,
        source=plan.source,
        models=plan.attached.models,
        live=live or plan.machines or plan.attached.unforeseen,
        can=plan.attached.can,
    )


def _with(
    plan: Plan,
    console: Callable[[str], object] | None,
    lines: Mapping[str, Line],
    around: Around,
) -> Machine:
    models, outside = plan.attached.load(), around.meet if around else None
    return open_machine(plan, console=console, lines=lines, models=models, outside=outside)


def _around(plan: Plan, stack: ExitStack, say: Callable[[str], object]) -> Around:
    around = stack.enter_context(Around.opened(plan.attached, plan.archive.manifest, say))
    around.goes_back = plan.trace is None and plan.audit is None
    if around.is_real and plan.engine == "unicorn":
        around.ratio = _calibrated(plan, say)
    return around


def _calibrated(plan: Plan, say: Callable[[str], object]) -> float | None:
    """Tells of a pace that cannot be held here, from a machine of its own."""
    silent: dict[str, Any] = {"serial": {}, "joins": {}, "gpio": {}, "can_log": None, "serve": None}
    joined = replace(plan.attached, **silent, pace="fast")
    trial = replace(plan, attached=joined, control=None)
    lines = quiet(plan.attached, device_names(plan.archive.manifest))
    with (
        Around.opened(joined, plan.archive.manifest) as around,
        _with(trial, None, lines, around) as machine,
    ):
        ratio = calibrate.ratio(machine, int(plan.archive.manifest["clock_hz"]))
    if told := calibrate.warning(ratio):
        say(told)
    return ratio


def _counts(machine: Machine, plan: Plan) -> dict[str, Any] | None:
    if not isinstance(machine, unicorn.Machine) or plan.isolate:
        return None
    return machine.devices.counts() or None


def _machines(machine: Machine) -> dict[str, Any] | None:
    from khs.engine.qemu import beside

    if not isinstance(machine, beside.Machine):
        return None
    return {peer.about.name: peer.to_json() for peer in machine.peers}


def refused(plan: Plan, summary: Summary) -> Iterator[str]:
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
    lines: Mapping[str, Line] | None = None,
    models: Mapping[str, Device] | None = None,
    outside: unicorn.Outside | None = None,
) -> Machine:
    """The plan's system on its engine; `console` gets what machines beside it say. EngineError or
    ImageError if it cannot be had."""
    policies = {swap.frame: swap.binary for swap in plan.swaps}
    if plan.machines:
        from khs.engine.qemu import beside

        return beside.Machine(plan.image, plan.seed, policies, console or (lambda line: None))
    if plan.engine == "unicorn":
        image = plan.image if plan.inputs is None else Inputs(plan.image, list(plan.inputs))
        prompt = plan.audit is not None and plan.audit.on_full == "stop"
        return unicorn.Machine(
            image,
            seed=plan.seed,
            policy_at=policies,
            isolate=plan.isolate,
            prompt=prompt,
            models=models,
            lines=lines,
            outside=outside,
            can=plan.attached.can,
            until=NEVER if plan.until is None else plan.until,
        )
    from khs.engine import qemu

    firmware = build_firmware(Arch[plan.archive.manifest["arch"].upper()], say)
    return qemu.Machine(
        plan.image,
        firmware,
        seed=plan.seed,
        policy_at=policies,
        accel=plan.accel,
        control=plan.control,
        serial=coroutines(lines or {}),
        can=plan.attached.can,
    )


def check_devices(plan: Plan) -> None:
    """KhsError if partitions have devices and the engine has no model of one."""
    if plan.engine == "unicorn":
        check_modelled(plan.archive.manifest, plan.attached)
