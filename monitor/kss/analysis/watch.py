"""The reference interpreter, watched: what it looks at, calls and computes for one event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kss import layout, tree
from kss.analysis.keys import queries
from kss.analysis.words import Words
from kss.errors import Location
from kss.events import Event, Kind, Result
from kss.layout import Endpoint, Method
from kss.models import MODELS
from kss.models.model import Contexts, EvaluationError, Label, Value
from kss.nearest import SELECTORS
from kss.reference import Evaluation, StopError, owner
from kss.selectors import qualified_method
from kss.tree import Condition, Expression, PolicyObject, PolicyTree, Site
from kss.types import BOOLEAN

# Object -> SID -> its context as JSON, None if it has none.
State: TypeAlias = dict[str, dict[int, Any]]


@dataclass(frozen=True, slots=True)
class Sid:
    """A SID among values: a number that names a process."""

    number: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A value that was computed, by its expression. `condition`: it is a Boolean."""

    words: str
    value: Any
    condition: bool


@dataclass(frozen=True, slots=True)
class Miss:
    """A selector that does not hold; the event has nothing there if `given` is None."""

    selector: str
    wanted: str
    given: str | None


@dataclass(slots=True)
class Call:
    """A rule called, a choice made, or an expression evaluated.

    `result` is that of a rule; of a choice or an expression it is set only if it denied or failed.
    `seen` are the values of all in it that is not constant, in the order of evaluation. `before`
    and `after` are the contexts that it is about. `why` tells why it failed, or had no room.
    """

    site: Site
    result: Result | None = None
    branch: str | None = None
    seen: list[Seen] = field(default_factory=list)
    before: State = field(default_factory=dict)
    after: State = field(default_factory=dict)
    why: str = ""


@dataclass(slots=True)
class Section:
    """A binding, or a `match` section in one. `agreed` is the number of selectors that hold; calls
    in `match` sections are those of the binding."""

    location: Location
    text: str
    misses: tuple[Miss, ...]
    agreed: int
    calls: list[Call] = field(default_factory=list)
    inner: list[Section] = field(default_factory=list)


class Watched(Evaluation):
    """An evaluation that notes what it does in `sections`."""

    def __init__(
        self,
        policy: PolicyTree,
        contexts: dict[str, Contexts],
        event: Event,
        called: tuple[Endpoint, Method] | None,
    ) -> None:
        super().__init__(policy, contexts, event, called)
        self.sections: list[Section] = []
        self._words = Words(policy.objects)
        self._facts = facts(policy, event, called)
        self._within: list[Section] = []
        self._call: Call | None = None

    # ---- sections

    def section(self, section: tree.Binding | tree.Match) -> None:
        wanted = _selected(self.policy, section.condition)
        pairs = [(name, value, self._facts[name]) for name, value in wanted.items()]
        misses = tuple(Miss(*each) for each in pairs if each[1] != each[2])
        text = section.text if isinstance(section, tree.Binding) else "match"
        noted = Section(section.location, text, misses, len(wanted) - len(misses))
        (self._within[-1].inner if self._within else self.sections).append(noted)
        self._within.append(noted)
        super().section(section)
        self._within.pop()

    def rule(self, rule: tree.Rule) -> None:
        with self._noting(rule.site, rule) as call:
            super().rule(rule)
            call.result = self.calls[-1][1]

    def evaluate(self, item: tree.Evaluate) -> None:
        with self._noting(item.site, item.expression):
            super().evaluate(item)

    def branch(self, choice: tree.Choice) -> int | None:
        with self._noting(choice.site, choice.scrutinee) as call:
            taken = super().branch(choice)
        if taken is not None:
            call.branch = self._words.label(choice.branches[taken].label)
        elif choice.default is not None:
            call.branch = "_"
        else:
            call.result = Result.DENIED
        return taken

    def taken(self, scrutinee: Expression, labels: list[Label]) -> int | None:
        try:
            found = super().taken(scrutinee, labels)
            if isinstance(scrutinee, tree.Query) and self._call:
                thing, contexts, arguments = self.called_object(scrutinee)
                model, method = MODELS[thing.model], scrutinee.method
                value = model.chosen(thing.config, contexts, method, arguments, labels)
                self._see(scrutinee, value)
            return found
        except EvaluationError as error:
            self._blame(error)
            raise

    @contextmanager
    def _noting(self, site: int, what: tree.Rule | Expression) -> Iterator[Call]:
        call = Call(self.policy.sites[site])
        self._within[0].calls.append(call)
        things, sids = self._involved(what), self._sids(what)
        before = {thing.name: self.contexts[owner(thing)].clone() for thing in things}
        self._call = call
        try:
            yield call
        except StopError as stop:
            call.result = Result.FAILED
            if isinstance(stop.__context__, EvaluationError):
                self._blame(stop.__context__)
            raise
        finally:
            self._call = None
            call.why = self.no_room.get(site, call.why)
            for thing in things:
                old, new = before[thing.name], self.contexts[owner(thing)]
                concerned = [sid for sid, sure in sids if sure or sid in old or sid in new]
                concerned += [sid for sid in {**old, **new} if old.get(sid) != new.get(sid)]
                call.before[thing.name] = shown_state(thing, old, concerned)
                call.after[thing.name] = shown_state(thing, new, concerned)

    def _involved(self, what: tree.Rule | Expression) -> list[PolicyObject]:
        """The objects with contexts that something names."""
        numbers = dict.fromkeys(call.object for call in _calls(what))
        things = (self.policy.objects[number] for number in numbers)
        return [thing for thing in things if MODELS[thing.model].stateful]

    def _sids(self, what: tree.Rule | Expression) -> list[tuple[int, bool]]:
        """Numbers among the arguments of calls that may be SIDs, and whether they surely are."""
        found: dict[int, bool] = {}
        for value in (value for call in _calls(what) for _, value in call.arguments):
            if isinstance(value, tree.Sid | tree.Place | tree.Constant):
                try:
                    number = super().value(value)
                except EvaluationError:
                    continue
                if type(number) is int:
                    found[number] = found.get(number, False) or _is_sid(value)
        return list(found.items())

    # ---- expressions

    def value(self, expression: Expression) -> Value:
        try:
            found = super().value(expression)
        except EvaluationError as error:
            self._blame(error)
            raise
        if self._call:
            self._see(expression, found)
        return found

    def _see(self, expression: Expression, value: Value) -> None:
        if isinstance(expression, tree.Constant):
            return
        shown = _shown(self.policy, expression, value)
        assert self._call
        self._call.seen.append(Seen(self._words.of(expression), shown, expression.type == BOOLEAN))

    def _blame(self, error: EvaluationError) -> None:
        if self._call and not self._call.why:
            self._call.why = str(error)


