"""Which method of a class an event is about, by the names that people give."""

from __future__ import annotations

from collections.abc import Mapping

from kss.errors import did_you_mean
from kss.layout import Endpoint, EntityClass, Method
from kss.selectors import qualified_method

# What may narrow a class's methods down, beside the method's name.
NARROWING = ("interface", "component", "endpoint")


class MethodError(Exception):
    """A class has no such method, or several. `help` may be empty."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}; {self.help}" if self.help else message


def called(
    owner: EntityClass, name: str, wanted: Mapping[str, str], *, security: bool
) -> tuple[Endpoint, Method]:
    """The method `name` of a class at the one endpoint (or security interface) that `wanted`
    leaves (keys as in `NARROWING`). Raises MethodError."""
    offered = [
        (endpoint, method, qualified_method(endpoint, method) if security else method.name)
        for endpoint in (owner.security if security else owner.endpoints)
        for method in endpoint.interface.methods
    ]
    named = [
        (endpoint, method)
        for endpoint, method, known in offered
        if name == known or ("component" in wanted and name == method.name)
    ]
    found = [each for each in named if _is_selected(each[0], wanted, security)]
    if len(found) == 1:
        return found[0]
    which = "security interface" if security else "endpoint"
    if not named:
        help = did_you_mean(name, {known for _, _, known in offered})
        raise MethodError(f"{owner.name} has no method {name}", help)
    places = ", ".join(_shown(endpoint, security) for endpoint, _ in named)
    if found:
        raise MethodError(f"{owner.name} has several methods {name}", f"name one {which}: {places}")
    selected = " and ".join(f"{key} {value}" for key, value in wanted.items())
    raise MethodError(f"{owner.name} has no method {name} with {selected}", f"it is at {places}")


def _is_selected(endpoint: Endpoint, wanted: Mapping[str, str], security: bool) -> bool:
    """`component` is a name as policies have it, or the path of an instance; beside it an endpoint
    may do without that path."""
    path, _, last = ("", "", "") if security else endpoint.name.rpartition(".")
    names: dict[str, set[str | None]] = {
        "interface": {endpoint.interface.name},
        "component": {endpoint.component, endpoint.name if security else path},
        "endpoint": {endpoint.name, last if "component" in wanted else endpoint.name},
    }
    return all(value in names[key] for key, value in wanted.items())


def _shown(endpoint: Endpoint, security: bool) -> str:
    inside = f"component {endpoint.component}, " if endpoint.component else ""
    place = "" if security else f"endpoint {endpoint.name} "
    return f"{place}({inside}interface {endpoint.interface.name})"
