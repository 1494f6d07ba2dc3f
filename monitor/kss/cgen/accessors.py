"""C functions that write and read the data of one span of a message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kss import layout
from kss.cgen.names import Names, dimensions
from kss.cgen.spots import Spot, Steps
from kss.layout import MessageType


def accessors(names: Names, name: str, message: MessageType, spot: Spot) -> Iterator[str]:
    """The functions for one spot of the message struct `name`."""
    yield _at(name, message, spot)
    yield _part(name, spot)
    yield _setter(names, name, message, spot)
    yield _getter(names, name, spot)


def _sum(start: str, steps: Steps) -> str:
    return " + ".join([start, *(f"i{number} * {size}u" for number, size in steps)])


def _parameters(spot: Spot) -> str:
    return "".join(f", uint32_t i{number}" for number in range(len(spot.limits)))


def _passed(spot: Spot) -> str:
    return "".join(f", i{number}" for number in range(len(spot.limits)))


def _reader(name: str, spot: Spot, kind: str, verb: str, more: str = "") -> str:
    """The head of a function that looks at a message of `length` bytes."""
    return (
        f"static inline {kind}{name}_{verb}_{spot.name}(\n"
        f"    const struct {name} *m, uint32_t length{_parameters(spot)}{more})"
    )


def _at(name: str, message: MessageType, spot: Spot) -> str:
    """Finds the span itself: the sequence around it, then indices and tags."""
    outer, known, start, find = spot.outer, 0, "", ""
    conditions = [f"idl_sound(length, {name}_size, {message.arena}u)"]
    if outer:
        assert isinstance(outer.wire, layout.Sequence)
        known, start = len(outer.limits), "s.offset + "
        find = f"    struct idl_span s = {name}_part_{outer.name}(m, length{_passed(outer)});\n"
        conditions = [f"i{known} < s.size / {outer.wire.element.size}u"]
        known += 1
    conditions += [f"i{n} < {spot.limits[n]}u" for n in range(known, len(spot.limits))]
    conditions += [
        f"idl_tag(m, {_sum(f'{start}{tag.offset}u', tag.strides)}) == {tag.value}u"
        for tag in spot.tags
    ]
    unused = "" if outer or spot.tags else "    (void)m;\n"
    place = _sum(f"{start}{spot.offset}u", spot.strides)
    return (
        f"{_reader(name, spot, 'uint32_t ', 'at')}\n{{\n{unused}{find}"
        f"    return {_all(conditions)} ? {place} : 0u;\n}}"
    )


def _all(conditions: Iterable[str]) -> str:
    return "\n        && ".join(conditions)


def _part(name: str, spot: Spot) -> str:
    return (
        f"{_reader(name, spot, 'struct idl_span ', 'part')}\n{{\n"
        f"    return idl_part(m, length, {name}_size,\n"
        f"        {name}_at_{spot.name}(m, length{_passed(spot)}), {spot.capacity}u);\n}}"
    )


def _setter(names: Names, name: str, message: MessageType, spot: Spot) -> str:
    put = "idl_put"
    match spot.wire:
        case layout.Sequence(element, limit):
            given = f"const {names.type(element)} *items, uint32_t count"
            check, data = f"count <= {limit}u && ", f"items, count * {element.size}u"
        case layout.String(limit):
            put, given, check, data = "idl_put_text", "const char *text", "", f"text, {limit}u"
        case _:
            given, data = "const void *data, uint32_t size", "data, size"
            check = f"size <= {spot.capacity}u && "
    return f"""\
static inline bool {name}_set_{spot.name}(
    struct {name} *m, uint32_t *length{_parameters(spot)}, {given})
{{
    struct idl_place place = {{
        {name}_at_{spot.name}(m, *length{_passed(spot)}), {name}_size,
        {_sum(f"{spot.region}u", spot.steps)}, {message.arena}u
    }};
    return {check}{put}(m, length, place, {data});
}}"""


def _getter(names: Names, name: str, spot: Spot) -> str:
    part = f"{name}_part_{spot.name}(m, length{_passed(spot)})"
    match spot.wire:
        case layout.String():
            head, body = _reader(name, spot, "const char *", "get"), f"idl_text(m, {part})"
        case layout.Sequence(element, _):
            item = f"{names.type(element)} {_pointer('item', dimensions(element))}"
            head = (
                f"{_reader(name, spot, 'uint32_t ', 'count')}\n"
                f"{{\n    return {part}.size / {element.size}u;\n}}\n"
                f"{_reader(name, spot, 'bool ', 'get', f', uint32_t index, {item}')}"
            )
            body = f"idl_item(m, {part}, index, item, {element.size}u)"
        case _:
            head = _reader(name, spot, "const uint8_t *", "get", ", uint32_t *size")
            body = f"idl_bytes(m, {part}, size)"
    return f"{head}\n{{\n    return {body};\n}}"


def _pointer(name: str, dimensions: str) -> str:
    return f"(*{name}){dimensions}" if dimensions else f"*{name}"
