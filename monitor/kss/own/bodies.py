"""Bodies of methods of users' own models: statements, and that each path returns once."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from kss.own import tree
from kss.own.terms import MAX_DEPTH, Terms
from kss.own.tree import Statement, Type
from kss.types import BOOLEAN, SID, UINT32, IntegerType

MAX_LOCALS = 24  # parameters and variables of a method
MAX_ROUNDS = 64  # of a loop


class Bodies:
    """Checks the body of one method, whose parameters `terms` know already."""

    def __init__(
        self, terms: Terms, result: Type | None, read_type: Callable[[ast.expr], Type]
    ) -> None:
        self.terms = terms
        self.report = terms.report
        self._result = result
        self._read_type = read_type
        self._fixed = set(terms.scope)  # parameters and variables of loops
        self._depth = 0

    def method(self, node: ast.FunctionDef) -> tuple[Statement, ...]:
        body = self._block(without_docstring(node.body))
        if not tree.returns(body):
            message = f"not every path through {node.name} returns"
            help = "the last statement is return, or an if with else in which both return"
            raise self.report.error("MODEL-007", node, message, help)
        return body

    def _block(self, nodes: Sequence[ast.stmt]) -> tuple[Statement, ...]:
        """Variables declared in a block end with it."""
        outer = dict(self.terms.scope)
        if self._depth > MAX_DEPTH:
            message = "the statement is nested too deeply"
            raise self.report.error("MODEL-009", nodes[0], message, "use methods of their own")
        self._depth += 1
        found: list[Statement] = []
        for node in nodes:
            if tree.returns(tuple(found)):
                message = "this is never reached"
                raise self.report.error("MODEL-007", node, message, "take it out")
            if not isinstance(node, ast.Pass):
                found.append(self._statement(node))
        self._depth -= 1
        self.terms.scope = outer
        return tuple(found)

    def _statement(self, node: ast.stmt) -> Statement:
        match node:
            case ast.Return(ast.expr() as value):
                return tree.Return(self.terms.check(value, self._result or BOOLEAN))
            case ast.If(test, body, orelse):
                condition = self.terms.check(test, BOOLEAN)
                return tree.If(condition, self._block(body), self._block(orelse))
            case ast.For():
                return self._repeat(node)
            case ast.Assign([target], value):
                return self._assign(node, target, value)
            case ast.AugAssign(target, op, value):
                both = ast.copy_location(ast.BinOp(target, op, value), node)
                if isinstance(target, ast.Name) and target.id not in self.terms.scope:
                    name = target.id
                    known = self.terms.scope
                    raise self.report.unknown(target, f"unknown variable {name}", name, known)
                return self._assign(node, target, both)
            case ast.AnnAssign(ast.Name(name), annotation, ast.expr() as value):
                kind = self._read_type(annotation)
                return self._declare(node, name, self.terms.check(value, kind), kind)
            case ast.Expr(ast.Call(ast.Name("create" | "drop" as name)) as call):
                self._must_be_rule(node)
                return self._create(call) if name == "create" else self._drop(call)
        help = "if, for, return, assignments, create(...) and drop(...)"
        raise self.report.foreign(node, help)

    def _must_be_rule(self, node: ast.stmt) -> None:
        if self._result is not None:
            message = "only rules change contexts, this method has a value"
            raise self.report.error("MODEL-008", node, message, "-> Rule")

    def _assign(self, node: ast.stmt, target: ast.expr, value: ast.expr) -> Statement:
        terms = self.terms
        match target:
            case ast.Subscript(ast.Name(name), key) if name in terms.fields:
                self._must_be_rule(node)
                sid = terms.check(key, SID)
                return tree.Store(name, sid, terms.check(value, terms.fields[name].type))
            case ast.Name(name) if name in self._fixed:
                message = f"{name} does not change: it is a parameter, or counts a loop"
                raise self.report.error("MODEL-002", target, message, "declare a variable")
            case ast.Name(name) if name in terms.scope:
                kind = terms.scope[name]
                return tree.Assign(tree.Local(name, kind), terms.check(value, kind))
            case ast.Name(name):
                found = terms.settled(value)
                return self._declare(node, name, found, found.type)
        help = "variable = ... or field[sid] = ..."
        raise self.report.foreign(target, help)

    def _declare(
        self, node: ast.stmt, name: str, value: tree.Expression, kind: Type
    ) -> tree.Assign:
        self.terms.must_be_new(node, name)
        if len(self.terms.scope) >= MAX_LOCALS:
            message = f"more than {MAX_LOCALS} parameters and variables"
            raise self.report.error("MODEL-009", node, message, "use a method of its own")
        self.terms.scope[name] = kind
        return tree.Assign(tree.Local(name, kind), value)

    def _repeat(self, node: ast.For) -> tree.Repeat:
        match node:
            case ast.For(ast.Name(name), ast.Call(ast.Name("range"), [bound], []), body, []):
                count = self.terms.infer(bound)
                if isinstance(count.type, IntegerType) and isinstance(
                    count, tree.Constant | tree.Setpoint
                ):
                    if isinstance(count, tree.Constant) and not 0 <= int(count.value) <= MAX_ROUNDS:
                        message, help = f"{count.value} rounds", f"at most {MAX_ROUNDS}"
                        raise self.report.error("MODEL-006", bound, message, help)
                    return self._rounds(node, name, count, body)
        help = "for name in range(...), with an integer or a parameter of the configuration"
        raise self.report.foreign(node, help)

    def _rounds(
        self,
        node: ast.For,
        name: str,
        count: tree.Constant | tree.Setpoint,
        body: list[ast.stmt],
    ) -> tree.Repeat:
        self.terms.must_be_new(node, name)
        self.terms.scope[name] = UINT32
        self._fixed.add(name)
        try:
            found = self._block(body)
        finally:
            self._fixed.discard(name)
            self.terms.scope.pop(name, None)
        return tree.Repeat(tree.Local(name, UINT32), count, found)

    def _drop(self, call: ast.Call) -> tree.Drop:
        if len(call.args) != 1 or call.keywords:
            raise self.report.error("MODEL-010", call, "drop takes a SID", "drop(sid)")
        return tree.Drop(self.terms.check(call.args[0], SID))

    def _create(self, call: ast.Call) -> tree.Create:
        fields = self.terms.fields
        if len(call.args) != 1:
            message = "create takes a SID, then fields by name"
            raise self.report.error("MODEL-010", call, message, "create(sid, field=value)")
        sid = self.terms.check(call.args[0], SID)
        given: dict[str, tree.Expression] = {}
        for keyword in call.keywords:
            name = keyword.arg or "**"
            if name not in fields:
                raise self.report.unknown(keyword, f"there is no field {name}", name, fields)
            given[name] = self.terms.check(keyword.value, fields[name].type)
        values: list[tree.Expression] = []
        for name, field in fields.items():
            value = given.get(name, field.default)
            if value is None:
                message = f"{name} has no default: create must be given a value"
                raise self.report.error("MODEL-010", call, message, f"create(..., {name}=...)")
            values.append(value)
        return tree.Create(sid, tuple(values))


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(ast.Constant(str())), *rest]:
            return rest
    return body
