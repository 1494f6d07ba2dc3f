"""What to run, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from khs.attached import Attached, check
from khs.audit import AuditPlan
from khs.config.units import most_frames
from khs.engine.changes import Change
from khs.engine.inputs import Stamped
from khs.engine.qemu.control import Control
from khs.errors import KhsError
from khs.image import Archive
from khs.image.configbin import POLICY_STATE_MAX
from khs.image.outline import outline
from khs.record import Source, prepare
from khs.swaps import Swap
from khs.trace.header import header


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
    """A plan; frames and seed default to what the system's description says. KhsError if the run
    is too long, if a policy would come after its end, if the kernel has no room for it, or if the
    engine cannot do what is asked."""
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
    _check_frames(archive, wanted)
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


def _check_frames(archive: Archive, frames: int) -> None:
    """KhsError if the kernel's clock ends before so many frames do, whatever their schedule."""
    schedules = outline(archive.config).get("schedules", ())
    longest = max((each["major_frame"] for each in schedules), default=0)
    if longest and frames > most_frames(longest):
        raise KhsError(
            f"a run of {frames} frames is too long to count\n"
            f"  help: at most {most_frames(longest)} frames"
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
