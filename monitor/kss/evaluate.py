"""`kss eval`: events as JSON, judged one after the other.

{"event": "request", "src": "a.Client", "dst": "a.Server", "endpoint": "door", "method": "Open",
 "message": {"pin": "4711"}}

docs/policy.md lists the keys. `endpoint`, `interface` and `component` narrow the methods down to
one; none is needed where the method's name does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from kss import layout, message, strict
from kss.api import Policy
from kss.boot import KERNEL
from kss.called import NARROWING, MethodError, called
from kss.errors import MessageError, did_you_mean
from kss.events import Decision, Event, Kind
from kss.layout import Endpoint, Method, WireType

# What may stand beside "event".
_CALL = ("src", "dst", "method", "endpoint", "component", "interface", "message")
# The one method that starts are calls of, which has no parameters.
_START: dict[str, Any] = {"interface": "kl.core.Execute", "method": "main", "message": {}}
KEYS: dict[Kind, tuple[str, ...]] = {
    Kind.EXECUTE: ("src", "dst", "as", *_START),
    Kind.REQUEST: _CALL,
    Kind.RESPONSE: _CALL,
    Kind.ERROR: _CALL,
    Kind.SECURITY: ("src", "method", "component", "interface", "message"),
}
_KNOWN = frozenset(("event", *(key for keys in KEYS.values() for key in keys)))
# Why events of a kind do not have what others have.
_WITHOUT: dict[tuple[Kind, str], str] = {
    (Kind.EXECUTE, "endpoint"): "kl.core.Execute is at no endpoint",
    (Kind.EXECUTE, "component"): "kl.core.Execute is of no component",
    (Kind.SECURITY, "dst"): "who is asked is the security monitor",
    (Kind.SECURITY, "endpoint"): "a security interface is at none; component tells it apart",
    **dict.fromkeys(
        ((kind, "as") for kind in Kind if kind is not Kind.EXECUTE), "only execute starts a process"
    ),
}


_CALLED = "kl.core.Execute, main, without parameters"


class EventError(Exception):
    """A line is no event."""


class Engine(Protocol):
    """The reference interpreter or the policy VM."""

    def judge(self, event: Event) -> Decision: ...


@dataclass(frozen=True, slots=True)
class Process:
    sid: int
    class_index: int


class Evaluation:
    """Judges events, and knows which processes they have started.

    A class name stands for its process started last; one that no event has started is taken to
    be running.
    """

    def __init__(self, policy: Policy, engine: Engine) -> None:
        self._policy = policy
        self._engine = engine
        self._rules = policy.rules
        self._classes = {name: index for index, name in enumerate(policy.classes)}
        self._names: dict[str, Process] = {}
        self._running: dict[str, Process] = {}
        self._last_sid = 0

    def copy(self) -> Evaluation:
        """Another one that knows the same processes, of the same engine."""
        made = Evaluation(self._policy, self._engine)
        made._names, made._running = dict(self._names), dict(self._running)
        made._last_sid = self._last_sid
        return made

    def under(self, policy: Policy, engine: Engine) -> Evaluation:
        """Another one, of a policy that takes this one's place: it knows the same processes, as far
        as the policy has their classes."""
        made, classes = Evaluation(policy, engine), list(self._policy.classes)
        for mine, its in ((self._names, made._names), (self._running, made._running)):
            for name, process in mine.items():
                index = made._classes.get(classes[process.class_index])
                if index is not None and (mine is self._running or name not in made._classes):
                    its[name] = Process(process.sid, index)
        made._last_sid = self._last_sid
        return made

    def lines(self, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
        """One result for each line that is not blank: a verdict, or `{"error": ...}`."""
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield self.judge(parse(line))
                except (EventError, MessageError) as error:
                    yield {"error": f"line {number}: {error}"}

    def judge(self, given: dict[str, Any]) -> dict[str, Any]:
        """Judges one event; what is None counts as absent. Raises EventError or MessageError if
        it is none."""
        given = {
            key: value for key, value in given.items() if value is not None or key not in _KNOWN
        }
        kind = _kind(given)
        _must_have_only(KEYS[kind], kind, given)
        if kind is Kind.EXECUTE:
            return self._execute(given)
        src = self._process(given, "src")
        dst = None if kind is Kind.SECURITY else self._process(given, "dst")
        server = src if kind.server_is_source or dst is None else dst
        endpoint, method = self._called(kind, server, given)
        direction = kind.direction
        assert direction is not None
        kinds = method.message(direction)
        values = _with_sids(layout.Struct("", kinds.fields), given.get("message", {}), self._sid)
        data = message.encode(kinds, values, riid=endpoint.riid, mid=method.mid, limits=False)
        event = Event(
            kind,
            src.class_index,
            dst.class_index if dst else None,
            src.sid,
            dst.sid if dst else 0,
            data,
        )
        return self._show(self._engine.judge(event))

    def _show(self, decision: Decision) -> dict[str, Any]:
        rules = []
        for site, result in decision.calls:
            rule = self._rules[site]
            rules.append(
                {
                    "file": rule.file,
                    "line": rule.line,
                    "object": rule.object,
                    "method": rule.method,
                    "result": result.value,
                }
            )
        verdict = "granted" if decision.granted else "denied"
        return {"verdict": verdict, "reason": decision.reason.value, "rules": rules}

    # ---- processes

    @property
    def processes(self) -> dict[int, str]:
        """SID -> what the process is called: by its name, else by its class if it is the one that
        this stands for."""
        named = {process.sid: name for name, process in self._names.items()}
        return {process.sid: name for name, process in self._running.items()} | named

    def _execute(self, given: dict[str, Any]) -> dict[str, Any]:
        for key, only in _START.items():
            if given.get(key, only) != only:
                value = strict.shown(given[key])
                raise EventError(f"{key}: a start is a call of {_CALLED}, not {value}")
        src = self._process({"src": KERNEL, **given}, "src")
        name = _text(given, "dst")
        if name not in self._classes:
            raise EventError(f"dst: unknown class {name}; {did_you_mean(name, self._classes)}")
        if "as" in given:
            self._must_be_new(_text(given, "as"))
        index = self._classes[name]
        itself = name == KERNEL and src.class_index == index
        started = src if itself else self._start(index)
        event = Event(Kind.EXECUTE, src.class_index, index, src.sid, started.sid)
        decision = self._engine.judge(event)
        if decision.granted:
            self._running[name] = started
            if "as" in given:
                self._names[_text(given, "as")] = started
        return self._show(decision)

    def _must_be_new(self, name: str) -> None:
        """A class name would no longer stand for the class."""
        if name in self._classes:
            raise EventError(f"as: {name} is a class, name the process otherwise")
        if not name.isprintable():  # half of a surrogate pair, too
            raise EventError(f"as: {name!r} is no name, it is not printable")

    def _start(self, class_index: int) -> Process:
        self._last_sid += 1
        return Process(self._last_sid, class_index)

    def _process(self, given: dict[str, Any], key: str) -> Process:
        name = _text(given, key)
        try:
            return self._named(name)
        except EventError as error:
            raise EventError(f"{key}: {error}") from None

    def _named(self, name: str) -> Process:
        if name in self._names:
            return self._names[name]
        if name not in self._classes:
            help = did_you_mean(name, [*self._names, *self._classes])
            raise EventError(f"no process or class {name}; {help}")
        if name not in self._running:
            self._running[name] = self._start(self._classes[name])
        return self._running[name]

    def name_of(self, sid: int) -> str:
        """What `as` called the process that has this SID, "" if nothing."""
        return next((name for name, process in self._names.items() if process.sid == sid), "")

    def _sid(self, name: str) -> int:
        return self._named(name).sid

    # ---- methods

    def _called(
        self, kind: Kind, server: Process, given: dict[str, Any]
    ) -> tuple[Endpoint, Method]:
        owner = self._policy.tree.classes[server.class_index]
        wanted = {key: _text(given, key) for key in NARROWING if key in given}
        try:
            return called(owner, _text(given, "method"), wanted, security=kind is Kind.SECURITY)
        except MethodError as error:
            raise EventError(str(error)) from None


def parse(line: str) -> dict[str, Any]:
    """An event as JSON. Raises EventError."""
    try:
        given = strict.loads(line)
    except strict.JsonError as error:
        raise EventError(f"no JSON: {error}") from None
    if not isinstance(given, dict):
        raise EventError("an event is a JSON object")
    return given


def _must_have_only(keys: tuple[str, ...], kind: Kind, given: dict[str, Any]) -> None:
    for key in given:
        if key not in ("event", *keys):
            word = kind.name.lower()
            if why := _WITHOUT.get((kind, key)):
                raise EventError(f"{word} events have no key {key}: {why}")
            if not isinstance(key, str):
                raise EventError(f"keys are texts, not {strict.shown(key)}")
            help = did_you_mean(key, keys, f"there are {', '.join(keys)}")
            raise EventError(f"{word} events have no key {key}; {help}")


def _kind(given: dict[str, Any]) -> Kind:
    word = _text(given, "event")
    if word.upper() not in Kind.__members__ or word != word.lower():
        known = [kind.name.lower() for kind in Kind]
        raise EventError(f"unknown event {word}; {did_you_mean(word, known)}")
    return Kind[word.upper()]


def _text(given: dict[str, Any], key: str) -> str:
    if key not in given:
        raise EventError(f"{key} is missing")
    if not isinstance(given[key], str):
        raise EventError(f"{key} is a text, not {strict.shown(given[key])}")
    return str(given[key])


def _with_sids(wire: WireType, value: Any, sid: Any) -> Any:
    """The value with names of processes in handles replaced by their SIDs."""
    match wire, value:
        case layout.Handle(), {"handle": str(name)}:
            return {**value, "handle": sid(name)}
        case ((layout.Struct(_, fields) | layout.Union(_, fields)), dict()):
            kinds = {field.name: field.type for field in fields}
            return {
                name: _with_sids(kinds[name], item, sid) if name in kinds else item
                for name, item in value.items()
            }
        case ((layout.Array(element, _) | layout.Sequence(element, _)), list()):
            return [_with_sids(element, item, sid) for item in value]
    return value
