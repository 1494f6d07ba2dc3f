"""Audit profiles: checked, and resolved to what is recorded of each site."""

from __future__ import annotations

from collections.abc import Mapping

from kss import syntax
from kss.errors import Findings, another_name, did_you_mean
from kss.events import Result
from kss.loader import Loader
from kss.models import MODELS
from kss.objects import Objects
from kss.syntax import Span
from kss.tree import AuditProfile, PolicyObject, Watch

KSS_WORDS = ("granted", "denied")


class Audit:
    """The profiles of a policy and its default."""

    def __init__(self, loader: Loader, objects: Objects, findings: Findings) -> None:
        self._findings = findings
        self._objects = {item.name: item for item in objects.items}
        self._broken = objects.broken
        self._hidden = loader.hidden
        self.profiles: dict[str, AuditProfile] = {}
        self.default: tuple[str, int] = ("empty", 0)
        for declaration in loader.of(syntax.AuditProfile):
            self._profile(declaration)
        defaults = loader.of(syntax.AuditDefault)
        for default in defaults:
            self._default(default, defaults[0])

    def watches(
        self, profile: str | None, name: str, method: str, *, expression: bool = False
    ) -> tuple[Watch, ...]:
        """What is recorded of calls of a method of object `name` in a section with this profile
        (None: the global one), by level. The name "" stands for the language itself."""
        levels = self.profiles.get(profile or self.default[0])
        item = self._objects.get(name)
        found = []
        for level, given in sorted(levels.levels.items()) if levels else ():
            if item and _auditable(item):
                watch = _watch(level, item, method, given.get(name), expression)
            else:  # nobody's: only a denial can be recorded, and counts as one of `base`
                own = given.get("base", {}).get("kss", ())
                results = {Result.FAILED} if item else {Result.FAILED, Result.DENIED}
                watch = Watch(level, frozenset(results if "denied" in own else ()))
            if watch.results or watch.values:
                found.append(watch)
        return tuple(found)

    def _error(self, rule: str, span: Span, message: str, help: str = "") -> None:
        self._findings.error(rule, span.at, message, help, span.text)

    def knows(self, profile: syntax.Word) -> bool:
        """Whether there is such a profile; reports if not."""
        name = profile.value
        if name == "empty" or name in self.profiles:
            return True
        if name in self._hidden:
            return False
        help = did_you_mean(name, ["empty", *self.profiles])
        self._error("PSL-070", profile.span, f"unknown audit profile {name}", help)
        return False

    def _default(self, default: syntax.AuditDefault, first: syntax.AuditDefault) -> None:
        given = (default.profile.value, default.level)
        if given != (first.profile.value, first.level):
            help = f"it is {first.profile.value} {first.level} at {first.span.at}"
            self._error("PSL-073", default.span, "audit default differs from an earlier one", help)
        elif self.knows(default.profile):
            self.default = given
        if default.level > 255:
            self._error("PSL-072", default.span, "an audit level is at most 255", "0 to 255")

    def _profile(self, declaration: syntax.AuditProfile) -> None:
        name = declaration.name.value
        if name in self.profiles or name == "empty":
            message = f"there is already an audit profile {name}"
            first = self.profiles.get(name)
            help = another_name(first.location if first else None)
            self._error("PSL-071", declaration.name.span, message, help)
            return
        levels: dict[int, dict[str, dict[str, tuple[str, ...]]]] = {}
        for entry in declaration.value.entries:
            if isinstance(entry.key, str) or entry.key > 255 or entry.key in levels:
                message, help = f"{entry.key} is no level", "a level is an integer from 0 to 255"
                if entry.key in levels:
                    message, help = f"level {entry.key} is given twice", "merge the two"
                self._error("PSL-072", entry.span, message, help)
                continue
            levels[entry.key] = self._level(entry.value)
        self.profiles[name] = AuditProfile(name, levels, declaration.span.at)

    def _level(self, node: syntax.Expression) -> dict[str, dict[str, tuple[str, ...]]]:
        found: dict[str, dict[str, tuple[str, ...]]] = {}
        for entry in self._entries(node, "{ object : { kss : [...] } }"):
            name = str(entry.key)
            item = self._objects.get(name)
            if name in self._broken:
                continue
            if item is None:
                items = self._objects.items()
                help = did_you_mean(name, [n for n, each in items if _auditable(each)])
                self._error("PSL-022", entry.span, f"unknown policy object {name}", help)
            elif not _auditable(item):
                message = f"{item.model} objects cannot be audited"
                self._error("PSL-072", entry.span, message, "take it out")
            else:
                found[name] = self._conditions(item, entry.value)
        return found

    def _conditions(
        self, item: PolicyObject, node: syntax.Expression
    ) -> dict[str, tuple[str, ...]]:
        known = {"kss": KSS_WORDS, **MODELS[item.model].audit_conditions(item.config)}
        found: dict[str, tuple[str, ...]] = {}
        for entry in self._entries(node, '{ kss : ["granted", "denied"] }'):
            name = str(entry.key)
            if name not in known:
                help = did_you_mean(name, known)
                self._error("PSL-072", entry.span, f"{item.model} has no condition {name}", help)
            else:
                found[name] = self._words(entry.value, known[name])
        return found

    def _entries(self, node: syntax.Expression, shape: str) -> tuple[syntax.Entry, ...]:
        if isinstance(node, syntax.Dict):
            seen: set[str | int] = set()
            for entry in node.entries:
                if entry.key in seen:
                    message = f"{entry.key} is given twice"
                    self._error("PSL-027", entry.span, message, "take one out")
                seen.add(entry.key)
            return node.entries
        self._error("PSL-072", node.span, "a dictionary is needed here", shape)
        return ()

    def _words(self, node: syntax.Expression, known: tuple[str, ...]) -> tuple[str, ...]:
        if not isinstance(node, syntax.List):
            self._error("PSL-072", node.span, "a list of texts is needed here", '["..."]')
            return ()
        found: list[str] = []
        for item in node.items:
            value = item.value if isinstance(item, syntax.Literal) else None
            if isinstance(value, str) and value in known:
                found.append(value)
            else:
                help = did_you_mean(str(value), known)
                self._error("PSL-072", item.span, f"{item.span.text} is not known here", help)
        return tuple(found)


def _auditable(item: PolicyObject) -> bool:
    return MODELS[item.model].auditable


def _watch(
    level: int,
    item: PolicyObject,
    method: str,
    conditions: Mapping[str, tuple[str, ...]] | None,
    expression: bool,
) -> Watch:
    """`emit` lists the expressions that are recorded; where there is `omit`, they are recorded in
    all states but those."""
    if conditions is None:
        return Watch(level)
    omit = conditions.get("omit", ())
    if expression:
        return Watch(
            level, values=method in conditions.get("emit", ()) or "omit" in conditions, omit=omit
        )
    results = {Result(word) for word in conditions.get("kss", ())}
    if Result.DENIED in results:
        results.add(Result.FAILED)
    return Watch(level, frozenset(results), omit=omit)
