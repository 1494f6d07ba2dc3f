"""A user's own model after checking: names resolved, every expression typed.

The interpreter (`kss.own.interpret`) and the compiler (`kss.own.emit`) share this and nothing else.
Expressions have no effects. Evaluation errors, which deny the event and undo what it changed: an
arithmetic result that its type does not hold; a field of a SID that has no context; `create` for a
SID that has one, is none, or finds no room; `drop` for one that has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from kss.types import BOOLEAN, BooleanType, IntegerType

# ---- types -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Names:
    """One of several names: of `members`, or of those that a configuration parameter lists."""

    members: tuple[str, ...] = ()
    parameter: str = ""

    def __str__(self) -> str:
        return self.parameter or " | ".join(f'"{name}"' for name in self.members)


@dataclass(frozen=True, slots=True)
class NameSet:
    of: Names

    def __str__(self) -> str:
        return f"Set[{self.of}]"


@dataclass(frozen=True, slots=True)
class Relation:
    """A configuration parameter: each name's set of names. `ordered`: with all that can be reached
    from it, and itself."""

    key: Names
    value: Names
    ordered: bool = False

    def __str__(self) -> str:
        return f"Order[{self.key}]" if self.ordered else f"Map[{self.key}, {self.value}]"


Type: TypeAlias = IntegerType | BooleanType | Names | NameSet
Setting: TypeAlias = IntegerType | Names | Relation

# ---- expressions -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constant:
    value: int | bool | str
    type: Type


@dataclass(frozen=True, slots=True)
class Setpoint:
    """An integer of the configuration."""

    name: str
    type: IntegerType


@dataclass(frozen=True, slots=True)
class Local:
    """A parameter of the method, a local variable, or the variable of a loop."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class FieldOf:
    """A field of a SID's context."""

    name: str
    sid: Expression
    type: Type


@dataclass(frozen=True, slots=True)
class Has:
    """Whether a SID has a context."""

    sid: Expression
    type: Type = BOOLEAN


@dataclass(frozen=True, slots=True)
class Unary:
    """`not` of Boolean; `-` of signed and `~` of any integers."""

    operator: str
    operand: Expression
    type: Type


@dataclass(frozen=True, slots=True)
class Binary:
    """`+ - * & |` of integers, with operands whose values the result's type holds (of `& |`, of
    unsigned ones); `| & -` of sets: union, intersection, difference."""

    operator: str
    left: Expression
    right: Expression
    type: Type


@dataclass(frozen=True, slots=True)
class Compare:
    """`== !=` of one type, or of integers of one sign; `< <= > >=` of such integers; `<=` of sets:
    whether one is part of the other."""

    operator: str
    left: Expression
    right: Expression
    type: Type = BOOLEAN


@dataclass(frozen=True, slots=True)
class Logical:
    """`and`, `or`: the right side is evaluated if it counts."""

    operator: str
    left: Expression
    right: Expression
    type: Type = BOOLEAN


@dataclass(frozen=True, slots=True)
class Member:
    """Whether a name is in a set."""

    name: Expression
    set: Expression
    type: Type = BOOLEAN


@dataclass(frozen=True, slots=True)
class SetOf:
    """`{ a, b }`."""

    items: tuple[Expression, ...]
    type: NameSet


@dataclass(frozen=True, slots=True)
class Selected:
    """`{ x for x in names if condition }`: all names for which it holds."""

    variable: str
    condition: Expression
    type: NameSet


@dataclass(frozen=True, slots=True)
class Related:
    """A name's set in a `Relation` of the configuration."""

    name: str
    key: Expression
    type: NameSet


@dataclass(frozen=True, slots=True)
class Ask:
    """Another method's value: an expression declared before."""

    method: str
    arguments: tuple[Expression, ...]
    type: Type


Expression: TypeAlias = (
    Constant
    | Setpoint
    | Local
    | FieldOf
    | Has
    | Unary
    | Binary
    | Compare
    | Logical
    | Member
    | SetOf
    | Selected
    | Related
    | Ask
)

# ---- statements ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Return:
    value: Expression


@dataclass(frozen=True, slots=True)
class If:
    condition: Expression
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The body for each value of the variable from 0 to below `count`, which is constant."""

    variable: Local
    count: Constant | Setpoint
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Assign:
    variable: Local
    value: Expression


@dataclass(frozen=True, slots=True)
class Store:
    field: str
    sid: Expression
    value: Expression


@dataclass(frozen=True, slots=True)
class Create:
    """A context for a SID; `values` are of all fields, in order."""

    sid: Expression
    values: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    sid: Expression


Statement: TypeAlias = Return | If | Repeat | Assign | Store | Create | Drop


def returns(statements: tuple[Statement, ...]) -> bool:
    """Whether a block always returns, as far as its form tells."""
    match statements[-1:]:
        case (Return(),):
            return True
        case (If(_, then, otherwise),):
            return returns(then) and returns(otherwise)
    return False


def changing(statements: tuple[Statement, ...]) -> set[str]:
    """The variables that are assigned to in more than one place."""
    once: set[str] = set()
    again: set[str] = set()
    pending = list(statements)
    while pending:
        match pending.pop():
            case Assign(variable):
                (again if variable.name in once else once).add(variable.name)
            case If(_, then, otherwise):
                pending += [*then, *otherwise]
            case Repeat(_, _, body):
                pending += body
    return again


# ---- the model -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """`default` is None if `create` must be given a value."""

    type: Type
    default: Constant | SetOf | None


@dataclass(frozen=True, slots=True)
class Method:
    """`result` is None for a rule: its body returns whether it grants. The body always returns."""

    name: str
    parameters: tuple[Local, ...]
    result: Type | None
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Definition:
    """`digest` tells models apart that mean different things."""

    name: str
    settings: Mapping[str, Setting]
    fields: Mapping[str, Field]
    methods: Mapping[str, Method]
    digest: str


# What a setting is for one object: an integer, names, or name -> names.
Value: TypeAlias = int | tuple[str, ...] | Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Config:
    """A model with the configuration of one object."""

    definition: Definition
    values: Mapping[str, Value]

    def members(self, names: Names) -> tuple[str, ...]:
        found = self.values[names.parameter] if names.parameter else names.members
        assert isinstance(found, tuple), names
        return found

    def number(self, count: Constant | Setpoint) -> int:
        found = self.values[count.name] if isinstance(count, Setpoint) else count.value
        assert isinstance(found, int), count
        return found

    def related(self, name: str, key: str) -> frozenset[str]:
        found = self.values[name]
        assert isinstance(found, Mapping), name
        return found.get(key, frozenset())
