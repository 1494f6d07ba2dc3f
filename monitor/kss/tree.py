"""The policy after parsing, resolving and type checking: frozen, typed, complete.

This is all that the reference interpreter and the compiler share. Names are resolved, integer
literals have a type, operators on two integers have operands of one common type (a narrower one is
wrapped in `math.widen`), and dictionary arguments are in the order of the method's signature.

Evaluation of one event, normative for both engines:

* A class the policy does not know: denied by default. Then the message must conform (see
  `kss.layout`), else malformed. Then, for `execute`, `released_sid`'s contexts are dropped.
* Bindings in order; a binding or `Match` whose `Condition` does not hold contributes nothing.
* Each `Rule` is called after its arguments are evaluated; a denial does not stop the others. An
  evaluation error stops everything: denied, reason error.
* No call in `Decision.calls`: denied by default. All granted: granted, and only then do state
  changes last. Later calls of one event see the changes of earlier ones.
* Expressions are evaluated left to right, `Logical` with short-circuit, everything else strictly.

What is to be recorded of the event (`kss.events.Recorded`): an event that is malformed or denied by
default always, with no calls. Else each call whose site has a `Watch` for the audit level that was
in force when the event arrived, in the order of the sites' ids; if there is none, nothing. Of an
event that ended with an evaluation error, calls of expressions are not recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from kss.errors import Location
from kss.events import Kind, Result
from kss.layout import EntityClass, MessageType, WireType
from kss.pal.cases import TestSet
from kss.types import Type

ConstantValue: TypeAlias = "int | bool | str | tuple[ConstantValue, ...] | None"


# ---- expressions -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constant:
    """int, bool, str (text or pattern), None (unit), or a tuple of constants (list, set, tuple)."""

    value: ConstantValue
    type: Type


@dataclass(frozen=True, slots=True)
class Sid:
    """`src_sid` or `dst_sid`."""

    which: Literal["src", "dst"]
    type: Type


@dataclass(frozen=True, slots=True)
class FieldStep:
    """Into a field of the message or of a struct, at `offset` from its start."""

    name: str
    offset: int
    wire: WireType


@dataclass(frozen=True, slots=True)
class MemberStep:
    """Into a member of a union; an evaluation error if the union's tag is not `tag`."""

    name: str
    tag: int
    offset: int
    wire: WireType


@dataclass(frozen=True, slots=True)
class ElementStep:
    """Into an element of an array (`count` elements), or of a sequence or bytes (`count` is None).

    `index` has an integer type; an evaluation error if it is negative or not below the number of
    elements.
    """

    index: Expression
    count: int | None
    wire: WireType


@dataclass(frozen=True, slots=True)
class HandleStep:
    """`.handle` (offset 0, the SID) or `.rights` (offset 4) of a handle; both UInt32."""

    name: Literal["handle", "rights"]
    offset: int
    wire: WireType


Step: TypeAlias = FieldStep | MemberStep | ElementStep | HandleStep


@dataclass(frozen=True, slots=True)
class Place:
    """A value within the message: `message.p.q.[i].r`. `wire` is the wire type of the last step.

    The first step is a FieldStep whose offset counts from the start of the message. `type` may be
    composite only where an operation takes a place whole (`pred.empty`, `struct.size`, `math.sum`,
    `bool.all`, a `choice` on text, a model's argument).
    """

    message: MessageType
    steps: tuple[Step, ...]
    wire: WireType
    type: Type


@dataclass(frozen=True, slots=True)
class ListValue:
    """`[a, b]` with at least one item that is not constant."""

    items: tuple[Expression, ...]
    type: Type


@dataclass(frozen=True, slots=True)
class RecordValue:
    """`{ f : a, g : b }`, fields in the order of the type expected."""

    fields: tuple[tuple[str, Expression], ...]
    type: Type


@dataclass(frozen=True, slots=True)
class Apply:
    """A pure operation of Pred, Bool, Math or Struct; `type` is the result's.

    operation                            operands
    pred.eq ne                           two of one IntegerType, two Boolean, or two unit
    pred.lt le gt ge                     two of one IntegerType
    pred.empty, struct.size (UInt32)     text, bytes or list: Place, Constant or ListValue.
                                         The size of a text counts bytes without the final zero.
    struct.element                       ListValue or list Constant, index; an error if outside
    bool.not                             Boolean
    bool.all any                         one list of Boolean: ListValue or Constant
    bool.cond                            Boolean, then, else (of one scalar type)
    math.add sub mul and or              two of the result's type; add sub mul: error on overflow
    math.not                             one of the result's type (bitwise complement in its width;
                                         of a signed number: -x - 1)
    math.neg abs                         one of the result's type, signed; error on overflow
    math.sum product                     one list of the result's type: ListValue, Constant, or a
                                         Place (array, sequence or bytes); error if a partial
                                         result, from the left, overflows
    math.widen                           one integer whose values all fit the result's type
    """

    operation: str
    operands: tuple[Expression, ...]
    type: Type


