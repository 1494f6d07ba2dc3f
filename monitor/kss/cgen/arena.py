"""Setters and getters of what lies in the arena: bytes, strings and sequences.

A message that is built with setters has a fixed region of the arena for every descriptor, in
descending alignment. A message that is received may be laid out otherwise: getters follow the
descriptors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod

from kss import layout
from kss.cgen.names import c_type
from kss.layout import Field, MessageType, WireType


@dataclass(frozen=True)
class Spot:
    """A descriptor and the region it points to.

    The descriptor lies at `offset` plus index x stride for each of `strides`, counted from the
    constant part, or from the region of the sequence `outer`. `limits` bound the index of each
    enclosing array and sequence, outermost first.
    """

    name: str
    wire: WireType
    limits: tuple[int, ...] = ()
    offset: int = 0
    strides: tuple[tuple[int, int], ...] = ()  # (number of the index, bytes)
    outer: Spot | None = None
    region: int = 0

    @property
    def capacity(self) -> int:
        """Bytes of one block."""
        if isinstance(self.wire, layout.Sequence):
            return self.wire.limit * self.wire.element.size
        return self.wire.arena

    @property
    def align(self) -> int:
        return self.wire.element.align if isinstance(self.wire, layout.Sequence) else 1

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Bytes by which each index moves through the region."""
        inner = range(len(self.limits))
        return tuple((n, prod(self.limits[n + 1 :]) * self.capacity) for n in inner)

    def indexed(self, limit: int, stride: int) -> Spot:
        strides = (*self.strides, (len(self.limits), stride))
        return replace(self, limits=(*self.limits, limit), strides=strides)


def spots(message: MessageType) -> list[Spot]:
    """Every descriptor of a message outside unions, a sequence before what lies within it."""
    found: list[Spot] = []
    _visit(message.fields, Spot("", layout.Handle()), found)
    regions: dict[str, int] = {}
    end = 0
    for spot in sorted(found, key=lambda spot: -spot.align):
        regions[spot.name] = end
        end += prod(spot.limits) * spot.capacity
    return [_with_regions(spot, regions) for spot in found]


def _with_regions(spot: Spot, regions: dict[str, int]) -> Spot:
    outer = _with_regions(spot.outer, regions) if spot.outer else None
    return replace(spot, region=regions[spot.name], outer=outer)


def _visit(fields: Iterable[Field], base: Spot, found: list[Spot]) -> None:
    for field in fields:
        name = f"{base.name}_{field.name}" if base.name else field.name
        _reach(field.type, replace(base, name=name, offset=base.offset + field.offset), found)


def _reach(wire: WireType, at: Spot, found: list[Spot]) -> None:
    match wire:
        case layout.Struct():
            _visit(wire.fields, at, found)
        case layout.Array(element, count):
            _reach(element, at.indexed(count, element.size), found)
        case layout.Bytes() | layout.String():
            _add(replace(at, wire=wire), found)
        case layout.Sequence(element, limit):
            spot = _add(replace(at, wire=wire), found)
            if element.arena:
                # what is directly an element has no name of its own
                name = f"{at.name}_item" if not isinstance(element, layout.Struct) else at.name
                inside = Spot(name, wire, at.limits, outer=spot).indexed(limit, element.size)
                _reach(element, inside, found)


def _add(spot: Spot, found: list[Spot]) -> Spot:
    """Notes a descriptor; `a.b` and `a_b` must not share a name."""
    while any(spot.name == other.name for other in found):
        spot = replace(spot, name=f"{spot.name}_")
    found.append(spot)
    return spot


# ---- C ---------------------------------------------------------------------


def _sum(offset: int, strides: Iterable[tuple[int, int]]) -> str:
    terms = [f"i{number} * {stride}u" for number, stride in strides]
    return " + ".join([*terms, f"{offset}u"])


def accessors(prefix: str, name: str, spot: Spot) -> Iterator[str]:
    """The functions for one descriptor of message struct `name`."""
    yield _span(name, spot)
    yield _setter(prefix, name, spot)
    if isinstance(spot.wire, layout.Sequence):
        yield _sequence_getters(prefix, name, spot, spot.wire)
    else:
        yield _getter(name, spot)


def _indices(spot: Spot) -> str:
    return "".join(f"uint32_t i{number}, " for number in range(len(spot.limits)))


def _passed(spot: Spot) -> str:
    return "".join(f"i{number}, " for number in range(len(spot.limits)))


