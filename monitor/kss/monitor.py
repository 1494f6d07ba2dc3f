"""A policy decision point for Python programs: a policy in force, events in, decisions out.

    monitor = kss.load("security.psl", ["interfaces"], audit=trail.append)

    monitor.decide({"event": "execute", "dst": "bank.Teller", "as": "t1"})
    monitor.decide({"event": "request", "src": "t1", "dst": "bank.Vault", "endpoint": "door",
                    "method": "Open", "message": {"pin": "4711"}})

`decide` takes events by names, as `kss eval` does, and keeps its own processes. A point of policy
enforcement has processes, SIDs and messages already, and asks with `judge`:

    monitor.judge("request", Subject("bank.Teller", 7), Subject("bank.Vault", 9), message)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from kss import evaluate, events, message
from kss.api import EventNames, Policy, RuleInfo, load_policy
from kss.called import MethodError, called
from kss.compiler import compile_policy
from kss.defects import defect
from kss.errors import KssError, MessageError, did_you_mean
from kss.events import Event, Kind, Reason, Result
from kss.layout import Endpoint, Method
from kss.models.model import MAX_SIDS
from kss.reference import Reference, called_method
from kss.strict import shown
from kss.trail import record
from kss.vm import Vm

KindName: TypeAlias = Literal["execute", "request", "response", "error", "security"]
EngineName: TypeAlias = Literal["vm", "reference"]
Auditor: TypeAlias = Callable[[Mapping[str, Any]], object]


class Subject(NamedTuple):
    """Who takes part in an event: a process of a class, under the SID that its kernel gave it (from
    1 to 2^32 - 1, never given twice). `name` is what audit records call it beside its class."""

    class_name: str
    sid: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class RuleCall:
    """A rule called and its result, "granted", "denied" or "failed"; where it stands."""

    object: str
    method: str
    result: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to an event; true if it is granted. `reason` is "rules", "default" (no rule was
    called), "error" (one could not be evaluated) or "malformed"; `why` is a denial in words."""

    granted: bool
    reason: str
    rules: tuple[RuleCall, ...] = ()
    why: str = ""

    def __bool__(self) -> bool:
        return self.granted


class Call(NamedTuple):
    """What a message says: an endpoint's method and its parameters by name."""

    endpoint: str
    interface: str
    method: str
    values: dict[str, Any]


class Replaced(NamedTuple):
    """Policy objects with state, by name: those that kept it, and those that begin anew."""

    kept: tuple[str, ...]
    reset: tuple[str, ...]


