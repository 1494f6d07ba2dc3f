"""Positions: the scanner agrees with tomllib about structure, and what stands at a position
means what tomllib says it means."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khs.config import toml
from khs.config.model import Position
from khs.errors import ConfigError

ALPHABET = st.characters(codec="utf-8", exclude_characters="\r")
TEXTS = st.text(ALPHABET, max_size=8) | st.sampled_from(
    ['a"b', "it's", "#no", "x = [1]", "]\n}", "\\"]
)
SCALARS = (
    TEXTS
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.datetimes()
    | st.dates()
    | st.times()
)
KEYS = st.text("abc-_019", min_size=1, max_size=4) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=5)


class Writer:
    """Writes data as TOML, choosing among the spellings that mean the same."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def document(self, data: dict[str, Any]) -> str:
        return self.blank() + self.table((), data)

    def table(self, path: tuple[str, ...], data: dict[str, Any]) -> str:
        """Pairs first, then the tables that get headers of their own."""
        pairs, sections = "", ""
        for key, value in data.items():
            here = (*path, key)
            if isinstance(value, dict) and self.random.random() < 0.5:
                sections += self.header("[", here, "]") + self.table(here, value)
            elif is_tables(value) and self.random.random() < 0.5:
                for element in value:
                    sections += self.header("[[", here, "]]") + self.table(here, element)
            elif isinstance(value, dict) and value and self.random.random() < 0.4:
                for inner, element in value.items():
                    pairs += self.pair((key, inner), element)
            else:
                pairs += self.pair((key,), value)
        return pairs + sections

    def header(self, opening: str, path: tuple[str, ...], closing: str) -> str:
        return f"{self.space()}{opening}{self.space()}{self.keys(path)}{self.space()}{closing}{self.end()}"

    def pair(self, path: tuple[str, ...], value: Any) -> str:
        return f"{self.space()}{self.keys(path)}{self.space()}={self.space()}{self.value(value)}{self.end()}"

    def keys(self, path: tuple[str, ...]) -> str:
        return f"{self.space()}.{self.space()}".join(map(self.key, path))

    def key(self, key: str) -> str:
        bare = key and all(c in "abcdefghijklmnopqrstuvwxyz0123456789-_" for c in key)
        if bare and self.random.random() < 0.7:
            return key
        return self.line_text(key)

    def line_text(self, text: str) -> str:
        plain = all(c == "\t" or (c >= " " and c not in "'\x7f") for c in text)
        return f"'{text}'" if plain and self.random.random() < 0.5 else basic(text)

    def value(self, value: Any) -> str:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, dict):
            inner = f",{self.space()}".join(
                f"{self.space()}{self.key(k)} ={self.space()}{self.value(v)}"
                for k, v in value.items()
            )
            return f"{{{inner}{self.space()}}}"
        if isinstance(value, list):
            inner = f"{self.blank()},{self.blank()}".join(map(self.value, value))
            comma = "," if value and self.random.random() < 0.5 else ""
            return f"[{self.blank()}{inner}{self.blank()}{comma}{self.blank()}]"
        return value.isoformat() if hasattr(value, "isoformat") else repr(value)

    def text(self, text: str) -> str:
        kind = self.random.randrange(4)
        if kind == 0:
            return (
                '"""'
                + ("\n" if self.random.random() < 0.5 or text[:1] == "\n" else "")
                + lines(text)
                + '"""'
            )
        printable = all(c in "\t\n" or (c >= " " and c != "\x7f") for c in text)
        if kind == 1 and printable and "'" not in text:
            return "'''\n" + text + "'''"
        return self.line_text(text)

    def space(self) -> str:
        return self.random.choice(["", "", " ", "\t "])

    def end(self) -> str:
        return self.space() + self.random.choice(["\n", "\n\n", ' # comment ] } = "\n', "\r\n"])

    def blank(self) -> str:
        return self.random.choice(["", "", " ", "\n", "\n  # it's [a] comment\n", "\r\n"])


def is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def basic(text: str) -> str:
    escaped = (f"\\U{ord(c):08x}" if c < " " or c in '"\\\x7f' else c for c in text)
    return '"' + "".join(escaped) + '"'


def lines(text: str) -> str:
    keep = "\t\n"
    return "".join(
        c
        if c in keep
        else f"\\u{ord(c):04x}"
        if c < " " or c == "\x7f"
        else {"\\": "\\\\", '"': '\\"'}.get(c, c)
        for c in text
    )


