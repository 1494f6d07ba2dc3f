"""Policy files: from text to abstract syntax."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from lark import Token, Tree

from kss import syntax
from kss.errors import Findings
from kss.events import Kind
from kss.integers import IntegerError, parse_integer
from kss.source import Source, parse
from kss.syntax import Span, Word

_ESCAPES = {"\\": "\\", '"': '"', "n": "\n", "t": "\t", "r": "\r"}


def parse_policy(source: Source, findings: Findings) -> list[syntax.Declaration] | None:
    """The declarations of one file in order; None (and a finding) after a syntax error."""
    tree = parse("psl", source, findings)
    if tree is None:
        return None
    builder = _Builder(source, findings)
    return [builder.declaration(_tree(child)) for child in tree.children]


def _tree(node: Any) -> Tree[Token]:
    assert isinstance(node, Tree)
    return node


def _trees(tree: Tree[Token], *rules: str) -> list[Tree[Token]]:
    return [c for c in tree.children if isinstance(c, Tree) and (not rules or c.data in rules)]


def _tokens(tree: Tree[Token]) -> list[Token]:
    return [child for child in tree.children if isinstance(child, Token)]


class _Builder:
    def __init__(self, source: Source, findings: Findings) -> None:
        self.source = source
        self.findings = findings

    # ---- places, names and literals

    def span(self, tree: Tree[Token]) -> Span:
        meta = tree.meta
        if meta.empty:  # an empty list of items has no place of its own
            return Span(self.source, 0, 0, 1, 1)
        return Span(self.source, meta.start_pos, meta.end_pos, meta.line, meta.column)

    def word(self, token: Token, value: str | None = None) -> Word:
        start, end = token.start_pos or 0, token.end_pos or 0
        span = Span(self.source, start, end, token.line or 1, token.column or 1)
        return Word(str(token) if value is None else value, span)

    def words(self, tree: Tree[Token]) -> list[Word]:
        return [self.word(token) for token in _tokens(tree)]

    def text(self, token: Token) -> str:
        def unescape(match: re.Match[str]) -> str:
            if match[1] not in _ESCAPES:
                known = ", ".join("\\" + escape for escape in _ESCAPES)
                at = self.source.at(token)
                message = f"unknown escape {match[0]} in {token}"
                self.findings.error("PSL-006", at, message, f"known: {known}", str(token))
            return _ESCAPES.get(match[1], match[1])

        return re.sub(r"\\(.)", unescape, token[1:-1])

    def number(self, token: Token) -> int:
        try:
            return parse_integer(token)
        except IntegerError as error:
            at = self.source.at(token)
            self.findings.error("PSL-031", at, str(error), error.help, str(token))
            return 0

    # ---- expressions

    def expression(self, node: Any) -> syntax.Expression:
        tree = _tree(node)
        build = getattr(self, f"_{tree.data}")
        return cast(Callable[[Tree[Token]], syntax.Expression], build)(tree)

    def _literal(self, tree: Tree[Token]) -> syntax.Literal:
        built = self.expression(tree)
        assert isinstance(built, syntax.Literal)
        return built

    def _text(self, tree: Tree[Token]) -> syntax.Literal:
        return syntax.Literal(self.text(_tokens(tree)[0]), self.span(tree))

    def _regex(self, tree: Tree[Token]) -> syntax.Literal:
        lines = _tokens(tree)[0].split("\n")[1:-1]
        return syntax.Literal("\n".join(line.strip() for line in lines), self.span(tree))

    def _integer(self, tree: Tree[Token]) -> syntax.Literal:
        *sign, digits = _tokens(tree)
        value = self.number(digits)
        return syntax.Literal(-value if sign else value, self.span(tree))

    def _boolean(self, tree: Tree[Token]) -> syntax.Literal:
        return syntax.Literal(_tokens(tree)[0] == "true", self.span(tree))

    def _unit(self, tree: Tree[Token]) -> syntax.Literal:
        return syntax.Literal(None, self.span(tree))

    def _name(self, tree: Tree[Token]) -> syntax.Name:
        return syntax.Name(self.word(_tokens(tree)[0]))

    def _dict(self, tree: Tree[Token]) -> syntax.Dict:
        entries = []
        for entry in _trees(tree):
            token, value = entry.children
            assert isinstance(token, Token)
            key: str | int = str(token)
            if token.type == "TEXT":
                key = self.text(token)
            elif token.type == "INT":
                key = self.number(token)
            quoted = token.type == "TEXT"
            span = self.word(token).span
            entries.append(syntax.Entry(key, quoted, self.expression(value), span))
        return syntax.Dict(tuple(entries), self.span(tree))

    def _list(self, tree: Tree[Token]) -> syntax.List:
        items = tuple(self.expression(item) for item in tree.children)
        return syntax.List(items, self.span(tree))

    def _call(self, tree: Tree[Token]) -> syntax.Call:
        name, argument = tree.children
        assert isinstance(name, Token) and isinstance(argument, Tree)
        value: syntax.Expression
        if argument.children:
            value = self.expression(argument.children[0])
        else:
            value = syntax.Literal(None, self.span(argument))
        return syntax.Call(self.word(name), value, self.span(tree))

    def _access(self, tree: Tree[Token]) -> syntax.Access:
        base, *rest = tree.children
        steps: list[Word | syntax.Expression] = []
        for step in rest:
            if isinstance(step, Token):
                steps.append(self.word(step, step.lstrip(". \t\r\n")))
            else:
                steps.append(self.expression(step.children[0]))
        return syntax.Access(self.expression(base), tuple(steps), self.span(tree))

    def _chain(self, tree: Tree[Token]) -> syntax.Chain:
        operators = tuple(str(_tokens(sign)[0]) for sign in _trees(tree, "sign"))
        operands = [t for t in _trees(tree) if t.data != "sign"]
        return self._chained(tree, operators, operands)

    def _chained(
        self, tree: Tree[Token], operators: tuple[str, ...], operands: list[Tree[Token]]
    ) -> syntax.Chain:
        values = tuple(self.expression(operand) for operand in operands)
        return syntax.Chain(operators, values, self.span(tree))

    def _flat(self, tree: Tree[Token], operator: str) -> syntax.Chain:
        operands = _trees(tree)
        return self._chained(tree, (operator,) * (len(operands) - 1), operands)

    def _implies(self, tree: Tree[Token]) -> syntax.Chain:
        return self._flat(tree, "==>")

    def _or(self, tree: Tree[Token]) -> syntax.Chain:
        return self._flat(tree, "||")

    def _and(self, tree: Tree[Token]) -> syntax.Chain:
        return self._flat(tree, "&&")

    def _product(self, tree: Tree[Token]) -> syntax.Chain:
        return self._flat(tree, "*")

    def _bit_and(self, tree: Tree[Token]) -> syntax.Chain:
        return self._flat(tree, "&")

    def _bit_or(self, tree: Tree[Token]) -> syntax.Chain:
        return self._flat(tree, "|")

    def _relation(self, tree: Tree[Token]) -> syntax.Chain:
        operators = tuple(str(token) for token in _tokens(tree))
        return self._chained(tree, operators, _trees(tree))

    def _prefix(self, tree: Tree[Token]) -> syntax.Prefix:
        operators = tuple(str(token) for token in _tokens(tree))
        return syntax.Prefix(operators, self.expression(_trees(tree)[0]), self.span(tree))

    # ---- types

    def type(self, node: Any) -> syntax.TypeSyntax:
        tree = _tree(node)
        span = self.span(tree)
        match tree.data:
            case "named" | "generic":
                arguments = tuple(self.type(child) for child in _trees(tree))
                return syntax.NamedType(self.words(tree)[0], arguments, span)
            case "variant":
                return syntax.VariantType(tuple(map(self.type, _trees(tree))), span)
            case "record":
                fields = [(self.words(f)[0], self.type(_trees(f)[0])) for f in _trees(tree)]
                return syntax.RecordType(tuple(fields), span)
            case "tuple":
                return syntax.TupleType(tuple(map(self.type, _trees(tree))), span)
            case _:
                value = self._literal(tree).value
                assert not isinstance(value, bool)
                return syntax.LiteralType(value, span)

    # ---- bindings

    def selectors(self, tree: Tree[Token], *rules: str) -> tuple[syntax.Selector, ...]:
        pairs = [self.words(selector) for selector in _trees(tree, *(rules or ("selector",)))]
        return tuple(syntax.Selector(key, value) for key, value in pairs)

    def items(self, body: Tree[Token]) -> tuple[syntax.Item, ...]:
        return tuple(self.item(item) for item in _trees(body))

    def item(self, tree: Tree[Token]) -> syntax.Item:
        match tree.data:
            case "audit_ref":
                return syntax.AuditReference(self.words(tree)[0], self.span(tree))
            case "match":
                items = self.items(_trees(tree, "body")[0])
                return syntax.Match(self.selectors(tree), items, self.span(tree))
            case "choice":
                scrutinee, *branches = _trees(tree)
                built = tuple(self.branch(branch) for branch in branches)
                return syntax.Choice(self.expression(scrutinee), built, self.span(tree))
            case _:
                return self._call(tree)

    def branch(self, tree: Tree[Token]) -> syntax.Branch:
        label, body = _trees(tree)
        items = self.items(body) if body.data == "body" else (self.item(body),)
        value = None if label.data == "wildcard" else self._literal(label)
        return syntax.Branch(value, items, self.span(tree))

    # ---- declarations

    def declaration(self, tree: Tree[Token]) -> syntax.Declaration:
        build = getattr(self, f"_declare_{tree.data}")
        return cast(Callable[[Tree[Token]], syntax.Declaration], build)(tree)

    def _declare_execute_interface(self, tree: Tree[Token]) -> syntax.Declaration:
        return syntax.ExecuteInterface(self.words(tree)[0])

    def _declare_use_psl(self, tree: Tree[Token]) -> syntax.Declaration:
        word = self.words(tree)[0]
        if not word.value.endswith("._"):
            help = f"use EDL {word.value} for a class, use {word.value}._ for a policy file"
            at = word.span.at
            message = f"'use {word.value}' names neither a file nor a class"
            self.findings.error("PSL-005", at, message, help, word.value)
            return syntax.UseFile("", word.span)
        return syntax.UseFile(word.value.removesuffix("._"), word.span)

    def _declare_use_edl(self, tree: Tree[Token]) -> syntax.Declaration:
        word = self.words(tree)[0]
        return syntax.UseClass(word, word)

    def _declare_task_class(self, tree: Tree[Token]) -> syntax.Declaration:
        name, described_by = self.words(tree)
        return syntax.UseClass(name, described_by)

    def _declare_type_alias(self, tree: Tree[Token]) -> syntax.TypeDeclaration:
        (kind,) = _trees(tree)
        return syntax.TypeDeclaration(self.words(tree)[0], self.type(kind), self.span(tree))

    def _declare_policy_object(self, tree: Tree[Token]) -> syntax.Declaration:
        name, model = self.words(tree)
        types = tuple(self._declare_type_alias(item) for item in _trees(tree, "type_alias"))
        configurations = tuple(
            syntax.Configuration(self.expression(item.children[0]), self.span(item))
            for item in _trees(tree, "config")
        )
        return syntax.ObjectDeclaration(name, model, types, configurations, self.span(tree))

    def _declare_audit_default(self, tree: Tree[Token]) -> syntax.Declaration:
        profile, level = _tokens(tree)
        return syntax.AuditDefault(self.word(profile), self.number(level), self.span(tree))

    def _declare_audit_profile(self, tree: Tree[Token]) -> syntax.Declaration:
        value = self._dict(_trees(tree)[0])
        return syntax.AuditProfile(self.words(tree)[0], value, self.span(tree))

    def _declare_binding(self, tree: Tree[Token]) -> syntax.Declaration:
        kind = Kind[_tokens(_trees(tree, "kind")[0])[0].upper()]
        items = self.items(_trees(tree, "body")[0])
        return syntax.Binding(kind, self.selectors(tree), items, self.span(tree))

    # ---- policy tests

    def _declare_pal_set(self, tree: Tree[Token]) -> syntax.Declaration:
        def block(rule: str) -> tuple[syntax.TestCase, ...]:
            return tuple(self._cases(part) for b in _trees(tree, rule) for part in _trees(b))

        sequences = tuple(
            syntax.TestSequence(self._title(s), tuple(map(self._cases, _trees(s))), self.span(s))
            for s in _trees(tree, "pal_sequence")
        )
        setup, finally_ = block("pal_setup"), block("pal_finally")
        return syntax.TestSet(self._title(tree), setup, sequences, finally_, self.span(tree))

    def _title(self, tree: Tree[Token]) -> str:
        return next((self.text(t) for t in _tokens(tree) if t.type == "TEXT"), "")

    def _cases(self, tree: Tree[Token]) -> syntax.TestCase:
        variable = next(iter(_trees(tree, "pal_variable")), None)
        expect = next(iter(_trees(tree, "pal_expect")), None)
        (event,) = _trees(tree, "pal_long", "pal_short")
        return syntax.TestCase(
            self.words(variable)[0] if variable else None,
            str(_tokens(expect)[0]) if expect else "grant",
            self._title(tree),
            self._long(event) if event.data == "pal_long" else self._short(event),
        )

    def _message(self, tree: Tree[Token]) -> syntax.Dict | None:
        return next((self._dict(message) for message in _trees(tree, "dict")), None)

    def _long(self, tree: Tree[Token]) -> syntax.TestEvent:
        kind = Kind[_tokens(_trees(tree, "pal_kind")[0])[0].upper()]
        selectors = self.selectors(tree, "pal_selector")
        return syntax.TestEvent(kind, selectors, self._message(tree), self.span(tree))

    def _short(self, tree: Tree[Token]) -> syntax.TestEvent:
        client, server, called = self.words(tree)
        endpoint, _, method = called.value.rpartition(".")
        pairs = [("src", client), ("dst", server), ("method", Word(method, called.span))]
        if endpoint:
            pairs.append(("endpoint", Word(endpoint, called.span)))
        selectors = tuple(syntax.Selector(Word(key, word.span), word) for key, word in pairs)
        return syntax.TestEvent(Kind.REQUEST, selectors, self._message(tree), self.span(tree))
