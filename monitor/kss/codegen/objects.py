"""The policy's objects in the image.

Objects with state have an `ObjectCode`. What Base, Bool and Regex offer needs none and becomes
plain instructions; only the audit level is an object of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kss import dictionary
from kss.binary import MAX_STATE, Image, ObjectRecord, Op, WatchedRecord, WatchRecord
from kss.codegen.object import MethodCode, ObjectCode, Words
from kss.codegen.texts import Automata
from kss.errors import Finding
from kss.events import Result, Shown
from kss.models import MODELS
from kss.models.base import Level
from kss.tree import Constant, PolicyObject, PolicyTree, Query, Rule

if TYPE_CHECKING:
    from kss.codegen.expressions import Expressions


_RESULTS = (Result.DENIED, Result.GRANTED, Result.FAILED)  # enum kss_result; then KSS_VALUE


class Objects:
    """Numbers the objects of a policy that the VM knows; `code` holds them by their index in the
    policy, `methods` all that have methods to compile."""

    def __init__(self, tree: PolicyTree) -> None:
        self.words = Words()
        self.automata = Automata()
        self.values: dict[int, list[Shown] | None] = {}  # of expression methods noted, by site
        self.code: dict[int, ObjectCode] = {}
        self.methods: dict[int, MethodCode] = {}
        for thing in tree.objects:
            model = MODELS[thing.model]
            if model.code:
                self.code[thing.index] = model.code(thing, len(self.code), self.words)
            elif model.methods:
                self.methods[thing.index] = model.methods
        self.methods.update(self.code)
        bases = [thing for thing in tree.objects if thing.model == "Base"]
        self.level = Level(bases[0], len(self.code), self.words) if bases else None
        if self.level:
            self.level.initial = tree.audit_default[1]

    def query(self, to: Expressions, query: Query, d: int) -> None:
        code = self.methods[query.object]
        code.call(to, query.method, query.arguments, d)
        if query.site is not None:
            to.out.note(d, query.site)
            self.values[query.site] = code.shown(query.method, ())

    def note_state(self, to: Expressions, rule: Rule, d: int) -> None:
        """Notes the state that the rule's SID is in before the call."""
        self.code[rule.object].state(to, rule.arguments, d)
        to.out.note(d, rule.site)

    def rule(self, to: Expressions, rule: Rule, d: int) -> None:
        """Leaves in register d whether the rule grants."""
        if code := self.code.get(rule.object):
            code.call(to, rule.method, rule.arguments, d)
        elif not rule.arguments:
            to.constant(rule.method == "grant", d)
        elif rule.method == "set_level":
            assert self.level
            self.level.call(to, rule.method, rule.arguments, d)
        else:
            to.value(rule.arguments[0][1], d)
            if rule.method == "deny":
                to.out.emit(Op.INVERT, d, d)

    def constant(self, rule: Rule) -> bool | None:
        """Whether a rule always grants or always denies; None if that depends on the event."""
        if rule.object in self.code:
            return None
        if not rule.arguments:
            return rule.method == "grant"
        argument = rule.arguments[0][1]
        if not isinstance(argument, Constant) or rule.method == "set_level":
            return None
        return argument.value is (rule.method == "assert")

    def watch(self, policy: PolicyTree, image: Image) -> None:
        """Appends what audit profiles have recorded of each site, if they do of any."""
        if not any(site.watches for site in policy.sites):
            return
        owners = {thing.name: self.code.get(thing.index) for thing in policy.objects}
        for site in policy.sites:
            image.watched.append(WatchedRecord(len(image.watches), len(site.watches)))
            for watch in site.watches:
                bits = sum(1 << _RESULTS.index(result) for result in watch.results)
                record = WatchRecord(watch.level, bits | watch.values << len(_RESULTS))
                if watch.omit:
                    code = owners[site.object]
                    assert code, site
                    words = code.omitted(watch.omit)
                    record = record._replace(omit=self.words.add(words), states=32 * len(words))
                image.watches.append(record)

    def emit(self, image: Image) -> None:
        """Appends the objects to the image."""
        for code in self._all():
            config = code.config()
            thing = code.thing
            capacity = MODELS[thing.model].capacity(thing.config, image.max_sids)
            record = ObjectRecord(
                identity=_identity(thing),
                model=code.number,
                config=self.words.add(config),
                config_words=len(config),
                capacity=capacity,
                context_words=code.context_words,
                state=image.state_words,
            )
            image.objects.append(record)
            image.state_words += record.table_words
        image.words = self.words.words
        self.automata.emit(image)

    def _all(self) -> list[ObjectCode]:
        return [*self.code.values(), *([self.level] if self.level and self.level.used else [])]

    def symbols(self) -> dict[str, object]:
        objects = [
            {"name": code.thing.name, "model": code.thing.model, **code.symbols()}
            for code in self._all()
        ]
        values = {str(site): self.values[site] for site in sorted(self.values)}
        return {"objects": objects, "values": values}


def oversize(objects: Iterable[PolicyObject], max_sids: int) -> Finding | None:
    """A finding at the object with which the state of all gets larger than a policy's may be."""
    words = 0
    for thing in objects:
        if code := MODELS[thing.model].code:
            capacity = MODELS[thing.model].capacity(thing.config, max_sids)
            context_words = code(thing, 0, Words()).context_words
            words += dictionary.words_of(capacity, 1, context_words)
        if words > MAX_STATE:
            message = f"with {thing.name} the policy's state takes {4 * words} bytes"
            help = f"at most {4 * MAX_STATE}: a smaller pool, or fewer and smaller objects"
            at = (thing.location.file, thing.location.line, thing.location.column)
            return Finding("PSL-064", "error", *at, message, help, thing.name)
    return None


def _identity(thing: PolicyObject) -> int:
    digest = hashlib.sha256(f"{thing.name}\0{thing.identity}".encode()).digest()
    return int.from_bytes(digest[:8], "little")
