"""A plan's system on its engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, Self

from khs.attached import check_modelled, coroutines
from khs.config.model import Arch
from khs.engine import unicorn
from khs.engine.device import Device
from khs.engine.inputs import Inputs, Stamped
from khs.engine.lines import Line
from khs.engine.native import NEVER
from khs.engine.result import Result
from khs.runs.planned import Plan
from khs.toolchain.firmware import build_firmware

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
        return
    from khs.engine.qemu import cards

    cards.check(plan.archive.manifest)
