"""Flow: a finite state machine for each resource."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from kss import syntax
from kss.binary import CLAIM_WRITES, DROP_WRITES, Op
from kss.codegen.object import Arguments, Label, ObjectCode, bits
from kss.errors import Findings, did_you_mean
from kss.events import Shown
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
from kss.tree import Constant, Expression, Query, items_of
from kss.types import SID, LiteralType, SetType, Type, VariantType

if TYPE_CHECKING:
    from kss.codegen.expressions import Expressions


@dataclass(frozen=True, slots=True)
class FlowConfig:
    """States are named in the order of `config.states`; `transitions[i]` holds the indices of the
    states reachable in one step from state `i`, ascending."""

    states: tuple[str, ...]
    initial: int
    transitions: tuple[tuple[int, ...], ...]


class FlowCode(ObjectCode):
    """A context is one word, the number of the state."""

    number = 0
    METHODS = ("init", "fini", "enter", "allow", "query", "enter_at", "is_at", "state")
    WRITES: ClassVar = {
        "init": CLAIM_WRITES + 1,
        "fini": DROP_WRITES,
        "enter": 1,
        "enter_at": 1,
    }
    context_words = 1

    @property
    def flow(self) -> FlowConfig:
        config = self.thing.config
        assert isinstance(config, FlowConfig), config
        return config

    def config(self) -> list[int]:
        count = len(self.flow.states)
        rows = [bits(list(row), count) for row in self.flow.transitions]
        return [count, self.flow.initial, *(word for row in rows for word in row)]

    def call(self, to: Expressions, method: str, arguments: Arguments, d: int) -> None:
        named = dict(arguments)
        if method == "allow":
            self._allow(to, named["sid"], items_of(named["states"]), d)
            return
        to.value(named["sid"], d)
        if method == "enter" and not isinstance(named["state"], Constant):
            to.select(named["state"], d + 1, self._state_in(to))
            self.emit(to, "enter_at", d, d)
        elif method == "enter":
            self.emit(to, method, d, d, self._number(named["state"]))
        else:
            self.emit(to, method, d, d)

    def _allow(
        self, to: Expressions, sid: Expression, items: tuple[Expression, ...], d: int
    ) -> None:
        """States that are written are one set; each that is computed is compared."""
        written = [self._number(item) for item in items if isinstance(item, Constant)]
        computed = [item for item in items if not isinstance(item, Constant)]
        row = self.words.add(bits(written, len(self.flow.states)))
        to.value(sid, d + 1)
        self.emit(to, "allow", d, d + 1, row)
        for item in computed:
            to.select(item, d + 2, self._state_in(to))
            self.emit(to, "is_at", d + 2, d + 1)
            to.out.emit(Op.OR, d, d, d + 2)

    def _number(self, expression: Expression) -> int:
        assert isinstance(expression, Constant) and isinstance(expression.value, str), expression
        return self.flow.states.index(expression.value)

    def _state_in(self, to: Expressions) -> Callable[[Expression, int], None]:
        """Computes a state: the number, here, of the state that another object is in."""

        def consume(leaf: Expression, d: int) -> None:
            if isinstance(leaf, Constant):
                to.constant(self._number(leaf), d)
                return
            assert isinstance(leaf, Query), leaf
            to.value(leaf, d)
            other = to.objects.code[leaf.object]
            assert isinstance(other, FlowCode), leaf
            if other.flow.states != self.flow.states:
                numbers = [self.flow.states.index(state) for state in other.flow.states]
                to.translate(numbers, d)

        return consume

    def label(self, label: Label) -> int | None:
        states = self.flow.states
        return states.index(label) if isinstance(label, str) and label in states else None

    def state(self, to: Expressions, arguments: Arguments, d: int) -> None:
        to.value(dict(arguments)["sid"], d)
        self.emit(to, "state", d, d)

    def omitted(self, states: Sequence[str]) -> list[int]:
        names = self.flow.states
        return bits([names.index(state) for state in states], len(names))

    def shown(self, method: str, labels: Sequence[Label]) -> list[Shown] | None:
        return list(self.flow.states)

    def symbols(self) -> dict[str, Any]:
        return {"states": list(self.flow.states)}

    @staticmethod
    def show(symbols: dict[str, Any], context: tuple[int, ...]) -> Any:
        return symbols["states"][context[0]]


class Flow(Model):
    name = "Flow"
    file = "nk.flow"
    stateful = True
    code = FlowCode

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

    def audit_state(
        self, config: object, contexts: Contexts, arguments: Mapping[str, Value]
    ) -> str | None:
        current = contexts.get(arguments["sid"])
        return None if current is None else cast(FlowConfig, config).states[current]

    def call(
        self, config: object, contexts: Contexts, method: str, arguments: dict[str, Value]
    ) -> Value:
        assert isinstance(config, FlowConfig)
        sid = arguments["sid"]
        if method == "init":
            return contexts.claim(sid, config.initial)
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

    def meaning(self, config: object, method: str) -> str | None:
        assert isinstance(config, FlowConfig)
        states = config.states
        if method == "init":
            return f"from {states[config.initial]}"
        if method != "enter":
            return "in any state"
        rows = zip(states, config.transitions, strict=True)
        return str(sorted((state, sorted(states[i] for i in row)) for state, row in rows))

    def reached(
        self,
        config: object,
        method: str,
        arguments: Mapping[str, Expression],
        states: frozenset[str],
    ) -> frozenset[str] | None:
        assert isinstance(config, FlowConfig)
        names = config.states
        if method == "init":
            return states | {names[config.initial]}
        wanted = _written(arguments, names)
        if method == "enter":
            wanted &= {names[to] for at in states for to in config.transitions[names.index(at)]}
            return states | wanted if wanted else None
        return states if states & wanted else None

    def show(self, config: object, context: Any) -> Any:
        return cast(FlowConfig, config).states[context]


def _written(arguments: Mapping[str, Expression], names: tuple[str, ...]) -> set[str]:
    """The states that a rule names, all if some are computed or it names none."""
    if "state" in arguments:
        items: tuple[Expression, ...] = (arguments["state"],)
    elif "states" in arguments:
        items = items_of(arguments["states"])
    else:
        return set(names)
    if not all(isinstance(item, Constant) for item in items):
        return set(names)
    return {str(item.value) for item in items if isinstance(item, Constant)}


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
