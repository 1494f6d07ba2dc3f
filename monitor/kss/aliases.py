"""From written types to types: `"a" | "b"`, `Set<UInt32>`, named aliases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kss import syntax, types
from kss.errors import Findings, another_name, did_you_mean
from kss.types import Type

_UNSIGNED = (types.UINT8, types.UINT16, types.UINT32, types.UINT64)
_SIGNED = (types.SINT8, types.SINT16, types.SINT32, types.SINT64)
_SCALARS = (types.UNIT, types.BOOLEAN, *_UNSIGNED, *_SIGNED)

BUILT_IN: dict[str, Type] = {
    **{str(kind): kind for kind in (*_UNSIGNED, *_SIGNED)},
    "Boolean": types.BOOLEAN,
    "Text": types.TEXT,
    "Unsigned": types.VariantType(_UNSIGNED),
    "Signed": types.VariantType(_SIGNED),
    "Number": types.VariantType((*_UNSIGNED, *_SIGNED)),
    "ScalarLiteral": types.VariantType(_SCALARS),
    "Literal": types.VariantType((*_SCALARS, types.TEXT)),
    "Sid": types.SID,
    "Handle": types.SID,
    "HandleDesc": types.HANDLE_DESC,
    "Cases": types.ListType(types.VariantType((types.TEXT, types.UNIT))),
    "KSSAudit": types.SetType(
        types.VariantType((types.LiteralType("granted"), types.LiteralType("denied")))
    ),
}
_GENERIC = {"Set": 1, "List": 1, "Map": 2, "Array": 2, "Sequence": 2}


# Parts of a type, those of the types that it names counted as often as it names them; and how
# deep they are within each other.
MAX_PARTS, MAX_DEPTH = 4096, 100


class Aliases:
    """The types that a policy declares by `type Name = ...`, in any order."""

    def __init__(
        self,
        declared: Iterable[syntax.TypeDeclaration],
        findings: Findings,
        hidden: Iterable[str] = (),
    ) -> None:
        self._findings = findings
        self._declared: dict[str, syntax.TypeDeclaration] = {}
        self._known: dict[str, Type | None] = {}  # None: has a finding
        self._sizes: dict[str, tuple[int, int]] = {}
        self._open: list[str] = []  # those being resolved, each for the one before
        for item in declared:
            name, at = item.name.value, item.name.span.at
            if name in self._declared or name in BUILT_IN or name in _GENERIC:
                message = f"there is already a type {name}"
                first = self._declared.get(name)
                help = another_name(first.name.span.at if first else None)
                findings.error("PSL-065", at, message, help, name)
            else:
                self._declared[name] = item
        taken = {*self._declared, *BUILT_IN, *_GENERIC}
        self._known.update(dict.fromkeys(name for name in hidden if name not in taken))
        for name in self._declared:
            self._alias(name)

    def resolve(self, node: syntax.TypeSyntax, inner: Mapping[str, Type]) -> Type | None:
        """The type a text means, None after a finding. `inner` are names beside the aliases."""
        names: set[str] = set()
        self._size(node, names)
        for name in sorted(names & set(self._declared) - set(inner)):
            self._alias(name)
        if any(name in self._known and self._known[name] is None for name in names - set(inner)):
            return None
        parts, depth = self._size(node, names)
        if parts > MAX_PARTS or depth > MAX_DEPTH:
            message = "the type is too large or too deep"
            help = f"at most {MAX_PARTS} parts, {MAX_DEPTH} within each other"
            self._findings.error("PSL-063", node.span.at, message, help, node.span.text)
            return None
        known = {name: found for name in names if (found := self._known.get(name))}
        return _resolve(node, {**known, **inner}, self._findings)

    def _alias(self, name: str) -> None:
        if name in self._known:
            return
        item = self._declared[name]
        if name in self._open or len(self._open) > MAX_DEPTH:
            deep = name not in self._open
            message = "the type is too deep" if deep else f"type {name} contains itself"
            help = f"at most {MAX_DEPTH} types within each other" if deep else "types do not recur"
            self._findings.error("PSL-063", item.name.span.at, message, help, name)
            self._known[name] = None
            return
        self._open.append(name)
        found = self.resolve(item.type, {})
        self._open.pop()
        self._known.setdefault(name, found)
        self._sizes[name] = self._size(item.type, set())

    def _size(self, node: syntax.TypeSyntax, names: set[str]) -> tuple[int, int]:
        """The parts of a type and its depth; adds the names in it to `names`."""
        level, parts, depth, deepest = [node], 0, 0, 0
        while level:
            inner: list[syntax.TypeSyntax] = []
            for item in level:
                named = (0, 0)
                match item:
                    case syntax.VariantType(items) | syntax.TupleType(items):
                        inner += items
                    case syntax.RecordType(fields):
                        inner += [kind for _, kind in fields]
                    case syntax.NamedType(word, arguments):
                        names.add(word.value)
                        named = self._sizes.get(word.value, named)
                        inner += arguments
                parts += 1 + named[0]
                deepest = max(deepest, depth + named[1])
            level, depth = inner, depth + 1
        return min(parts, MAX_PARTS + 1), max(depth, deepest)


def _resolve(node: syntax.TypeSyntax, known: Mapping[str, Type], findings: Findings) -> Type | None:
    """The type a text means, None after a finding. `known` holds aliases declared in the policy."""
    match node:
        case syntax.LiteralType(value):
            return types.UNIT if value is None else types.LiteralType(value)
        case syntax.VariantType(alternatives):
            items = [_resolve(item, known, findings) for item in alternatives]
            found = [item for item in items if item is not None]
            return types.VariantType(tuple(found)) if len(found) == len(items) else None
        case syntax.TupleType(parts):
            items = [_resolve(item, known, findings) for item in parts]
            found = [item for item in items if item is not None]
            return types.TupleType(tuple(found)) if len(found) == len(items) else None
        case syntax.RecordType():
            return _record(node, known, findings)
        case syntax.NamedType():
            return _named(node, known, findings)


def _record(node: syntax.RecordType, known: Mapping[str, Type], findings: Findings) -> Type | None:
    fields: dict[str, Type] = {}
    sound = True
    for word, kind in node.fields:
        found = _resolve(kind, known, findings)
        if word.value in fields:
            at = word.span.at
            findings.error("PSL-027", at, f"field {word.value} is declared twice", "rename one")
        if found is None:
            sound = False
        else:
            fields[word.value] = found
    return types.RecordType(tuple(fields.items())) if sound else None


def _named(node: syntax.NamedType, known: Mapping[str, Type], findings: Findings) -> Type | None:
    name, at = node.word.value, node.word.span.at
    if node.arguments:
        return _generic(node, known, findings)
    if name in _GENERIC:
        help = f"{name}<{', '.join(['...'] * _GENERIC[name])}>"
        findings.error("PSL-063", at, f"{name} needs parameters", help, name)
        return None
    found = known.get(name) or BUILT_IN.get(name)
    if found is None:
        help = did_you_mean(name, [*known, *BUILT_IN, *_GENERIC])
        findings.error("PSL-063", at, f"unknown type {name}", help, name)
    return found


def _generic(node: syntax.NamedType, known: Mapping[str, Type], findings: Findings) -> Type | None:
    name, span = node.word.value, node.span
    if name not in _GENERIC:
        help = did_you_mean(name, _GENERIC)
        message = f"{name} takes no parameters"
        findings.error("PSL-063", span.at, message, help, span.text)
        return None
    items = [_resolve(item, known, findings) for item in node.arguments]
    found = [item for item in items if item is not None]
    if len(found) < len(items):
        return None
    if len(found) != _GENERIC[name]:
        message = f"{name} takes {_GENERIC[name]} parameters, not {len(found)}"
        findings.error("PSL-063", span.at, message, "", span.text)
        return None
    element, last = found[0], found[-1]
    if name == "Map":
        return types.MapType(element, last)
    if name in ("Set", "List"):
        return types.SetType(element) if name == "Set" else types.ListType(element)
    if not isinstance(last, types.LiteralType) or not isinstance(last.value, int) or last.value < 0:
        message = f"the size of {name} is an integer from 0, not {last}"
        findings.error("PSL-063", span.at, message, f"{name}<{element}, 8>", span.text)
        return None
    sized = types.ArrayType if name == "Array" else types.SequenceType
    return sized(element, last.value)
