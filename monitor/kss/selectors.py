"""Selectors: which events a section covers, and what is wrong with asking for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from kss.edl import Descriptions
from kss.errors import Findings, did_you_mean
from kss.events import Kind
from kss.layout import Endpoint, EntityClass, MessageType, Method
from kss.stubs import JUDGED, Stubs
from kss.syntax import Selector, Word
from kss.tree import Condition

_KEYS = ("src", "dst", "component", "interface", "endpoint", "method")
_NOT_FOR = {
    Kind.EXECUTE: ("component", "interface", "endpoint", "method"),
    Kind.SECURITY: ("dst", "component", "endpoint"),
}
# Selectors whose names have files.
_FILES = {"interface": ".idl", "component": ".cdl"}
_UNKNOWN = {
    "interface": "PSL-013",
    "component": "PSL-014",
    "endpoint": "PSL-015",
    "method": "PSL-016",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A method of an endpoint (or security interface) of a class that an event may be about."""

    owner: EntityClass
    endpoint: Endpoint
    method: Method
    method_name: str  # as selectors spell it: qualified for security interfaces of components


_VALUE: dict[str, Callable[[Candidate], str]] = {
    "interface": lambda candidate: candidate.endpoint.interface.name,
    "component": lambda candidate: candidate.endpoint.component or "",
    "endpoint": lambda candidate: candidate.endpoint.name,
    "method": lambda candidate: candidate.method_name,
}


@dataclass(frozen=True, slots=True)
class Section:
    """A binding, match or branch: what its header and those around it have fixed so far.

    Not `complete`: a class that it may be about has findings of its own, so that what seems
    unknown may well exist. `dead`: contradicts the headers around it.
    """

    kind: Kind
    candidates: tuple[Candidate, ...]
    complete: bool
    fixed: Mapping[str, str] = field(default_factory=dict)
    profile: str | None = None
    dead: bool = False

    def messages(self) -> dict[tuple[str, str], MessageType]:
        """The message types that events of this section can carry, by interface and method."""
        direction = self.kind.direction
        if direction is None:
            return {}
        return {
            (c.endpoint.interface.name, c.method.name): c.method.message(direction)
            for c in self.candidates
        }


