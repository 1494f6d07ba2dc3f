"""Guards carried out on an event, rule by rule: what they mean."""

from __future__ import annotations

from kss.analysis.guard import Cases, Evaluable, Grants, Guard, Holds
from kss.events import Event, Kind, Result
from kss.models.model import EvaluationError
from kss.reference import Evaluation, Reference, StopError, called_method
from kss.tree import PolicyTree


def evaluation(tree: PolicyTree, engine: Reference, event: Event) -> Evaluation:
    """For an event that is well formed: on a copy of the engine's state, before it is judged."""
    contexts = {name: known.clone() for name, known in engine._contexts.items()}
    for known in contexts.values() if event.released_sid else ():
        known.pop(event.released_sid, None)
    called = None
    if event.kind is not Kind.EXECUTE:
        index = event.src_class if event.kind.server_is_source else event.dst_class
        assert index is not None
        called = called_method(tree.classes[index], event.kind, event.message)
    return Evaluation(tree, contexts, event, called)


def granted(run: Evaluation, guard: Guard) -> bool:
    try:
        holds, called = _run(run, guard)
    except (EvaluationError, StopError):
        return False
    return holds and called


def _run(run: Evaluation, guard: Guard) -> tuple[bool, bool]:
    """Whether everything holds, and whether a rule is called."""
    called = guard.called
    if guard.refused is not None:
        return False, True
    for part in guard.parts:
        match part:
            case Holds(_, condition):
                holds = run.value(condition) is True
            case Evaluable(_, value):
                run.value(value)
                holds = True
            case Grants(_, rule):
                for _, value in rule.arguments:
                    run.value(value)
                run.rule(rule)
                holds = run.calls[-1][1] is Result.GRANTED
            case Cases():
                taken = run.taken(part.value, part.labels)
                holds, counted = _run(run, part.guard(taken))
                called |= counted
        if not holds:
            return False, True
    return True, called
