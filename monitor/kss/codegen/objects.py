"""The policy's objects in the image.

Objects of most models have an `ObjectCode`. What Base and Bool offer are rules without state, which
become plain instructions; only the audit level is an object of its own.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from kss.binary import Image, ObjectRecord, Op
from kss.codegen.object import ObjectCode, Words
from kss.codegen.texts import Automata
from kss.models import MODELS
from kss.models.base import Level
from kss.tree import Constant, PolicyObject, PolicyTree, Query, Rule

if TYPE_CHECKING:
    from kss.codegen.expressions import Expressions


class Objects:
    """Numbers the objects of a policy that the VM knows; `code` holds them by their index in the
    policy."""

    def __init__(self, tree: PolicyTree) -> None:
        self.words = Words()
        self.automata = Automata()
        self.code: dict[int, ObjectCode] = {}
        for thing in tree.objects:
            if kind := MODELS[thing.model].code:
                self.code[thing.index] = kind(thing, len(self.code), self.words)
        bases = [thing for thing in tree.objects if thing.model == "Base"]
        self.level = Level(bases[0], len(self.code), self.words) if bases else None
        if self.level:
            self.level.initial = tree.audit_default[1]

    def query(self, to: Expressions, query: Query, d: int) -> None:
        self.code[query.object].call(to, query.method, query.arguments, d)

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
        return {"objects": objects, "level": self.level.initial if self.level else 0}


def _identity(thing: PolicyObject) -> int:
    digest = hashlib.sha256(f"{thing.name}\0{thing.identity}".encode()).digest()
    return int.from_bytes(digest[:8], "little")
