"""Expressions of users' own models: from Python's syntax tree to typed ones.

A text and a set of texts have no type of their own: they take that of what they stand beside.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping

from kss.own import tree
from kss.own.report import RefusedError, Report
from kss.own.tree import Expression, Names, NameSet, Type
from kss.types import BOOLEAN, SID, BooleanType, IntegerType

FREE = IntegerType(0, True)  # of an integer literal
MAX_DEPTH = 20  # of nested expressions

_ARITHMETIC: Mapping[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.BitAnd: "&",
    ast.BitOr: "|",
}
_COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_UNARY: Mapping[type[ast.unaryop], str] = {ast.Not: "not", ast.USub: "-", ast.Invert: "~"}


class Terms:
    """Checks the expressions of one method; `scope` are the names of its values."""

    def __init__(
        self,
        report: Report,
        settings: Mapping[str, tree.Setting],
        fields: Mapping[str, tree.Field],
        methods: Mapping[str, tree.Method],
        broken: Collection[str] = (),
    ) -> None:
        self.report = report
        self.settings = settings
        self.fields = fields
        self.methods = methods  # declared before this one
        self._broken = broken  # methods with findings
        self.scope: dict[str, Type] = {}
        self._depth = 0

    # ---- with and without a type expected

    def check(self, node: ast.expr, expected: Type) -> Expression:
        """An expression of the type, or of an integer type all of whose values it holds."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self._text(node, node.value, expected)
        if isinstance(node, ast.Dict | ast.Set) and _is_open(node):
            return self._set(node, expected)
        found = self.infer(node)
        if isinstance(found.type, IntegerType) and isinstance(expected, IntegerType):
            return self._fit(node, found, expected)
        if found.type != expected:
            message = f"{expected} is needed here, this is {found.type}"
            raise self.report.error("MODEL-005", node, message, _hint(expected))
        return found

    def infer(self, node: ast.expr) -> Expression:
        """An integer literal has the type FREE."""
        if self._depth >= MAX_DEPTH:
            message = "the expression is nested too deeply"
            raise self.report.error("MODEL-009", node, message, "give parts of it names")
        self._depth += 1
        try:
            return self._infer(node)
        finally:
            self._depth -= 1

    def settled(self, node: ast.expr) -> Expression:
        """An expression that gives a variable its type."""
        found = self.infer(node)
        if found.type == FREE:
            message = "the type of the integer is not clear"
            raise self.report.error("MODEL-005", node, message, "name : UInt32 = ...")
        return found

    def _fit(self, node: ast.expr, found: Expression, expected: IntegerType) -> Expression:
        if found.type == FREE:
            assert isinstance(found, tree.Constant) and isinstance(found.value, int)
            if not expected.holds(found.value):
                help = f"{expected.low} to {expected.high}"
                raise self.report.error("MODEL-006", node, f"{expected} has no {found.value}", help)
            return tree.Constant(found.value, expected)
        assert isinstance(found.type, IntegerType)
        if not (expected.low <= found.type.low and found.type.high <= expected.high):
            message = f"{expected} does not hold all values of {found.type}"
            raise self.report.error("MODEL-005", node, message, "give both the same type")
        return found

    def _text(self, node: ast.expr, text: str, expected: Type) -> Expression:
        if not isinstance(expected, Names):
            message = f"{expected} is needed here, this is a text"
            raise self.report.error("MODEL-005", node, message, _hint(expected))
        if text in expected.members:
            return tree.Constant(text, expected)
        message = f'there is no "{text}" among {expected}'
        if expected.parameter:
            help = "only the policy knows what this parameter lists: take the name as an argument"
            raise self.report.error("MODEL-003", node, message, help)
        raise self.report.unknown(node, message, text, expected.members)

    def _set(self, node: ast.Dict | ast.Set, expected: Type) -> Expression:
        if not isinstance(expected, NameSet):
            message = f"{expected} is needed here, this is a set"
            raise self.report.error("MODEL-005", node, message, _hint(expected))
        items = node.elts if isinstance(node, ast.Set) else []
        return tree.SetOf(tuple(self.check(item, expected.of) for item in items), expected)

    # ---- one kind of expression each

    def _infer(self, node: ast.expr) -> Expression:
        match node:
            case ast.Constant(int() as value):  # bool, too
                return tree.Constant(value, BOOLEAN if isinstance(value, bool) else FREE)
            case ast.Name(name):
                return self._name(node, name)
            case ast.Subscript(ast.Name(name), key):
                return self._subscript(node, name, key)
            case ast.UnaryOp():
                return self._unary(node)
            case ast.BinOp():
                return self._binary(node)
            case ast.BoolOp():
                return self._logical(node)
            case ast.Compare():
                return self._compare(node)
            case ast.Set() | ast.SetComp():
                return self._display(node) if isinstance(node, ast.Set) else self._selected(node)
            case ast.Call(ast.Name(name)):
                return self._call(node, name)
        if _is_open(node):
            message = "the type is not clear here"
            raise self.report.error("MODEL-005", node, message, "name : TYPE = ...")
        raise self.report.foreign(node, "names, numbers, + - * & |, comparisons, and, or, not, in")

    def _name(self, node: ast.expr, name: str) -> Expression:
        if name in self.scope:
            return tree.Local(name, self.scope[name])
        setting = self.settings.get(name)
        if isinstance(setting, IntegerType):
            return tree.Setpoint(name, setting)
        if setting is not None or name in self.fields:
            what = "list of names" if isinstance(setting, Names) else "table"
            message = f"{name} is a {what if setting else 'field'}, no value"
            raise self.report.error(
                "MODEL-005", node, message, f"{name}[...]" if not setting else ""
            )
        raise self.report.unknown(node, f"unknown name {name}", name, self._names())

    def _names(self) -> list[str]:
        return [*self.scope, *self.settings, *self.fields]

    def _subscript(self, node: ast.Subscript, name: str, key: ast.expr) -> Expression:
        if name in self.fields:
            return tree.FieldOf(name, self.check(key, SID), self.fields[name].type)
        setting = self.settings.get(name)
        if isinstance(setting, tree.Relation):
            return tree.Related(name, self.check(key, setting.key), NameSet(setting.value))
        tables = [n for n, each in self.settings.items() if isinstance(each, tree.Relation)]
        message = f"{name} is neither a field nor a table"
        raise self.report.unknown(node.value, message, name, [*self.fields, *tables])

    def _unary(self, node: ast.UnaryOp) -> Expression:
        sign = _UNARY.get(type(node.op))
        if sign is None:
            raise self.report.foreign(node, "there are not, - and ~")
        if sign == "not":
            return tree.Unary(sign, self.check(node.operand, BOOLEAN), BOOLEAN)
        operand = self.infer(node.operand)
        if operand.type == FREE and isinstance(operand, tree.Constant):
            value = int(operand.value)
            return tree.Constant(-value if sign == "-" else ~value, FREE)
        kind = operand.type
        if not isinstance(kind, IntegerType) or (sign == "-" and not kind.signed):
            wanted = "a signed integer" if sign == "-" else "an integer"
            message = f"'{sign}' takes {wanted}, this is {kind}"
            raise self.report.error("MODEL-005", node.operand, message, "")
        return tree.Unary(sign, operand, kind)

    def _binary(self, node: ast.BinOp) -> Expression:
        sign = _ARITHMETIC.get(type(node.op))
        if sign is None:
            raise self.report.foreign(node, "there are + - * & |")
        left, right = self._pair(node.left, node.right)
        kind = self._common(node, left, right)
        if isinstance(kind, NameSet) and sign in "|&-":
            return tree.Binary(sign, left, right, kind)
        if not isinstance(kind, IntegerType) or (sign in "&|" and kind.signed):
            message = f"'{sign}' does not take {kind}"
            help = "+ - * take integers, & | unsigned ones, | & - sets"
            raise self.report.error("MODEL-005", node, message, help)
        if kind == FREE:
            message = "both are literals"
            raise self.report.error("MODEL-005", node, message, "write the result")
        return tree.Binary(sign, left, right, kind)

    def _pair(self, left: ast.expr, right: ast.expr) -> tuple[Expression, Expression]:
        """Two expressions; one without a type of its own takes that of the other."""
        if _is_open(left):
            other = self.infer(right)
            return self.check(left, other.type), other
        first = self.infer(left)
        second = self.check(right, first.type) if _is_open(right) else self.infer(right)
        if first.type == FREE and isinstance(second.type, IntegerType) and second.type != FREE:
            first = self._fit(left, first, second.type)
        if second.type == FREE and isinstance(first.type, IntegerType) and first.type != FREE:
            second = self._fit(right, second, first.type)
        return first, second

    def _common(self, node: ast.expr, left: Expression, right: Expression) -> Type:
        first, second = left.type, right.type
        if first == second:
            return first
        if isinstance(first, IntegerType) and isinstance(second, IntegerType):
            for kind, other in ((first, second), (second, first)):
                if kind.low <= other.low and other.high <= kind.high:
                    return kind
        message = f"{first} and {second} do not go together"
        raise self.report.error("MODEL-005", node, message, "give both the same type")

    def _logical(self, node: ast.BoolOp) -> Expression:
        sign = "and" if isinstance(node.op, ast.And) else "or"
        *before, last = [self.check(value, BOOLEAN) for value in node.values]
        if len(before) > MAX_DEPTH:
            message = f"more than {MAX_DEPTH + 1} parts"
            raise self.report.error("MODEL-009", node, message, "give parts of it names")
        for value in reversed(before):
            last = tree.Logical(sign, value, last)
        return last

    def _compare(self, node: ast.Compare) -> Expression:
        if len(node.ops) > 1:
            raise self.report.foreign(node, "a < b and b < c")
        op, right = node.ops[0], node.comparators[0]
        if isinstance(op, ast.In | ast.NotIn):
            found = self._member(node.left, right)
            return tree.Unary("not", found, BOOLEAN) if isinstance(op, ast.NotIn) else found
        sign = _COMPARISONS.get(type(op))
        if sign is None:
            raise self.report.foreign(node, "== and !=")
        first, second = self._pair(node.left, right)
        kind = self._common(node, first, second)
        if kind == FREE:
            raise self.report.error("MODEL-005", node, "both are literals", "write True or False")
        is_ordered = isinstance(kind, IntegerType) or (isinstance(kind, NameSet) and sign == "<=")
        if sign not in ("==", "!=") and not is_ordered:
            message = f"'{sign}' does not take {kind}"
            raise self.report.error("MODEL-005", node, message, "== != take all types, <= sets too")
        return tree.Compare(sign, first, second)

    def _member(self, name: ast.expr, whole: ast.expr) -> Expression:
        if _is_open(whole):
            one = self.infer(name)
            if isinstance(one.type, Names):
                return tree.Member(one, self.check(whole, NameSet(one.type)))
        found = self.infer(whole)
        if not isinstance(found.type, NameSet):
            message = f"'in' takes a set, this is {found.type}"
            raise self.report.error("MODEL-005", whole, message, "Set[...]")
        return tree.Member(self.check(name, found.type.of), found)

    def _display(self, node: ast.Set) -> Expression:
        first = next((item for item in node.elts if not _is_open(item)), None)
        kind = self.infer(first).type if first else None
        if not isinstance(kind, Names):
            message = "the type of the set is not clear" if first is None else f"a set of {kind}"
            raise self.report.error("MODEL-005", node, message, "sets are of names")
        return tree.SetOf(tuple(self.check(item, kind) for item in node.elts), NameSet(kind))

    def _selected(self, node: ast.SetComp) -> Expression:
        match node:
            case ast.SetComp(
                ast.Name(name),
                [ast.comprehension(ast.Name(variable), ast.Name(over), [condition], 0)],
            ) if name == variable:
                names = self.settings.get(over)
                if not isinstance(names, Names):
                    message = f"{over} is no list of names"
                    known = [n for n, each in self.settings.items() if isinstance(each, Names)]
                    raise self.report.unknown(node, message, over, known)
                self.must_be_new(node, variable)
                self.scope[variable] = names
                try:
                    found = self.check(condition, BOOLEAN)
                finally:
                    del self.scope[variable]
                return tree.Selected(variable, found, NameSet(names))
        raise self.report.foreign(node, "{ name for name in names if condition }")

    def must_be_new(self, node: ast.AST, name: str) -> None:
        self.report.must_be_word(node, name)
        owners = (
            (self.scope, "a parameter or variable"),
            (self.settings, "in class config"),
            (self.fields, "in class context"),
            (self.methods, "a method"),
            (("has", "create", "drop", "range"), "a function that models have"),
        )
        if owner := next((what for names, what in owners if name in names), ""):
            message = f"the name {name} is taken: it is {owner}"
            raise self.report.error("MODEL-002", node, message, "choose another")

    def _call(self, node: ast.Call, name: str) -> Expression:
        if node.keywords:
            raise self.report.foreign(node.keywords[0], "arguments without names")
        if name == "has":
            self._must_have(node, name, 1)
            return tree.Has(self.check(node.args[0], SID))
        if name in ("create", "drop"):
            message = f"{name} has no value"
            help = f"{name}(...) stands by itself in a rule; a SID without a context: not has(sid)"
            raise self.report.error("MODEL-005", node, message, help)
        if name in self._broken:
            raise RefusedError
        method = self.methods.get(name)
        if method is None or method.result is None:
            message = f"{name} is no expression declared above"
            known = [n for n, each in self.methods.items() if each.result is not None]
            raise self.report.unknown(node, message, name, ["has", *known])
        self._must_have(node, name, len(method.parameters))
        pairs = zip(node.args, method.parameters, strict=True)
        given = tuple(self.check(value, parameter.type) for value, parameter in pairs)
        return tree.Ask(name, given, method.result)

    def _must_have(self, node: ast.Call, name: str, count: int) -> None:
        if len(node.args) != count:
            message = f"{name} takes {count} arguments, not {len(node.args)}"
            raise self.report.error("MODEL-010", node, message, "as they are declared")


def _is_open(node: ast.expr) -> bool:
    """Whether it takes its type from what it stands beside."""
    if isinstance(node, ast.Set):
        return all(map(_is_open, node.elts))
    if isinstance(node, ast.Dict):
        return not node.keys
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _hint(expected: Type) -> str:
    if isinstance(expected, BooleanType):
        return "a comparison, True or False"
    return "sets are written { a, b }" if isinstance(expected, NameSet) else ""
