"""Bindings: from syntax to typed items, section by section."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from kss import syntax, tree, types
from kss.audit import Audit
from kss.calls import Known
from kss.choices import Labels
from kss.errors import Findings
from kss.expressions import AbandonedError, Checker
from kss.models import MODELS
from kss.models.model import Labelled
from kss.objects import Objects
from kss.patterns import Patterns
from kss.selectors import Section, Selectors
from kss.syntax import Span

MAX_DEPTH = 300


class Bindings:
    """Checks bindings one after the other and numbers the places that can decide."""

    def __init__(
        self, selectors: Selectors, objects: Objects, audit: Audit, findings: Findings
    ) -> None:
        self._selectors = selectors
        self._objects = objects
        self._audit = audit
        self._findings = findings
        self._patterns = Patterns()
        self.sites: list[tree.Site] = []

    def binding(self, node: syntax.Binding) -> tree.Binding:
        section, condition = self._selectors.narrow(
            self._selectors.everything(node.kind), node.selectors
        )
        try:
            items = self._items(section, node.items)
        except RecursionError:
            message = "the binding is nested too deeply"
            self._findings.error("PSL-040", node.span.at, message, "split it", "")
            items = ()
        header = node.span.text.split("{")[0].strip()
        return tree.Binding(node.kind, condition, items, node.span.at, header)

    # ---- sections

    def _items(self, section: Section, nodes: tuple[syntax.Item, ...]) -> tuple[tree.Item, ...]:
        section = self._audited(section, nodes)
        items: list[tree.Item] = []
        for node in nodes:
            errors, sites = self._findings.errors, len(self.sites)
            try:
                items += self._item(section, node)
            except AbandonedError:
                del self.sites[sites:]
                items.append(self._refused(section, node, self._findings.errors > errors))
        return tuple(items)

    def _refused(self, section: Section, node: syntax.Item, told: bool) -> tree.Item:
        """What stands in place of an item that cannot be checked: a denial. It comes to run only
        if no finding is the cause, but a missing file (`kss.stubs`)."""
        if not told and self._selectors.stubs.enabled:
            message = "this cannot be checked without the SDK's files: it denies"
            at = node.span.at
            help = "give the folder with the SDK's files with -I"
            self._findings.note("STUB-004", at, message, help, node.span.text)
        site = self._site(section, node.span, "", "stub")
        return tree.Choice(site, tree.Constant(True, types.BOOLEAN), (), None)

    def _audited(self, section: Section, nodes: tuple[syntax.Item, ...]) -> Section:
        references = [node for node in nodes if isinstance(node, syntax.AuditReference)]
        for extra in references[1:]:
            message = "the section already names an audit profile"
            self._error("PSL-074", extra.span, message, "take one out")
        if references and self._audit.knows(references[0].profile):
            return replace(section, profile=references[0].profile.value)
        return section

    def _item(self, section: Section, node: syntax.Item) -> list[tree.Item]:
        match node:
            case syntax.AuditReference():
                return []
            case syntax.Match():
                return self._match(section, node)
            case syntax.Choice():
                return [self._choice(section, node)]
            case syntax.Call():
                return [self._call(section, node)]

    def _match(self, section: Section, node: syntax.Match) -> list[tree.Item]:
        inner, condition = self._selectors.narrow(section, node.selectors)
        if inner.dead:
            return []
        return [tree.Match(condition, self._items(inner, node.items), node.span.at)]

    # ---- calls

    def _call(self, section: Section, node: syntax.Call) -> tree.Rule | tree.Evaluate:
        checker = self._checker(section)
        known, method = checker.target(node)
        signature = known.signatures.get(method)
        name = self._name(known)
        if method in MODELS[known.model].pure() or (signature and signature.result is not None):
            value = self._shallow(checker.infer(node), node.span)
            return tree.Evaluate(self._site(section, node.span, name, method), value)
        assert signature is not None
        arguments = checker.arguments(node, known, signature)
        for _, value in arguments:
            self._shallow(value, node.span)
        site = self._site(section, node.span, name, method)
        return tree.Rule(site, known.index, method, arguments)

    def _checker(self, section: Section) -> Checker:
        note = partial(self._note, section)
        known, broken = self._objects.known, self._objects.broken
        return Checker(section, known, self._findings, broken, self._patterns, note)

    def _note(self, section: Section, span: Span, known: Known, method: str) -> int | None:
        """The site of an expression method, if an audit profile may have its calls recorded."""
        name = self._name(known)
        watches = self._audit.watches(section.profile, name, method, expression=True)
        return self._add(span, name, method, watches) if watches else None

    def _name(self, known: Known) -> str:
        return self._objects.items[known.index].name

    def _site(self, section: Section, span: Span, object: str, method: str) -> int:
        watches = self._audit.watches(section.profile, object, method)
        return self._add(span, object, method, watches)

    def _add(self, span: Span, object: str, method: str, watches: tuple[tree.Watch, ...]) -> int:
        site = tree.Site(len(self.sites), span.at, object, method, span.text, watches)
        self.sites.append(site)
        return site.id

    def _shallow(self, value: tree.Expression, span: Span) -> tree.Expression:
        """The value, if it is not nested beyond what every engine can walk."""
        level: list[tree.Expression] = [value]
        for _ in range(MAX_DEPTH):
            level = [child for item in level for child in _children(item)]
            if not level:
                return value
        message = "the expression is nested too deeply"
        raise self._fail("PSL-040", span, message, "split it into several rules")

    # ---- choice

    def _choice(self, section: Section, node: syntax.Choice) -> tree.Choice:
        checker = self._checker(section)
        scrutinee = self._shallow(checker.scrutinee(node.scrutinee), node.span)
        labels = Labels(checker, scrutinee, self._objects.items)
        labels.must_be_choosable(node.scrutinee)
        head = _up_to_brace(node.span, node.scrutinee.span.end)
        site = self._site(section, head, "", "choice")
        branches: list[tree.Branch] = []
        labelled: list[Labelled] = []
        default: tuple[tree.Item, ...] | None = None
        for branch in node.branches:
            label = labels.read(branch.label) if branch.label else None
            items = self._items(section, branch.items)
            if branch.label is None:
                if default is not None:
                    self._error(
                        "PSL-051", branch.span, "there is a branch _ already", "take one out"
                    )
                default = items
            elif label is not None:
                branches.append(tree.Branch(label, items))
                labelled.append((branch.label, label))
        sound = len(labelled) == sum(branch.label is not None for branch in node.branches)
        left_out = labels.left_out(labelled) if sound else ""
        if left_out and default is None:
            message = f"no branch is for {left_out}: they are denied"
            self._findings.note("PSL-053", head.at, message, "_ : deny () says so", head.text)
        return tree.Choice(site, scrutinee, tuple(branches), default)

    # ---- findings

    def _error(self, rule: str, span: Span, message: str, help: str = "") -> None:
        self._findings.error(rule, span.at, message, help, span.text)

    def _fail(self, rule: str, span: Span, message: str, help: str = "") -> AbandonedError:
        self._error(rule, span, message, help)
        return AbandonedError()


def _up_to_brace(span: Span, end: int) -> Span:
    """The head of a section: what stands before the brace that follows `end`."""
    text = span.source.text
    head = text[span.start : text.index("{", end)].rstrip()
    return Span(span.source, span.start, span.start + len(head))


def _children(value: tree.Expression) -> list[tree.Expression]:
    match value:
        case tree.Place(_, steps):
            return [step.index for step in steps if isinstance(step, tree.ElementStep)]
        case tree.ListValue(items):
            return list(items)
        case tree.RecordValue(fields):
            return [item for _, item in fields]
        case tree.Apply(_, operands):
            return list(operands)
        case tree.Logical(_, left, right):
            return [left, right]
        case tree.Query(_, _, arguments):
            return [item for _, item in arguments]
    return []
