"""Random message types and values for them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from kss import layout
from kss.layout import (
    Array,
    Bytes,
    Direction,
    Handle,
    Integer,
    Sequence,
    String,
    WireType,
    make_message,
    make_struct,
    make_union,
)

INTEGERS = [Integer(bits, signed) for bits in (8, 16, 32, 64) for signed in (False, True)]
U8, U16, U32, U64 = (Integer(bits, False) for bits in (8, 16, 32, 64))


def members(types: st.SearchStrategy[WireType]) -> st.SearchStrategy[list[tuple[str, WireType]]]:
    return st.lists(types, min_size=1, max_size=4).map(
        lambda found: [(f"f{number}", kind) for number, kind in enumerate(found)]
    )


SIZES = st.integers(1, 4)
SIMPLE: st.SearchStrategy[WireType] = st.one_of(
    st.sampled_from(INTEGERS), st.just(Handle()), st.builds(Bytes, SIZES), st.builds(String, SIZES)
)
TYPES = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.builds(Array, inner, SIZES),
        st.builds(Sequence, inner, SIZES),
        members(inner).map(lambda found: make_struct("S", found)),
        members(inner).map(lambda found: make_union("U", found)),
    ),
    max_leaves=6,
)


def values(wire: WireType) -> st.SearchStrategy[Any]:
    match wire:
        case Integer(bits, signed):
            low = -(1 << (bits - 1)) if signed else 0
            return st.integers(low, low + (1 << bits) - 1)
        case Handle():
            return st.fixed_dictionaries({"handle": values(U32), "rights": values(U32)})
        case Bytes(limit):
            return st.binary(max_size=limit)
        case String(limit):
            letters = st.characters(min_codepoint=1, max_codepoint=127)
            return st.text(letters, max_size=limit)
        case Array(element, count):
            return st.lists(values(element), min_size=count, max_size=count)
        case Sequence(element, limit):
            return st.lists(values(element), max_size=limit)
        case layout.Struct(_, fields):
            return st.fixed_dictionaries({field.name: values(field.type) for field in fields})
        case layout.Union(_, fields):
            return st.one_of(
                [st.fixed_dictionaries({field.name: values(field.type)}) for field in fields]
            )


MESSAGES = members(TYPES).map(lambda found: make_message(Direction.IN, found))
VALUED = MESSAGES.flatmap(
    lambda kinds: st.tuples(st.just(kinds), values(layout.Struct("message", kinds.fields)))
)
