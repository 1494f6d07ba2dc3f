"""`kss explain`: how an event is judged, seen by the reference interpreter while it judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kss.analysis.watch import Section, State, Watched, facts, shown_state
from kss.defects import defect
from kss.events import Decision, Event, Kind, Reason
from kss.layout import Endpoint, Method
from kss.models import MODELS
from kss.models.model import Contexts
from kss.recursion import deep_recursion
from kss.reference import Evaluation, Reference, called_method, owner
from kss.tree import PolicyTree


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an event was judged as it was.

    `sections` are the bindings for such events in order, none if it was denied before they are
    looked at; `facts` is the event as selectors see it, `defect` why its message does not conform.
    `before` and `after` are the contexts that it changed.
    """

    event: Event
    decision: Decision
    sections: tuple[Section, ...]
    facts: Mapping[str, str | None]
    defect: str
    before: State
    after: State


class Explainer(Reference):
    """A reference interpreter that can tell how it judged the last event."""

    last: Explanation | None = None

    def judge(self, event: Event) -> Decision:
        self._watched: Watched | None = None
        before = {name: known.clone() for name, known in self._contexts.items()}
        with deep_recursion():
            decision = super().judge(event)
        watched = self._watched
        asked = watched.called if watched else self._asked(event)
        self.last = Explanation(
            event,
            decision,
            tuple(watched.sections) if watched else (),
            facts(self.policy, event, asked),
            self._defect(event) if decision.reason is Reason.MALFORMED else "",
            *_changed(self.policy, before, self._contexts),
        )
        return decision

    def evaluation(self, event: Event, called: tuple[Endpoint, Method] | None) -> Evaluation:
        self._watched = Watched(self.policy, self._contexts, event, called)
        return self._watched

    def _defect(self, event: Event) -> str:
        index = event.src_class if event.kind.server_is_source else event.dst_class
        assert index is not None
        return defect(self.policy.classes[index], event.kind, event.message)

    def _asked(self, event: Event) -> tuple[Endpoint, Method] | None:
        """What the header of a message names, also if the rest does not conform."""
        index = event.src_class if event.kind.server_is_source else event.dst_class
        known = index is not None and index < len(self.policy.classes)
        if event.kind is Kind.EXECUTE or not known:
            return None
        assert index is not None
        return called_method(self.policy.classes[index], event.kind, event.message)


def _changed(
    policy: PolicyTree, before: Mapping[str, Contexts], after: Mapping[str, Contexts]
) -> tuple[State, State]:
    """The contexts that differ, as they were and as they are."""
    old_state: State = {}
    new_state: State = {}
    for thing in policy.objects:
        old, new = before[owner(thing)], after[owner(thing)]
        sids = [sid for sid in sorted({*old, *new}) if old.get(sid) != new.get(sid)]
        if sids and MODELS[thing.model].stateful:
            old_state[thing.name] = shown_state(thing, old, sids)
            new_state[thing.name] = shown_state(thing, new, sids)
    return old_state, new_state