@dataclass(frozen=True, slots=True)
class Logical:
    """`&&`, `||`, `==>` on Boolean, with short-circuit."""

    operator: Literal["and", "or", "implies"]
    left: Expression
    right: Expression
    type: Type


@dataclass(frozen=True, slots=True)
class Query:
    """An expression method of a policy object, such as `door.query { sid : s }`.

    `arguments` are in the order of the method's signature. `site` is set if an audit profile may
    have the call recorded.
    """

    object: int
    method: str
    arguments: tuple[tuple[str, Expression], ...]
    type: Type
    site: int | None = None


Expression: TypeAlias = Constant | Sid | Place | ListValue | RecordValue | Apply | Logical | Query


def items_of(expression: Expression) -> tuple[Expression, ...]:
    """The items of a list, written out or constant."""
    if isinstance(expression, ListValue):
        return expression.items
    assert isinstance(expression, Constant) and isinstance(expression.value, tuple), expression
    return tuple(Constant(item, expression.type) for item in expression.value)


# ---- items of a binding ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Watch:
    """What the audit profile in force at a site has recorded at one audit level.

    A rule called is recorded if its result is in `results`, an expression called if `values`;
    neither if the SID is, before the call, in a state that `omit` names (a SID without a state is
    in none of them). An evaluation that failed is recorded if `results` has that.
    """

    level: int
    results: frozenset[Result] = frozenset()
    values: bool = False
    omit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the policy that can decide an event, or an expression method whose calls may be
    recorded; its index in `PolicyTree.sites` is its id.

    `text` is the source text. For a `choice`, object is "" and method "choice"; for an expression
    statement they are those of the outermost method, or "" and "expression". `watches` are by
    level, ascending.
    """

    id: int
    location: Location
    object: str
    method: str
    text: str
    watches: tuple[Watch, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule called. A lone argument has the name "value"; `grant ()` and `deny ()` have none."""

    site: int
    object: int
    method: str
    arguments: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Evaluate:
    """An expression as a statement: evaluated for its errors only, counts as no rule."""

    site: int
    expression: Expression


@dataclass(frozen=True, slots=True)
class Condition:
    """Selectors. All that are set must equal the event's; None matches anything.

    `src` and `dst` are class indices. `interface`, `component` (innermost) and `endpoint` are names
    as in `Endpoint`; of the server's endpoint called, for responses and errors too. `method` is the
    method's name; for security events it is qualified by the component instance path.
    """

    src: int | None = None
    dst: int | None = None
    interface: str | None = None
    component: str | None = None
    endpoint: str | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    condition: Condition
    items: tuple[Item, ...]
    location: Location


@dataclass(frozen=True, slots=True)
class Branch:
    """`label` is of the scrutinee's type: int, bool or str; states are compared by name. Of a
    `Query` it is what the model takes it for (`Model.choose`), such as a pattern or a level."""

    label: int | bool | str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The first branch whose label applies to the scrutinee, else `default`; neither: denied at
    `site`.

    An error in evaluating the scrutinee is a failure at `site`. A `default` of None means there is
    no `_` branch.
    """

    site: int
    scrutinee: Expression
    branches: tuple[Branch, ...]
    default: tuple[Item, ...] | None


Item: TypeAlias = Rule | Evaluate | Match | Choice


@dataclass(frozen=True, slots=True)
class Binding:
    kind: Kind
    condition: Condition
    items: tuple[Item, ...]
    location: Location
    text: str


# ---- the policy ------------------------------------------------------------


@dataclass(frozen=True)
class PolicyObject:
    """An object of a model. `config` is the model's own checked configuration (for Flow,
    `kss.models.flow.FlowConfig`; None for models without parameters).

    `identity` is a canonical text of model, types and configuration: objects of two policies with
    equal name and identity may exchange state.
    """

    name: str
    index: int
    model: str
    types: Mapping[str, Type]
    config: object
    identity: str
    location: Location


@dataclass(frozen=True)
class AuditProfile:
    """level -> object name -> condition name ("kss", "emit", "omit") -> listed names."""

    name: str
    levels: Mapping[int, Mapping[str, Mapping[str, tuple[str, ...]]]]
    location: Location


@dataclass(frozen=True)
class PolicyTree:
    """`classes[i].index == i`, `objects[i].index == i`, `sites[i].id == i`.

    Bindings, sites and declared objects are in order of evaluation: files in the order in which
    they are first included (a file before those it includes), declarations as they stand.
    """

    classes: tuple[EntityClass, ...]
    objects: tuple[PolicyObject, ...]
    bindings: tuple[Binding, ...]
    sites: tuple[Site, ...]
    profiles: Mapping[str, AuditProfile] = field(default_factory=dict)
    audit_default: tuple[str, int] = ("empty", 0)
    tests: tuple[TestSet, ...] = ()