def leaves(path: toml.Path_, value: Any) -> Iterator[tuple[toml.Path_, Any]]:
    """Every path below and the value there."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves((*path, key), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves((*path, index), inner)


def at(text: str, position: Position) -> str:
    """The text from a position on."""
    rows = text.replace("\r\n", "\n").split("\n")
    return "\n".join([rows[position.line - 1][position.column - 1 :], *rows[position.line :]])


@settings(deadline=None, max_examples=300)
@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_positions_agree_with_tomllib(data: dict[str, Any], random: Random) -> None:
    text = Writer(random).document(data)
    parsed = tomllib.loads(text)
    assert parsed == data
    source = toml.parse(text, "system.toml")
    assert source.data == data
    everything = dict(leaves((), parsed))
    assert source.marks.keys() == everything.keys()
    for path, mark in source.marks.items():
        assert at(text, mark.value).startswith(mark.text)
        value = everything[path]
        if not isinstance(value, dict | list) or (mark.text[0] in "[{" and mark.key != mark.value):
            assert tomllib.loads(f"value = {mark.text}")["value"] == value
        if isinstance(path[-1], str):
            assert key_at(at(text, mark.key)) == path[-1]


def key_at(text: str) -> str:
    """The key that a text begins with."""
    end = next(i for i in range(1, len(text) + 1) if parses(text[:i], text[i : i + 1]))
    return next(iter(tomllib.loads(f"{text[:end]} = 0")))


def parses(key: str, following: str) -> bool:
    """Is it a whole key?"""
    if key[0] not in "\"'" and following and (following.isalnum() or following in "-_"):
        return False
    try:
        return len(tomllib.loads(f"{key} = 0")) == 1 and not key[-1].isspace()
    except tomllib.TOMLDecodeError:
        return False


def test_table_positions() -> None:
    source = toml.parse(
        "a = 1\n[ b . 'c d' ]\nx.y = [ 2,\n  { z = '''3''' } ]\n[[t]]\n[[t]]\nk = 1", "f"
    )
    places = {path: (mark.key[1:], mark.value[1:]) for path, mark in source.marks.items()}
    assert places == {
        ("a",): ((1, 1), (1, 5)),
        ("b",): ((2, 3), (2, 3)),
        ("b", "c d"): ((2, 7), (2, 7)),
        ("b", "c d", "x"): ((3, 1), (3, 1)),
        ("b", "c d", "x", "y"): ((3, 3), (3, 7)),
        ("b", "c d", "x", "y", 0): ((3, 9), (3, 9)),
        ("b", "c d", "x", "y", 1): ((4, 3), (4, 3)),
        ("b", "c d", "x", "y", 1, "z"): ((4, 5), (4, 9)),
        ("t",): ((5, 3), (5, 3)),
        ("t", 0): ((5, 3), (5, 3)),
        ("t", 1): ((6, 3), (6, 3)),
        ("t", 1, "k"): ((7, 1), (7, 5)),
    }


@settings(deadline=None, max_examples=200)
@given(st.text(st.sampled_from("ab=.[]{}\"'\n#,1\\ \r\x00é"), max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        source = toml.parse(text, "f")
    except ConfigError as error:
        (finding,) = error.findings
        assert finding.rule == "TOML-001" and finding.line >= 1 and finding.column >= 1
    else:
        assert source.marks.keys() == dict(leaves((), source.data)).keys()


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000 + "]" * 5000, "a = " + "{b=" * 5000, "a = 1" + "0" * 5000]
)
def test_hostile_texts(text: str) -> None:
    with pytest.raises(ConfigError, match="TOML-001"):
        toml.parse(text, "f")


def test_overlay_merges_tables_and_replaces_the_rest() -> None:
    base = toml.parse("[a]\nx = 1\ny = [1, 2]\nz = { p = 1, q = 2 }\n[b]\nk = 1\n", "base")
    top = toml.parse("[a]\ny = [3]\nz.q = 5\n[c]\nn = 1\n", "top")
    source = toml.overlay(base, top)
    assert source.data == {
        "a": {"x": 1, "y": [3], "z": {"p": 1, "q": 5}},
        "b": {"k": 1},
        "c": {"n": 1},
    }
    assert source.marks.keys() == dict(leaves((), source.data)).keys()
    where = {path: (mark.value.file, mark.value.line) for path, mark in source.marks.items()}
    assert where["a", "y"] == ("top", 2) and where["a", "y", 0] == ("top", 2)
    assert where["a", "z", "p"] == ("base", 4) and where["a", "z", "q"] == ("top", 3)
    assert base.data["a"]["y"] == [1, 2], "the base is not changed"


@settings(deadline=None, max_examples=100)
@given(DOCUMENTS, DOCUMENTS, st.randoms(use_true_random=False))
def test_overlay_keeps_a_position_for_everything(
    one: dict[str, Any], two: dict[str, Any], random: Random
) -> None:
    base = toml.parse(Writer(random).document(one), "base")
    top = toml.parse(Writer(random).document(two), "top")
    source = toml.overlay(base, top)
    assert source.marks.keys() == dict(leaves((), source.data)).keys()
    assert toml.overlay(source, top).data == source.data
    assert toml.overlay(base, toml.parse("", "nothing")).data == one


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "system.toml"
    path.write_bytes(b"#" * (toml.LIMIT + 1))
    with pytest.raises(ConfigError, match="4 MiB"):
        toml.read(path)
