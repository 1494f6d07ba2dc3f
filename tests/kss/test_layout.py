"""Layouts, number by number."""

from __future__ import annotations

import json
from pathlib import Path

from kss import layout
from kss.api import load_class
from kss.layout import Array, Bytes, Direction, Handle, Integer, Sequence, String, make_message
from kss.show import layout_json

from tests.kss.conftest import LIB

U8, U16, U32, U64 = (Integer(bits, False) for bits in (8, 16, 32, 64))


def test_golden() -> None:
    """Every kind of parameter, as `kss layout` prints it."""
    vault = load_class("bank.Vault", [LIB])
    assert vault is not None
    golden = json.loads((Path(__file__).parent / "vault_layout.json").read_text())
    assert layout_json(vault) == golden


def test_natural_alignment_up_to_eight() -> None:
    inner = layout.make_struct("I", [("a", U8), ("b", U64), ("c", U8)])
    assert ([f.offset for f in inner.fields], inner.size, inner.align) == ([0, 8, 16], 24, 8)
    kinds = make_message(
        Direction.IN, [("a", U8), ("h", Handle()), ("b", U16), ("i", inner), ("s", String(1))]
    )
    assert [f.offset for f in kinds.fields] == [8, 12, 20, 24, 48]
    assert (kinds.size, kinds.arena, kinds.handles) == (56, 2, 1)


def test_bare_header() -> None:
    kinds = make_message(Direction.OUT, [])
    assert (kinds.size, kinds.arena, kinds.handles) == (8, 0, 0)


def test_arena_and_handles() -> None:
    pair = layout.make_struct("P", [("h", Handle()), ("name", String(3))])
    assert (Sequence(pair, 4).arena, Sequence(pair, 4).handles) == (4 * (16 + 4), 4)
    assert (Array(Bytes(5), 3).arena, Array(Bytes(5), 3).size) == (15, 24)
    either = layout.make_union("E", [("a", Bytes(9)), ("b", Sequence(Handle(), 2)), ("c", U8)])
    assert (either.size, either.arena, either.handles) == (12, 16, 2)
    mixed = layout.make_union("M", [("words", Sequence(U64, 1)), ("raw", Bytes(9))])
    assert (mixed.arena, Array(mixed, 2).arena, layout.arena_align(Array(mixed, 2))) == (16, 32, 8)
    wide = layout.make_union("W", [("a", U8), ("b", U64)])
    assert ([m.offset for m in wide.members], wide.size, wide.align) == ([8, 8], 16, 8)
    small = layout.make_union("S", [("a", U8), ("b", U16)])
    assert ([m.offset for m in small.members], small.size, small.align) == ([4, 4], 8, 4)
