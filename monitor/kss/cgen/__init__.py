"""C headers for the messages of an interface: `gateway.ISetpoint` -> `gateway/ISetpoint.idl.h`.

Freestanding C11 or C++11, static inline, no allocation, complete in itself. For a method `Set`:

    gateway_ISetpoint_Set_mid                  the method's number
    struct gateway_ISetpoint_Set_req           its request; `_res` and `_err` are its answers
    gateway_ISetpoint_Set_req_header           what .header is initialised with
    gateway_ISetpoint_Set_req_size             bytes of the constant part
    union gateway_ISetpoint_Set_reply          either answer, header.flags says which

The struct lies in memory as the message does, on every architecture. With `bytes`, `string` or
`sequence` parameters it ends in an arena, and the message has as many bytes as are in use:

    struct gateway_IAlarm_Raise_req m = {.header = gateway_IAlarm_Raise_req_header, .code = 3};
    uint32_t length = gateway_IAlarm_Raise_req_size;
    gateway_IAlarm_Raise_req_set_text(&m, &length, "too hot");

    _set_T(&m, &length, text)                  string, ends with zero
    _set_B(&m, &length, data, size)            bytes
    _set_S(&m, &length, items, count)          sequence; without items all zero
    _get_T(&m, length)                         text, "" if there is none
    _get_B(&m, length, &size)                  pointer, null if there are none
    _count_S(&m, length), _get_S(&m, length, index, &item)

What lies within arrays and sequences takes an index for each, after the length. Setters may be
called in any order, that of a sequence before those of what lies within its elements; they answer
false if something does not fit or is not there, as what lies in a member that a union's tag does
not name. Getters never look behind the first `length` bytes, whatever the message says of itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kss import layout
from kss.cgen.accessors import accessors
from kss.cgen.common import COMMON
from kss.cgen.names import SUFFIXES, Names, dimensions, flat, member_names
from kss.cgen.spots import spots
from kss.layout import Direction, EntityClass, Field, Interface, MessageType, Method, WireType

_BEGIN_C = '#ifdef __cplusplus\nextern "C" {\n#endif'
_END_C = "#ifdef __cplusplus\n}\n#endif"
_FLAGS = {
    Direction.IN: "IDL_REQUEST",
    Direction.OUT: "IDL_RESPONSE",
    Direction.ERROR: "IDL_ERROR",
}


def generate(interface: Interface, classes: Iterable[EntityClass] = ()) -> str:
    """The header of an interface. For endpoints of `classes` with this interface it defines
    `<class>_<endpoint>_riid`."""
    names = Names(interface)
    guard = f"IDL_{names.prefix}_H"
    parts = [
        f"/* Messages of {interface.name}, made from its interface description; do not edit. */",
        f"#ifndef {guard}\n#define {guard}\n",
        "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n",
        COMMON,
        _BEGIN_C,
        *_riids(interface, classes),
        *_types(interface, names),
    ]
    for method in interface.methods:
        parts += _method(names, method)
    return "\n".join([*parts, _END_C, "#endif", ""])


def header_name(interface: Interface) -> str:
    """What a header is included by: `gateway/ISetpoint.idl.h` for `gateway.ISetpoint`."""
    return interface.name.replace(".", "/") + ".idl.h"


def headers(interfaces: Iterable[Interface], classes: Iterable[EntityClass] = ()) -> dict[str, str]:
    """The headers of interfaces by the name they are included with."""
    known = list(classes)
    return {header_name(interface): generate(interface, known) for interface in interfaces}


def _riids(interface: Interface, classes: Iterable[EntityClass]) -> Iterator[str]:
    for item in classes:
        for endpoint in item.endpoints:
            if endpoint.interface.name == interface.name:
                name = f"{flat(item.name)}_{flat(endpoint.name)}_riid"
                yield f"#define {name} {endpoint.riid}u"


# ---- types -----------------------------------------------------------------


def _types(interface: Interface, names: Names) -> Iterator[str]:
    """Structs and unions, each once and after those it needs."""
    seen: set[WireType] = set()

    def visit(wire: WireType) -> Iterator[str]:
        match wire:
            case layout.Array(element, _) | layout.Sequence(element, _):
                yield from visit(element)
            case layout.Struct(_, members) | layout.Union(_, members):
                if wire not in seen:
                    seen.add(wire)
                    for member in members:
                        yield from visit(member.type)
                    yield from _composite(names, wire)

    for method in interface.methods:
        for direction in Direction:
            for field in method.message(direction).fields:
                yield from visit(field.type)


def _composite(names: Names, wire: layout.Struct | layout.Union) -> Iterator[str]:
    name = names.composite(wire)
    if isinstance(wire, layout.Struct):
        body, members = list(_members(names, wire.fields)), wire.fields
    else:
        members = wire.members
        inner = [f"    {line}" for line in _members(names, members)]
        body = ["    uint32_t tag;", "    union {", *inner, "    };"]
        tags = ", ".join(f"{name}_{member.name} = {tag}" for tag, member in enumerate(members))
        yield f"enum {{ {tags} }}; /* tag */"
    yield "\n".join([f"struct {name} {{", *body, "};"])
    yield from _offsets(name, members)
    yield _assert(f"sizeof(struct {name})", wire.size)


def _members(names: Names, fields: Iterable[Field]) -> Iterator[str]:
    """Declarations; 64-bit members are aligned by hand, since i386 would align them to 4."""
    fields = list(fields)
    known = member_names(fields)
    for field in fields:
        wire = field.type
        while isinstance(wire, layout.Array):
            wire = wire.element
        aligned = "IDL_ALIGNED(8) " if isinstance(wire, layout.Integer) and wire.bits == 64 else ""
        member = f"{known[field.name]}{dimensions(field.type)};"
        span = isinstance(wire, layout.Bytes | layout.String | layout.Sequence)
        yield f"    {aligned}{names.type(wire)} {member}" + (f" /* {wire} */" if span else "")


def _offsets(name: str, fields: Iterable[Field]) -> Iterator[str]:
    fields = list(fields)
    known = member_names(fields)
    for field in fields:
        yield _assert(f"offsetof(struct {name}, {known[field.name]})", field.offset)


def _assert(expression: str, value: int) -> str:
    return f'IDL_ASSERT({expression} == {value}, "{expression}");'


# ---- messages --------------------------------------------------------------


def _method(names: Names, method: Method) -> Iterator[str]:
    name = f"{names.prefix}_{method.name}"
    yield f"\n/* ---- {method.name} */\n#define {name}_mid {method.mid}u"
    for direction in Direction:
        yield from _message(names, name, method.message(direction))
    yield (
        f"union {name}_reply {{ /* header.flags says which */\n"
        "    struct idl_header header;\n"
        f"    struct {name}_res res;\n    struct {name}_err err;\n}};"
    )


def _message(names: Names, method: str, message: MessageType) -> Iterator[str]:
    name = f"{method}_{SUFFIXES[message.direction]}"
    body = ["    IDL_ALIGNED(8) struct idl_header header;", *_members(names, message.fields)]
    if message.arena:
        body.append(f"    IDL_ALIGNED(8) uint8_t arena[{message.arena}];")
    yield "\n".join([f"struct {name} {{", *body, "};"])
    yield f"#define {name}_header {{ 0u, {method}_mid, {_FLAGS[message.direction]} }}"
    yield f"#define {name}_size {message.size}u"
    yield from _offsets(name, message.fields)
    size = f"offsetof(struct {name}, arena)" if message.arena else f"sizeof(struct {name})"
    yield _assert(size, message.size)
    for spot in spots(message):
        yield from accessors(names, name, message, spot)
