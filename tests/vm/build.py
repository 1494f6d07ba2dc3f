"""Policy trees written down by hand, for tests of what comes after the tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kss import layout
from kss.errors import Location
from kss.events import Kind
from kss.layout import Direction, Endpoint, EntityClass, Interface, MessageType, Method, WireType
from kss.models.flow import FlowConfig
from kss.numerals import make_list
from kss.tree import (
    Apply,
    Binding,
    Branch,
    Choice,
    Condition,
    Constant,
    Evaluate,
    Expression,
    FieldStep,
    Item,
    Match,
    Place,
    PolicyObject,
    PolicyTree,
    Query,
    Rule,
    Sid,
    Site,
    Step,
    Watch,
)
from kss.types import (
    BOOLEAN,
    PATTERN,
    SID,
    TEXT,
    UINT32,
    IntegerType,
    LiteralType,
    SetType,
    Type,
    VariantType,
    of_wire,
)

HERE = Location("test.psl", 1, 1)
U8, U16, U32, U64 = (layout.Integer(bits, False) for bits in (8, 16, 32, 64))
S8, S16, S32, S64 = (layout.Integer(bits, True) for bits in (8, 16, 32, 64))
HANDLE = layout.Handle()

Parameters = Sequence[tuple[str, WireType]]


def method(
    name: str, mid: int, request: Parameters, response: Parameters = (), error: Parameters = ()
) -> Method:
    make = layout.make_message
    return Method(
        name,
        mid,
        make(Direction.IN, list(request)),
        make(Direction.OUT, list(response)),
        make(Direction.ERROR, list(error)),
    )


def interface(name: str, *methods: Method) -> Interface:
    return Interface(name, methods)


def classes(*described: tuple[str, list[Endpoint], list[Endpoint]]) -> tuple[EntityClass, ...]:
    return tuple(
        EntityClass(name, index, tuple(endpoints), tuple(security))
        for index, (name, endpoints, security) in enumerate(described)
    )


def unsigned(value: int, kind: IntegerType = UINT32) -> Constant:
    return Constant(value, kind)


def text(value: str) -> Constant:
    return Constant(value, TEXT)


def truth(value: bool) -> Constant:
    return Constant(value, BOOLEAN)


SRC, DST = Sid("src", SID), Sid("dst", SID)


def place(message: MessageType, name: str, *steps: Step) -> Place:
    """`message.name`, then the further steps."""
    found = next(field for field in message.fields if field.name == name)
    path: tuple[Step, ...] = (FieldStep(name, found.offset, found.type), *steps)
    wire = path[-1].wire
    return Place(message, path, wire, of_wire(wire))


def apply(operation: str, *operands: Expression, type: Type = BOOLEAN) -> Apply:
    return Apply(operation, operands, type)


def state_type(states: Sequence[str]) -> Type:
    """`"a" | "b"`: what states are typed as."""
    return VariantType(tuple(LiteralType(state) for state in sorted(states)))


def flow(
    index: int, name: str, states: list[str], initial: str, transitions: dict[str, list[str]]
) -> PolicyObject:
    rows = tuple(
        tuple(sorted(states.index(to) for to in transitions.get(state, []))) for state in states
    )
    config = FlowConfig(tuple(states), states.index(initial), rows)
    identity = f"Flow {states} {initial} {sorted(transitions.items())}"
    return PolicyObject(name, index, "Flow", {"State": state_type(states)}, config, identity, HERE)


class Builder:
    """Collects sites, objects and bindings. Objects are `base`, `bool`, then those of Flow."""

    def __init__(self, entities: tuple[EntityClass, ...]) -> None:
        self.entities = entities
        self.objects = [
            PolicyObject("base", 0, "Base", {}, None, "Base", HERE),
            PolicyObject("bool", 1, "Bool", {}, None, "Bool", HERE),
        ]
        self.audit_level = 0
        # (name of an object or "", whether an expression) -> what is recorded of a new site
        self.watch: Callable[[str, bool], tuple[Watch, ...]] = lambda name, expression: ()
        self.sites: list[Site] = []
        self.bindings: list[Binding] = []

    def _site(self, thing: str, name: str) -> int:
        return self._add(thing, name, self.watch(thing, False))

    def _add(self, thing: str, name: str, watches: tuple[Watch, ...]) -> int:
        site = len(self.sites)
        self.sites.append(Site(site, Location("test.psl", site + 1, 1), thing, name, name, watches))
        return site

    def flow(self, name: str, states: list[str], initial: str, **transitions: list[str]) -> int:
        self.objects.append(flow(len(self.objects), name, states, initial, transitions))
        return len(self.objects) - 1

    def rule(self, name: str, argument: Expression | None = None) -> Rule:
        arguments = () if argument is None else (("value", argument),)
        return Rule(self._site("base", name), 0, name, arguments)

    def bool_assert(self, argument: Expression) -> Rule:
        return Rule(self._site("bool", "assert"), 1, "assert", (("value", argument),))

    def grant(self) -> Rule:
        return self.rule("grant")

    def flow_rule(self, thing: int, name: str, sid: Expression, *states: str | Expression) -> Rule:
        """States are names, or expressions of the object's State."""
        kind = self.objects[thing].types["State"]
        given = [Constant(state, kind) if isinstance(state, str) else state for state in states]
        arguments: list[tuple[str, Expression]] = [("sid", sid)]
        if name == "enter":
            arguments.append(("state", given[0]))
        if name == "allow":
            arguments.append(("states", make_list(given, SetType(kind))))
        site = self._site(self.objects[thing].name, name)
        return Rule(site, thing, name, tuple(arguments))

    def call(self, thing: int, name: str, **arguments: Expression) -> Rule:
        """A rule of any object."""
        site = self._site(self.objects[thing].name, name)
        return Rule(site, thing, name, tuple(arguments.items()))

    def ask(self, thing: int, name: str, type: Type = BOOLEAN, **arguments: Expression) -> Query:
        """An expression method of any object."""
        return Query(thing, name, tuple(arguments.items()), type)

    def evaluate(self, expression: Expression) -> Evaluate:
        return Evaluate(self._site("", "expression"), expression)

    def choice(
        self,
        scrutinee: Expression,
        branches: dict[int | bool | str, list[Item]],
        default: list[Item] | None = None,
    ) -> Choice:
        made = tuple(Branch(label, tuple(items)) for label, items in branches.items())
        last = None if default is None else tuple(default)
        return Choice(self._site("", "choice"), scrutinee, made, last)

    def match(self, *items: Item, **condition: int | str) -> Match:
        return Match(Condition(**condition), items, HERE)  # type: ignore[arg-type]

    def bind(self, kind: Kind, *items: Item, **condition: int | str) -> None:
        made = Condition(**condition)  # type: ignore[arg-type]
        self.bindings.append(Binding(kind, made, items, HERE, "binding"))

    def tree(self) -> PolicyTree:
        things = tuple(self.objects), tuple(self.bindings), tuple(self.sites)
        return PolicyTree(self.entities, *things, audit_default=("empty", self.audit_level))

    def regex(self) -> int:
        """The object `re`."""
        known = next((each.index for each in self.objects if each.model == "Regex"), None)
        if known is not None:
            return known
        self.objects.append(PolicyObject("re", len(self.objects), "Regex", {}, None, "Regex", HERE))
        return len(self.objects) - 1

    def matches(self, text: Expression, pattern: str) -> Query:
        given = (("text", text), ("pattern", Constant(pattern, PATTERN)))
        return Query(self.regex(), "match", given, BOOLEAN, self._noted("re", "match"))

    def select(self, text: Expression) -> Query:
        site = self._noted("re", "select")
        return Query(self.regex(), "select", (("text", text),), TEXT, site)

    def query(self, thing: int, sid: Expression) -> Query:
        owner = self.objects[thing]
        site = self._noted(owner.name, "query")
        return Query(thing, "query", (("sid", sid),), owner.types["State"], site)

    def _noted(self, thing: str, name: str) -> int | None:
        """The site of an expression method, if its calls may be recorded."""
        watches = self.watch(thing, True)
        return self._add(thing, name, watches) if watches else None
