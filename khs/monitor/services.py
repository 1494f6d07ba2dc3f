"""Services of the kernel that a policy never grants: what a program needs to get anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kss.analysis.decide import Verdict
from kss.analysis.guards import Wanted
from kss.analysis.query import Query
from kss.api import Policy
from kss.boot import KERNEL
from kss.events import Kind
from kss.names import placed

from khs.config.model import System
from khs.errors import Finding
from khs.monitor import MonitorPolicy


class Service(NamedTuple):
    """A method of the kernel."""

    endpoint: str
    method: str


MODE_SET = Service("partition.Partition", "SetMode")
CONSOLE_WRITE = Service("console.Console", "Write")


class Refusal(NamedTuple):
    """A service that a class never gets. `rule` would grant it, unless another one denies it: that
    is at `denied_by`, "" if none does."""

    service: str
    rule: str
    denied_by: str


def refusals(policy: Policy, service: Service, root: Path) -> dict[str, Refusal]:
    """Class -> what the policy denies it for every message and state; places are relative to
    `root`."""
    wanted = Wanted(Kind.REQUEST, None, KERNEL, service.endpoint, service.method)
    query = Query(policy.tree, any_state=True)
    found = {}
    for row in query.rows(wanted, [Verdict.DENIED]):
        name = row.interaction.src.name
        what = f"endpoint={service.endpoint}, method={service.method}"
        rule = f"request src={name}, dst={KERNEL}, {what} {{ grant () }}"
        at = query.describer.place(row.rules[-1]) if row.rules else None
        place = f"{placed(at.file, root)}:{at.line}" if at else ""
        found[name] = Refusal(f"{service.endpoint}.{service.method}", rule, place)
    return found


def never_normal(policy: MonitorPolicy, system: System) -> Iterator[Finding]:
    """Warns of partitions whose periods never begin: NORMAL mode is denied to them."""
    denied = refusals(policy.policy, MODE_SET, policy.root)
    for partition in system.partitions:
        refusal = denied.get(partition.class_name)
        if refusal is None or not partition.period:
            continue
        message = (
            f"the policy {policy.name} never grants {refusal.service} to {partition.class_name}: "
            f"{partition.name} stays in the mode that it starts in"
        )
        help = f"add to the policy: {refusal.rule}"
        if refusal.denied_by:
            help = f"{refusal.denied_by} denies it"
        place = ("partition", partition.name, "class")
        yield system.finding("POL-004", place, message, help, warning=True)
