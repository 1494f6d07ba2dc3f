"""Fields and elements: steps into a message or into a literal list or dictionary."""

from __future__ import annotations

from kss import layout, tree, types
from kss.errors import did_you_mean
from kss.layout import MessageType
from kss.numerals import MismatchError, settle
from kss.tree import Apply, Constant, ListValue, Place, RecordValue

_NO_ELEMENTS = "lists, sequences, arrays and bytes have elements"
_UINT8 = layout.Integer(8, False)
_UINT32 = layout.Integer(32, False)


def whole(message: MessageType) -> Place:
    """The message itself; it has no type as a value, only fields."""
    return Place(message, (), layout.Struct("message", message.fields), types.UNIT)


def field(value: tree.Expression, name: str) -> tree.Expression:
    """`value.name`. Raises MismatchError."""
    if isinstance(value, Place):
        return _extend(value, _field_step(value, name))
    if not isinstance(value, RecordValue):
        help = "only messages and dictionaries have fields"
        raise MismatchError("PSL-036", f"{value.type} has no fields", help)
    for known, item in value.fields:
        if known == name:
            return item
    help = did_you_mean(name, [known for known, _ in value.fields])
    raise MismatchError("PSL-033", f"no field {name}", help)


def _field_step(place: Place, name: str) -> tree.Step:
    wire = place.wire
    owner = str(wire) if place.steps else "the message"
    match wire:
        case layout.Struct(_, fields):
            names = [item.name for item in fields]
            if name in names:
                found = fields[names.index(name)]
                return tree.FieldStep(name, found.offset, found.type)
        case layout.Union(_, members):
            names = [item.name for item in members]
            if name in names:
                tag = names.index(name)
                return tree.MemberStep(name, tag, members[tag].offset, members[tag].type)
        case layout.Handle():
            names = ["handle", "rights"]
            if name == "handle":
                return tree.HandleStep("handle", 0, _UINT32)
            if name == "rights":
                return tree.HandleStep("rights", 4, _UINT32)
        case _:
            elements = isinstance(wire, layout.Array | layout.Sequence | layout.Bytes)
            help = "only structs, unions and handles have fields"
            help = "elements are reached with .[index]" if elements else help
            raise MismatchError("PSL-036", f"{wire} has no fields", help)
    raise MismatchError("PSL-033", f"{owner} has no field {name}", did_you_mean(name, names))


def element(value: tree.Expression, index: tree.Expression) -> tree.Expression:
    """`value.[index]`; the index has an integer type. Raises MismatchError."""
    if not isinstance(value, Place):
        return _list_element(settle(value), index)
    count: int | None = None
    match value.wire:
        case layout.Array(item, limit):
            count = limit
        case layout.Sequence(item, limit):
            pass
        case layout.Bytes(limit):
            item = _UINT8
        case _:
            raise MismatchError("PSL-036", f"{value.wire} has no elements", _NO_ELEMENTS)
    _must_be_in_bounds(index, limit)
    return _extend(value, tree.ElementStep(index, count, item))


def _list_element(value: tree.Expression, index: tree.Expression) -> tree.Expression:
    if not isinstance(value.type, types.ListType):
        raise MismatchError("PSL-036", f"{value.type} has no elements", _NO_ELEMENTS)
    if isinstance(value, ListValue):
        _must_be_in_bounds(index, len(value.items))
    elif isinstance(value, Constant) and isinstance(value.value, tuple):
        _must_be_in_bounds(index, len(value.value))
    return Apply("struct.element", (value, index), value.type.element)


def _must_be_in_bounds(index: tree.Expression, limit: int) -> None:
    if isinstance(index, Constant):
        assert isinstance(index.value, int)
        if not 0 <= index.value < limit:
            help = f"there are {limit} elements at most, counted from 0"
            raise MismatchError("PSL-039", f"index {index.value} is out of bounds", help)


def _extend(place: Place, step: tree.Step) -> Place:
    return Place(place.message, (*place.steps, step), step.wire, types.of_wire(step.wire))
