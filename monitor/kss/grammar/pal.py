"""Policy tests (PAL), which stand among the declarations of a policy."""

from __future__ import annotations

from kss import syntax
from kss.events import Kind
from kss.grammar.expressions import ExpressionParser
from kss.grammar.tokens import NAME, TEXT
from kss.syntax import Word

KINDS = {kind.name.lower(): kind for kind in Kind}
_EXPECTED = ("grant", "deny", "any")
SELECTORS = ("src", "dst", "interface", "component", "endpoint", "method")


class TestParser(ExpressionParser):
    """Sets of policy tests, from the word behind `assert`."""

    __test__ = False  # for pytest, which takes it for one of its own

    def test_set(self, start: int) -> syntax.TestSet:
        title = self._title()
        self.open("{")
        setup: list[syntax.TestCase] = []
        sequences: list[syntax.TestSequence] = []
        finally_: list[syntax.TestCase] = []
        if self.accept_word("setup"):
            setup += self._cases()
        while self.see_word("sequence"):
            sequences.append(self._sequence())
        if self.accept_word("finally"):
            finally_ += self._cases()
        self.close("}")
        span = self.since(start)
        return syntax.TestSet(title, tuple(setup), tuple(sequences), tuple(finally_), span)

    def _title(self) -> str:
        return self.quoted() if self.see(TEXT) else ""

    def _sequence(self) -> syntax.TestSequence:
        start = self.start()
        self.need_word("sequence")
        title = self._title()
        cases = self._cases()
        return syntax.TestSequence(title, cases, self.since(start))

    def _cases(self) -> tuple[syntax.TestCase, ...]:
        self.open("{")
        return self.until("}", self._case)

    def _case(self) -> syntax.TestCase:
        variable = None
        if self.kind == NAME and self.ahead()[0] == "<":
            variable = self.plain_word()
            if not self.accept_arrow("<-"):
                raise self.unexpected()
        expected = "grant"
        if not self._short_form_follows() and self.see_word(*_EXPECTED):
            expected = self.text
            self.advance()
        title = self._title()
        event = self._short() if self._short_form_follows() else self._long()
        return syntax.TestCase(variable, expected, title, event)

    def _short_form_follows(self) -> bool:
        return self.kind == NAME and self.ahead()[0] == "~"

    def _long(self) -> syntax.TestEvent:
        start = self.start()
        if not self.see_word(*KINDS):
            raise self.unexpected()
        kind = KINDS[self.text]
        self.advance()
        selectors: list[syntax.Selector] = []
        while self.accept(",") or (self.kind == NAME and self.ahead()[0] == "="):
            if self.kind != NAME:
                self._tried += SELECTORS
            key = self.plain_word()
            self.need("=")
            selectors.append(syntax.Selector(key, self.word()))
        message = self._message()
        return syntax.TestEvent(kind, tuple(selectors), message, self.since(start))

    def _short(self) -> syntax.TestEvent:
        """`client ~> server : path.Method`"""
        start = self.start()
        client = self.word()
        if not self.accept_arrow("~>"):
            raise self.unexpected()
        server = self.word()
        self.need(":")
        called = self.word()
        endpoint, _, method = called.value.rpartition(".")
        pairs = [("src", client), ("dst", server), ("method", Word(method, called.span))]
        if endpoint:
            pairs.append(("endpoint", Word(endpoint, called.span)))
        selectors = tuple(syntax.Selector(Word(key, word.span), word) for key, word in pairs)
        message = self._message()
        return syntax.TestEvent(Kind.REQUEST, selectors, message, self.since(start))

    def _message(self) -> syntax.Dict | None:
        return self.dictionary() if self.see("{") else None
