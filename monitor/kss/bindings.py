"""Bindings: from syntax to typed items, section by section."""

from __future__ import annotations

from dataclasses import replace

from kss import numerals, syntax, tree, types
from kss.audit import Audit
from kss.calls import Known
from kss.errors import Findings, did_you_mean
from kss.expressions import AbandonedError, Checker
from kss.models import MODELS
from kss.numerals import MismatchError
from kss.objects import Objects
from kss.selectors import Section, Selectors
from kss.syntax import Span
from kss.types import BOOLEAN, IntegerType, TextType, Type

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
            try:
                items += self._item(section, node)
            except AbandonedError:
                continue
        return tuple(items)

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
            site = self._site(node.span, name, method)
            return tree.Evaluate(site, self._shallow(checker.infer(node), node.span))
        assert signature is not None
        site = self._site(node.span, name, method)
        arguments = checker.arguments(node, known, signature)
        for _, value in arguments:
            self._shallow(value, node.span)
        return tree.Rule(site, known.index, method, arguments, section.profile)

    def _checker(self, section: Section) -> Checker:
        return Checker(section, self._objects.known, self._findings, self._objects.broken)

    def _name(self, known: Known) -> str:
        return self._objects.items[known.index].name

    def _site(self, span: Span, object: str, method: str) -> int:
        site = tree.Site(len(self.sites), span.at, object, method, span.text)
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
        scrutinee = checker.infer(node.scrutinee)
        scrutinee = self._shallow(checker.settle(scrutinee, node.scrutinee.span), node.span)
        self._must_be_choosable(scrutinee.type, node.scrutinee.span)
        head = Span(node.span.source, node.span.start, node.scrutinee.span.end)
        site = self._site(head, "", "choice")
        branches: list[tree.Branch] = []
        default: tuple[tree.Item, ...] | None = None
        seen: set[tuple[type, object]] = set()
        for branch in node.branches:
            label = self._label(checker, scrutinee, branch.label) if branch.label else None
            items = self._items(section, branch.items)
            if branch.label and label is None:
                continue
            if (type(label), label) in seen:
                span = branch.label.span if branch.label else branch.span
                self._error("PSL-051", span, "another branch has this label", "take one out")
            seen.add((type(label), label))
            if label is None:
                default = items
            else:
                branches.append(tree.Branch(label, items))
        return tree.Choice(site, scrutinee, tuple(branches), default)

    def _must_be_choosable(self, kind: Type, span: Span) -> None:
        if isinstance(kind, (IntegerType, TextType)) or kind == BOOLEAN or _names(kind):
            return
        help = "choose on a state, an integer, a Boolean or a text"
        raise self._fail("PSL-030", span, f"choice does not take {kind}", help)

    def _label(
        self, checker: Checker, scrutinee: tree.Expression, node: syntax.Literal
    ) -> int | bool | str | None:
        """The label as a value of the scrutinee's type, or as the scrutinee's model reads it; None
        after a finding."""
        value, kind = node.value, scrutinee.type
        if isinstance(scrutinee, tree.Query) and isinstance(value, str):
            item = self._objects.items[scrutinee.object]
            try:
                model = MODELS[item.model]
                if model.examine_label(checker, scrutinee.method, item.config, node):
                    return value
            except AbandonedError:
                return None
        names = _names(kind)
        if names and isinstance(value, str) and value not in names:
            help = did_you_mean(value, names)
            self._error("PSL-050", node.span, f'there is no state "{value}"', help)
            return None
        if isinstance(kind, IntegerType) and type(value) is int:
            try:
                fitted = numerals.fit(numerals.literal(value), kind)
            except MismatchError as error:
                self._error("PSL-050", node.span, str(error), error.help)
                return None
            assert isinstance(fitted, tree.Constant) and isinstance(fitted.value, int)
            return fitted.value
        text = isinstance(kind, TextType) or bool(names)
        if (text and isinstance(value, str)) or (kind == BOOLEAN and isinstance(value, bool)):
            return value
        self._error("PSL-050", node.span, f"{node.span.text} is never the value: it is {kind}")
        return None

    # ---- findings

    def _error(self, rule: str, span: Span, message: str, help: str = "") -> None:
        self._findings.error(rule, span.at, message, help, span.text)

    def _fail(self, rule: str, span: Span, message: str, help: str = "") -> AbandonedError:
        self._error(rule, span, message, help)
        return AbandonedError()


def _names(kind: Type) -> list[str]:
    """The texts of a variant of texts, such as the states of a Flow object."""
    items = kind.alternatives if isinstance(kind, types.VariantType) else (kind,)
    values = [item.value for item in items if isinstance(item, types.LiteralType)]
    return [value for value in values if isinstance(value, str)]


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