class Monitor:
    """A policy in force with its state. `audit` is called with each record that the policy's audit
    profiles ask for, before the decision is returned (the state has changed by then); what it
    raises ends the call. Not for several threads at once."""

    def __init__(
        self,
        policy: Policy,
        *,
        engine: EngineName = "vm",
        max_sids: int = MAX_SIDS,
        audit: Auditor | None = None,
    ) -> None:
        """`max_sids` is the number of SIDs that one policy object can hold contexts for. Raises
        KssError if the policy cannot be compiled or the policy VM's library is missing."""
        self.audit = audit
        self._engine_name: EngineName = engine
        self._max_sids = max_sids
        self._enforce(policy, self._start(policy))

    def _start(self, policy: Policy) -> Vm | Reference:
        if not isinstance(policy, Policy):
            given = type(policy).__name__
            raise TypeError(f"a policy is a kss.api.Policy (kss.load takes a file), not {given}")
        if self._engine_name == "vm":
            return Vm(compile_policy(policy.tree, max_sids=self._max_sids))
        return Reference(policy.tree, max_sids=self._max_sids)

    def _enforce(
        self, policy: Policy, engine: Vm | Reference, before: _ByName | None = None
    ) -> None:
        self.policy, self._engine = policy, engine
        self._rules = policy.rules
        self._classes = {name: index for index, name in enumerate(policy.classes)}
        self._by_name = _ByName(self, before)

    def replace(
        self,
        policy: Policy | str | Path,
        include: Iterable[str | Path] = (),
        *,
        defines: Mapping[str, str] | None = None,
    ) -> Replaced:
        """Puts another policy in force: one that has been read, or a file, read as by `load`.
        Objects that agree in name, model, types and configuration keep their state, SID by SID;
        events by names know the processes from before whose classes the policy has.

        Raises KssError if the policy has findings or cannot be compiled, TypeError if it is none:
        the old one stays in force then.
        """
        if isinstance(policy, str | Path):
            policy = _read(policy, include, defines)
        elif include or defines:
            raise TypeError("include and defines are for a policy file; this one has been read")
        engine, old = self._start(policy), self._engine
        kept = engine.take_over(old)  # type: ignore[arg-type]  # both of one kind
        reset = tuple(name for name in engine.state() if name not in kept)
        self._enforce(policy, engine, self._by_name)
        return Replaced(kept, reset)

    # ---- events

    def decide(self, event: Mapping[str, Any]) -> Decision:
        """Judges an event given by names, as a line of `kss eval` has them (docs/policy.md). Raises
        KssError if it is none."""
        return self._by_name.decide(event)

    def judge(
        self,
        kind: KindName,
        src: Subject,
        dst: Subject | None = None,
        message: bytes = b"",
        *,
        released: int = 0,
        trial: bool = False,
    ) -> Decision:
        """Judges an event between processes that the caller keeps.

        `dst` is None for a security event. `message` is the whole message, header first, as it is
        delivered if granted (none for execute); anything at all is judged, what does not conform is
        denied. `released` (execute only) is the dead SID whose contexts go in the same transaction.
        A `trial` changes no state: the caller will not carry the event out even if it is granted.
        Raises KssError for a SID that is none.
        """
        event = Event(
            _kind(kind),
            self._classes.get(src.class_name),
            self._classes.get(dst.class_name) if dst else None,
            _sid(src.sid),
            _sid(dst.sid) if dst else 0,
            message,
            _sid(released) if released else 0,
            trial,
        )
        return self.told(event, self._judged(event, src, dst), src, dst)

    def release(self, sid: int) -> None:
        """Drops all state of a process that is gone. Raises KssError for a SID that is none."""
        self._engine.release(_sid(sid))

    @property
    def audit_level(self) -> int:
        """The audit level in force."""
        return self._engine.audit_level

    def state(self) -> dict[str, dict[int, Any]]:
        """Policy object -> SID -> state, by names."""
        return self._engine.state()

    # ---- messages

    def encode(
        self,
        owner: str,
        method: str,
        values: Mapping[str, Any] | None = None,
        kind: KindName = "request",
        **narrowing: str,
    ) -> bytes:
        """A message to or from class `owner`, which offers the method; `kind` is that of the event
        it is for. `endpoint`, `interface` or `component` tell which of several methods is meant.
        Raises KssError if there is no such method or a value does not fit."""
        which = _kind(kind)
        direction = which.direction
        if direction is None:
            raise KssError("execute events carry no message")
        entity = self.policy.tree.classes[self._class(owner)]
        try:
            endpoint, found = called(entity, method, narrowing, security=which is Kind.SECURITY)
        except MethodError as error:
            raise KssError(str(error)) from None
        layout = found.message(direction)
        return message.encode(layout, values or {}, riid=endpoint.riid, mid=found.mid)

    def decode(self, owner: str, data: bytes, kind: KindName = "request") -> Call:
        """What a message says. Raises MessageError if it does not conform."""
        which = _kind(kind)
        found = called_method(self.policy.tree.classes[self._class(owner)], which, data)
        if found is None or which.direction is None:
            raise MessageError(f"{owner} has no method that the message's header names")
        endpoint, method = found
        layout = method.message(which.direction)
        if defect := message.defect(layout, data):
            raise MessageError(defect)
        values = message.decode(layout, data)
        return Call(endpoint.name, endpoint.interface.name, method.name, values)

    def _class(self, name: str) -> int:
        if name not in self._classes:
            raise KssError(f"unknown class {name}; {did_you_mean(name, self._classes)}")
        return self._classes[name]

    # ---- decisions and records

    def _judged(self, event: Event, src: Subject, dst: Subject | None) -> events.Decision:
        """Judges, and hands the audit record over if there is one."""
        decision = self._engine.judge(event)
        found = self._engine.recorded if self.audit else None
        if found is not None and self.audit is not None:
            calls = []
            for site, result in found.calls:
                rule = self._rules[site]
                shown = result.value if isinstance(result, Result) else result
                calls.append(record.Call(rule.object, rule.method, shown, rule.file, rule.line))
            names = _names(self, event, src, dst)
            fields = record.decision(
                granted=decision.granted,
                reason=decision.reason.value,
                event=names,
                calls=calls,
                level=found.level,
            )
            self.audit({**fields, "trial": True} if event.trial else fields)
        return decision

    def told(
        self, event: Event, decision: events.Decision, src: Subject, dst: Subject | None
    ) -> Decision:
        """The public form of a decision."""
        rules = tuple(_rule_call(self._rules[site], result) for site, result in decision.calls)
        why = "" if decision.granted else self._why(event, decision, src, dst)
        return Decision(decision.granted, decision.reason.value, rules, why)

    def _why(
        self, event: Event, decision: events.Decision, src: Subject, dst: Subject | None
    ) -> str:
        if decision.reason is Reason.MALFORMED:
            server = event.src_class if event.kind.server_is_source else event.dst_class
            assert server is not None
            wrong = defect(self.policy.tree.classes[server], event.kind, event.message)
            return f"the message does not conform to its interface: {wrong}"
        by_error = decision.reason is Reason.ERROR
        result = Result.FAILED if by_error else Result.DENIED
        site = next((site for site, found in decision.calls if found is result), None)
        if site is not None:
            rule = self._rules[site]
            failed = "could not be evaluated: " if by_error else ""
            return f"{rule.file}:{rule.line}: {failed}{' '.join(rule.text.split())}"
        names = _names(self, event, src, dst)
        asked = {key: names.get(key) for key in EventNames.__dataclass_fields__ if key != "kind"}
        return f"no rule matches; {self.policy.nearest(EventNames(event.kind, **asked))}"

    def called(self, event: Event) -> tuple[Endpoint, Method] | None:
        """The method that an event's message is about, if its header names one."""
        owner = event.src_class if event.kind.server_is_source else event.dst_class
        if owner is None or event.kind is Kind.EXECUTE:
            return None
        return called_method(self.policy.tree.classes[owner], event.kind, event.message)


