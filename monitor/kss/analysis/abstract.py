"""Evaluation over ranges of values: what is certain for every message and state in a box.

A box tells of quantities (fields of the message, sizes, union tags, SIDs, answers of policy
objects) within which bounds they are; what it does not name may be anything of its type. The result
is never wrong, but may be that nothing is certain; then `open` has the quantities that it hangs on.

What policy objects answer is a quantity, too: to a call with the same arguments, after the same
effects on the same objects, the answer is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

from kss import layout, tree, types
from kss.analysis.keys import Keys
from kss.analysis.operations import applied
from kss.analysis.places import Places
from kss.analysis.texts import Texts
from kss.analysis.values import (
    ANYTHING,
    BOTH,
    FAILURE,
    Choices,
    Domain,
    Fails,
    Known,
    Numbers,
    Row,
    Value,
    boolean,
    either,
    everything,
    is_certain,
    is_single,
    join,
    truth,
)
from kss.models import MODELS
from kss.models.model import Contexts, EvaluationError
from kss.tree import Expression
from kss.types import Type

Box: TypeAlias = Mapping[Hashable, Domain]
Effects: TypeAlias = dict[str, int]  # owner of contexts -> what was done to them, by number

OTHER = "\0"  # a name that no label has
MOST_COMBINATIONS = 256  # of texts that an expression is computed for

# operator -> the left side that makes the right one needless, and the answer then
_SHORT = {"and": (False, False), "or": (True, True), "implies": (False, True)}


class Policy:
    """What evaluations of one policy share: `texts` and `labels` (of choices on objects) that stand
    for all there are; None if that is not known. `effects` numbers what is done to objects, for
    policies that are compared in common: each is told with what was done before, so that in full
    they would grow beyond all bounds."""

    def __init__(
        self,
        objects: Sequence[tree.PolicyObject],
        texts: Texts | None = None,
        labels: Iterable[str] | None = None,
        effects: dict[Hashable, int] | None = None,
    ) -> None:
        self.objects = objects
        self._effects: dict[Hashable, int] = {} if effects is None else effects
        self.keys = Keys(objects)
        self.texts = texts
        names = (*dict.fromkeys(labels or ()), OTHER)
        self.labels = Choices(names, partial=labels is None)

    def effect(self, before: int, what: Hashable) -> int:
        """The number of something done after `before`; 0 is that of nothing."""
        return self._effects.setdefault((before, what), len(self._effects) + 1)


# Expressions by id, and what they come to.
Seen: TypeAlias = dict[int, tuple[Expression, Known]]


class Abstract:
    """One evaluation in a box. With `pick` every quantity gets one value, noted in `picked`.

    `seen` keeps what expressions come to for further evaluations, without a box and `pick` only:
    there it depends on nothing else. (It holds the expressions, so that no id is used again.)
    """

    def __init__(
        self,
        policy: Policy,
        box: Box,
        pick: Callable[[Domain], Domain] | None = None,
        seen: Seen | None = None,
    ) -> None:
        assert seen is None or not (box or pick)
        self._seen = seen
        self.policy = policy
        self.box = box
        self.open: list[tuple[Hashable, Domain]] = []
        self.picked: dict[Hashable, Domain] = {}
        self.looks = 0  # how often a quantity was looked up
        self._pick = pick
        self._effects: Effects = {}
        self._places = Places(self.look, self.value, policy.texts)

    def look(self, key: Hashable, domain: Domain) -> Domain:
        """A quantity, which is of this domain unless the box knows more."""
        self.looks += 1
        found = self.picked.get(key) or self.box.get(key, domain)
        if is_single(found):
            return found
        if self._pick:
            found = self.picked[key] = self._pick(found)
        else:
            self.open.append((key, found))
        return found

    # ---- expressions

    def value(self, expression: Expression) -> Known:
        if self._seen is None:
            return self._fresh(expression)
        before = self._seen.get(id(expression))
        if before is None:
            before = self._seen[id(expression)] = (expression, self._fresh(expression))
        return before[1]

    def _fresh(self, expression: Expression) -> Known:
        mark = len(self.open)
        found = self._value(expression)
        if found.value is ANYTHING:
            found = Known(everything(expression.type), found.fails)
        if is_certain(found):
            del self.open[mark:]
        return found

    def _value(self, expression: Expression) -> Known:
        match expression:
            case tree.Constant(value, kind):
                return Known(constant(value, kind))
            case tree.Sid(which):
                return Known(self.look(f"{which}_sid", Numbers(0, types.SID.high)))
            case tree.Place():
                return self._places.value(expression)
            case tree.ListValue(items):
                known = [self.value(item) for item in items]
                fails = max((each.fails for each in known), default=Fails.NEVER)
                return Known(Row(tuple(each.value for each in known)), fails)
            case tree.RecordValue(fields):
                known = [self.value(item) for _, item in fields]
                return Known(ANYTHING, max((each.fails for each in known), default=Fails.NEVER))
            case tree.Apply(operation, operands, kind):
                return self._apply(operation, operands, kind)
            case tree.Logical():
                return self._logical(expression)
            case tree.Query():
                return self._pure_query(expression)

    def _logical(self, expression: tree.Logical) -> Known:
        left = self.value(expression.left)
        if left.fails is Fails.ALWAYS:
            return FAILURE
        ends, answer = _SHORT[expression.operator]
        short = Known(boolean(answer))
        known = truth(left.value)
        if known is ends:
            return Known(short.value, left.fails)
        right = self.value(expression.right)
        if known is None:
            right = either([short, right])
        return Known(right.value, max(left.fails, right.fails))

    def _apply(self, operation: str, operands: tuple[Expression, ...], kind: Type) -> Known:
        if operation in ("struct.size", "pred.empty"):
            known = [self._size(operands[0])]
        else:
            known = [self.value(operand) for operand in operands]
        fails = max(each.fails for each in known)
        if fails is Fails.ALWAYS:
            return FAILURE
        if operation == "struct.size":
            return known[0]
        found = applied(operation, kind, [each.value for each in known])
        return Known(found.value, max(found.fails, fails))

    def _size(self, operand: Expression) -> Known:
        """The number of elements, or of bytes of a text."""
        if isinstance(operand, tree.Place) and not isinstance(operand.wire, layout.String):
            return self._places.size(operand)
        known = self.value(operand)
        match known.value:
            case Row(items):
                return Known(Numbers(len(items), len(items)), known.fails)
            case Choices(values, False):
                sizes = [Numbers(len(each), len(each)) for each in values]  # type: ignore[arg-type]
                return Known(join(sizes), known.fails)
        return Known(Numbers(0, types.UINT32.high), known.fails)

    # ---- calls of expression methods

    def _context(self, call: tree.Rule | tree.Query) -> Hashable:
        """What has been done before to the objects that a call names."""
        owners = self.policy.keys.owners(call)
        return tuple((name, self._effects.get(name, 0)) for name in owners)

    def _pure_query(self, query: tree.Query) -> Known:
        thing = self.policy.objects[query.object]
        model = MODELS[thing.model]
        patterns = [
            str(value.value)
            for _, value in query.arguments
            if isinstance(value, tree.Constant) and value.type == types.PATTERN
        ]
        if model.stateful or model.languages(query.method, patterns) is None:
            return self._query(query)

        def call(arguments: dict[str, Any]) -> Any:
            return model.call(thing.config, Contexts(0), query.method, arguments)

        known = self._computed(query, call)
        if isinstance(query.type, types.IntegerType) and isinstance(known.value, Choices):
            numbers = [Numbers(each, each) for each in known.value.values]  # type: ignore[arg-type]
            return Known(join(numbers), known.fails)
        return known

    def _query(self, query: tree.Query) -> Known:
        """An answer that only the object knows."""
        known = [self.value(value) for _, value in query.arguments]
        fails = max((each.fails for each in known), default=Fails.NEVER)
        if fails is Fails.ALWAYS:
            return FAILURE
        key = (self.policy.keys.of(query), self._context(query))
        failed = truth(self.look((key, "fails"), BOTH))
        if failed:
            return FAILURE
        domain = everything(query.type)
        if not isinstance(domain, Numbers | Choices):
            domain = self.policy.labels
        answer = self.look(key, domain)
        unsure = isinstance(answer, Choices) and answer.partial
        return Known(ANYTHING if unsure else answer, Fails.MAYBE if failed is None else fails)

    def _computed(self, query: tree.Query, call: Callable[[dict[str, Any]], Any]) -> Known:
        """What a model without state makes of each combination of arguments; anything if these are
        too many."""
        names = [name for name, _ in query.arguments]
        known = [self.value(value) for _, value in query.arguments]
        fails = max((each.fails for each in known), default=Fails.NEVER)
        if fails is Fails.ALWAYS:
            return FAILURE
        given = [_listed(each.value) for each in known]
        count = 1
        for each in given:
            count *= len(each) if each is not None else MOST_COMBINATIONS + 1
        if count > MOST_COMBINATIONS:
            return Known(ANYTHING, Fails.MAYBE)
        found: dict[Any, None] = {}
        failed = 0
        for values in product(*(each or () for each in given)):
            try:
                found[call(dict(zip(names, values, strict=True)))] = None
            except EvaluationError:
                failed += 1
        if not found:
            return FAILURE
        return Known(Choices(tuple(found)), max(fails, Fails.MAYBE if failed else Fails.NEVER))


def constant(value: tree.ConstantValue, kind: Type) -> Value:
    """A constant as values are at run time."""
    match value, kind:
        case tuple(), types.ListType(element) | types.SetType(element):
            return Row(tuple(constant(item, element) for item in value))
        case tuple(), types.TupleType(items):
            pairs = zip(value, items, strict=True)
            return Row(tuple(constant(item, part) for item, part in pairs))
        case str(), types.TextType():
            return Choices((value.encode("utf-8"),))
    if isinstance(value, int) and not isinstance(value, bool):
        return Numbers(value, value)
    return ANYTHING if isinstance(value, tuple) else Choices((value,))


def _listed(value: Value) -> tuple[Any, ...] | None:
    match value:
        case Choices(values, False):
            return values
        case Numbers(low, high) if high - low < MOST_COMBINATIONS:
            return tuple(range(low, high + 1))
    return None
