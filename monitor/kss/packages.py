"""Finding the files of packages, classes and components; packages, each read once."""

from __future__ import annotations

from pathlib import Path

from kss.errors import Findings
from kss.grammar.edl import parse_description
from kss.grammar.idl import parse_package
from kss.idl import Package, Reader
from kss.source import Search
from kss.stubs import Stubs


class Packages:
    """Loads packages, each once. A package with findings is `broken`, and so is who imports it."""

    def __init__(self, search: Search, findings: Findings, stubs: Stubs | None = None) -> None:
        self._search = search
        self._findings = findings
        self.stubs = stubs or Stubs(findings)
        # With stubs enabled: interfaces that KSS brings along. The SDK's may have more.
        self.partial: set[str] = set()
        self._loaded: dict[str, Package | None] = {}
        self._loading: list[str] = []

    def load(self, name: str) -> Package | None:
        """The package; None if there is no such file (the caller reports) or after a finding."""
        if name not in self._loaded:
            self._loading.append(name)
            self._loaded[name] = self._read(name)
            self._loading.pop()
        return self._loaded[name]

    @property
    def depth(self) -> int:
        """How many packages are being read, each imported by the one before."""
        return len(self._loading)

    def is_loading(self, name: str) -> bool:
        return name in self._loading

    def suggestion(self, name: str) -> str:
        return self._search.hint(name, ".idl")

    def exists(self, name: str) -> bool:
        return self._find(name) is not None

    def _find(self, name: str) -> Path | None:
        return find(self._search, name, ".idl")

    def _read(self, name: str) -> Package | None:
        path = self._find(name)
        source = self._search.read(path, self._findings) if path else None
        if path is None or source is None:
            return None
        if not self._search.ours(path):
            self.stubs.has(name)
        elif self.stubs.enabled:
            self.partial.add(name)
        before = self._findings.errors
        package = Package(name, path)
        text = parse_package(source, self._findings)
        Reader(text, package, self, self._findings).read()
        package.broken |= not text.sound or self._findings.errors > before
        return package


def find(search: Search, name: str, suffix: str) -> Path | None:
    """The file of a class, component or package: where its name says, else one in an include
    directory itself that is called like the last part of the name and declares all of it."""
    if exact := search.exact(name, suffix):
        return exact
    return next((path for path in search.flat(name, suffix) if _declares(search, path, name)), None)


def _declares(search: Search, path: Path, name: str) -> bool:
    source = search.read(path, Findings())
    if source is None:
        return False
    parse = parse_package if path.suffix == ".idl" else parse_description
    text = parse(source, Findings())
    return text.name is not None and text.name.value == name