class _ByName:
    """Events by names, and the processes that they started; see `kss.evaluate`."""

    def __init__(self, monitor: Monitor, before: _ByName | None) -> None:
        self._monitor = monitor
        self._evaluation: evaluate.Evaluation = (
            before._evaluation.under(monitor.policy, self)
            if before
            else evaluate.Evaluation(monitor.policy, self)
        )
        self._last: tuple[Event, events.Decision, Subject, Subject | None] | None = None

    def decide(self, given: Mapping[str, Any]) -> Decision:
        if not isinstance(given, Mapping):
            raise KssError(f"an event is a mapping, as a line of kss eval is, not {shown(given)}")
        try:
            self._evaluation.judge(dict(given))
        except evaluate.EventError as error:
            raise KssError(str(error)) from None
        assert self._last is not None
        return self._monitor.told(*self._last)

    def judge(self, event: Event) -> events.Decision:
        """What `kss.evaluate` asks of an engine."""
        src = self._subject(event.src_class, event.src_sid)
        dst = None if event.kind is Kind.SECURITY else self._subject(event.dst_class, event.dst_sid)
        decision = self._monitor._judged(event, src, dst)
        self._last = (event, decision, src, dst)
        return decision

    def _subject(self, index: int | None, sid: int) -> Subject:
        assert index is not None
        return Subject(self._monitor.policy.classes[index], sid, self._evaluation.name_of(sid))


def _names(monitor: Monitor, event: Event, src: Subject, dst: Subject | None) -> dict[str, Any]:
    """An event as audit records have it."""
    found: dict[str, Any] = {"kind": event.kind.name.lower()}
    for key, subject in (("src", src), ("dst", dst)):
        if subject is not None:
            found[key], found[f"{key}_sid"] = subject.class_name, subject.sid
            if subject.name:
                found[f"{key}_name"] = subject.name
    if called := monitor.called(event):
        endpoint, method = called
        found["interface"], found["component"] = endpoint.interface.name, endpoint.component
        found["endpoint"], found["method"] = endpoint.name, method.name
    return found


def _sid(given: int) -> int:
    """A wider number would be another process's to the policy VM, which has 32 bits."""
    if type(given) is not int or not 1 <= given < 1 << 32:
        raise KssError(f"{given!r} is no SID: SIDs are integers from 1 to 2^32 - 1")
    return given


def _kind(name: str) -> Kind:
    if name.upper() not in Kind.__members__:
        known = [kind.name.lower() for kind in Kind]
        raise KssError(f"unknown kind of event {name}; {did_you_mean(name, known)}")
    return Kind[name.upper()]


def _rule_call(rule: RuleInfo, result: Result) -> RuleCall:
    return RuleCall(rule.object, rule.method, result.value, rule.file, rule.line)


def load(
    path: str | Path,
    include: Iterable[str | Path] = (),
    *,
    engine: EngineName = "vm",
    max_sids: int = MAX_SIDS,
    audit: Auditor | None = None,
    defines: Mapping[str, str] | None = None,
) -> Monitor:
    """Reads a policy and puts it in force; see `kss.api.load_policy` and `Monitor`. Raises
    KssError; its `findings` are all there are."""
    policy = _read(path, include, defines)
    return Monitor(policy, engine=engine, max_sids=max_sids, audit=audit)


def _read(
    path: str | Path, include: Iterable[str | Path], defines: Mapping[str, str] | None
) -> Policy:
    return load_policy(Path(path), [Path(folder) for folder in include], defines=defines)
