"""A C program that builds and reads messages of an interface with its generated header.

A request is {u32 message, u32 mode, u32 size} and `size` bytes; the answer {u32 good, u32 size}
and bytes. Messages are numbered by method and direction. Values travel as a script: numbers as 64
bits, data and texts with their size before them; first what is in the constant part, then, for each
bytes, string and sequence, its data. Odd messages have the fields of the second part in reverse.

Mode 0 makes a message of a script, mode 1 a script of a message. In mode 2 the bytes are hostile:
every getter is called with every index up to one too many, and nothing may be read behind them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kss import layout
from kss.cgen.names import SUFFIXES, Names, dimensions
from kss.cgen.spots import Spot, spots
from kss.layout import Direction, Field, Interface, MessageType, WireType

WRITE, READ, HOSTILE = 0, 1, 2


def messages(interface: Interface) -> list[tuple[str, MessageType]]:
    """The messages by their numbers in the driver, with the names of their structs."""
    prefix = Names(interface).prefix
    return [
        (f"{prefix}_{method.name}_{SUFFIXES[direction]}", method.message(direction))
        for method in interface.methods
        for direction in Direction
    ]


def ordered(fields: Sequence[Field], number: int) -> Sequence[Field]:
    return fields[:: -1 if number % 2 else 1]


# ---- scripts ---------------------------------------------------------------


def script(message: MessageType, values: dict[str, Any], number: int) -> bytes:
    first = [_fixed(field.type, values[field.name]) for field in message.fields]
    fields = ordered(message.fields, number)
    return b"".join([*first, *(_data(field.type, values[field.name]) for field in fields)])


def _number(value: int) -> bytes:
    return struct.pack("<Q", value & (1 << 64) - 1)


def _fixed(wire: WireType, value: Any) -> bytes:
    match wire:
        case layout.Integer():
            return _number(value)
        case layout.Handle():
            return _number(value["handle"]) + _number(value["rights"])
        case layout.Struct():
            return b"".join(_fixed(field.type, value[field.name]) for field in wire.fields)
        case layout.Union():
            tag, member = _chosen(wire, value)
            return _number(tag) + _fixed(member.type, value[member.name])
        case layout.Array(element, _):
            return b"".join(_fixed(element, item) for item in value)
    return b""


def _data(wire: WireType, value: Any) -> bytes:
    match wire:
        case layout.Bytes():
            return _number(len(value)) + bytes(value)
        case layout.String():
            return _number(len(value.encode())) + value.encode() + b"\0"
        case layout.Struct():
            return b"".join(_data(field.type, value[field.name]) for field in wire.fields)
        case layout.Union():
            _, member = _chosen(wire, value)
            return _data(member.type, value[member.name])
        case layout.Array(element, _):
            return b"".join(_data(element, item) for item in value)
        case layout.Sequence(element, _):
            parts = [*(_fixed(element, item) for item in value)]
            return b"".join([_number(len(value)), *parts, *(_data(element, i) for i in value)])
    return b""


def _chosen(wire: layout.Union, value: dict[str, Any]) -> tuple[int, Field]:
    return next((n, member) for n, member in enumerate(wire.members) if member.name in value)


# ---- the program -----------------------------------------------------------

PRELUDE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "random.h"

static uint8_t in[1 << 16], out[1 << 20];
static uint32_t at, end;
static volatile uint32_t seen;

static uint64_t take(void)
{
    uint64_t value;
    memcpy(&value, in + at, sizeof value);
    at += (uint32_t)sizeof value;
    return value;
}
static const void *take_data(uint32_t size)
{
    at += size;
    return in + at - size;
}
static void give(uint64_t value)
{
    memcpy(out + end, &value, sizeof value);
    end += (uint32_t)sizeof value;
}
static void give_data(const void *data, uint32_t size)
{
    if (size)
        memcpy(out + end, data, size);
    end += size;
}
static void look(const void *data, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        seen += ((const uint8_t *)data)[i];
}
"""

MAIN = r"""
int main(void)
{
    uint32_t head[3], answer[2];
    while (fread(head, sizeof head, 1, stdin) == 1 && head[2] <= sizeof in) {
        if (head[2] && fread(in, head[2], 1, stdin) != 1)
            return 1;
        at = end = 0;
        answer[0] = calls[head[0]](head[1], head[2]);
        answer[1] = end;
        fwrite(answer, sizeof answer, 1, stdout);
        fwrite(out, 1, end, stdout);
        fflush(stdout);
    }
    return 0;
}
"""


