"""Flow: a finite state machine for each resource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from kss import syntax
from kss.errors import Findings, did_you_mean
from kss.models.config import Reader
from kss.models.model import (
    Contexts,
    EvaluationError,
    Model,
    Parameter,
    Setup,
    Signature,
    Value,
)
from kss.types import SID, LiteralType, SetType, Type, VariantType


@dataclass(frozen=True, slots=True)
class FlowConfig:
    """States are named in the order of `config.states`; `transitions[i]` holds the indices of the
    states reachable in one step from state `i`, ascending."""

    states: tuple[str, ...]
    initial: int
    transitions: tuple[tuple[int, ...], ...]


class Flow(Model):
    name = "Flow"
    file = "nk.flow"
    stateful = True

    def configure(
        self,
        declaration: syntax.ObjectDeclaration,
        types: Mapping[str, Type],
        findings: Findings,
    ) -> Setup | None:
        before = len(findings.items)
        reader = Reader(declaration, findings)
        reader.only_types("State")
        node = reader.configuration()
        fields = reader.fields(node, "states", "initial", "transitions") if node else None
        if fields is None:
            return None
        states = reader.texts(fields["states"])
        initial = reader.text(fields["initial"])
        if states is None or initial is None:
            return None
        names = tuple(name for name, _ in states)
        _must_equal_type(reader, fields["states"], names, types.get("State"))
        if initial not in names:
            _unknown_state(reader, fields["initial"].span, initial, names)
        transitions = _transitions(reader, fields["transitions"], names)
        if len(findings.items) > before or transitions is None:
            return None
        config = FlowConfig(names, names.index(initial), transitions)
        return Setup(config, f"Flow{config}")

    def signatures(self, types: Mapping[str, Type], config: object) -> Mapping[str, Signature]:
        state = types["State"]
        sid = Parameter("sid", SID)
        return {
            "init": Signature((sid,), named=True),
            "fini": Signature((sid,), named=True),
            "enter": Signature((sid, Parameter("state", state)), named=True),
            "allow": Signature((sid, Parameter("states", SetType(state))), named=True),
            "query": Signature((sid,), named=True, result=state),
        }

    def audit_conditions(self, config: object) -> Mapping[str, tuple[str, ...]]:
        return {"omit": cast(FlowConfig, config).states}

    def call(
        self, config: object, contexts: Contexts, method: str, arguments: dict[str, Value]
    ) -> Value:
        assert isinstance(config, FlowConfig)
        sid = arguments["sid"]
        if method == "init":
            return self._init(config, contexts, sid)
        current = contexts.get(sid)
        if method == "query":
            if current is None:
                raise EvaluationError(f"SID {sid} has no state")
            return config.states[current]
        if current is None:
            return False
        if method == "fini":
            del contexts[sid]
            return True
        if method == "allow":
            return config.states[current] in arguments["states"]
        target = config.states.index(arguments["state"])
        if target not in config.transitions[current]:
            return False
        contexts[sid] = target
        return True

    def _init(self, config: FlowConfig, contexts: Contexts, sid: int) -> bool:
        if sid == 0 or sid in contexts or len(contexts) >= contexts.capacity:
            return False
        contexts[sid] = config.initial
        return True

    def show(self, config: object, context: Any) -> Any:
        return cast(FlowConfig, config).states[context]


def _must_equal_type(
    reader: Reader, node: syntax.Expression, names: tuple[str, ...], state: Type | None
) -> None:
    if state is None:
        return
    alternatives = state.alternatives if isinstance(state, VariantType) else (state,)
    values = [item.value for item in alternatives if isinstance(item, LiteralType)]
    if len(values) < len(alternatives) or not all(isinstance(value, str) for value in values):
        span = reader.declaration.types[0].span
        reader.wrong(span, "State is a variant of texts", 'type State = "a" | "b"')
    elif set(values) != set(names):
        listed = ", ".join(f'"{name}"' for name in sorted(set(map(str, values)) ^ set(names)))
        help = "list in 'states' exactly the texts of 'type State'"
        reader.wrong(node.span, f"states and State differ in {listed}", help)


def _unknown_state(reader: Reader, span: syntax.Span, name: str, names: tuple[str, ...]) -> None:
    reader.wrong(span, f'"{name}" is not one of the states', did_you_mean(name, names))


def _transitions(
    reader: Reader, node: syntax.Expression, names: tuple[str, ...]
) -> tuple[tuple[int, ...], ...] | None:
    if not isinstance(node, syntax.Dict):
        reader.wrong(node.span, "transitions is a dictionary", '{ "from" : ["to"] }')
        return None
    found: dict[str, set[str]] = {name: set() for name in names}
    seen: set[str] = set()
    for entry in node.entries:
        key = str(entry.key)
        if key not in names:
            _unknown_state(reader, entry.span, key, names)
            continue
        if key in seen:
            reader.wrong(entry.span, f'"{key}" is given twice', "merge the lists", "PSL-027")
        seen.add(key)
        for target, span in reader.texts(entry.value) or ():
            if target in names:
                found[key].add(target)
            else:
                _unknown_state(reader, span, target, names)
    return tuple(tuple(sorted(names.index(t) for t in found[name])) for name in names)
