"""KSS's analyses, asked about a system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from kss.analysis.flow import Flows
from kss.analysis.flow_report import flow_json, flow_text
from kss.analysis.system import parse_system
from kss.errors import KssError
from kss.tree import PolicyTree

from khs.errors import KhsError
from khs.monitor import MonitorPolicy
from khs.monitor.names import placed


class Answer(NamedTuple):
    """What an analysis found, as the command of KSS prints it."""

    json: dict[str, Any]
    lines: tuple[str, ...]


def flow(
    policy: MonitorPolicy, links: Mapping[str, Any], start: str, end: str, most: int
) -> Answer:
    """At most `most` paths of data between two processes of a system; `kss.analysis.system` says
    what `links` holds. KhsError if there is no such process."""
    try:
        flows = Flows(_placed(policy), parse_system(dict(links), "the system"))
        answer = flows.between(start, end, most)
    except KssError as error:
        raise KhsError(str(error)) from None
    return Answer(flow_json(answer, flows), tuple(flow_text(answer, flows, start, end)))


def _placed(policy: MonitorPolicy) -> PolicyTree:
    """The policy with places that do not depend on where the system lies."""
    tree = policy.policy.tree
    sites = (
        replace(site, location=replace(site.location, file=placed(site.location.file, policy.root)))
        for site in tree.sites
    )
    return replace(tree, sites=tuple(sites))
