"""KSS's analyses, asked about a system."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from kss.analysis.explain import Explainer
from kss.analysis.explain_report import Report
from kss.analysis.flow import Flows
from kss.analysis.flow_report import flow_json, flow_text
from kss.analysis.system import parse_system
from kss.api import Policy
from kss.binary import read
from kss.errors import KssError, Location, MessageError
from kss.evaluate import Evaluation, EventError
from kss.events import Reason
from kss.names import placed
from kss.nearest import sections
from kss.tree import Choice, Item, Match, PolicyTree

from khs.errors import KhsError
from khs.monitor import MonitorPolicy
from khs.monitor.handles import refusing_handles


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


class Judged(Protocol):
    """An event and those before it, as lines of `kss eval`; a line `{"policy": N}` tells that
    policy N of the trace took effect. `processes` tells whose the processes are that lines give a
    name to. `granted` is how the event was judged."""

    @property
    def line(self) -> Mapping[str, Any]: ...

    @property
    def before(self) -> Sequence[Mapping[str, Any]]: ...

    @property
    def processes(self) -> Mapping[str, str]: ...

    @property
    def granted(self) -> bool: ...


class Retelling:
    """Judges what was judged in a run once more, in its order, and tells why. `policies` has those
    of the trace by number; `processes`, which may grow, tells whose the processes are that lines
    give a name to. A line {"malformed": WHY} is told, not judged. Everything raises KhsError if the
    run does not fit the policies."""

    def __init__(
        self, policies: Callable[[int], MonitorPolicy], processes: Mapping[str, str]
    ) -> None:
        self._policies = policies
        self._processes = processes
        self._tree, self._engine = _explainer(policies(0))
        self._evaluation = Evaluation(Policy(self._tree), self._engine)
        self._running: dict[str, str] = {}  # partition -> its process
        self._malformed: Mapping[str, Any] | None = None  # the last line, if it is one

    def judge(self, line: Mapping[str, Any]) -> None:
        """The next line."""
        self._malformed = line if "malformed" in line else None
        if self._malformed:
            return
        try:
            self._judge(line)
        except (EventError, MessageError) as error:
            raise KhsError(f"the trace does not fit the policy: {error}") from None

    def _judge(self, line: Mapping[str, Any]) -> None:
        if "policy" in line:
            old = self._engine
            self._tree, self._engine = _explainer(self._policies(line["policy"]))
            self._engine.take_over(old)
            self._evaluation = self._evaluation.under(Policy(self._tree), self._engine)
            return
        owner = self._processes.get(line.get("as", ""))
        if owner is not None:  # what was kept for the process before goes with its restart
            sids = {name: sid for sid, name in self._evaluation.processes.items()}
            self._engine.release(sids.get(self._running.get(owner, ""), 0))
            self._running[owner] = line["as"]
        self._evaluation.judge(dict(line))

    def answer(self, granted: bool, *, everything: bool = False) -> Answer:
        """Why the last event was judged as it was, which was so in the run."""
        if self._malformed:
            return _malformed(self._malformed)
        last = self._engine.last
        assert last is not None
        if last.decision.granted != granted:
            raise KhsError("the trace does not fit the policy: it tells another verdict")
        known = self._evaluation.processes.items()
        names = {sid: self._processes.get(name, name) for sid, name in known}
        report = Report(last, names, sections(self._tree))
        return Answer(report.json(), tuple(report.lines(everything)))


def explain(
    policies: Callable[[int], MonitorPolicy], judged: Judged, *, everything: bool = False
) -> Answer:
    """Why an event is granted or denied. `policies` has those of the trace by number."""
    retelling = Retelling(policies, judged.processes)
    for each in (*judged.before, judged.line):
        retelling.judge(each)
    return retelling.answer(judged.granted, everything=everything)


def _malformed(line: Mapping[str, Any]) -> Answer:
    """As `kss.analysis.explain_report` tells it."""
    sentence = f"denied: {line['malformed']}"
    event = {key: value for key, value in line.items() if key != "malformed"}
    state: dict[str, Any] = {"bindings": [], "state_before": {}, "state_after": {}}
    verdict = {"verdict": "denied", "reason": Reason.MALFORMED.value}
    return Answer({**verdict, "sentence": sentence, "event": event, **state}, (sentence,))


def _explainer(policy: MonitorPolicy) -> tuple[PolicyTree, Explainer]:
    """A policy, and what explains it, with room for as many SIDs as in the run."""
    tree = _placed(policy)
    return tree, Explainer(tree, max_sids=read(policy.binary).max_sids)


def _placed(policy: MonitorPolicy) -> PolicyTree:
    """The policy that is in force, with places that do not depend on where the system lies."""

    def at(location: Location) -> Location:
        return replace(location, file=placed(location.file, policy.root))

    def items(given: tuple[Item, ...]) -> tuple[Item, ...]:
        return tuple(map(item, given))

    def item(each: Item) -> Item:
        match each:
            case Match():
                return replace(each, location=at(each.location), items=items(each.items))
            case Choice(_, _, branches, default):
                inner = tuple(replace(branch, items=items(branch.items)) for branch in branches)
                return replace(each, branches=inner, default=default and items(default))
        return each

    tree = refusing_handles(policy.policy.tree)
    return replace(
        tree,
        sites=tuple(replace(site, location=at(site.location)) for site in tree.sites),
        bindings=tuple(
            replace(each, location=at(each.location), items=items(each.items))
            for each in tree.bindings
        ),
    )
