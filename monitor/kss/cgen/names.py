"""Names and types of C for those of interface descriptions."""

from __future__ import annotations

from kss import layout
from kss.layout import WireType

_KEYWORDS = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while header message tag""".split()
)


def c_name(name: str) -> str:
    """A dotted name as a C identifier; words that are taken get an underscore."""
    flat = name.replace(".", "_")
    return f"{flat}_" if flat in _KEYWORDS else flat


def c_type(prefix: str, wire: WireType) -> str:
    """The C type of a value; `prefix` is that of the interface's own types."""
    match wire:
        case layout.Integer(bits, signed):
            return f"{'' if signed else 'u'}int{bits}_t"
        case layout.Handle():
            return "struct kss_msg_handle"
        case layout.Struct(name, _) | layout.Union(name, _):
            return f"struct {prefix}_{name}"
        case layout.Array(element, _):
            return c_type(prefix, element)
        case _:
            return "struct kss_msg_span"
