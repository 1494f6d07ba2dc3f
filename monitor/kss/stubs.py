"""Stub mode: what is taken on trust because its file is not there.

People have their own files and seldom those of the SDK. With stubs enabled a class, component,
interface or package whose file is not found is taken as one of which nothing is known: what a
policy says under its name is accepted. Each is noted once. A stub offers nothing: a message of an
interface of its own, whichever way it goes, is malformed and denied, and a rule that cannot be
checked for want of its file denies. What a stub *class* asks of a class that is described, and is
answered, is typed by the latter and judged by the rules like anybody's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kss.errors import Findings, Location
from kss.layout import Array, Struct, Union, WireType

CLASS = "process class"
#: What a reviewer has to know of a stub class.
JUDGED = "what it asks of classes that are described is judged by the rules as ever"
# The type of a value that a missing file describes: no message that holds one conforms.
OPAQUE = Union("a type of a missing file", ())


@dataclass
class Stubs:
    """What this run takes on trust; nothing, unless `enabled`.

    A part of the policy itself that is not there (STUB-003) may hold any rule: without it a policy
    may be checked, but not run.
    """

    findings: Findings
    enabled: bool = False
    # Packages of what is there: a name in one of them whose file is not found is misspelt.
    own: set[str] = field(default_factory=set)
    _taken: set[tuple[str, str, str]] = field(default_factory=set)

    def has(self, name: str) -> None:
        """Notes the package of a class, component or interface that the user describes."""
        self.own.add(name.rpartition(".")[0])

    def owns(self, name: str) -> bool:
        """Whether a name is in a package of the user's, or in none."""
        package = name.rpartition(".")[0]
        return not package or package in self.own

    def take(self, what: str, name: str, at: Location, help: str) -> bool:
        """Takes a name whose file is not found as a stub; False if stubs are not enabled."""
        if self.enabled and self.first(what, name):
            message = f"the file of {what} {name} is not found: it is taken on trust"
            if what == CLASS:
                message += f"; {JUDGED}"
            self.findings.note("STUB-001", at, message, help, name)
        return self.enabled

    def first(self, what: str, name: str, owner: str = "") -> bool:
        """Whether this is the first time that something of that name (and of `owner`) is asked
        about: each is noted once."""
        known = (what, name, owner) in self._taken
        self._taken.add((what, name, owner))
        return not known


def is_opaque(wire: WireType) -> bool:
    return isinstance(wire, Union) and not wire.members


def never_conforms(wire: WireType) -> bool:
    """Whether there is no value of a type, for what it is made of is opaque."""
    match wire:
        case Union(members=members):
            return all(never_conforms(member.type) for member in members)
        case Struct(fields=fields):
            return any(never_conforms(field.type) for field in fields)
        case Array(element):
            return never_conforms(element)
    return False
