"""The hypercall table's types, and its reader.

Only the generator reads `hypercalls.toml`; everybody else imports the generated
`khs.abi.hypercalls`, which holds the same objects without parsing anything.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

SOURCE = Path(__file__).with_name("hypercalls.toml")
ARGUMENTS_MAX = 6

Kind = Literal["u32", "address", "in", "out", "struct"]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: `of` is the length argument of `in`/`out`, the struct's name of `struct`."""

    name: str
    kind: Kind
    of: str = ""


@dataclass(frozen=True, slots=True)
class Hypercall:
    """One row. `value` says what the second result is ("" = always 0), `event` what KSS judges."""

    number: int
    name: str
    group: str
    arguments: tuple[Argument, ...]
    errors: tuple[str, ...]
    event: str
    doc: str
    value: str = ""
    privilege: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """A return code."""

    number: int
    name: str
    doc: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a struct that the kernel writes: byte offset and size, type u32, u64 or u8[N]."""

    name: str
    type: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct that the kernel writes; `size` is that of its fields, there is no padding."""

    name: str
    fields: tuple[Field, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Service:
    """A method of the kernel's own class, raised as a `request` by a hypercall.

    `endpoint` is COMPONENT.ENDPOINT; `riid` and `mid` count in order of appearance, as the
    kernel's EDL declares them.
    """

    hypercall: str
    endpoint: str
    method: str
    riid: int
    mid: int


@dataclass(frozen=True, slots=True)
class Table:
    """The whole ABI."""

    codes: tuple[Code, ...]
    hypercalls: tuple[Hypercall, ...]
    constants: dict[str, int]
    structs: tuple[Struct, ...]
    services: tuple[Service, ...]


def load(source: Path = SOURCE) -> Table:
    """Reads and checks the table; ValueError names the row that is wrong."""
    raw = tomllib.loads(source.read_text(encoding="utf-8"))
    codes = tuple(Code(number, name, doc) for name, (number, doc) in raw["codes"].items())
    structs = tuple(_struct(name, fields) for name, fields in raw["struct"].items())
    hypercalls = tuple(_hypercall(row) for row in raw["hypercall"])
    table = Table(codes, hypercalls, dict(raw["constants"]), structs, _services(hypercalls))
    _check(table)
    return table


def _hypercall(row: dict[str, Any]) -> Hypercall:
    arguments = tuple(_argument(text) for text in row["arguments"])
    rest = {key: value for key, value in row.items() if key not in ("arguments", "errors")}
    return Hypercall(arguments=arguments, errors=tuple(row["errors"]), **rest)


def _argument(text: str) -> Argument:
    match = re.fullmatch(r"(\w+): (?:(u32|address)|(in|out)\[(\w+)\]|out:(\w+))", text)
    if match is None:
        raise ValueError(f"argument '{text}': want 'name: u32|address|in[LEN]|out[LEN]|out:STRUCT'")
    name, plain, direction, length, struct = match.groups()
    if plain:
        return Argument(name, "u32" if plain == "u32" else "address")
    if struct:
        return Argument(name, "struct", struct)
    return Argument(name, "in" if direction == "in" else "out", length)


def _struct(name: str, fields: list[str]) -> Struct:
    placed: list[Field] = []
    end, widest = 0, 1
    for text in fields:
        match = re.fullmatch(r"(\w+): (?:u(32|64)|u8\[(\d+)\])", text)
        if match is None:
            raise ValueError(f"{name}: field '{text}': want 'name: u32|u64|u8[N]'")
        field, bits, count = match.groups()
        alignment = int(bits) // 8 if bits else 1
        size = alignment * int(count or 1)
        placed.append(Field(field, text.partition(": ")[2], end, size))
        if end % alignment:
            raise ValueError(f"{name}: padding before '{field}'")
        end, widest = end + size, max(widest, alignment)
    if end % widest:
        raise ValueError(f"{name}: padding at its end")
    return Struct(name, tuple(placed), end)


def _services(hypercalls: tuple[Hypercall, ...]) -> tuple[Service, ...]:
    methods: dict[str, list[str]] = {}
    services = []
    for row in hypercalls:
        if not row.event.startswith("request kl.core.Core "):
            continue
        endpoint, _, method = row.event.split()[2].rpartition(".")
        known = methods.setdefault(endpoint, [])
        known.append(method)
        riid = list(methods).index(endpoint)
        services.append(Service(row.name, endpoint, method, riid, len(known) - 1))
    return tuple(services)


def _check(table: Table) -> None:
    if [row.number for row in table.hypercalls] != list(range(len(table.hypercalls))):
        raise ValueError("hypercall numbers must count from 0 without a gap")
    if [code.number for code in table.codes] != list(range(len(table.codes))):
        raise ValueError("codes must count from 0 without a gap")
    codes = {code.name for code in table.codes}
    structs = {struct.name for struct in table.structs}
    for row in table.hypercalls:
        names = {argument.name for argument in row.arguments}
        for argument in row.arguments:
            known = structs if argument.kind == "struct" else names
            if argument.of and argument.of not in known:
                raise ValueError(f"{row.name}: '{argument.of}' of '{argument.name}' is unknown")
        if len(row.arguments) > ARGUMENTS_MAX or len(names) != len(row.arguments):
            raise ValueError(f"{row.name}: at most {ARGUMENTS_MAX} arguments, each name once")
        if unknown := set(row.errors) - codes:
            raise ValueError(f"{row.name}: unknown error codes {sorted(unknown)}")
        for argument in row.arguments:
            if argument.kind == "u32" and refused_with(row, argument) not in row.errors:
                raise ValueError(f"{row.name}: its errors lack that of a wide '{argument.name}'")


def is_length(row: Hypercall, argument: Argument) -> bool:
    """Is the argument the length of another one?"""
    return any(argument.name == each.of for each in row.arguments)


def refused_with(row: Hypercall, argument: Argument) -> str:
    """The code for a `u32` argument that has more than 32 bits."""
    return "BAD_LENGTH" if is_length(row, argument) else "INVALID_PARAM"
