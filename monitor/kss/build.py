"""From a policy file to the typed tree: loading, checking, numbering."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from kss import boot, syntax
from kss.audit import Audit
from kss.bindings import Bindings
from kss.edl import Descriptions
from kss.errors import DescriptionError, Finding, Findings, Location
from kss.layout import EntityClass
from kss.loader import Loader
from kss.objects import Objects
from kss.pal.check import Tests
from kss.selectors import Selectors
from kss.source import Search
from kss.stubs import Stubs
from kss.template import Template
from kss.tree import PolicyTree

# The build of a solution puts lines `use EDL ...` in its place, and nothing else.
CLASSES_PLACEHOLDER = "@INIT_EXTERNAL_ENTITIES@"
EXECUTE_INTERFACE = "kl.core.Execute"
# Findings that may only follow from a declaration in a file that is not there.
_FOLLOWING = {
    "PSL-012", "PSL-013", "PSL-014", "PSL-015", "PSL-016", "PSL-018", "PSL-019", "PSL-021",
    "PSL-022", "PSL-034", "PSL-063", "PSL-070", "PAL-002", "PAL-004",
}  # fmt: skip
# class -> endpoint -> interface
Endpoints = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Built:
    """A policy without errors, and the warnings about it."""

    tree: PolicyTree
    warnings: tuple[Finding, ...]


@dataclass(frozen=True)
class Options:
    """How a policy is read. `defines` is what template placeholders stand for; `stub` takes on
    trust what is not there (`kss.stubs`); without `run` parts of the policy may lack, too."""

    include: tuple[Path, ...] = ()
    defines: Mapping[str, str] = field(default_factory=dict)
    stub: bool = False
    run: bool = True
    extra_endpoints: Endpoints = field(default_factory=dict)
    extra_classes: tuple[str, ...] = ()


def build(path: Path, options: Options) -> Built:
    """Reads and checks a policy. Raises DescriptionError with every finding."""
    with uncollected():
        return _build(path, options)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection: syntax and policies are large and hold no cycles, and to walk
    them again and again while they grow takes longer than to make them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _build(path: Path, options: Options) -> Built:
    findings = Findings()
    template, stubs = Template(options.defines, options.stub), Stubs(findings, options.stub)
    search = Search([path.parent, *options.include], template.expand)
    loader = Loader(search, findings, stubs)
    loader.load(path)
    main = Location(str(path), 1, 1)
    _must_declare_something(loader, main, findings)
    _must_be_execute_interface(loader, findings)
    descriptions = Descriptions(search, findings, stubs)
    classes, broken = _classes(loader, descriptions, main, options, findings)
    lacking = _lacking(findings, options.run)
    reported = len(findings.items)
    objects = Objects(loader, main, findings)
    audit = Audit(loader, objects, findings)
    selectors = Selectors(classes, descriptions, broken, findings)
    bindings = Bindings(selectors, objects, audit, findings)
    checked = tuple(bindings.binding(node) for node in loader.of(syntax.Binding))
    checker = Tests(classes, broken, descriptions.open, stubs, findings)
    tests = tuple(checker.check(node) for node in loader.of(syntax.TestSet))
    if not loader.complete:
        kept = [item for item in findings.items[reported:] if item.rule not in _FOLLOWING]
        raise DescriptionError([*findings.items[:reported], *kept])
    findings.raise_if_failed()
    lacking_files = descriptions.lacking
    policy = PolicyTree(
        classes=tuple(replace(each, open=each.name in lacking_files) for each in classes.values()),
        objects=tuple(objects.items),
        bindings=checked,
        sites=tuple(bindings.sites),
        profiles=audit.profiles,
        audit_default=audit.default,
        tests=tests,
    )
    places = {use.name.value: use.name.span.at for use in reversed(loader.of(syntax.UseClass))}
    if not lacking:
        boot.warn(policy, main, places, findings)
    return Built(policy, tuple(findings.items))


def _lacking(findings: Findings, run: bool) -> bool:
    """Whether stub mode has left parts of the policy out; an error if the policy is to be run, for
    they may hold rules that deny."""
    notes = [item for item in findings.items if item.rule == "STUB-003"]
    for note in notes if run else ():
        if note.text != CLASSES_PLACEHOLDER:
            message = f"{note.text} is left out: it may hold rules that deny"
            at = Location(note.file, note.line, note.column)
            findings.error("PSL-009", at, message, "such a policy can be checked only", note.text)
    return bool(notes)


def _must_declare_something(loader: Loader, main: Location, findings: Findings) -> None:
    if not loader.declarations and not findings.failed:
        message = "the policy declares nothing: no system boots with it"
        help = "name the classes (use EDL kl.core.Core, ...) and what is granted to them"
        findings.error("PSL-007", main, message, help)


def _must_be_execute_interface(loader: Loader, findings: Findings) -> None:
    for declared in loader.of(syntax.ExecuteInterface):
        if declared.name.value != EXECUTE_INTERFACE:
            span = declared.name.span
            message = f"the execute interface is {EXECUTE_INTERFACE}"
            help = f"execute: {EXECUTE_INTERFACE}"
            findings.error("PSL-001", span.at, message, help, span.text)


def _classes(
    loader: Loader,
    descriptions: Descriptions,
    main: Location,
    options: Options,
    findings: Findings,
) -> tuple[dict[str, EntityClass], set[str]]:
    """The classes in order of first mention, and the names of those with findings."""
    wanted: dict[str, tuple[str, Location]] = {}
    for use in loader.of(syntax.UseClass):
        name, described_by = use.name.value, use.described_by.value
        known = wanted.setdefault(name, (described_by, use.described_by.span.at))
        if known[0] != described_by:
            message = f"class {name} is described by {known[0]} already"
            at = use.described_by.span.at
            findings.error("PSL-004", at, message, "register it once", described_by)
    for name in (*options.extra_classes, *options.extra_endpoints):
        wanted.setdefault(name, (name, main))
    classes: dict[str, EntityClass] = {}
    broken: set[str] = set()
    for name, (described_by, at) in wanted.items():
        ports = options.extra_endpoints.get(name, {})
        loaded = descriptions.load_class(name, described_by, len(classes), at, ports)
        if loaded is None:
            broken.add(name)
        else:
            classes[name] = loaded
    return classes, broken | loader.hidden_classes - set(classes)
