"""Classes and interfaces by the name of a file or by their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from kss.edl import Descriptions
from kss.errors import DescriptionError, Finding, Findings, Location
from kss.grammar.edl import parse_description
from kss.grammar.idl import parse_package
from kss.layout import EntityClass, Interface
from kss.source import Expand, Search, read_source
from kss.stubs import Stubs
from kss.syntax import Word
from kss.template import Template

_SUFFIXES = (".edl", ".cdl", ".idl")


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


def check_description(
    path: Path, include: Iterable[Path], defines: Mapping[str, str], stub: bool
) -> tuple[Finding, ...]:
    """Everything that is wrong with an .edl, .cdl or .idl file and what it names."""
    findings = Findings()
    expand = Template(defines, stub).expand
    try:
        declared, root = _declared(path, findings, expand)
        name = declared.value
        search = Search([root, *include], expand)
        if declared.parts[-1] != path.stem:
            rule = "IDL-001" if path.suffix == ".idl" else "EDL-001"
            file = f"{declared.parts[-1]}{path.suffix}"
            right = ".".join((*declared.parts[:-1], path.stem))
            message, help = (
                f"{name} is looked for in {file}",
                f"call it {right}, or the file {file}",
            )
            findings.error(rule, declared.span.at, message, help, name)
            search.settle(name, path)
        descriptions = Descriptions(search, findings, Stubs(findings, stub))
        if path.suffix == ".edl":
            descriptions.load_class(name, name, 0, declared.span.at)
        elif path.suffix == ".cdl":
            descriptions.check_component(name)
        else:
            descriptions.packages.load(name)
    except DescriptionError as error:
        return error.findings
    return tuple(findings.items)


def _name_and_root(
    what: str, include: Iterable[Path], findings: Findings
) -> tuple[str, list[Path]]:
    """The name to look up, and the include directories: that of the file first."""
    path = Path(what)
    if path.suffix not in _SUFFIXES:
        return what, list(include)
    declared, root = _declared(path, findings, None)
    return declared.value, [root, *include]


def _declared(path: Path, findings: Findings, expand: Expand | None) -> tuple[Word, Path]:
    """The name that a file declares, and the include directory in which that name leads to it."""
    source = read_source(path, findings)
    source = expand(source, findings) if source and expand else source
    parse = parse_package if path.suffix == ".idl" else parse_description
    name = parse(source, findings).name if source else None
    if name is None:
        raise DescriptionError(findings.items)
    parts = name.parts
    root = path.parent
    if path.parts[-len(parts) :] == (*parts[:-1], path.name):
        root = Path(*path.parts[: -len(parts)])
    return name, root