def _span(name: str, spot: Spot) -> str:
    """Finds the descriptor of a received message."""
    outer, checks = spot.outer, ""
    known = len(outer.limits) if outer else 0
    start = f"(const uint8_t *)m + {_sum(spot.offset, spot.strides)}"
    if outer is not None:
        assert isinstance(outer.wire, layout.Sequence)
        size = outer.wire.element.size
        found = f"{name}_span_{outer.name}(m, {_passed(outer)}s)"
        checks = f"    if (!{found} || i{known} >= s->size / {size}u)\n        return 0;\n"
        start = f"(const uint8_t *)m + {name}_SIZE + s->offset + {_sum(spot.offset, spot.strides)}"
        known += 1
    for number in range(known, len(spot.limits)):
        checks += f"    if (i{number} >= {spot.limits[number]}u)\n        return 0;\n"
    return f"""\
static inline int {name}_span_{spot.name}(
    const struct {name} *m, {_indices(spot)}struct kss_msg_span *s)
{{
{checks}    *s = kss_msg_span_at({start});
    return 1;
}}"""


def _setter(prefix: str, name: str, spot: Spot) -> str:
    wire, outer = spot.wire, spot.outer
    place = f"(uint8_t *)&b->message + {_sum(spot.offset, spot.strides)}"
    if outer is not None:
        start = _sum(outer.region + spot.offset, (*outer.blocks, *spot.strides))
        place = f"b->arena + {start}"
    if isinstance(wire, layout.Sequence):
        put, amount, limit = "kss_msg_put", "count", wire.limit
        given = f"const {c_type(prefix, wire.element)} *items"
        data = f"items, count * {wire.element.size}u"
    elif isinstance(wire, layout.String):
        put, amount, limit = "kss_msg_put_text", "length", wire.limit
        given, data = "const char *text", "text, length"
    else:
        assert isinstance(wire, layout.Bytes)
        put, amount, limit = "kss_msg_put", "size", wire.limit
        given, data = "const void *data", "data, size"
    tests = [f"i{number} >= {bound}u" for number, bound in enumerate(spot.limits)]
    test = " || ".join([*tests, f"{amount} > {limit}u"])
    return f"""\
static inline int {name}_set_{spot.name}(
    struct {name}_buf *b, {_indices(spot)}{given}, uint32_t {amount})
{{
    if ({test})
        return 0;
    return {put}({place}, b->arena, &b->used,
        {_sum(spot.region, spot.blocks)}, {data});
}}"""


def _getter(name: str, spot: Spot) -> str:
    """A pointer to bytes or text within the message; the length does not count the final zero."""
    text = isinstance(spot.wire, layout.String)
    kind = "const char *" if text else "const uint8_t *"
    amount = "length" if text else "size"
    empty = '    if (s.size == 0)\n        return "";\n' if text else ""
    value = "s.size ? s.size - 1 : 0" if text else "s.size"
    return f"""\
static inline {kind}{name}_get_{spot.name}(
    const struct {name} *m, {_indices(spot)}uint32_t *{amount})
{{
    struct kss_msg_span s;
    *{amount} = 0;
    if (!{name}_span_{spot.name}(m, {_passed(spot)}&s))
        return ({kind})0;
    *{amount} = {value};
{empty}    return ({kind})kss_msg_data(m, {name}_SIZE, s);
}}"""


def _sequence_getters(prefix: str, name: str, spot: Spot, wire: layout.Sequence) -> str:
    size, element = wire.element.size, wire.element
    dimensions = ""
    while isinstance(element, layout.Array):
        dimensions += f"[{element.count}]"
        element = element.element
    item = f"{c_type(prefix, element)} (*item){dimensions}"
    return f"""\
static inline uint32_t {name}_count_{spot.name}(const struct {name} *m{_tail(_indices(spot))})
{{
    struct kss_msg_span s;
    return {name}_span_{spot.name}(m, {_passed(spot)}&s) ? s.size / {size}u : 0;
}}
static inline int {name}_get_{spot.name}(
    const struct {name} *m, {_indices(spot)}uint32_t index, {item})
{{
    struct kss_msg_span s;
    if (!{name}_span_{spot.name}(m, {_passed(spot)}&s) || index >= s.size / {size}u)
        return 0;
    kss_msg_copy(item, kss_msg_data(m, {name}_SIZE, s) + index * {size}u, {size}u);
    return 1;
}}"""


def _tail(parameters: str) -> str:
    return f", {parameters[:-2]}" if parameters else ""
