"""Policies: declarations and bindings."""

from __future__ import annotations

from kss import syntax
from kss.errors import Findings
from kss.grammar.pal import KINDS, SELECTORS, TestParser
from kss.grammar.recovery import Hidden
from kss.grammar.tokens import INT, NAME, REGEX, TEXT
from kss.source import Source

_BOOLEANS = ("true", "false")


def parse_policy(
    source: Source, findings: Findings
) -> tuple[list[syntax.Declaration], list[Hidden]]:
    """The sound declarations of one file in order, and those with syntax errors."""
    parser = PolicyParser(source, findings)
    declarations = list(parser.declarations(parser.declaration))
    return declarations, parser.hidden


class PolicyParser(TestParser):
    """A policy file. Words are recognised by position, so that methods, objects and endpoints may
    be called like them."""

    starters = frozenset((*KINDS, "use", "task", "audit", "policy", "type", "assert"))
    inner = frozenset(("audit", "type", "assert"))

    def declaration(self) -> syntax.Declaration:
        start = self.start()
        if self.see_word(*KINDS):
            if self.text == "execute" and self.ahead()[0] == ":":
                self.go(self.index + 2)
                return syntax.ExecuteInterface(self.word())
            return self._binding()
        if self.accept_word("use"):
            return self._use()
        if self.accept_word("task"):
            self.need_word("class")
            name = self.word()
            self.need(":")
            return syntax.UseClass(name, self.word())
        if self.accept_word("audit"):
            return self._audit(start)
        if self.accept_word("policy"):
            return self._policy_object(start)
        if self.see_word("type"):
            return self._type_declaration()
        if self.accept_word("assert"):
            return self.test_set(start)
        raise self.unexpected()

    def _use(self) -> syntax.Declaration:
        if self.accept_word("EDL"):
            word = self.word()
            return syntax.UseClass(word, word)
        word = self.word()
        if not word.value.endswith("._"):
            help = f"use EDL {word.value} for a class, use {word.value}._ for a policy file"
            message = f"'use {word.value}' names neither a file nor a class"
            self.error("PSL-005", word.span, message, help)
            return syntax.UseFile("", word.span)
        return syntax.UseFile(word.value.removesuffix("._"), word.span)

    def _type_declaration(self) -> syntax.TypeDeclaration:
        start = self.start()
        self.need_word("type")
        name = self.plain_word()
        self.need("=")
        kind = self.type()
        return syntax.TypeDeclaration(name, kind, self.since(start))

    def _policy_object(self, start: int) -> syntax.ObjectDeclaration:
        self.need_word("object")
        name = self.plain_word()
        self.need(":")
        model = self.plain_word()
        self.open("{")
        parts = self.until("}", self._parameter)
        types = tuple(part for part in parts if isinstance(part, syntax.TypeDeclaration))
        configurations = tuple(part for part in parts if isinstance(part, syntax.Configuration))
        return syntax.ObjectDeclaration(name, model, types, configurations, self.since(start))

    def _parameter(self) -> syntax.TypeDeclaration | syntax.Configuration:
        start = self.start()
        if self.see_word("type"):
            return self._type_declaration()
        self.need_word("config")
        self.need("=")
        return syntax.Configuration(self.expression(), self.since(start))

    def _audit(self, start: int) -> syntax.Declaration:
        if self.accept_word("default"):
            self.need("=")
            profile = self.plain_word()
            return syntax.AuditDefault(profile, self.integer(), self.since(start))
        self.need_word("profile")
        name = self.plain_word()
        self.need("=")
        return syntax.AuditProfile(name, self.dictionary(), self.since(start))

    # ---- bindings

    def _binding(self) -> syntax.Binding:
        start = self.start()
        kind = KINDS[self.text]
        self.advance()
        selectors = () if self.see("{") else self._selectors()
        items = self._body()
        return syntax.Binding(kind, selectors, items, self.since(start))

    def _selectors(self) -> tuple[syntax.Selector, ...]:
        """At least one, up to the '{' of the section."""
        selectors = [self._selector()]
        while self.accept(",") or not self.see("{"):
            selectors.append(self._selector())
        return tuple(selectors)

    def _selector(self) -> syntax.Selector:
        if self.kind != NAME:
            self._tried += SELECTORS
            raise self.unexpected()
        key = self.plain_word()
        self.need("=")
        return syntax.Selector(key, self.word())

    def _body(self) -> tuple[syntax.Item, ...]:
        self.open("{")
        return self.until("}", self._item)

    def _item(self) -> syntax.Item:
        start = self.start()
        if not self.see(NAME):
            raise self.unexpected()
        called = self.ahead()[0] in ("(", "[")  # a method of that name
        if self.text == "audit" and not called:
            self.advance()
            return syntax.AuditReference(self.plain_word(), self.since(start))
        if self.text == "match" and not called:
            self.advance()
            selectors = self._selectors()
            return syntax.Match(selectors, self._body(), self.since(start))
        if self.text == "choice":
            self.advance()
            return self._choice(start)
        word = self.word()
        return syntax.Call(word, self.argument(), self.since(start))

    # ---- choice

    def _choice(self, start: int) -> syntax.Choice:
        scrutinee = self._scrutinee()
        self.open("{")
        branches = self.until("}", self._branch)
        return syntax.Choice(scrutinee, branches, self.since(start))

    def _scrutinee(self) -> syntax.Expression:
        """Only here may a method's name or a field be followed by a '{' that is not its argument:
        it is one if a field follows it."""
        start = self.start()
        if self.kind == "(":
            return self.parenthesis()
        word = self.word()
        base: syntax.Expression = syntax.Name(word)
        if self.kind in ("(", "[") or (self.kind == "{" and self._opens_dictionary()):
            base = syntax.Call(word, self.argument(), self.since(start))
        steps = self.steps()
        return syntax.Access(base, steps, self.since(start)) if steps else base

    def _opens_dictionary(self) -> bool:
        key, colon = self.ahead(1), self.ahead(2)
        return key[0] == NAME and key[1] not in ("true", "false", "_") and colon[0] == ":"

    def _branch(self) -> syntax.Branch:
        start = self.start()
        label = None
        if self.accept_word("_"):
            pass
        elif self.kind in (TEXT, INT, "-") or (self.kind == NAME and self.text in _BOOLEANS):
            label = self.literal()
        else:
            self._tried += [TEXT, INT, *_BOOLEANS]
            block = self.kind == REGEX
            raise self.unexpected("a label is a text literal: put it in quotes" if block else "")
        self.need(":")
        items = self._body() if self.see("{") else (self._item(),)
        return syntax.Branch(label, items, self.since(start))
