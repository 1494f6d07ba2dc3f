"""Messages decode by their layout, and never beyond their bytes."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khs.trace.message import decode, show


def field(name: str, offset: int, size: int, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "offset": offset, "size": size, "type": kind, **more}


U8 = field("", 0, 1, "UInt8")
POINT = [field("x", 0, 2, "SInt16"), field("y", 2, 2, "SInt16")]
LAYOUT = {
    "size": 56,
    "arena": 64,
    "fields": [
        field("small", 8, 1, "SInt8"),
        field("large", 16, 8, "UInt64"),
        field("text", 24, 8, "string<8>"),
        field("raw", 32, 8, "bytes<8>"),
        field("list", 40, 8, "sequence<UInt8, 4>", element=U8),
        field("pair", 48, 2, "array<UInt8, 2>", element=U8),
        field("either", 52, 4, "Either", members=[field("number", 0, 4, "UInt32")]),
    ],
}


def test_every_type() -> None:
    constant = struct.pack("<IHHb7xQ", 1, 2, 0, -5, 2**63)
    constant += struct.pack("<IIIIII", 0, 3, 3, 2, 5, 4) + b"\x07\x08\0\0" + bytes(4)
    values = decode(LAYOUT, constant + b"hi\0" + b"\xaa\xbb" + b"\1\2\3\4")
    assert values == {
        "small": -5,
        "large": 2**63,
        "text": "hi",
        "raw": "aabb",
        "list": [1, 2, 3, 4],
        "pair": [7, 8],
        "either": {"number": 0},
    }


def test_struct_handle_and_wrong_tag() -> None:
    layout = {
        "size": 24,
        "fields": [
            field("at", 8, 4, "Point", fields=POINT),
            field("port", 12, 8, "Handle"),
            field("either", 20, 4, "Either", members=[]),
        ],
    }
    data = struct.pack("<8xhhIII", -1, 2, 7, 3, 9)
    assert decode(layout, data) == {
        "at": {"x": -1, "y": 2},
        "port": {"handle": 7, "rights": 3},
        "either": "?",
    }


def test_what_does_not_fit_is_shown_as_damaged() -> None:
    data = struct.pack("<8xb7xQIIIIII", 1, 1, 0, 9, 9, 9, 1, 4)
    values = decode(LAYOUT, data)
    assert values["text"] == values["raw"] == values["list"] == "?"
    assert decode(LAYOUT, b"")["large"] == "?"


def test_show_is_one_printable_line() -> None:
    assert show({"a": 'x\n"', "b": [1, {"c": "y" * 99}]}) == (
        '{a: "x\\n"", b: [1, {c: "' + "y" * 60 + '"...}]}'
    )


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"", '""'),
        (b"SET temp=450\n", '"SET temp=450\\n"'),
        ("Grüße\t".encode(), '"Grüße\\t"'),
        (b"\x1b[2J", "1b 5b 32 4a"),
        (b"\0\0A", "00 00 41"),
        (b"\xff\xfe", "ff fe"),
        (bytes(20), "00 " * 16 + "..."),
        (b"y" * 99, '"' + "y" * 60 + '"...'),
    ],
)
def test_bytes_are_shown_as_text_if_they_are_one(data: bytes, shown: str) -> None:
    layout = {"size": 16, "fields": [field("raw", 8, 8, "bytes<99>")]}
    values = decode(layout, struct.pack("<8xII", 0, len(data)) + data)
    assert show(values) == f"{{raw: {shown}}}"
    assert json.loads(json.dumps(values)) == {"raw": data.hex()}


@given(st.binary(max_size=90))
def test_any_bytes_decode(data: bytes) -> None:
    assert set(decode(LAYOUT, data)) == {row["name"] for row in LAYOUT["fields"]}  # type: ignore[index]
