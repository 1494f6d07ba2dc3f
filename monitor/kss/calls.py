"""Calls of methods: which object, which method, which arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kss import syntax
from kss.errors import did_you_mean
from kss.models import MODELS
from kss.models.model import Signature
from kss.numerals import MismatchError
from kss.syntax import Span
from kss.types import Type


@dataclass(frozen=True, slots=True)
class Known:
    """A policy object as expressions see it."""

    index: int
    model: str
    config: object
    types: Mapping[str, Type]
    signatures: Mapping[str, Signature]


class ArgumentError(MismatchError):
    """A MismatchError at a place within the call."""

    def __init__(self, span: Span, rule: str, message: str, help: str = "") -> None:
        super().__init__(rule, message, help)
        self.span = span


def target(node: syntax.Call, objects: Mapping[str, Known]) -> tuple[Known, str]:
    """The object and method a call names; `grant ()` means `base.grant ()`."""
    *owner, method = node.name.parts
    if not owner:
        owner = ["struct" if method == "size" else "base"]
    name = ".".join(owner)
    known = objects.get(name)
    if known is None and node.name.parts[0] == "message":
        place = node.name.value
        message = f"{place} is a value, no method"
        brackets = isinstance(node.argument, syntax.List)
        help = f"an element is {place}.[...], with a point" if brackets else "take the argument out"
        raise ArgumentError(node.name.span, "PSL-022", message, help)
    if known is None:
        implied = len(node.name.parts) == 1
        help = "use nk.base._" if implied else did_you_mean(name, objects)
        message = f"unknown policy object {name}"
        raise ArgumentError(node.name.span, "PSL-022", message, help)
    methods = [*known.signatures, *MODELS[known.model].pure()]
    if method not in methods:
        model = MODELS[known.model].called(known.config)
        message = f"{model} object {name} has no method {method}"
        help = did_you_mean(method, methods)
        raise ArgumentError(node.name.span, "PSL-023", message, help)
    return known, method


def arguments(node: syntax.Call, signature: Signature) -> list[tuple[str, Type, syntax.Expression]]:
    """Name, type and syntax of each argument in the signature's order; none for `()`."""
    argument, method = node.argument, node.name.value
    is_unit = isinstance(argument, syntax.Literal) and argument.value is None
    parameters = signature.parameters
    if signature.named:
        values = fields(argument, tuple(p.name for p in parameters), method)
        pairs = zip(parameters, values, strict=True)
        return [(parameter.name, parameter.type, value) for parameter, value in pairs]
    if not parameters and not is_unit:
        raise ArgumentError(argument.span, "PSL-028", f"{method} takes no value", f"{method} ()")
    if not parameters or (is_unit and signature.or_unit):
        return []
    (parameter,) = parameters
    if is_unit:
        message = f"{method} needs a value of type {parameter.type}"
        raise ArgumentError(argument.span, "PSL-028", message, f"{method} (...)")
    return [(parameter.name, parameter.type, argument)]


def fields(
    argument: syntax.Expression, names: tuple[str, ...], method: str
) -> tuple[syntax.Expression, ...]:
    """The named fields of a dictionary argument, all required, in the order of `names`."""
    wanted = "{ " + ", ".join(f"{name} : ..." for name in names) + " }"
    if not isinstance(argument, syntax.Dict):
        message = f"{method} takes a dictionary"
        raise ArgumentError(argument.span, "PSL-028", message, f"{method} {wanted}")
    found: dict[str, syntax.Expression] = {}
    for entry in argument.entries:
        key = str(entry.key)
        if key not in names:
            message = f"{method} has no argument {key}"
            raise ArgumentError(entry.span, "PSL-026", message, did_you_mean(key, names))
        if key in found:
            message = f"{key} is given twice"
            raise ArgumentError(entry.span, "PSL-027", message, "take one out")
        found[key] = entry.value
    missing = [name for name in names if name not in found]
    if missing:
        message = f"{method} lacks {', '.join(missing)}"
        raise ArgumentError(argument.span, "PSL-025", message, f"{method} {wanted}")
    return tuple(found[name] for name in names)
