"""Names and types of C for those of interface descriptions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kss import layout
from kss.layout import Direction, Field, Interface, WireType

SUFFIXES = {Direction.IN: "req", Direction.OUT: "res", Direction.ERROR: "err"}

# words of C and C++, macros that compilers and headers we include define, and members of our own
_WORDS = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while asm typeof bool true false NULL offsetof linux unix i386 arm
    header arena tag
    alignas alignof and and_eq bitand bitor catch char16_t char32_t char8_t class co_await co_return
    co_yield compl concept consteval constexpr constinit const_cast decltype delete dynamic_cast
    explicit export friend mutable namespace new noexcept not not_eq nullptr operator or or_eq
    private protected public reinterpret_cast requires static_assert static_cast template this
    thread_local throw try typeid typename using virtual wchar_t xor xor_eq""".split()
)
_MACROS = re.compile(r"__\w*|_[A-Z]\w*|(U?INT\w*|SIZE|PTRDIFF|WCHAR|WINT|SIG_ATOMIC)_(MAX|MIN)")
_OF_A_METHOD = re.compile(r"mid|reply|(req|res|err)(_\w*)?")


def flat(name: str) -> str:
    """`a_b` for the dotted name `a.b`."""
    return name.replace(".", "_")


def member_names(fields: Iterable[Field]) -> dict[str, str]:
    """Names in C by those of fields: what C or a header needs itself gets an underscore."""
    names = {field.name for field in fields}
    found = {}
    for name in sorted(names):
        new = name
        if name in _WORDS or _MACROS.fullmatch(name):
            new = f"{name}_"
            while new in names:
                new += "_"
        names.add(new)
        found[name] = new
    return found


class Names:
    """Names of one interface's types and messages."""

    def __init__(self, interface: Interface) -> None:
        self.prefix = flat(interface.name)
        self._methods = [method.name for method in interface.methods]
        self._taken: set[str] = set()
        self._composites: dict[layout.Struct | layout.Union, str] = {}

    def composite(self, wire: layout.Struct | layout.Union) -> str:
        """The name of a struct or union, without the word `struct`.

        Two types may have the same name, if they are of packages that the interface's own package
        does not import itself; the second to be asked for gets `type_` in front, as does one whose
        names a method's messages need.
        """
        if wire not in self._composites:
            name = flat(wire.name)
            while any(self._is_taken(each) for each in _names_of(name, wire)):
                name = f"type_{name}"
            self._taken.update(_names_of(name, wire))
            self._composites[wire] = f"{self.prefix}_{name}"
        return self._composites[wire]

    def _is_taken(self, name: str) -> bool:
        return name in self._taken or any(
            name.startswith(f"{method}_") and _OF_A_METHOD.fullmatch(name[len(method) + 1 :])
            for method in self._methods
        )

    def type(self, wire: WireType) -> str:
        """The C type of a value, of its elements if it is an array."""
        match wire:
            case layout.Integer(bits, signed):
                return f"{'' if signed else 'u'}int{bits}_t"
            case layout.Handle():
                return "struct idl_handle"
            case layout.Struct() | layout.Union():
                return f"struct {self.composite(wire)}"
            case layout.Array(element, _):
                return self.type(element)
            case _:
                return "struct idl_span"


def _names_of(name: str, wire: layout.Struct | layout.Union) -> Iterator[str]:
    """What a type defines, besides its members: a union has a constant for each tag."""
    yield name
    if isinstance(wire, layout.Union):
        yield from (f"{name}_{member.name}" for member in wire.members)


def dimensions(wire: WireType) -> str:
    """`[2][3]` for an array of two arrays of three, nothing for what is no array."""
    found = ""
    while isinstance(wire, layout.Array):
        found += f"[{wire.count}]"
        wire = wire.element
    return found
