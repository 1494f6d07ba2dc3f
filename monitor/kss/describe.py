"""Classes and interfaces by the name of a file or by their own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kss.edl import Descriptions
from kss.errors import Findings, Location
from kss.grammar.edl import parse_description
from kss.grammar.idl import parse_package
from kss.layout import EntityClass, Interface
from kss.source import Search, read_source

_PARSERS = {".edl": parse_description, ".cdl": parse_description, ".idl": parse_package}


def load_described_class(what: str, include: Iterable[Path]) -> EntityClass:
    """The class an EDL file describes, or the class of that name. Raises DescriptionError."""
    findings = Findings()
    name, directories = _name_and_root(what, include, findings)
    descriptions = Descriptions(Search(directories), findings)
    found = descriptions.load_class(name, name, 0, Location(what, 1, 1))
    findings.raise_if_failed()
    assert found is not None
    return found


def load_described_interface(what: str, include: Iterable[Path]) -> Interface:
    """The interface an IDL file declares, or the one of that name. Raises DescriptionError."""
    findings = Findings()
    name, directories = _name_and_root(what, include, findings)
    descriptions = Descriptions(Search(directories), findings)
    found, _ = descriptions.interface(name, Location(what, 1, 1))
    findings.raise_if_failed()
    assert found is not None
    return found


def _name_and_root(
    what: str, include: Iterable[Path], findings: Findings
) -> tuple[str, list[Path]]:
    """The name to look up, and the include directories: that of the file first."""
    path = Path(what)
    if path.suffix not in _PARSERS:
        return what, list(include)
    source = read_source(path, findings)
    text = _PARSERS[path.suffix](source, findings) if source else None
    findings.raise_if_failed()
    assert text is not None
    name = text.name.value
    parts = name.split(".")
    root = path.parent
    if path.parts[-len(parts) :] == (*parts[:-1], path.name) and path.stem == parts[-1]:
        root = Path(*path.parts[: -len(parts)])
    return name, [root, *include]
