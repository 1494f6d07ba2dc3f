"""Methods of users' own models to instructions: inline, loops unrolled, jumps forward.

A name is held as its number among all names of the object, a set as a bit for each of its names.
What is known when the policy is compiled is computed then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from kss.binary import IMMEDIATE, Op
from kss.codegen.assembler import Assembler
from kss.codegen.expressions import U64
from kss.own import tree
from kss.own.fold import Known, compared, known_result
from kss.own.layout import Layout, is_signed, type_code_of
from kss.own.tree import Expression, Statement

MAX_INSTRUCTIONS = 8192  # that one call becomes


class TooLongError(Exception):
    """A call becomes more instructions than it may."""


Operand: TypeAlias = Known | int  # or a register
Scope: TypeAlias = Mapping[str, Operand]
# method of the VM's model, register of the result and of the first argument, operand
EmitCall: TypeAlias = Callable[[str, int, int, int], None]

_INTEGERS = {"+": Op.ADD, "-": Op.SUB, "*": Op.MUL, "&": Op.AND, "|": Op.OR}
_SETS = {"&": Op.AND, "|": Op.OR}
_ORDER = {"<": (Op.LT, False), "<=": (Op.LE, False), ">": (Op.LT, True), ">=": (Op.LE, True)}


class Bodies:
    """Compiles the methods of one object into a program."""

    def __init__(self, out: Assembler, layout: Layout, call: EmitCall) -> None:
        self.out = out
        self.layout = layout
        self.config = layout.config
        self._call = call
        self._start = len(out.code)
        self._changing: set[str] = set()  # variables of the method with several values

    def method(self, name: str, arguments: Sequence[Operand], d: int, top: int) -> Operand:
        """The result, if known, else it is in register d; registers from `top` on are used."""
        method = self.config.definition.methods[name]
        names = [each.name for each in method.parameters]
        scope = dict(zip(names, arguments, strict=True))
        if len(method.body) == 1 and isinstance(method.body[0], tree.Return):
            return self.value(method.body[0].value, scope, top)
        self.out.use(d)
        outer, self._changing = self._changing, tree.changing(method.body)
        ends = self._block(method.body, scope, d, top)
        self._changing = outer
        if ends and ends[-1] == len(self.out.code) - 1:
            self.out.code.pop()  # a jump to what follows anyway
            ends.pop()
        for end in ends:
            self.out.land(end)
        return d

    # ---- statements

    def _block(
        self, statements: Sequence[Statement], scope: dict[str, Operand], d: int, top: int
    ) -> list[int]:
        """Returns the jumps to the end of the method; `scope` gains what the block declares."""
        ends: list[int] = []
        for statement in statements:
            match statement:
                case tree.Return(value):
                    self.into(self.value(value, scope, top), d)
                    return [*ends, self.out.jump(Op.JUMP)]
                case tree.If():
                    ends += self._if(statement, scope, d, top)
                case tree.Repeat(variable, count, body):
                    for number in range(self.config.number(count)):
                        inner = {**scope, variable.name: Known(number)}
                        ends += self._block(body, inner, d, top)
                case tree.Assign():
                    top += self._assign(statement, scope, top)
                case _:
                    self._change(statement, scope, top)
        return ends

    def _assign(self, node: tree.Assign, scope: dict[str, Operand], top: int) -> int:
        """Returns how many registers a new variable takes: none if its one value is known."""
        name = node.variable.name
        old = scope.get(name)
        if isinstance(old, int):
            self.into(self.value(node.value, scope, top), old)
            return 0
        value = self.value(node.value, scope, top + 1)
        if isinstance(value, Known) and name not in self._changing:
            scope[name] = value
            return 0
        self.into(value, top)
        scope[name] = top
        return 1

    def _if(self, node: tree.If, scope: Scope, d: int, top: int) -> list[int]:
        condition = self.value(node.condition, scope, top)
        if isinstance(condition, Known):
            taken = node.then if condition.value else node.otherwise
            return self._block(taken, dict(scope), d, top)
        skip = self.out.jump(Op.JUMP_ZERO, condition)
        ends = self._block(node.then, dict(scope), d, top)
        if not node.otherwise:
            self.out.land(skip)
            return ends
        over = None if tree.returns(node.then) else self.out.jump(Op.JUMP)
        self.out.land(skip)
        ends += self._block(node.otherwise, dict(scope), d, top)
        if over is not None:
            self.out.land(over)
        return ends

    def _change(
        self, statement: tree.Store | tree.Create | tree.Drop, scope: Scope, top: int
    ) -> None:
        self.into(self.value(statement.sid, scope, top), top)
        if isinstance(statement, tree.Drop):
            self.call("drop", self.out.use(top + 1), top)
        elif isinstance(statement, tree.Store):
            self.into(self.value(statement.value, scope, top + 1), top + 1)
            self._store(statement.field, top)
        else:
            self._create(statement, scope, top)

    def _create(self, statement: tree.Create, scope: Scope, top: int) -> None:
        """Values are computed before; the VM fills a new context with zeros."""
        values: list[Operand] = []
        free = top + 1
        for each in statement.values:
            value = self.value(each, scope, free)
            values.append(value)
            free += value == free
        self.call("create", self.out.use(free), top)
        for name, value in zip(self.layout.operands, values, strict=True):
            if value != Known(0):
                self.into(top, free)
                self.into(value, free + 1)
                self._store(name, free)

    def _store(self, field: str, top: int) -> None:
        self.call("store", self.out.use(top + 2), top, self.layout.operands[field])

    def call(self, method: str, d: int, a: int, operand: int = 0) -> None:
        self._call(method, d, a, operand)
        if len(self.out.code) - self._start > MAX_INSTRUCTIONS:
            raise TooLongError

    # ---- values

    def into(self, operand: Operand, d: int) -> None:
        if isinstance(operand, Known):
            self.out.emit(Op.MOVE, self.out.use(d), IMMEDIATE, imm=operand.value)
        elif operand != d:
            self.out.emit(Op.MOVE, self.out.use(d), operand)

    def held(self, operand: Operand, d: int) -> int:
        """A register with the value: d, if it is in none yet."""
        if isinstance(operand, Known):
            self.into(operand, d)
            return d
        return operand

    def value(self, expression: Expression, scope: Scope, top: int) -> Operand:
        """A value, known or in a register: one of the scope's, or `top`."""
        if len(self.out.code) - self._start > MAX_INSTRUCTIONS:
            raise TooLongError
        match expression:
            case tree.Constant(value):
                return Known(self.layout.number(value) if isinstance(value, str) else int(value))
            case tree.Setpoint(name):
                number = self.config.values[name]
                assert isinstance(number, int), name
                return Known(number)
            case tree.Local(name):
                return scope[name]
            case tree.FieldOf() | tree.Has():
                return self._context(expression, scope, top)
            case tree.Unary():
                return self._unary(expression, scope, top)
            case tree.Binary():
                return self._binary(expression, scope, top)
            case tree.Compare():
                return self._compare(expression, scope, top)
            case tree.Logical():
                return self._logical(expression, scope, top)
            case tree.Ask():
                return self._ask(expression, scope, top)
            case _:
                return self._names(expression, scope, top)

    def _context(self, node: tree.FieldOf | tree.Has, scope: Scope, top: int) -> int:
        at = self.held(self.value(node.sid, scope, top), top)
        if isinstance(node, tree.Has):
            self.call("has", self.out.use(top), at)
        else:
            self.call("load", self.out.use(top), at, self.layout.operands[node.name])
        return top

    def _ask(self, node: tree.Ask, scope: Scope, top: int) -> Operand:
        given, free = self.values(node.arguments, scope, top + 1)
        found = self.method(node.method, given, top, free)
        if isinstance(found, Known) or found <= top:
            return found
        self.into(found, top)
        return top

    def values(
        self, expressions: Sequence[Expression], scope: Scope, top: int
    ) -> tuple[list[Operand], int]:
        """Several values, and the first register after them."""
        found: list[Operand] = []
        for expression in expressions:
            found.append(self.value(expression, scope, top))
            top += found[-1] == top
        return found, top

    def _two(self, left: Operand, right: Operand, top: int, op: Op, code: int = 0) -> int:
        """An instruction on two values, the result in register `top`."""
        if isinstance(left, Known) and isinstance(right, Known):
            self.into(left, top)
            left = top
        a, b = (IMMEDIATE if isinstance(each, Known) else each for each in (left, right))
        known = [each.value for each in (left, right) if isinstance(each, Known)]
        self.out.emit(op, self.out.use(top), a, b, code, *known)
        return top

    def _pair(
        self, left: Expression, right: Expression, scope: Scope, top: int
    ) -> tuple[Operand, Operand]:
        (first, second), _ = self.values((left, right), scope, top)
        return first, second

    def _unary(self, node: tree.Unary, scope: Scope, top: int) -> Operand:
        value = self.value(node.operand, scope, top)
        if isinstance(value, Known) and (known := known_result(node, value.value)) is not None:
            return known
        ops = {"not": Op.INVERT, "-": Op.NEG, "~": Op.NOT}
        code = 0 if node.operator == "not" else type_code_of(node.type)
        self.out.emit(ops[node.operator], self.out.use(top), self.held(value, top), x=code)
        return top

    def _binary(self, node: tree.Binary, scope: Scope, top: int) -> Operand:
        left, right = self._pair(node.left, node.right, scope, top)
        if isinstance(left, Known) and isinstance(right, Known):
            known = known_result(node, left.value, right.value)
            if known is not None:
                return known
        if isinstance(node.type, tree.NameSet):
            if node.operator == "-":
                right = self._complement(right, top + (left == top))
                return self._two(left, right, top, Op.AND)
            return self._two(left, right, top, _SETS[node.operator])
        op = _INTEGERS[node.operator]
        code = type_code_of(node.type) if op in (Op.ADD, Op.SUB, Op.MUL) else 0
        return self._two(left, right, top, op, code)

    def _complement(self, value: Operand, top: int) -> Operand:
        if isinstance(value, Known):
            return Known(~value.value & (1 << 64) - 1)
        self.out.emit(Op.NOT, self.out.use(top), value, x=U64)
        return top

    def _compare(self, node: tree.Compare, scope: Scope, top: int) -> Operand:
        left, right = self._pair(node.left, node.right, scope, top)
        sign, kind = node.operator, node.left.type
        if isinstance(left, Known) and isinstance(right, Known):
            return compared(sign, kind, left.value, right.value)
        if sign in ("==", "!="):
            return self._two(left, right, top, Op.EQ if sign == "==" else Op.NE)
        if isinstance(kind, tree.NameSet):  # nothing of the left is outside the right
            outside = self._complement(right, top + (left == top))
            return self._two(self._two(left, outside, top, Op.AND), Known(0), top, Op.EQ)
        op, swapped = _ORDER[sign]
        first, second = (right, left) if swapped else (left, right)
        return self._two(first, second, top, op, 7 if is_signed(kind) else U64)

    def _logical(self, node: tree.Logical, scope: Scope, top: int) -> Operand:
        left = self.value(node.left, scope, top)
        is_and = node.operator == "and"
        if isinstance(left, Known):
            return self.value(node.right, scope, top) if bool(left.value) is is_and else left
        self.into(left, top)
        skip = self.out.jump(Op.JUMP_ZERO if is_and else Op.JUMP_NONZERO, top)
        self.into(self.value(node.right, scope, top), top)
        self.out.land(skip)
        return top

    # ---- names and sets

    def _names(
        self,
        node: tree.Member | tree.SetOf | tree.Selected | tree.Related,
        scope: Scope,
        top: int,
    ) -> Operand:
        match node:
            case tree.Member(name, whole):
                assert isinstance(whole.type, tree.NameSet)
                bits = self.value(whole, scope, top)
                free = top + (bits == top)
                one = self._bit(self.value(name, scope, free), whole.type.of, free)
                if isinstance(one, Known) and isinstance(bits, Known):
                    return Known(int(one.value & bits.value != 0))
                return self._two(self._two(bits, one, top, Op.AND), Known(0), top, Op.NE)
            case tree.SetOf(items, kind):
                return self._union(items, kind.of, scope, top)
            case tree.Related(name, key, kind):
                relation = self.config.definition.settings[name]
                assert isinstance(relation, tree.Relation)
                sets = {
                    self.layout.number(each): self.layout.bits(
                        self.config.related(name, each), kind.of
                    )
                    for each in self.config.members(relation.key)
                }
                return self.chosen(self.value(key, scope, top), sets, top)
            case tree.Selected(variable, condition, kind):
                return self._selected(variable, condition, kind.of, scope, top)

    def _union(
        self, items: Sequence[Expression], names: tree.Names, scope: Scope, top: int
    ) -> Operand:
        found: Operand = Known(0)
        for item in items:
            free = top + (found == top)
            bit = self._bit(self.value(item, scope, free), names, free)
            if isinstance(found, Known) and isinstance(bit, Known):
                found = Known(found.value | bit.value)
            else:
                found = self._two(found, bit, top, Op.OR)
        return found

    def _selected(
        self, variable: str, condition: Expression, names: tree.Names, scope: Scope, top: int
    ) -> Operand:
        known, some = 0, False
        for position, name in enumerate(self.config.members(names)):
            inner = {**scope, variable: Known(self.layout.number(name))}
            found = self.value(condition, inner, top + some)
            if isinstance(found, Known):
                known |= (1 << position) * found.value
                continue
            if not some:  # the condition is in `top` or a variable: both make way
                self.into(found, top + 1)
                self.into(Known(0), top)
                found, some = top + 1, True
            skip = self.out.jump(Op.JUMP_ZERO, found)
            self._two(top, Known(1 << position), top, Op.OR)
            self.out.land(skip)
        return self._two(top, Known(known), top, Op.OR) if some else Known(known)

    def _bit(self, name: Operand, names: tree.Names, top: int) -> Operand:
        members = self.config.members(names)
        bits = {self.layout.number(each): 1 << i for i, each in enumerate(members)}
        return self.chosen(name, bits, top)

    def chosen(self, key: Operand, values: Mapping[int, int], top: int) -> Operand:
        """The value for a number, which is one of the keys."""
        if isinstance(key, Known):
            return Known(values[key.value])
        if key == top:
            self.into(key, top + 1)
            key = top + 1
        self.into(Known(0), top)
        for number, value in values.items():
            test = top + 1 + (key == top + 1)
            self._two(key, Known(number), test, Op.EQ)
            skip = self.out.jump(Op.JUMP_ZERO, test)
            self.into(Known(value), top)
            self.out.land(skip)
        return top
