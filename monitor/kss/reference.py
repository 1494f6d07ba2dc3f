"""The reference interpreter: the meaning of a policy, slow and plain.

It shares the typed tree with the compiler and nothing after it, so that each is the other's oracle.
The order of evaluation is that of `kss.tree`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kss import layout, message, tree, types
from kss.errors import MessageError
from kss.events import Decision, Event, Kind, Reason, Recorded, Result, Shown
from kss.layout import Endpoint, EntityClass, Method
from kss.models import MODELS
from kss.models.base import AUDIT_LEVEL
from kss.models.model import MAX_SIDS, Contexts, EvaluationError, Label, Value, is_label
from kss.tree import Condition, PolicyTree

_UINT32 = layout.Integer(32, False)


class Reference:
    """A loaded policy with its state.

    `max_sids` is the number of SIDs that one policy object can hold contexts for.
    """

    def __init__(self, policy: PolicyTree, *, max_sids: int = MAX_SIDS) -> None:
        self.policy = policy
        self._max_sids = max_sids
        self.reset()

    def reset(self) -> None:
        """Back to the state before the first event."""
        self._contexts = {
            owner(item): Contexts(MODELS[item.model].capacity(item.config, self._max_sids))
            for item in self.policy.objects
        }
        if "Base" in self._contexts:
            self._contexts["Base"][AUDIT_LEVEL] = self.policy.audit_default[1]
        self.recorded: Recorded | None = None  # what is to be recorded of the last event judged
        self.no_room: Mapping[int, str] = {}  # which of its rules found no room for a SID, by site

    def judge(self, event: Event) -> Decision:
        """Decides one event; the state changes only if it is granted and no trial."""
        level = self.audit_level
        self.no_room = {}
        self.recorded = Recorded(level)  # always, if the event is malformed or denied by default
        if not self._classes_known(event):
            return Decision(False, Reason.DEFAULT)
        called = None
        if event.kind is not Kind.EXECUTE:
            called = self._called(event)
            if called is None:
                return Decision(False, Reason.MALFORMED)
        before = self.snapshot()
        if event.released_sid:
            self.release(event.released_sid)
        evaluation = self.evaluation(event, called)
        decision = evaluation.run()
        self.no_room = evaluation.no_room
        if event.trial or not decision.granted:
            self.restore(before)
        if decision.reason is not Reason.DEFAULT:
            self.recorded = evaluation.recorded(decision, level)
        return decision

    def snapshot(self) -> Mapping[str, Contexts]:
        """The whole state."""
        return {name: contexts.clone() for name, contexts in self._contexts.items()}

    def restore(self, snapshot: Mapping[str, Contexts]) -> None:
        """Puts a snapshot of this policy back."""
        self._contexts = {name: contexts.clone() for name, contexts in snapshot.items()}

    def evaluation(self, event: Event, called: tuple[Endpoint, Method] | None) -> Evaluation:
        """A new evaluation of an event that is well formed; a subclass may watch it."""
        return Evaluation(self.policy, self._contexts, event, called)

    def release(self, sid: int) -> None:
        """Drops every context of a SID (a destroyed process)."""
        if sid != 0:
            for contexts in self._contexts.values():
                contexts.pop(sid, None)

    def take_over(self, old: Reference) -> tuple[str, ...]:
        """Takes over the contexts of objects of another policy that agree in name, model, types and
        configuration, and the audit level if both policies begin with the same; returns the names
        of the objects with state that kept theirs. To be called before the first event."""
        kept = []
        before = {item.name: item for item in old.policy.objects}
        for item in self.policy.objects:
            other = before.get(item.name)
            if other is None or other.identity != item.identity or not MODELS[item.model].stateful:
                continue
            contexts = self._contexts[owner(item)]
            taken = old._contexts[owner(other)]
            if len(taken) <= contexts.capacity:
                contexts.update(taken)
                kept.append(item.name)
        if self.policy.audit_default[1] == old.policy.audit_default[1] and "Base" in self._contexts:
            self._contexts["Base"][AUDIT_LEVEL] = old.audit_level
        return tuple(sorted(kept))

    def state(self) -> dict[str, dict[int, Any]]:
        """Object name -> SID -> context (for Flow, the state's name), both ascending."""
        found: dict[str, dict[int, Any]] = {}
        for item in sorted(self.policy.objects, key=lambda item: item.name):
            model = MODELS[item.model]
            if model.stateful:
                contexts = sorted(self._contexts[item.name].items())
                found[item.name] = {sid: model.show(item.config, value) for sid, value in contexts}
        return found

    @property
    def audit_level(self) -> int:
        """The audit run-time level, which `base.set_level` changes."""
        if "Base" not in self._contexts:
            return self.policy.audit_default[1]
        level: int = self._contexts["Base"][AUDIT_LEVEL]
        return level

    def _classes_known(self, event: Event) -> bool:
        wanted = [event.src_class]
        if event.kind is not Kind.SECURITY:
            wanted.append(event.dst_class)
        return all(item is not None and item < len(self.policy.classes) for item in wanted)

    def _called(self, event: Event) -> tuple[Endpoint, Method] | None:
        """The method that a message is about; None if the message does not conform."""
        index = event.src_class if event.kind.server_is_source else event.dst_class
        assert index is not None
        found = called_method(self.policy.classes[index], event.kind, event.message)
        direction = event.kind.direction
        assert direction is not None
        if found is None or message.defect(found[1].message(direction), event.message):
            return None
        return found


def called_method(server: EntityClass, kind: Kind, data: bytes) -> tuple[Endpoint, Method] | None:
    """The endpoint and method that a message's header names; None if there is none."""
    try:
        riid, mid, flags = message.header(data)
    except MessageError:
        return None
    endpoints = server.security if kind is Kind.SECURITY else server.endpoints
    if riid >= len(endpoints) or flags != kind.direction:
        return None
    methods = endpoints[riid].interface.methods
    return (endpoints[riid], methods[mid]) if mid < len(methods) else None


def owner(item: tree.PolicyObject) -> str:
    """Under which name an object's contexts are kept."""
    return item.model if MODELS[item.model].shared else item.name


class StopError(Exception):
    """An evaluation failed at a site: nothing more is called."""

    def __init__(self, site: int) -> None:
        super().__init__(site)
        self.site = site


class Evaluation:
    """The evaluation of one event."""

    def __init__(
        self,
        policy: PolicyTree,
        contexts: dict[str, Contexts],
        event: Event,
        called: tuple[Endpoint, Method] | None,
    ) -> None:
        self.policy = policy
        self.contexts = contexts
        self.event = event
        self.called = called
        self.calls: list[tuple[int, Result]] = []
        self.values: dict[int, Shown] = {}  # of expression methods, by site
        self.states: dict[int, str | None] = {}  # before a rule was called, by site
        self.no_room: dict[int, str] = {}  # rules that found all contexts taken, by site

    def run(self) -> Decision:
        try:
            for binding in self.policy.bindings:
                if binding.kind is self.event.kind:
                    self.section(binding)
        except StopError as stop:
            self.calls.append((stop.site, Result.FAILED))
            return Decision(False, Reason.ERROR, tuple(self.calls))
        if not self.calls:
            return Decision(False, Reason.DEFAULT)
        granted = all(result is Result.GRANTED for _, result in self.calls)
        return Decision(granted, Reason.RULES, tuple(self.calls))

    def recorded(self, decision: Decision, level: int) -> Recorded | None:
        """The calls that the audit profiles have recorded at this level; None if there is none."""
        found: list[tuple[int, Result | Shown]] = []
        for site, result in decision.calls:
            watch = self.watch(site, level)
            if watch and result in watch.results and self.states.get(site) not in watch.omit:
                found.append((site, result))
        for site, value in self.values.items() if decision.reason is Reason.RULES else ():
            watch = self.watch(site, level)
            if watch and watch.values and value not in watch.omit:
                found.append((site, value))
        return Recorded(level, tuple(sorted(found, key=lambda call: call[0]))) if found else None

    def watch(self, site: int, level: int) -> tree.Watch | None:
        watches = self.policy.sites[site].watches
        return next((watch for watch in watches if watch.level == level), None)

    # ---- sections

    def section(self, section: tree.Binding | tree.Match) -> None:
        if self.holds(section.condition):
            self.items(section.items)

    def holds(self, condition: Condition) -> bool:
        return all(wanted is None or wanted == given for wanted, given in self.pairs(condition))

    def pairs(self, condition: Condition) -> Iterable[tuple[int | str | None, int | str | None]]:
        yield condition.src, self.event.src_class
        yield condition.dst, self.event.dst_class
        endpoint, method = self.called or (None, None)
        if endpoint is None or method is None:
            return
        yield condition.interface, endpoint.interface.name
        yield condition.component, endpoint.component
        yield condition.endpoint, endpoint.name
        if self.event.kind is Kind.SECURITY and endpoint.name:
            yield condition.method, f"{endpoint.name}.{method.name}"
        else:
            yield condition.method, method.name

    def items(self, items: tuple[tree.Item, ...]) -> None:
        for item in items:
            match item:
                case tree.Rule():
                    self.rule(item)
                case tree.Evaluate():
                    self.evaluate(item)
                case tree.Match():
                    self.section(item)
                case tree.Choice():
                    self.choice(item)

    def rule(self, rule: tree.Rule) -> None:
        item = self.policy.objects[rule.object]
        arguments = {name: self.at(rule.site, value) for name, value in rule.arguments}
        contexts, model = self.contexts[owner(item)], MODELS[item.model]
        self.states[rule.site] = model.audit_state(item.config, contexts, arguments)
        contexts.crowded = False
        try:
            granted = model.call(item.config, contexts, rule.method, arguments)
        except EvaluationError:
            raise StopError(rule.site) from None
        finally:
            if contexts.crowded:
                kept = f"no room: {contexts.capacity} SIDs are kept"
                self.no_room[rule.site] = f"{kept} ({model.bound})"
        self.calls.append((rule.site, Result.GRANTED if granted else Result.DENIED))

    def evaluate(self, item: tree.Evaluate) -> None:
        self.at(item.site, item.expression)

    def choice(self, choice: tree.Choice) -> None:
        taken = self.branch(choice)
        items = choice.default if taken is None else choice.branches[taken].items
        if items is None:
            self.calls.append((choice.site, Result.DENIED))
        else:
            self.items(items)

    def branch(self, choice: tree.Choice) -> int | None:
        """The number of the branch that is taken."""
        try:
            return self.taken(choice.scrutinee, [branch.label for branch in choice.branches])
        except EvaluationError:
            raise StopError(choice.site) from None

    def taken(self, scrutinee: tree.Expression, labels: list[Label]) -> int | None:
        """The number of the label that a choice takes."""
        if isinstance(scrutinee, tree.Query):
            item, contexts, arguments = self.called_object(scrutinee)
            model, method = MODELS[item.model], scrutinee.method
            if scrutinee.site is not None:
                value = model.chosen(item.config, contexts, method, arguments, labels)
                self.values[scrutinee.site] = value
            return model.choose(item.config, contexts, method, arguments, labels)
        value = self.value(scrutinee)
        return next((i for i, label in enumerate(labels) if is_label(label, value)), None)

    def at(self, site: int, expression: tree.Expression) -> Value:
        try:
            return self.value(expression)
        except EvaluationError:
            raise StopError(site) from None

    # ---- expressions

    def value(self, expression: tree.Expression) -> Value:
        match expression:
            case tree.Constant(value, kind):
                return _constant(value, kind)
            case tree.Sid(which):
                return self.event.src_sid if which == "src" else self.event.dst_sid
            case tree.Apply(operation, operands, kind):
                model, _, name = operation.partition(".")
                values = [self.value(operand) for operand in operands]
                return _OPERATIONS[model][name](kind, values)
            case tree.Logical():
                return self.logical(expression)
            case tree.ListValue(items):
                return [self.value(item) for item in items]
            case tree.RecordValue(fields):
                return {name: self.value(item) for name, item in fields}
            case tree.Place():
                return self.place(expression)
            case tree.Query():
                return self.query(expression)

    def logical(self, expression: tree.Logical) -> Value:
        left = self.value(expression.left)
        if expression.operator == "and":
            return left and self.value(expression.right)
        if expression.operator == "or":
            return left or self.value(expression.right)
        return not left or self.value(expression.right)

    def query(self, query: tree.Query) -> Value:
        item, contexts, arguments = self.called_object(query)
        value = MODELS[item.model].call(item.config, contexts, query.method, arguments)
        if query.site is not None:
            self.values[query.site] = value
        return value

    def called_object(
        self, query: tree.Query
    ) -> tuple[tree.PolicyObject, Contexts, dict[str, Value]]:
        """The object of an expression method, its contexts, and the arguments."""
        item = self.policy.objects[query.object]
        arguments = {name: self.value(value) for name, value in query.arguments}
        return item, self.contexts[owner(item)], arguments

    def place(self, place: tree.Place) -> Value:
        """Follows the steps through the bytes of the message."""
        data, at = self.event.message, 0
        arena = data[place.message.size :]
        for step in place.steps:
            match step:
                case tree.FieldStep(_, offset, _) | tree.HandleStep(_, offset, _):
                    at += offset
                case tree.MemberStep(_, tag, offset, _):
                    if message.read(_UINT32, data, at, arena) != tag:
                        raise EvaluationError(f"{step.name} is not present")
                    at += offset
                case tree.ElementStep():
                    data, at = self.element(step, data, at, arena)
        value = message.read(place.wire, data, at, arena)
        return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value

    def element(
        self, step: tree.ElementStep, data: bytes, at: int, arena: bytes
    ) -> tuple[bytes, int]:
        """Where the element of an array (in place) or of a span (in the arena) is."""
        index, count = self.value(step.index), step.count
        if count is None:
            offset = message.read(_UINT32, data, at, arena)
            size = message.read(_UINT32, data, at + 4, arena)
            data, at, count = arena, offset, size // step.wire.size
        if not 0 <= index < count:
            raise EvaluationError(f"index {index} of {count} elements")
        return data, at + index * step.wire.size


def _constant(value: tree.ConstantValue, kind: types.Type) -> Value:
    """The constant as it is at run time: texts are bytes, as they are in messages."""
    match value, kind:
        case str(), types.TextType():
            return value.encode("utf-8")
        case tuple(), types.ListType(element) | types.SetType(element):
            return tuple(_constant(item, element) for item in value)
        case tuple(), types.TupleType(items):
            return tuple(_constant(item, part) for item, part in zip(value, items, strict=True))
    return value


_OPERATIONS = {
    model.predeclared: model.operations
    for model in MODELS.values()
    if model.predeclared is not None
}
