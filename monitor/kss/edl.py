"""Process classes (EDL) and components (CDL): from files to endpoints with numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lark import Token, Tree

from kss.errors import Findings, Location, did_you_mean
from kss.idl import Packages, declares
from kss.layout import Endpoint, EntityClass, Interface
from kss.source import Search, Source, parse, read_source

MAX_ENDPOINTS = 1024
MAX_INSTANCES = 4096


@dataclass
class Description:
    """What one EDL or CDL file says, names not yet looked up."""

    source: Source
    name: Token
    components: list[tuple[Token, Token]] = field(default_factory=list)
    endpoints: list[tuple[Token, Token]] = field(default_factory=list)
    security: Token | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """An endpoint beyond those of the EDL: a port's messages."""

    name: str
    interface: str


class Descriptions:
    """Loads classes with everything they name. Findings are reported where they arise."""

    def __init__(self, search: Search, findings: Findings) -> None:
        self._search = search
        self._findings = findings
        self._files: dict[tuple[str, str], Description | None] = {}
        self.packages = Packages(search, findings)

    # ---- files

    def _find(self, name: str, suffix: str) -> Path | None:
        if exact := self._search.exact(name, suffix):
            return exact
        flat = (path for path in self._search.flat(name, suffix) if declares(path, "edl", name))
        return next(flat, None)

    def _load(self, name: str, suffix: str) -> Description | None:
        if (name, suffix) not in self._files:
            path = self._find(name, suffix)
            source = read_source(path, self._findings) if path else None
            tree = parse("edl", source, self._findings) if source else None
            described = self._describe(source, tree, suffix) if source and tree else None
            self._files[name, suffix] = described
        return self._files[name, suffix]

    def _describe(self, source: Source, tree: Tree[Token], suffix: str) -> Description:
        head, *parts = (child for child in tree.children if isinstance(child, Tree))
        (name,) = head.children
        assert isinstance(name, Token)
        wanted = "component" if suffix == ".cdl" else "entity"
        if head.data != wanted:
            self._findings.error(
                "EDL-001",
                source.at(name),
                f"a {suffix} file describes a {wanted}, this one a {head.data}",
                f"{wanted} {name}",
                str(name),
            )
        description = Description(source, name)
        seen: set[str] = set()
        for part in parts:
            if part.data in seen:
                at = source.position(part.meta.start_pos)
                self._findings.error(
                    "EDL-002", at, f"{part.data} appears twice", "merge the two", str(part.data)
                )
            seen.add(str(part.data))
            self._part(description, part)
        return description

    def _part(self, description: Description, part: Tree[Token]) -> None:
        if part.data == "security":
            (name,) = part.children
            assert isinstance(name, Token)
            description.security = name
            return
        entries = description.components if part.data == "components" else description.endpoints
        for entry in part.children:
            assert isinstance(entry, Tree)
            name, kind = entry.children
            assert isinstance(name, Token) and isinstance(kind, Token)
            at = description.source.at(name)
            if any(name == other for other, _ in entries):
                self._findings.error(
                    "EDL-003", at, f"{part.data} has two entries {name}", "rename one", str(name)
                )
            if "_" in name:
                self._findings.warning(
                    "EDL-008", at, f"the name {name} has an underscore", "", str(name)
                )
            entries.append((name, kind))

    # ---- classes

    def class_names(self) -> list[str]:
        return self._search.names(".edl")

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
        before = sum(finding.severity == "error" for finding in self._findings.items)
        description = self._load(described_by, ".edl")
        if description is None:
            if self._find(described_by, ".edl") is None:
                help = did_you_mean(
                    described_by,
                    self.class_names(),
                    f"{described_by.replace('.', '/')}.edl in an include directory",
                )
                message = f"there is no process class {described_by}"
                self._findings.error("EDL-009", at, message, help, described_by)
            return None
        if name == described_by and description.name != name:
            self._misnamed(description, name)
        builder = _Builder(self, self._findings)
        builder.add(description, "", None, (description.source.name,))
        for port, interface in (ports or {}).items():
            builder.add_port(Port(port, interface), at)
        after = sum(finding.severity == "error" for finding in self._findings.items)
        broken = after > before or builder.broken
        security = tuple(builder.security)
        return None if broken else EntityClass(name, index, tuple(builder.endpoints), security)

    def component(self, name: Token, source: Source) -> Description | None:
        description = self._load(name, ".cdl")
        if description is None and self._find(name, ".cdl") is None:
            help = did_you_mean(
                name,
                self._search.names(".cdl"),
                f"{name.replace('.', '/')}.cdl in an include directory",
            )
            message = f"there is no component {name}"
            self._findings.error("EDL-004", source.at(name), message, help, str(name))
        elif description is not None and description.name != name:
            self._misnamed(description, name)
        return description

    def _misnamed(self, description: Description, name: str) -> None:
        self._findings.error(
            "EDL-001",
            description.source.at(description.name),
            f"the file declares {description.name}, it is looked up as {name}",
            f"declare {name}, or use that name",
            str(description.name),
        )

    def interface(self, name: str, at: Location) -> tuple[Interface | None, bool]:
        """The interface and whether its package is sound; None after a finding."""
        package = self.packages.load(name)
        if package is None:
            if not self.packages.exists(name):
                help = self.packages.suggestion(name)
                self._findings.error("EDL-005", at, f"there is no interface {name}", help, name)
            return None, False
        if package.interface is None:
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
        self.instances = 0
        self.broken = False

    def add(
        self, what: Description, path: str, component: str | None, stack: tuple[str, ...]
    ) -> None:
        for instance, kind in what.components:
            self._add_instance(what, f"{path}{instance}", kind, stack)
        for name, kind in what.endpoints:
            at = what.source.at(kind)
            self._add_endpoint(f"{path}{name}", str(kind), component, at)
        if what.security is not None:
            self._add_security(what, what.security, path.removesuffix("."), component)

    def _add_instance(
        self, parent: Description, path: str, kind: Token, stack: tuple[str, ...]
    ) -> None:
        at = parent.source.at(kind)
        self.instances += 1
        if self.instances > MAX_INSTANCES:
            if self.instances == MAX_INSTANCES + 1:
                message = f"more than {MAX_INSTANCES} component instances"
                self._findings.error("EDL-010", at, message, "", str(kind))
            return
        described = self._descriptions.component(kind, parent.source)
        if described is None:
            self.broken = True
        elif described.source.name in stack:
            help = "take the instance out"
            self._findings.error("EDL-006", at, f"component {kind} contains itself", help, kind)
        else:
            self.add(described, f"{path}.", str(kind), (*stack, described.source.name))

    def _add_endpoint(self, name: str, interface: str, component: str | None, at: Location) -> None:
        found, sound = self._descriptions.interface(interface, at)
        self.broken |= not sound
        if found is None:
            return
        if len(self.endpoints) == MAX_ENDPOINTS:
            self._findings.error("EDL-010", at, f"more than {MAX_ENDPOINTS} endpoints", "", name)
        elif len(self.endpoints) < MAX_ENDPOINTS:
            self.endpoints.append(Endpoint(name, len(self.endpoints), found, component))

    def _add_security(
        self, what: Description, kind: Token, path: str, component: str | None
    ) -> None:
        at = what.source.at(kind)
        found, sound = self._descriptions.interface(str(kind), at)
        self.broken |= not sound
        if found is None:
            return
        for method in found.methods:
            if method.response.fields or method.error.fields:
                self._findings.error(
                    "EDL-007",
                    at,
                    f"{kind} is a security interface, but {method.name} returns something",
                    "methods of a security interface have in parameters only",
                    str(kind),
                )
        self.security.append(Endpoint(path, len(self.security), found, component))

    def add_port(self, port: Port, at: Location) -> None:
        if any(endpoint.name == port.name for endpoint in self.endpoints):
            message = f"the class already has an endpoint {port.name}"
            self._findings.error("EDL-003", at, message, "rename the port", port.name)
        else:
            self._add_endpoint(port.name, port.interface, None, at)