class Selectors:
    """Narrows sections by headers."""

    def __init__(
        self,
        classes: dict[str, EntityClass],
        descriptions: Descriptions,
        broken: set[str],
        findings: Findings,
    ) -> None:
        self._classes = classes
        self._descriptions = descriptions
        self._broken = broken  # classes with findings
        self._open = descriptions.open  # classes that may have more than is known
        self._findings = findings
        ipc = tuple(c for owner in classes.values() for c in _calls(owner))
        security = tuple(c for owner in classes.values() for c in _security_calls(owner))
        self._all = dict.fromkeys((Kind.REQUEST, Kind.RESPONSE, Kind.ERROR), ipc)
        self._all |= {Kind.SECURITY: security, Kind.EXECUTE: ()}

    @property
    def stubs(self) -> Stubs:
        return self._descriptions.stubs

    def everything(self, kind: Kind) -> Section:
        return Section(kind, self._all[kind], complete=not (self._broken or self._open))

    def narrow(
        self, section: Section, selectors: tuple[Selector, ...]
    ) -> tuple[Section, Condition]:
        """The section within `section` that a header selects, and the header as a condition."""
        header = self._header(section.kind, selectors)
        for key in _KEYS:
            if key in header:
                section = self._apply(section, key, header[key])
        self._advise(section, header)
        names = {key: word.value for key, word in header.items()}
        src, dst = (self._classes.get(names.pop(key, "")) for key in ("src", "dst"))
        condition = Condition(
            src=src.index if src else None, dst=dst.index if dst else None, **names
        )
        return section, condition

    def _header(self, kind: Kind, selectors: tuple[Selector, ...]) -> dict[str, Word]:
        header: dict[str, Word] = {}
        for selector in selectors:
            key, span = selector.key.value, selector.key.span
            if key not in _KEYS:
                help = did_you_mean(key, _KEYS, f"the selectors are {', '.join(_KEYS)}")
                self._findings.error("PSL-010", span.at, f"unknown selector {key}", help, key)
            elif key in header:
                help = "use two bindings or match sections"
                self._findings.error("PSL-011", span.at, f"{key} is given twice", help, key)
            elif key in _NOT_FOR.get(kind, ()):
                word = kind.name.lower()
                allowed = ", ".join(k for k in _KEYS if k not in _NOT_FOR[kind])
                help = f"{word} takes {allowed}"
                message = f"{key} does not apply to {word} events"
                self._findings.error("PSL-017", span.at, message, help, key)
            else:
                header[key] = selector.value
        return header

    def _apply(self, section: Section, key: str, word: Word) -> Section:
        value = word.value
        fixed = section.fixed.get(key)
        if fixed is not None and fixed != value:
            message = f"{key}={value} never matches: {key}={fixed} holds outside"
            self._findings.warning("PSL-018", word.span.at, message, "take one out", value)
            return replace(section, dead=True)
        section = replace(section, fixed={**section.fixed, key: value})
        if key in ("src", "dst"):
            return self._apply_class(section, key, word)
        getter = _VALUE[key]
        candidates = tuple(c for c in section.candidates if getter(c) == value)
        complete = section.complete
        if candidates:
            complete = complete or self._determines(section, key, candidates)
        elif complete:
            self._unknown(section, key, word)
            complete = False
        else:
            self._trust(section, key, word)
        return replace(section, candidates=candidates, complete=complete)

    def _determines(self, section: Section, key: str, found: tuple[Candidate, ...]) -> bool:
        """Whether a known name leaves only what is known: an interface, or an endpoint of one
        class."""
        server = "src" if section.kind.server_is_source else "dst"
        if key != "interface" and not (key == "endpoint" and server in section.fixed):
            return False
        partial = self._descriptions.packages.partial
        return not any(candidate.endpoint.interface.name in partial for candidate in found)

    def _trust(self, section: Section, key: str, word: Word) -> None:
        """Notes a name that what is not there may have: the SDK's description of a class that KSS
        describes itself, or the file of a component or interface of a class."""
        if not self.stubs.enabled:
            return
        if key in _FILES and not self._descriptions.describes(word.value, _FILES[key]):
            anywhere = {_VALUE[key](c) for c in self._all[section.kind]} - {""}
            file = f"{word.value.replace('.', '/')}{_FILES[key]}"
            help = did_you_mean(word.value, anywhere, f"give the folder of {file} with -I")
            if self.stubs.owns(word.value):
                message = f"unknown {key} {word.value}"
                self._findings.error(_UNKNOWN[key], word.span.at, message, help, word.value)
            else:
                self.stubs.take(key, word.value, word.span.at, help)
            return
        server = "src" if section.kind.server_is_source else "dst"
        owner = self._classes.get(section.fixed.get(server, ""))
        if not owner:
            return
        self._descriptions.lacking.add(owner.name)
        if not section.candidates:  # what is around it is not known either
            return
        if self.stubs.first(key, word.value, owner.name):
            known = {_VALUE[key](c) for c in section.candidates if c.owner is owner} - {""}
            message = f"{owner.name} has no {key} {word.value} in the files that are there"
            if owner.name in self._descriptions.shipped:
                message = f"{owner.name}, as KSS describes it, has no {key} {word.value}"
            help = did_you_mean(word.value, known)
            self._findings.note("STUB-005", word.span.at, f"{message}: trusted", help, word.value)

    def _apply_class(self, section: Section, key: str, word: Word) -> Section:
        name = word.value
        if name not in self._classes and name not in self._broken and not self._stub(word):
            help = did_you_mean(name, self._classes, f"use EDL {name}")
            self._findings.error("PSL-012", word.span.at, f"unknown class {name}", help, name)
            return replace(section, complete=False)
        if key != ("src" if section.kind.server_is_source else "dst"):
            return section
        candidates = tuple(c for c in section.candidates if c.owner.name == name)
        complete = name not in self._broken and name not in self._open
        return replace(section, candidates=candidates, complete=complete)

    def _stub(self, word: Word) -> bool:
        """Takes a class that nothing declares as one of the SDK, unless its package is one of
        those that the user describes, and no file describes it."""
        name = word.value
        stubs = self.stubs
        if not stubs.enabled or (stubs.owns(name) and not self._descriptions.describes(name)):
            return False
        message = f"class {name} is not declared: it is taken on trust; {JUDGED}"
        help = did_you_mean(name, self._classes, f"use EDL {name}")
        self._findings.note("STUB-002", word.span.at, message, help, name)
        self._classes[name] = EntityClass(name, len(self._classes), ())
        self._open.add(name)
        self._descriptions.lacking.add(name)
        return True

    def _unknown(self, section: Section, key: str, word: Word) -> None:
        getter, value = _VALUE[key], word.value
        here = {getter(candidate) for candidate in section.candidates} - {""}
        anywhere = {getter(candidate) for candidate in self._all[section.kind]} - {""}
        if value not in anywhere:
            help = did_you_mean(value, here or anywhere)
            self._findings.error(_UNKNOWN[key], word.span.at, f"unknown {key} {value}", help, value)
            return
        others = {k: v for k, v in section.fixed.items() if k != key}
        context = ", ".join(f"{k}={v}" for k, v in sorted(others.items()))
        help = did_you_mean(value, here) if here else "take one selector out"
        message = f"no {key} {value} with {context}"
        self._findings.error("PSL-018", word.span.at, message, help, value)

    def _advise(self, section: Section, header: Mapping[str, Word]) -> None:
        if section.kind in (Kind.EXECUTE, Kind.SECURITY):
            return
        server = "src" if section.kind.server_is_source else "dst"
        needs = {"method": ("interface", "component", "endpoint"), "endpoint": (server,)}
        for key, beside in needs.items():
            if key in header and not any(other in section.fixed for other in beside):
                word = header[key]
                message = f"{key} stands alone: it means every {key} of that name"
                help = f"add {' or '.join(beside)}"
                self._findings.warning("PSL-019", word.span.at, message, help, word.value)


def _calls(owner: EntityClass) -> list[Candidate]:
    return [
        Candidate(owner, endpoint, method, method.name)
        for endpoint in owner.endpoints
        for method in endpoint.interface.methods
    ]


def _security_calls(owner: EntityClass) -> list[Candidate]:
    return [
        Candidate(owner, interface, method, qualified_method(interface, method))
        for interface in owner.security
        for method in interface.interface.methods
    ]


def qualified_method(interface: Endpoint, method: Method) -> str:
    """How policies call a method of a security interface."""
    return f"{interface.name}.{method.name}" if interface.name else method.name
