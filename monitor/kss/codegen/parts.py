"""Dictionaries and tuples, taken apart into the expressions of their scalars.

Every error of the whole is an error of one of the parts, as expressions have no effects.
"""

from __future__ import annotations

from collections.abc import Iterator

from kss import places
from kss.tree import Apply, Constant, Expression, ListValue, Place, RecordValue
from kss.types import ListType, RecordType, TupleType, Type


def scalar_types(kind: Type) -> Iterator[Type]:
    """The types of the scalars in a value, in order."""
    if isinstance(kind, RecordType | TupleType):
        for _, part in _parts(kind):
            yield from scalar_types(part)
    else:
        yield kind


def scalars(value: Expression, kind: Type) -> Iterator[Expression]:
    """The scalars of a value of the type, in order."""
    if isinstance(kind, RecordType | TupleType):
        for index, (name, part) in enumerate(_parts(kind)):
            yield from scalars(_part(value, index, name, part), part)
    else:
        yield value


def _parts(kind: RecordType | TupleType) -> tuple[tuple[str, Type], ...]:
    return kind.fields if isinstance(kind, RecordType) else tuple(("", item) for item in kind.items)


def _part(value: Expression, index: int, name: str, kind: Type) -> Expression:
    match value:
        case RecordValue(fields):
            return fields[index][1]
        case ListValue(items):
            return items[index]
        case Place():
            return places.field(value, name)
        case Apply("struct.element", (values, at)):
            return Apply("struct.element", (_parts_of_each(values, index, name, kind), at), kind)
    assert isinstance(value, Constant) and isinstance(value.value, tuple), value
    return Constant(value.value[index], kind)


def _parts_of_each(values: Expression, index: int, name: str, kind: Type) -> Expression:
    """The list of the parts, for a list of values."""
    if isinstance(values, Apply):
        lists, at = values.operands
        return Apply(values.operation, (_parts_of_each(lists, index, name, kind), at), values.type)
    if isinstance(values.type, ListType) and isinstance(values.type.element, ListType):
        inner = tuple(_parts_of_each(item, index, name, kind) for item in _items(values))
        return ListValue(inner, ListType(ListType(kind)))
    return ListValue(
        tuple(_part(item, index, name, kind) for item in _items(values)), ListType(kind)
    )


def _items(values: Expression) -> tuple[Expression, ...]:
    if isinstance(values, ListValue):
        return values.items
    assert isinstance(values, Constant) and isinstance(values.type, ListType), values
    assert isinstance(values.value, tuple), values
    return tuple(Constant(item, values.type.element) for item in values.value)
