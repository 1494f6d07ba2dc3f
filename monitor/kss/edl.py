"""Process classes (EDL) and components (CDL): from files to endpoints with numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kss.errors import Findings, Location
from kss.grammar.edl import DescriptionText, Entries, Head, parse_description
from kss.layout import Endpoint, EntityClass, Interface
from kss.packages import Packages, find
from kss.source import Search, Source
from kss.stubs import CLASS, Stubs
from kss.syntax import Word

MAX_ENDPOINTS = 1024
MAX_INSTANCES = 4096
MAX_DEPTH = 64  # of components within components


@dataclass
class Description:
    """What one EDL or CDL file says, names not yet looked up."""

    source: Source
    name: Word | None  # None after a syntax error
    sound: bool = True
    components: dict[str, tuple[Word, Word]] = field(default_factory=dict)
    endpoints: dict[str, tuple[Word, Word]] = field(default_factory=dict)
    security: Word | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """An endpoint beyond those of the EDL: a port's messages."""

    name: str
    interface: str


class Descriptions:
    """Loads classes with everything they name. Findings are reported where they arise."""

    def __init__(self, search: Search, findings: Findings, stubs: Stubs | None = None) -> None:
        self._search = search
        self._findings = findings
        self._files: dict[tuple[str, str], Description | None] = {}
        self.stubs = stubs or Stubs(findings)
        self.packages = Packages(search, findings, self.stubs)
        # With stubs enabled: classes that may have more endpoints than is known.
        self.open: set[str] = set()
        self.shipped: set[str] = set()  # those of them that KSS describes
        self.lacking: set[str] = set()  # those of them of which something that is named is missing

    # ---- files

    def _find(self, name: str, suffix: str) -> Path | None:
        return find(self._search, name, suffix)

    def _load(self, name: str, suffix: str) -> Description | None:
        if (name, suffix) not in self._files:
            path = self._find(name, suffix)
            source = self._search.read(path, self._findings) if path else None
            if source is None:
                self._files[name, suffix] = None
            else:
                text = parse_description(source, self._findings)
                self._files[name, suffix] = self._describe(source, text, suffix)
        return self._files[name, suffix]

    def _describe(self, source: Source, text: DescriptionText, suffix: str) -> Description:
        if text.head is not None:
            self._head(source, text.head, suffix)
        description = Description(source, text.name, text.sound)
        seen: set[str] = set()
        for part in text.parts:
            word = part.part if isinstance(part, Entries) else "security"
            if word in seen:
                message = f"{word} appears twice"
                self._findings.error("EDL-002", part.span.at, message, "merge the two", word)
            seen.add(word)
            if isinstance(part, Entries):
                self._entries(description, part)
            else:
                description.security = part.interface
        return description

    def _head(self, source: Source, head: Head, suffix: str) -> None:
        name = head.name
        wanted = "component" if suffix == ".cdl" else "task class"
        if head.kind != wanted:
            message = f"a {suffix} file describes a {wanted}, this one a {head.kind}"
            help = f"{wanted} {name.value}"
            self._findings.error("EDL-001", name.span.at, message, help, name.value)
        if not self._search.ours(Path(source.name)):
            self.stubs.has(name.value)

    def _entries(self, description: Description, part: Entries) -> None:
        known = description.components if part.part == "components" else description.endpoints
        for name, kind in part.entries:
            at = name.span.at
            if name.value in known:
                message = f"{part.part} has two entries {name.value}"
                self._findings.error("EDL-003", at, message, "rename one", name.value)
            if "_" in name.value:
                message = f"the name {name.value} has an underscore"
                help = "KasperskyOS has no underscores in them"
                self._findings.warning("EDL-008", at, message, help, name.value)
            known[name.value] = (name, kind)

    # ---- classes

    def describes(self, name: str, suffix: str = ".edl") -> bool:
        """Whether there is a file for a process class, a component or a package."""
        return find(self._search, name, suffix) is not None

    def load_class(
        self,
        name: str,
        described_by: str,
        index: int,
        at: Location,
        ports: Mapping[str, str] | None = None,
    ) -> EntityClass | None:
        """The class `name` as the EDL of `described_by` describes it; None after a finding.

        `ports` adds endpoints (name -> interface) after the declared ones.
        """
        before = self._findings.errors
        description = self._load(described_by, ".edl")
        if description is None:
            if self._find(described_by, ".edl") is None:
                help = self._search.hint(described_by, ".edl")
                if self.stubs.take(CLASS, described_by, at, help):
                    self.open.add(name)
                    self.lacking.add(name)
                    return EntityClass(name, index, ())
                message = f"there is no process class {described_by}"
                self._findings.error("EDL-009", at, message, help, described_by)
            return None
        if name == described_by:
            self._must_be_called(description, name)
        builder = _Builder(self, self._findings)
        builder.add(description, "", None, (description.source.name,))
        for port, interface in (ports or {}).items():
            builder.add_port(Port(port, interface), at)
        broken = self._findings.errors > before or builder.broken
        security = tuple(builder.security)
        self._classify(name, description, builder.open)
        endpoints = tuple(builder.endpoints)
        return None if broken else EntityClass(name, index, endpoints, security)

    def _classify(self, name: str, description: Description, open: bool) -> None:
        """Notes whether more may be under a class than is known."""
        ours = self._search.ours(Path(description.source.name))
        if self.stubs.enabled and (open or ours):
            self.open.add(name)
            self.shipped |= {name} if ours else set()
            self.lacking |= {name} if open else set()

    def component(self, word: Word) -> Description | None:
        """What a CDL file says; None after a finding, or if it is a stub."""
        name = word.value
        description = self._load(name, ".cdl")
        if description is None and self._find(name, ".cdl") is None:
            help = self._search.hint(name, ".cdl")
            if not self.stubs.take("component", name, word.span.at, help):
                message = f"there is no component {name}"
                self._findings.error("EDL-004", word.span.at, message, help, name)
        elif description is not None:
            self._must_be_called(description, name)
        return description

    def check_component(self, name: str) -> None:
        """Reports what is wrong with a component and with everything that it names."""
        description = self._load(name, ".cdl")
        if description is not None:
            self._must_be_called(description, name)
            _Builder(self, self._findings).add(description, "", name, (description.source.name,))

    def _must_be_called(self, description: Description, name: str) -> None:
        declared = description.name
        if declared is None or declared.value == name:
            return
        self._findings.error(
            "EDL-001",
            declared.span.at,
            f"the file declares {declared.value}, it is looked up as {name}",
            f"declare {name}, or use that name",
            declared.value,
        )

    def interface(self, name: str, at: Location) -> tuple[Interface | None, bool]:
        """The interface (without methods if it is a stub) and whether its package is sound; None
        after a finding."""
        package = self.packages.load(name)
        if package is None:
            if not self.packages.exists(name):
                help = self.packages.suggestion(name)
                if self.stubs.take("interface", name, at, help):
                    return Interface(name, ()), True
                self._findings.error("EDL-005", at, f"there is no interface {name}", help, name)
            return None, False
        if package.interface is None and not package.lost_interface:
            message = f"package {name} declares no interface"
            self._findings.error("EDL-005", at, message, "interface { ... }", name)
        return package.interface, not package.broken


