"""C headers for the messages of an interface: `gateway.ISetpoint` -> `gateway/ISetpoint.idl.h`.

For every method and direction there is a struct that lies in memory as the message does, on every
architecture, and that checks itself with static assertions:

    struct gateway_ISetpoint_Set_req m = {.header = gateway_ISetpoint_Set_req_header,
                                          .temperature = 215};

Names are KasperskyOS's: `_req`, `_res`, `_err`. A message with `bytes`, `string` or `sequence`
parameters ends in its arena; `gateway_IAlarm_Raise_req_size` is then the size of the part before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kss.layout import (
    Array,
    Bytes,
    Direction,
    Field,
    Handle,
    Integer,
    Interface,
    MessageType,
    Method,
    Sequence,
    String,
    Struct,
    Union,
    WireType,
)

_SUFFIX = {Direction.IN: "req", Direction.OUT: "res", Direction.ERROR: "err"}
_FLAGS = {
    Direction.IN: "KHS_REQUEST",
    Direction.OUT: "KHS_RESPONSE",
    Direction.ERROR: "KHS_ERROR",
}
_RESERVED = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long register restrict return short signed sizeof static struct switch typedef "
    "union unsigned void volatile while bool true false NULL header arena tag".split()
)


def headers(interfaces: Iterable[Interface]) -> dict[str, str]:
    """Text of the headers by the name they are included with."""
    return {header_name(interface): header(interface) for interface in interfaces}


def header_name(interface: Interface) -> str:
    """`gateway/ISetpoint.idl.h` for `gateway.ISetpoint`."""
    return interface.name.replace(".", "/") + ".idl.h"


def header(interface: Interface) -> str:
    """The header of one interface, freestanding C11."""
    name = interface.name.replace(".", "_")
    lines = [
        f"/* Messages of {interface.name}, made from its interface description; do not edit. */",
        f"#ifndef KHS_{name.upper()}_IDL_H",
        f"#define KHS_{name.upper()}_IDL_H",
        "",
        "#include <khs/message.h>",
        "",
    ]
    for composite in _composites(interface):
        lines += _composite(name, composite)
    for method in interface.methods:
        lines += _method(name, method)
    return "\n".join([*lines, "#endif", ""])


def _composites(interface: Interface) -> list[Struct | Union]:
    """Structs and unions of all messages, each once, a part before the whole."""
    found: dict[str, Struct | Union] = {}

    def visit(kind: WireType) -> None:
        if isinstance(kind, Array | Sequence):
            visit(kind.element)
        elif isinstance(kind, Struct | Union) and kind.name not in found:
            for field in kind.fields if isinstance(kind, Struct) else kind.members:
                visit(field.type)
            found[kind.name] = kind

    for method in interface.methods:
        for direction in Direction:
            for field in method.message(direction).fields:
                visit(field.type)
    return list(found.values())


def _composite(interface: str, kind: Struct | Union) -> Iterator[str]:
    name = f"{interface}_{kind.name.replace('.', '_')}"
    if isinstance(kind, Struct):
        yield f"struct {name} {{"
        yield from (_member(interface, field) for field in kind.fields)
        yield "};"
        yield from _offsets(name, kind.fields)
    else:
        tags = ", ".join(f"{name}_{m.name} = {n}" for n, m in enumerate(kind.members))
        yield f"enum {{ {tags} }}; /* tag */"
        yield f"struct {name} {{"
        yield "    uint32_t tag;"
        yield "    union {"
        yield from ("    " + _member(interface, member) for member in kind.members)
        yield "    };"
        yield "};"
        yield from _offsets(name, kind.members)
    yield f'_Static_assert(sizeof(struct {name}) == {kind.size}, "{name}");'
    yield ""


def _method(interface: str, method: Method) -> Iterator[str]:
    name = f"{interface}_{method.name}"
    yield f"/* {method.name} */"
    yield f"#define {name}_mid {method.mid}u"
    for direction in Direction:
        yield from _message(interface, name, direction, method.message(direction))
    suffixes = [_SUFFIX[direction] for direction in (Direction.OUT, Direction.ERROR)]
    yield f"union {name}_reply {{ /* header.flags says which */"
    yield "    struct khs_header header;"
    yield from (f"    struct {name}_{suffix} {suffix};" for suffix in suffixes)
    yield "};"
    yield ""


def _message(
    interface: str, method: str, direction: Direction, message: MessageType
) -> Iterator[str]:
    name = f"{method}_{_SUFFIX[direction]}"
    yield f"struct {name} {{"
    yield "    _Alignas(8) struct khs_header header;"
    yield from (_member(interface, field) for field in message.fields)
    if message.arena:
        yield f"    _Alignas(8) uint8_t arena[{message.arena}];"
    yield "};"
    yield f"#define {name}_header {{ 0u, {method}_mid, {_FLAGS[direction]} }}"
    yield f"#define {name}_size {message.size}u"
    yield from _offsets(name, message.fields)
    size = f"offsetof(struct {name}, arena)" if message.arena else f"sizeof(struct {name})"
    yield f'_Static_assert({size} == {name}_size, "{name}");'


def _offsets(name: str, fields: Iterable[Field]) -> Iterator[str]:
    for field in fields:
        place = f"offsetof(struct {name}, {_safe(field.name)})"
        yield f'_Static_assert({place} == {field.offset}, "{name}.{field.name}");'


def _member(interface: str, field: Field) -> str:
    kind, dimensions = field.type, ""
    while isinstance(kind, Array):
        dimensions += f"[{kind.count}]"
        kind = kind.element
    alignment = "_Alignas(8) " if isinstance(kind, Integer) and kind.bits == 64 else ""
    comment = f" /* {kind} */" if isinstance(kind, Bytes | String | Sequence) else ""
    return f"    {alignment}{_c_type(interface, kind)} {_safe(field.name)}{dimensions};{comment}"


def _c_type(interface: str, kind: WireType) -> str:
    match kind:
        case Integer():
            return f"{'' if kind.signed else 'u'}int{kind.bits}_t"
        case Handle():
            return "struct khs_handle"
        case Struct() | Union():
            return f"struct {interface}_{kind.name.replace('.', '_')}"
        case _:
            return "struct khs_span"


def _safe(name: str) -> str:
    """C words and our own members cannot be parameters' names."""
    return f"{name}_" if name in _RESERVED else name
