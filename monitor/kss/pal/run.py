"""Runs policy tests on the engines: every test from the same state, every event on each engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from kss import message
from kss.api import Policy
from kss.boot import KERNEL
from kss.errors import MessageError
from kss.events import Decision, Event, Kind, Reason, Recorded, Result
from kss.models.model import MAX_SIDS
from kss.nearest import SELECTORS, EventNames, advice
from kss.pal.cases import Case, Process, SidOf, Test, TestSet
from kss.reference import Reference
from kss.selectors import qualified_method

KERNEL_SID = 1
MOST_RULES = 5  # that an explanation lists


class Engine(Protocol):
    """The reference interpreter or the policy VM."""

    def judge(self, event: Event) -> Decision: ...

    def state(self) -> dict[str, dict[int, Any]]: ...

    @property
    def recorded(self) -> Recorded | None: ...


class Engines(Protocol):
    """Engines by name, each in the state before the first event."""

    def __call__(self) -> dict[str, Engine]: ...


@dataclass(frozen=True, slots=True)
class CaseResult:
    """`actual` is "" if the case could not be carried out; `why` explains a failure, line by line
    and most important first."""

    case: Case
    actual: Literal["grant", "deny", ""]
    passed: bool
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TestResult:
    __test__ = False  # for pytest, which takes it for one of its own

    set: TestSet
    test: Test
    cases: tuple[CaseResult, ...]

    @property
    def passed(self) -> bool:
        """A test without cases has shown nothing: it does not pass."""
        return bool(self.cases) and all(result.passed for result in self.cases)


class ObstacleError(Exception):
    """A case cannot be carried out."""


def engines(policy: Policy, names: Iterable[str], *, max_sids: int = MAX_SIDS) -> Engines:
    """Makes the engines "vm" and "reference", or one of them."""
    from kss.compiler import compile_policy
    from kss.vm import Vm

    wanted = tuple(names)
    vm = Vm(compile_policy(policy.tree, max_sids=max_sids)) if "vm" in wanted else None

    def make() -> dict[str, Engine]:
        made: dict[str, Engine] = {}
        if vm is not None:
            vm.reset()
            made["vm"] = vm
        if "reference" in wanted:
            made["reference"] = Reference(policy.tree, max_sids=max_sids)
        return made

    return make


def run(policy: Policy, start: Engines) -> Iterator[TestResult]:
    """Runs every test of a policy, in order."""
    for test_set in policy.tests:
        for test in test_set.tests:
            session = _Session(policy, start())
            yield TestResult(test_set, test, tuple(session.carry_out(case) for case in test.cases))


class _Session:
    """One test: the engines and the processes that it has started so far."""

    def __init__(self, policy: Policy, engines: Mapping[str, Engine]) -> None:
        self._policy = policy
        self._engines = engines
        self._last_sid = KERNEL_SID
        self._variables: dict[str, int] = {}
        self._running: dict[str, list[int]] = {KERNEL: [KERNEL_SID]}

    def carry_out(self, case: Case) -> CaseResult:
        try:
            if case.obstacle:
                raise ObstacleError(case.obstacle)
            event = self._event(case)
        except (ObstacleError, MessageError) as error:
            return CaseResult(case, "", False, (f"it cannot be carried out: {error}",))
        decisions = {name: engine.judge(event) for name, engine in self._engines.items()}
        decision, *_ = decisions.values()
        if case.kind is Kind.EXECUTE:
            self._started(case, event.dst_sid, decision.granted)
        actual: Literal["grant", "deny"] = "grant" if decision.granted else "deny"
        if differing := self._differing(decisions):
            return CaseResult(case, actual, False, differing)
        if case.expected in (actual, "any"):
            return CaseResult(case, actual, True)
        return CaseResult(case, actual, False, tuple(self._reasons(case, event, decision)))

    def _differing(self, decisions: Mapping[str, Decision]) -> tuple[str, ...]:
        """How the engines differ in what they decide, keep and record; nothing if they do not."""
        found: dict[str, Mapping[str, object]] = {
            "decisions": decisions,
            "states": {name: engine.state() for name, engine in self._engines.items()},
            "audit records": {name: engine.recorded for name, engine in self._engines.items()},
        }
        for what, given in found.items():
            first, *others = given.values()
            if any(other != first for other in others):
                shown = [f"{name}: {value}" for name, value in given.items()]
                return (f"the engines' {what} differ: this is a defect of KSS", *shown)
        return ()

    # ---- processes

    def _started(self, case: Case, sid: int, granted: bool) -> None:
        assert case.dst is not None
        if granted and sid != KERNEL_SID:
            self._running.setdefault(case.dst.class_name, []).append(sid)
        if case.variable is not None:
            self._variables.pop(case.variable, None)
            if granted:
                self._variables[case.variable] = sid

    def _sid(self, process: Process) -> int:
        if process.variable is not None:
            if process.variable not in self._variables:
                raise ObstacleError(f"{process} is not running: its start was denied")
            return self._variables[process.variable]
        running = self._running.get(process.class_name, [])
        if len(running) != 1:
            name = process.class_name
            if not running:
                raise ObstacleError(f"no process of class {name} is running")
            help = "name the one meant: p <- execute dst=..."
            raise ObstacleError(f"{len(running)} processes of class {name} are running; {help}")
        return running[0]

    # ---- events

    def _event(self, case: Case) -> Event:
        src = self._sid(case.src)
        if case.kind is Kind.EXECUTE:
            assert case.dst is not None
            itself = case.src.class_name == case.dst.class_name == KERNEL
            self._last_sid += not itself
            started = KERNEL_SID if itself else self._last_sid
            return Event(case.kind, case.src.class_index, case.dst.class_index, src, started)
        dst = self._sid(case.dst) if case.dst else 0
        assert case.message is not None
        data = message.encode(
            case.message.type,
            self._with_sids(case.message.values),
            riid=case.message.endpoint.riid,
            mid=case.message.method.mid,
            limits=False,
        )
        class_index = case.dst.class_index if case.dst else None
        return Event(case.kind, case.src.class_index, class_index, src, dst, data)

    def _with_sids(self, value: Any) -> Any:
        match value:
            case SidOf(process):
                return self._sid(process)
            case dict():
                return {name: self._with_sids(item) for name, item in value.items()}
            case list():
                return [self._with_sids(item) for item in value]
        return value

    # ---- explanations

    @property
    def _no_room(self) -> Mapping[int, str]:
        """What the reference interpreter, if it judges, tells of rules without room, by site."""
        judges = (each for each in self._engines.values() if isinstance(each, Reference))
        return next((each.no_room for each in judges), {})

    def _reasons(self, case: Case, event: Event, decision: Decision) -> Iterator[str]:
        """Why it was granted or denied, rule by rule."""
        if decision.reason is Reason.DEFAULT:
            names = {key: getattr(_names(case), key) for key in SELECTORS}
            near = advice(self._policy.sections, case.kind.name.lower(), names)
            yield f"denied: no rule matches; {near}"
        elif decision.reason is Reason.MALFORMED:
            assert case.message is not None
            defect = message.defect(case.message.type, event.message)
            yield f"denied: the message does not conform: {defect}"
        wanted = (Result.GRANTED,) if decision.granted else (Result.DENIED, Result.FAILED)
        sites = [(site, result) for site, result in decision.calls if result in wanted]
        for site, result in sites[:MOST_RULES]:
            rule = self._policy.rules[site]
            text = " ".join(rule.text.split())
            unable = " (it could not be evaluated)" if result is Result.FAILED else ""
            unable = f": {self._no_room[site]}" if site in self._no_room else unable
            word = "granted" if decision.granted else "denied"
            yield f"{word} by {rule.file}:{rule.line}: {text}{unable}"
        if len(sites) > MOST_RULES:
            yield f"and {len(sites) - MOST_RULES} more"


def _names(case: Case) -> EventNames:
    names: dict[str, str | None] = {"src": case.src.class_name}
    if case.dst:
        names["dst"] = case.dst.class_name
    if case.message:
        endpoint, method = case.message.endpoint, case.message.method
        security = case.kind is Kind.SECURITY
        names["interface"] = endpoint.interface.name
        names["component"] = endpoint.component
        names["endpoint"] = None if security else endpoint.name
        names["method"] = qualified_method(endpoint, method) if security else method.name
    return EventNames(case.kind, **names)