class _Builder:
    """Walks the instances of one class: components depth-first, then own endpoints."""

    def __init__(self, descriptions: Descriptions, findings: Findings) -> None:
        self._descriptions = descriptions
        self._findings = findings
        self.endpoints: list[Endpoint] = []
        self.security: list[Endpoint] = []
        self.full = False
        self.instances = 0
        self.broken = False
        self.open = False  # a part of the class is a stub

    def add(
        self, what: Description, path: str, component: str | None, stack: tuple[str, ...]
    ) -> None:
        self.broken |= not what.sound
        for instance, kind in what.components.values():
            self._add_instance(f"{path}{instance.value}", kind, stack)
        for name, kind in what.endpoints.values():
            self._add_endpoint(f"{path}{name.value}", kind.value, component, kind.span.at)
        if what.security is not None:
            self._add_security(what.security, path.removesuffix("."), component)

    def _add_instance(self, path: str, kind: Word, stack: tuple[str, ...]) -> None:
        at = kind.span.at
        self.instances += 1
        if self.instances > MAX_INSTANCES:
            if self.instances == MAX_INSTANCES + 1:
                message = f"more than {MAX_INSTANCES} component instances"
                help = "split the class into several"
                self._findings.error("EDL-010", at, message, help, kind.value)
            return
        described = self._descriptions.component(kind)
        if described is None:
            self.open = self._descriptions.stubs.enabled
            self.broken |= not self.open
        elif described.source.name in stack:
            message = f"component {kind.value} contains itself"
            self._findings.error("EDL-006", at, message, "take the instance out", kind.value)
        elif len(stack) > MAX_DEPTH:
            message = f"components are nested more than {MAX_DEPTH} deep"
            self._findings.error("EDL-011", at, message, "nest them less", kind.value)
        else:
            self.add(described, f"{path}.", kind.value, (*stack, described.source.name))

    def _add_endpoint(self, name: str, interface: str, component: str | None, at: Location) -> None:
        found, sound = self._descriptions.interface(interface, at)
        self.broken |= not sound
        if found is None:
            return
        self.open |= not found.methods
        if len(self.endpoints) < MAX_ENDPOINTS:
            self.endpoints.append(Endpoint(name, len(self.endpoints), found, component))
        elif not self.full:
            self.full = True
            message = f"more than {MAX_ENDPOINTS} endpoints"
            self._findings.error("EDL-010", at, message, "split the class into several", name)

    def _add_security(self, kind: Word, path: str, component: str | None) -> None:
        at = kind.span.at
        found, sound = self._descriptions.interface(kind.value, at)
        self.broken |= not sound
        if found is None:
            return
        self.open |= not found.methods
        for method in found.methods:
            if method.response.fields or method.error.fields:
                self._findings.error(
                    "EDL-007",
                    at,
                    f"{kind.value} is a security interface, but {method.name} returns something",
                    "methods of a security interface have in parameters only",
                    kind.value,
                )
        self.security.append(Endpoint(path, len(self.security), found, component))

    def add_port(self, port: Port, at: Location) -> None:
        if any(endpoint.name == port.name for endpoint in self.endpoints):
            message = f"the class already has an endpoint {port.name}"
            self._findings.error("EDL-003", at, message, "rename the port", port.name)
        else:
            self._add_endpoint(port.name, port.interface, None, at)
