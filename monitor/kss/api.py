"""The facade: what a kernel that embeds KSS uses, and nothing else of this package.

policy = load_policy(Path("security.psl"), [Path("interfaces")])
policy.classes                      # names; the index is the class number
policy.layout("gateway.Controller")
policy.tree                         # for the compiler and the reference interpreter
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kss.boot import starts
from kss.build import Options, build
from kss.edl import Descriptions
from kss.errors import DescriptionError, Finding, Findings, KssError, Location
from kss.events import Decision, Event, Kind, Reason, Result
from kss.layout import EntityClass
from kss.nearest import SELECTORS, EventNames, Section, advice, sections
from kss.pal.cases import TestSet
from kss.source import Search
from kss.tree import PolicyTree

if TYPE_CHECKING:
    from kss.init import Init

__all__ = [
    "Decision",
    "DescriptionError",
    "Event",
    "EventNames",
    "Finding",
    "Kind",
    "KssError",
    "Policy",
    "Reason",
    "Result",
    "RuleInfo",
    "Section",
    "check",
    "check_policy",
    "load_class",
    "load_init",
    "load_policy",
]


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """A place in the policy that can decide. For a `choice`, object is "" and method "choice"."""

    id: int
    file: str
    line: int
    column: int
    object: str
    method: str
    text: str


@dataclass(frozen=True)
class Policy:
    """A policy that has been read and checked."""

    tree: PolicyTree
    warnings: tuple[Finding, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the process classes; the index is the class number."""
        return tuple(item.name for item in self.tree.classes)

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """Every site by id: the rule ids of decisions."""
        return tuple(
            RuleInfo(
                site.id,
                site.location.file,
                site.location.line,
                site.location.column,
                site.object,
                site.method,
                site.text,
            )
            for site in self.tree.sites
        )

    def layout(self, name: str) -> EntityClass:
        """Endpoints, methods and message layouts of a class. Raises KeyError if unknown."""
        for item in self.tree.classes:
            if item.name == name:
                return item
        raise KeyError(name)

    @property
    def tests(self) -> tuple[TestSet, ...]:
        """The policy's own tests; `kss.pal.run` runs them."""
        return self.tree.tests

    @property
    def sections(self) -> tuple[Section, ...]:
        """The conditions under which rules are called."""
        return sections(self.tree)

    def starts(self, src: str, dst: str) -> bool:
        """Whether a rule is called when a process of class `src` starts one of class `dst`."""
        return starts(self.sections, src, dst)

    def nearest(self, event: EventNames) -> str:
        """Which section comes closest to an event denied by default, in words."""
        names = {key: getattr(event, key) for key in SELECTORS}
        return advice(self.sections, event.kind.name.lower(), names)


def load_policy(
    path: Path,
    include: Iterable[Path] = (),
    *,
    extra_endpoints: Mapping[str, Mapping[str, str]] | None = None,
    extra_classes: Sequence[str] = (),
    defines: Mapping[str, str] | None = None,
    stub: bool = False,
) -> Policy:
    """Reads and checks a policy with everything it uses.

    `include` is searched for .psl, .edl, .cdl and .idl, after the policy's own directory and before
    KSS's own interface files. `extra_endpoints` (class -> endpoint -> interface) adds endpoints to
    classes; their RIIDs come after the declared ones, in the order given. `extra_classes` are known
    even if the policy does not mention them. `defines` gives texts to template placeholders, `stub`
    takes on trust what SDK files would describe (`kss.stubs`): what hangs on it denies. Raises
    KssError; its `findings` are all there are.
    """
    options = Options(
        include=tuple(include),
        defines=defines or {},
        stub=stub,
        extra_endpoints=extra_endpoints or {},
        extra_classes=tuple(extra_classes),
    )
    built = build(Path(path), options)
    return Policy(built.tree, built.warnings)


def check_policy(
    path: Path,
    include: Iterable[Path] = (),
    *,
    defines: Mapping[str, str] | None = None,
    stub: bool = False,
) -> tuple[Finding, ...]:
    """Everything that is wrong with a policy, warnings and notes among it.

    With `stub` policy files may lack, too; `load_policy` refuses that, for they may hold rules.
    """
    options = Options(include=tuple(include), defines=defines or {}, stub=stub, run=False)
    try:
        return build(Path(path), options).warnings
    except DescriptionError as error:
        return error.findings


def load_class(name: str, include: Iterable[Path] = ()) -> EntityClass | None:
    """A class as its EDL describes it, None if it is not found or has findings (which
    `load_policy` reports)."""
    findings = Findings()
    descriptions = Descriptions(Search(include), findings)
    return descriptions.load_class(name, name, 0, Location(name, 1, 1))


def load_init(path: Path, defines: Mapping[str, str] | None = None, *, stub: bool = False) -> Init:
    """Reads and checks an init description; see `kss.init`. Raises KssError."""
    from kss.init import load_init

    return load_init(Path(path), defines, stub=stub)


def check(
    path: Path,
    include: Iterable[Path] = (),
    *,
    defines: Mapping[str, str] | None = None,
    stub: bool = False,
) -> tuple[Finding, ...]:
    """Everything that is wrong with a file, by what its name ends in: an init description (.yaml,
    .yaml.in), a class, component or package (.edl, .cdl, .idl), else a policy."""
    if path.name.endswith((".yaml", ".yml", ".yaml.in")):
        try:
            return load_init(path, defines, stub=stub).notes
        except DescriptionError as error:
            return error.findings
    if path.suffix in (".edl", ".cdl", ".idl"):
        from kss.describe import check_description

        return check_description(path, include, defines or {}, stub)
    return check_policy(path, include, defines=defines, stub=stub)
