"""C stubs of an interface for guest programs: freestanding C11, static inline, no allocation.

For a method `Report` of `gateway.ITelemetry`, in each direction (`in`, `out`, `err`):

    gateway_ITelemetry_Report_MID                the method's number
    struct gateway_ITelemetry_Report_in          the constant part, header first
    gateway_ITelemetry_Report_in_SIZE, _ARENA    bytes of it, and of the arena at most
    gateway_ITelemetry_Report_in_init (m, riid)  zeroes it and fills in the header

and, if the message has an arena,

    struct gateway_ITelemetry_Report_in_buf      a whole message to build
    ..._in_buf_init (b, riid), ..._in_buf_size (b)
    ..._in_set_text (b, text, length)            for each bytes, string and sequence
    ..._in_get_text (m, &length), ..._in_count_items (m), ..._in_get_items (m, index, &item)

What lies within sequences and arrays takes an index for each. Setters and getters return 0 (or a
null pointer) if something does not fit or is not there; getters rely on the message to conform,
which the security monitor has checked before a message is delivered. Each parameter has its own
place in the arena, so setters may be called in any order, those of a sequence before those of what
lies within its elements. Variable-size members of unions have neither; `kss_msg_data` reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kss import layout
from kss.cgen.arena import accessors, spots
from kss.cgen.common import COMMON
from kss.cgen.names import c_name, c_type
from kss.layout import EntityClass, Interface, MessageType, Method, WireType

_SUFFIXES = ("in", "out", "err")


def generate(interface: Interface, classes: Iterable[EntityClass] = ()) -> str:
    """The header of an interface. For endpoints of `classes` with this interface it defines
    `<class>_<endpoint>_RIID`."""
    prefix = c_name(interface.name)
    guard = f"KSS_STUB_{prefix.upper()}_H"
    parts = [
        f"/* {interface.name}: generated from its interface description, do not edit. */",
        f"#ifndef {guard}\n#define {guard}\n",
        "#include <stddef.h>\n#include <stdint.h>\n",
        COMMON,
        *_riids(interface, classes),
        *_types(interface, prefix),
    ]
    for method in interface.methods:
        parts += _method(prefix, method)
    parts.append("#endif")
    return "\n".join(parts) + "\n"


def _riids(interface: Interface, classes: Iterable[EntityClass]) -> Iterator[str]:
    for item in classes:
        for endpoint in item.endpoints:
            if endpoint.interface.name == interface.name:
                name = f"{c_name(item.name)}_{c_name(endpoint.name)}_RIID"
                yield f"#define {name} {endpoint.riid}u"


# ---- types -----------------------------------------------------------------


def _types(interface: Interface, prefix: str) -> Iterator[str]:
    """Structs and unions, each after those it needs."""
    seen: dict[str, None] = {}

    def visit(wire: WireType) -> Iterator[str]:
        match wire:
            case layout.Array(element, _) | layout.Sequence(element, _):
                yield from visit(element)
            case layout.Struct(name, members) | layout.Union(name, members):
                if name not in seen:
                    seen[name] = None
                    for member in members:
                        yield from visit(member.type)
                    yield from _composite(prefix, wire)

    for method in interface.methods:
        for message in (method.request, method.response, method.error):
            for field in message.fields:
                yield from visit(field.type)


def _composite(prefix: str, wire: layout.Struct | layout.Union) -> Iterator[str]:
    name = f"{prefix}_{wire.name}"
    members = wire.fields if isinstance(wire, layout.Struct) else wire.members
    body = [f"    {_member(prefix, member.type, member.name)};" for member in members]
    if isinstance(wire, layout.Union):
        for tag, member in enumerate(members):
            yield f"#define {name}_{member.name}_TAG {tag}u"
        body = ["    uint32_t tag;", "    union {", *(f"    {line}" for line in body), "    };"]
    yield "\n".join([f"struct {name} {{", *body, "};"])
    yield _assert(f"sizeof(struct {name})", wire.size)
    for member in members:
        yield _assert(f"offsetof(struct {name}, {c_name(member.name)})", member.offset)


def _member(prefix: str, wire: WireType, name: str) -> str:
    """A declaration; 64-bit members are aligned by hand, since i386 would align them to 4."""
    dimensions = ""
    while isinstance(wire, layout.Array):
        dimensions += f"[{wire.count}]"
        wire = wire.element
    wide = isinstance(wire, layout.Integer) and wire.bits == 64
    aligned = "_Alignas(8) " if wide else ""
    return f"{aligned}{c_type(prefix, wire)} {c_name(name)}{dimensions}"


def _assert(expression: str, value: int) -> str:
    return f'_Static_assert({expression} == {value}, "{expression}");'


# ---- messages --------------------------------------------------------------


def _method(prefix: str, method: Method) -> Iterator[str]:
    name = f"{prefix}_{method.name}"
    yield f"\n/* ---- {method.name} */\n#define {name}_MID {method.mid}u"
    for suffix, message in zip(
        _SUFFIXES, (method.request, method.response, method.error), strict=True
    ):
        yield from _message(prefix, f"{name}_{suffix}", f"{name}_MID", message)


def _message(prefix: str, name: str, mid: str, message: MessageType) -> Iterator[str]:
    body = [f"    {_member(prefix, field.type, field.name)};" for field in message.fields]
    head = "    _Alignas(8) struct kss_msg_header header;"
    yield f"#define {name}_SIZE {message.size}u\n#define {name}_ARENA {message.arena}u"
    yield "\n".join([f"struct {name} {{", head, *body, "};"])
    yield _assert(f"sizeof(struct {name})", message.size)
    for field in message.fields:
        yield _assert(f"offsetof(struct {name}, {c_name(field.name)})", field.offset)
    yield f"""\
static inline void {name}_init(struct {name} *m, uint32_t riid)
{{
    kss_msg_zero(m, sizeof *m);
    m->header.riid = riid;
    m->header.mid = {mid};
    m->header.flags = {int(message.direction)};
}}"""
    if message.arena:
        yield from _buffer(name, message)
        for spot in spots(message):
            yield from accessors(prefix, name, spot)


def _buffer(name: str, message: MessageType) -> Iterator[str]:
    yield f"""\
struct {name}_buf {{
    struct {name} message;
    uint8_t arena[{name}_ARENA];
    uint32_t used; /* bytes of the arena in use; not part of the message */
}};
{_assert(f"offsetof(struct {name}_buf, arena)", message.size)}
static inline void {name}_buf_init(struct {name}_buf *b, uint32_t riid)
{{
    kss_msg_zero(b, sizeof *b);
    {name}_init(&b->message, riid);
}}
static inline uint32_t {name}_buf_size(const struct {name}_buf *b)
{{
    return {name}_SIZE + b->used;
}}"""
