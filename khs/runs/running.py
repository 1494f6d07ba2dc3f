"""One run of a plan with everything people want to know about it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, BinaryIO

from khs.audit import Auditor
from khs.engine import interrupt, unicorn
from khs.engine.devices import device_names
from khs.engine.lines import Line
from khs.hil import calibrate
from khs.hil.around import Around
from khs.hil.can import Buses, quiet, tell_of_lonely
from khs.hil.serial import opened
from khs.hil.served import served
from khs.record import Recorder
from khs.runs.machine import Machine, Progress, open_machine
from khs.runs.planned import Plan
from khs.runs.ran import Ran, refused
from khs.trace import Names, Writer
from khs.trace.console import ConsoleLines
from khs.trace.summary import Summary


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


def _begin(plan: Plan) -> dict[str, Any]:
    """What the audit trail tells of a run before it begins."""
    manifest = plan.archive.manifest
    about = {key: manifest[key] for key in ("system", "board")} | {"archive": manifest["sha256"]}
    policies = plan.header["names"]["policies"]
    return {"by": "khs run", **about, "engine": plan.engine, "policy": policies[0]}