def facts(
    policy: PolicyTree, event: Event, called: tuple[Endpoint, Method] | None
) -> dict[str, str | None]:
    """An event as selectors see it."""
    found: dict[str, str | None] = dict.fromkeys(SELECTORS)
    for side, index in (("src", event.src_class), ("dst", event.dst_class)):
        if index is not None and index < len(policy.classes):
            found[side] = policy.classes[index].name
    if called is not None:
        endpoint, method = called
        found["interface"] = endpoint.interface.name
        found["component"] = endpoint.component
        security = event.kind is Kind.SECURITY
        found["endpoint"] = None if security else endpoint.name
        found["method"] = qualified_method(endpoint, method) if security else method.name
    return found


def shown_state(
    thing: PolicyObject, contexts: Mapping[int, Any], sids: Iterable[int]
) -> dict[int, Any]:
    """Contexts of an object as JSON."""
    model = MODELS[thing.model]
    return {
        sid: model.show(thing.config, contexts[sid]) if sid in contexts else None
        for sid in dict.fromkeys(sids)
    }


def _selected(policy: PolicyTree, condition: Condition) -> dict[str, str]:
    given = ((name, getattr(condition, name)) for name in SELECTORS)
    return {
        name: policy.classes[value].name if name in ("src", "dst") else value
        for name, value in given
        if value is not None
    }


def _calls(what: tree.Rule | Expression) -> Iterator[tree.Rule | tree.Query]:
    if isinstance(what, tree.Rule):
        yield what
        for _, value in what.arguments:
            yield from queries(value)
    else:
        yield from queries(what)


def _is_sid(value: Expression) -> bool:
    """Whether an expression is a SID for certain."""
    if isinstance(value, tree.Place):
        last = value.steps[-1]
        return isinstance(last, tree.HandleStep) and last.name == "handle"
    return isinstance(value, tree.Sid)


def _shown(policy: PolicyTree, expression: Expression, value: Value) -> Any:
    """A value as JSON, but for SIDs."""
    if _is_sid(expression):
        return Sid(value)
    if isinstance(expression, tree.Query):
        thing = policy.objects[expression.object]
        value = MODELS[thing.model].spoken(thing.config, value)
    if isinstance(expression, tree.Place) and isinstance(expression.wire, layout.Bytes):
        return value.hex()
    return _json(value)


def _json(value: Value) -> Any:
    match value:
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case dict():
            return {name: _json(item) for name, item in value.items()}
        case list() | tuple():
            return [_json(item) for item in value]
        case int() | str() | None:
            return value
    return str(value)
