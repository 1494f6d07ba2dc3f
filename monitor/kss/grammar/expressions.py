"""Expressions and types of PSL; the integer expressions of IDL."""

from __future__ import annotations

import re
from typing import ClassVar

from kss import syntax
from kss.grammar.parser import Parser
from kss.grammar.tokens import INT, NAME, OPERATOR, PSL_OPERATORS, REGEX, TEXT
from kss.syntax import Span, Word

_ESCAPES = {"\\": "\\", '"': '"', "n": "\n", "t": "\t", "r": "\r"}
_PARENTHESES = "& and | have no precedence beside other operators: put parentheses"
_BITS = frozenset("&|")
_COMPARISONS = frozenset(("<", ">", "<=", ">=", "==", "!="))

# Operators from the loosest to the tightest.
Levels = tuple[frozenset[str], ...]
_LEVELS: Levels = (
    frozenset(("==>",)), frozenset(("||",)), frozenset(("&&",)), _COMPARISONS,
    frozenset("+-"), frozenset("*"),
)  # fmt: skip
_BIT_LEVELS: Levels = (frozenset("|"), frozenset("&"))


class Operands:
    """`a + b * c` as it is read, flat; `grouped` makes the tree. Each operand is kept with the
    place that it takes, its parentheses included."""

    def __init__(self, first: syntax.Expression, span: Span) -> None:
        self.values = [first]
        self.spans = [span]
        self.signs: list[str] = []

    def add(self, sign: str, value: syntax.Expression, span: Span) -> None:
        self.signs.append(sign)
        self.values.append(value)
        self.spans.append(span)

    def grouped(self, levels: Levels) -> syntax.Expression:
        return self._group(levels, 0, len(self.values))

    def _group(self, levels: Levels, start: int, end: int) -> syntax.Expression:
        """The operands `start` to `end`, which only operators of these levels join."""
        if end - start == 1:
            return self.values[start]
        cuts = [i for i in range(start, end - 1) if self.signs[i] in levels[0]]
        if not cuts:
            return self._group(levels[1:], start, end)
        starts = [start, *(cut + 1 for cut in cuts)]
        ends = [*(cut + 1 for cut in cuts), end]
        parts = [self._group(levels[1:], a, b) for a, b in zip(starts, ends, strict=True)]
        first, last = self.spans[start], self.spans[end - 1]
        span = Span(first.source, first.start, last.end)
        return syntax.Chain(tuple(self.signs[cut] for cut in cuts), tuple(parts), span)