def program(interface: Interface) -> str:
    names = Names(interface)
    parts = [PRELUDE]
    for number, (name, message) in enumerate(messages(interface)):
        for wire in (field.type for field in message.fields):
            _name_all(names, wire)
        parts += _Functions(names, name, message, number).text()
    calls = ", ".join(f"call_{name}" for name, _ in messages(interface))
    parts += [f"static bool (*const calls[])(uint32_t, uint32_t) = {{{calls}}};", MAIN]
    return "\n".join(parts)


def _name_all(names: Names, wire: WireType) -> None:
    """Types are named in the order in which the header defines them: parts first."""
    match wire:
        case layout.Array(element, _) | layout.Sequence(element, _):
            _name_all(names, element)
        case layout.Struct(_, members) | layout.Union(_, members):
            for member in members:
                _name_all(names, member.type)
            names.composite(wire)


class _Functions:
    def __init__(self, names: Names, name: str, message: MessageType, number: int) -> None:
        self.names, self.name, self.message, self.number = names, name, message, number
        self.locals = 0

    def text(self) -> Iterator[str]:
        name, message = self.name, self.message
        fields = ordered(message.fields, self.number)
        writes = [*self.each(message.fields, self.fixed_in), *self.each(fields, self.data_in)]
        reads = [*self.each(message.fields, self.fixed_out), *self.each(fields, self.data_out)]
        yield f"static bool write_{name}(struct {name} *m, uint32_t *length)\n{{"
        yield "    bool good = true;\n    (void)m, (void)length;"
        yield from writes
        yield "    return good;\n}"
        yield f"static void read_{name}(const struct {name} *m, uint32_t length)\n{{"
        yield "    (void)m, (void)length;"
        yield from reads
        yield f"}}\nstatic void poke_{name}(const struct {name} *m, uint32_t length)\n{{"
        yield "    (void)m, (void)length;"
        for spot in spots(message):
            yield self.poke(spot)
        yield f"}}\nstatic bool call_{name}(uint32_t mode, uint32_t size)\n{{"
        yield f"    if (mode == {WRITE}) {{"
        yield f"        struct {name} w = {{.header = {name}_header}};"
        yield f"        uint32_t length = {name}_size;"
        yield f"        bool good = write_{name}(&w, &length);"
        yield "        return give_data(&w, length), good;\n    }"
        yield f"    struct {name} *m = malloc(size ? size : 1u);"
        yield "    memcpy(m, in, size);"
        yield f"    poke_{name}(m, size);"
        yield f"    if (size >= {name}_size)\n        read_{name}(m, size);"
        yield "    free(m);\n    return true;\n}"

    def each(self, fields: Iterable[Field], what: Any) -> Iterator[str]:
        for field in fields:
            place = f"m->{field.name}"
            more = (field.name, "") if what in (self.data_in, self.data_out) else ()
            yield what(field.type, place, *more)

    def local(self) -> str:
        self.locals += 1
        return f"x{self.locals}"

    def within(self, wire: WireType, place: str, what: Any, before: str = "") -> str:
        """A loop over an array or a choice of a union's member; nothing for other types."""
        match wire:
            case layout.Struct():
                return "".join(what(f.type, f"{place}.{f.name}", f) for f in wire.fields)
            case layout.Union():
                cases = "".join(
                    f"case {n}u: {what(m.type, f'{place}.{m.name}', m)} break;\n"
                    for n, m in enumerate(wire.members)
                )
                return f"{before}switch ({place}.tag) {{\n{cases}default: break;\n}}\n"
        return ""

    def loop(self, count: int | str, body: Any) -> str:
        i = self.local()
        return f"for (uint32_t {i} = 0; {i} < {count}; {i}++) {{\n{body(i)}}}\n"

    def fixed_in(self, wire: WireType, place: str, *_: Any) -> str:
        match wire:
            case layout.Integer():
                return f"{place} = ({self.names.type(wire)})take();\n"
            case layout.Handle():
                number = "(uint32_t)take();\n"
                return f"{place}.handle = {number}{place}.rights = {number}"
            case layout.Array(element, count):
                return self.loop(count, lambda i: self.fixed_in(element, f"{place}[{i}]"))
        return self.within(wire, place, self.fixed_in, f"{place}.tag = (uint32_t)take();\n")

    def fixed_out(self, wire: WireType, place: str, *_: Any) -> str:
        match wire:
            case layout.Integer():
                return f"give((uint64_t){place});\n"
            case layout.Handle():
                return f"give({place}.handle);\ngive({place}.rights);\n"
            case layout.Array(element, count):
                return self.loop(count, lambda i: self.fixed_out(element, f"{place}[{i}]"))
        return self.within(wire, place, self.fixed_out, f"give({place}.tag);\n")

    def data_in(self, wire: WireType, place: str, name: str, index: str) -> str:
        n, items = self.local(), self.local()
        call = f"good &= {self.name}_set_{name}(m, length{index}"
        match wire:
            case layout.Bytes():
                size = f"uint32_t {n} = (uint32_t)take();\n"
                return f"{{ {size}{call}, take_data({n}), {n}); }}\n"
            case layout.String():
                size = f"uint32_t {n} = (uint32_t)take();\n"
                return f"{{ {size}{call}, take_data({n} + 1u)); }}\n"
            case layout.Array(element, count):
                return self.loop(
                    count, lambda i: self.data_in(element, f"{place}[{i}]", name, f"{index}, {i}")
                )
            case layout.Sequence(element, limit):
                kind = self.names.type(element)
                inner = name if isinstance(element, layout.Struct) else f"{name}_item"
                return (
                    f"{{ static {kind} {items}[{limit}]{dimensions(element)};\n"
                    f"memset({items}, 0, sizeof {items});\nuint32_t {n} = (uint32_t)take();\n"
                    + self.loop(n, lambda i: self.fixed_in(element, f"{items}[{i}]"))
                    + f"{call}, (const {kind} *)(const void *){items}, {n});\n"
                    + self.loop(
                        n,
                        lambda i: self.data_in(element, f"{items}[{i}]", inner, f"{index}, {i}"),
                    )
                    + f"(void){items}; }}\n"
                )
        return self.within(
            wire, place, lambda w, p, f: self.data_in(w, p, f"{name}_{f.name}", index)
        )

    def data_out(self, wire: WireType, place: str, name: str, index: str) -> str:
        n, item = self.local(), self.local()
        passed = f"(m, length{index}"
        match wire:
            case layout.Bytes():
                return (
                    f"{{ uint32_t {n};\nconst uint8_t *{item} = {self.name}_get_{name}{passed}, "
                    f"&{n});\ngive({n});\ngive_data({item}, {n}); }}\n"
                )
            case layout.String():
                return (
                    f"{{ const char *{item} = {self.name}_get_{name}{passed});\n"
                    f"uint32_t {n} = (uint32_t)strlen({item});\n"
                    f"give({n});\ngive_data({item}, {n} + 1u); }}\n"
                )
            case layout.Array(element, count):
                return self.loop(
                    count, lambda i: self.data_out(element, f"{place}[{i}]", name, f"{index}, {i}")
                )
            case layout.Sequence(element, _):
                inner = name if isinstance(element, layout.Struct) else f"{name}_item"
                get = f"{self.name}_get_{name}{passed}"

                def read(i: str, then: str) -> str:
                    return f"if (!{get}, {i}, &{item}))\nabort();\n{then}"

                return (
                    f"{{ uint32_t {n} = {self.name}_count_{name}{passed});\n"
                    f"{self.names.type(element)} {item}{dimensions(element)};\ngive({n});\n"
                    + self.loop(n, lambda i: read(i, self.fixed_out(element, item)))
                    + self.loop(
                        n,
                        lambda i: read(i, self.data_out(element, item, inner, f"{index}, {i}")),
                    )
                    + "}\n"
                )
        return self.within(
            wire, place, lambda w, p, f: self.data_out(w, p, f"{name}_{f.name}", index)
        )

    def poke(self, spot: Spot) -> str:
        indices = [f"i{n}" for n in range(len(spot.limits))]
        passed = "".join(f", {i}" for i in indices)
        get, count = f"{self.name}_get_{spot.name}", f"{self.name}_count_{spot.name}"
        match spot.wire:
            case layout.Bytes():
                body = f"uint32_t n;\nconst uint8_t *p = {get}(m, length{passed}, &n);\nlook(p, n);"
            case layout.String():
                body = f"const char *p = {get}(m, length{passed});\nlook(p, (uint32_t)strlen(p));"
            case layout.Sequence(element, limit):
                body = (
                    f"if ({count}(m, length{passed}) > {limit}u)\nabort();\n"
                    f"{self.names.type(element)} x{dimensions(element)};\n"
                    f"for (uint32_t n = 0; n <= {limit}u; n++)\n"
                    f"if ({get}(m, length{passed}, n, &x))\nlook(&x, sizeof x);\n"
                    f"if ({get}(m, length{passed}, 0xffffffffu, &x))\nabort();"
                )
        for i, limit in reversed(list(zip(indices, spot.limits, strict=True))):
            body = f"for (uint32_t {i} = 0; {i} <= {limit}u; {i}++) {{\n{body}\n}}"
        return f"{{\n{body}\n}}"