class ExpressionParser(Parser):
    """Expressions and types of PSL."""

    operators: ClassVar[list[str]] = PSL_OPERATORS
    joining: ClassVar[frozenset[str]] = frozenset().union(*_LEVELS, _BITS)

    # ---- operators

    def expression(self) -> syntax.Expression:
        start = self.start()
        operands = Operands(self.unary(), self.since(start))
        while self._joins(operands):
            sign = self.kind
            self.advance()
            start = self.start()
            value = self.unary()
            operands.add(sign, value, self.since(start))
        return operands.grouped(_BIT_LEVELS if _BITS & set(operands.signs) else _LEVELS)

    def _joins(self, before: Operands) -> bool:
        """Whether an operator follows; an error if it does not go with those before it."""
        signs = before.signs
        if self.kind not in self.joining:
            if self.kind == "=":
                raise self.unexpected("== compares")
            self._tried.append(OPERATOR)
            return False
        if signs and (self.kind in _BITS) != (signs[0] in _BITS):
            raise self.unexpected(_PARENTHESES)
        if self.kind in _COMPARISONS:
            for sign in reversed(signs):
                if sign in _COMPARISONS:
                    raise self.unexpected("comparisons do not chain: put parentheses, or use &&")
                if sign in ("&&", "||", "==>"):
                    break
        return True

    def unary(self) -> syntax.Expression:
        start = self.start()
        signs: list[str] = []
        while self.kind in ("!", "~"):
            signs.append(self.kind)
            self.advance()
        value = self.postfix()
        return syntax.Prefix(tuple(signs), value, self.since(start)) if signs else value

    def postfix(self) -> syntax.Expression:
        start = self.start()
        base = self.primary()
        steps = self.steps()
        return syntax.Access(base, steps, self.since(start)) if steps else base

    def steps(self) -> tuple[Word | syntax.Expression, ...]:
        """`.field` and `.[index]`, any number of them."""
        steps: list[Word | syntax.Expression] = []
        while True:
            if self.accept("."):
                steps += self._fields()
            elif self.see(".["):
                self.open(".[")
                steps.append(self.expression())
                self.close("]")
            else:
                return tuple(steps)

    def _fields(self) -> list[Word]:
        """The words of a dotted name, each with its own place."""
        name = self.word()
        at, words = name.span.start, []
        for part in name.parts:
            words.append(Word(part, Span(self.source, at, at + len(part))))
            at += len(part) + 1
        return words

    # ---- what operators join

    def primary(self) -> syntax.Expression:
        if self.kind == NAME and self.text not in ("true", "false"):
            return self._name_or_call()
        if self.kind == "(":
            return self.parenthesis()
        if self.kind == "{":
            return self.dictionary()
        if self.kind == "[":
            return self.list()
        if self.see(NAME) or self.kind in (TEXT, REGEX, INT, "-"):
            return self.literal()
        self._tried += ["(", "{", "[", TEXT, INT]
        raise self.unexpected()

    def _name_or_call(self) -> syntax.Expression:
        start = self.start()
        word = self.word()
        if self.kind in ("(", "[", "{"):
            argument = self.argument()
            return syntax.Call(word, argument, self.since(start))
        self._tried += ["(", "[", "{"]
        return syntax.Name(word)

    def argument(self) -> syntax.Expression:
        """What a method is called with: one bracketed or literal term."""
        if self.kind == "(":
            return self.parenthesis()
        if self.kind == "{":
            return self.dictionary()
        if self.kind == "[":
            return self.list()
        boolean = self.kind == NAME and self.text in ("true", "false")
        if boolean or self.kind in (TEXT, REGEX, INT):
            return self.literal()
        raise self.unexpected("a method takes exactly one argument, such as ()")

    def parenthesis(self) -> syntax.Expression:
        """`(expression)`, or the unit literal `()`."""
        start = self.start()
        self.open("(")
        if self.kind == ")":
            self.close(")")
            return syntax.Literal(None, self.since(start))
        inner = self.expression()
        self.close(")")
        return inner

    def literal(self) -> syntax.Literal:
        """A text, a regex block, an integer or a Boolean."""
        start = self.start()
        if self.kind == TEXT:
            return syntax.Literal(self.quoted(), self.since(start))
        if self.kind == REGEX:
            lines = self.text[self.text.index("\n") + 1 : -3]
            self.advance()
            return syntax.Literal(lines, self.since(start))
        if self.kind == NAME and self.text in ("true", "false"):
            value = self.text == "true"
            self.advance()
            return syntax.Literal(value, self.since(start))
        sign = -1 if self.kind == "-" else 1
        if self.accept("-") and not self.see(INT):
            raise self.unexpected("'-' is no operator on one value: use math.neg")
        return syntax.Literal(sign * self.integer(), self.since(start))

    def quoted(self) -> str:
        """The meaning of a text token."""
        token = self.text
        span = self.token_span()

        def unescape(match: re.Match[str]) -> str:
            if match[1] not in _ESCAPES:
                at = span.start + 1 + match.start()
                known = ", ".join("\\" + escape for escape in _ESCAPES)
                help = f"known: {known}; a backslash of a pattern is written twice, \\\\"
                escape = Span(self.source, at, at + 2)
                self.error("PSL-006", escape, f"unknown escape {match[0]}", help)
            return _ESCAPES.get(match[1], match[1])

        self.need(TEXT)
        return re.sub(r"\\(.)", unescape, token[1:-1]) if "\\" in token else token[1:-1]

    def dictionary(self) -> syntax.Dict:
        start = self.start()
        self.open("{")
        entries = self.listed("}", self._entry)
        return syntax.Dict(entries, self.since(start))

    def _entry(self) -> syntax.Entry:
        span, quoted = self.token_span(), self.kind == TEXT
        key: str | int
        if quoted:
            key = self.quoted()
        elif self.see(INT):
            key = self.integer()
        else:
            key = self.plain_word().value
        self.need(":")
        return syntax.Entry(key, quoted, self.expression(), span)

    def list(self) -> syntax.List:
        start = self.start()
        self.open("[")
        items = self.listed("]", self.expression)
        return syntax.List(items, self.since(start))

    # ---- types

    def type(self) -> syntax.TypeSyntax:
        start = self.start()
        alternatives = [self._plain_type()]
        while self.accept("|"):
            alternatives.append(self._plain_type())
        if len(alternatives) == 1:
            return alternatives[0]
        return syntax.VariantType(tuple(alternatives), self.since(start))

    def _plain_type(self) -> syntax.TypeSyntax:
        start = self.start()
        if self.kind == NAME:
            word = self.word()
            arguments = self._type_arguments()
            return syntax.NamedType(word, arguments, self.since(start))
        if self.kind == "(":
            self.open("(")
            if self.kind == ")":
                self.close(")")
                return syntax.LiteralType(None, self.since(start))
            inner = self.type()
            self.close(")")
            return inner
        if self.kind == "{":
            self.open("{")
            fields = self.listed("}", self._type_field)
            return syntax.RecordType(fields, self.since(start))
        if self.kind == "[":
            self.open("[")
            return syntax.TupleType(self.listed("]", self.type), self.since(start))
        if self.kind in (TEXT, INT, "-"):
            value = self.literal().value
            assert value is None or not isinstance(value, bool)
            return syntax.LiteralType(value, self.since(start))
        self._tried += [NAME, TEXT, INT, "(", "{", "["]
        raise self.unexpected()

    def _type_arguments(self) -> tuple[syntax.TypeSyntax, ...]:
        if not self.see("<"):
            return ()
        self.open("<")
        arguments = [self.type()]
        while self.accept(","):
            arguments.append(self.type())
        self.close(">")
        return tuple(arguments)

    def _type_field(self) -> tuple[Word, syntax.TypeSyntax]:
        name = self.plain_word()
        self.need(":")
        return name, self.type()
