"""Expressions to instructions.

`Expressions.value(expression, d)` leaves the value in register d and uses registers from d on.
Evaluation has no effects and every error ends in the same verdict, so operands are computed in
any order: the one that needs most registers first, which keeps their number small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatchmethod
from typing import TYPE_CHECKING, TypeAlias

from kss import layout
from kss.binary import IMMEDIATE, Op
from kss.codegen.assembler import Assembler
from kss.codegen.layouts import inverse_of
from kss.tree import (
    Apply,
    Constant,
    ElementStep,
    Expression,
    ListValue,
    Logical,
    MemberStep,
    Place,
    Query,
    RecordValue,
    Sid,
    Step,
    items_of,
)
from kss.types import UINT8, IntegerType, Type

if TYPE_CHECKING:
    from kss.codegen.objects import Objects

Consumer: TypeAlias = Callable[[Expression, int], None]

U32 = 2
U64 = 3

_BINARY = {
    "pred.eq": Op.EQ,
    "pred.ne": Op.NE,
    "math.add": Op.ADD,
    "math.sub": Op.SUB,
    "math.mul": Op.MUL,
    "math.and": Op.AND,
    "math.or": Op.OR,
}
_ORDER = {
    "pred.lt": (Op.LT, False),
    "pred.le": (Op.LE, False),
    "pred.gt": (Op.LT, True),
    "pred.ge": (Op.LE, True),
}
_UNARY = {"math.not": Op.NOT, "math.neg": Op.NEG, "math.abs": Op.ABS}
_LISTS = {
    "bool.all": (Op.AND, 1),
    "bool.any": (Op.OR, 0),
    "math.sum": (Op.ADD, 0),
    "math.product": (Op.MUL, 1),
}
_FOLDS = {"math.sum": Op.SUM, "math.product": Op.PRODUCT}
_TYPED = {Op.ADD, Op.SUB, Op.MUL}


def type_code(kind: Type) -> int:
    """The VM's number of an integer type; other scalars are held as UInt64."""
    if isinstance(kind, IntegerType):
        return {8: 0, 16: 1, 32: 2, 64: 3}[kind.bits] + 4 * kind.signed
    return U64


def wire_code(wire: layout.WireType) -> int:
    assert isinstance(wire, layout.Integer), wire
    return {8: 0, 16: 1, 32: 2, 64: 3}[wire.bits] + 4 * wire.signed


class Expressions:
    def __init__(self, assembler: Assembler, objects: Objects) -> None:
        self.out = assembler
        self.objects = objects

    @singledispatchmethod
    def value(self, expression: Expression, d: int) -> None:
        raise AssertionError(expression)

    @value.register
    def _constant(self, expression: Constant, d: int) -> None:
        value = expression.value
        self.constant(int(value) if isinstance(value, int) else 0, d)

    @value.register
    def _sid(self, expression: Sid, d: int) -> None:
        self.out.emit(Op.SRC if expression.which == "src" else Op.DST, self.out.use(d))

    @value.register
    def _list(self, expression: ListValue, d: int) -> None:
        for item in expression.items:
            self.value(item, d)

    @value.register
    def _record(self, expression: RecordValue, d: int) -> None:
        for _, item in expression.fields:
            self.value(item, d)

    @value.register
    def _logical(self, expression: Logical, d: int) -> None:
        out = self.out
        self.value(expression.left, d)
        if expression.operator == "implies":
            out.emit(Op.INVERT, d, d)
        jump = out.jump(Op.JUMP_ZERO if expression.operator == "and" else Op.JUMP_NONZERO, d)
        self.value(expression.right, d)
        out.land(jump)

    @value.register
    def _query(self, expression: Query, d: int) -> None:
        self.objects.query(self, expression, d)

    def constant(self, value: int, d: int) -> None:
        self.out.emit(Op.MOVE, self.out.use(d), IMMEDIATE, imm=value)

    def values(self, expressions: Sequence[Expression], d: int) -> list[int]:
        """Several values at once; returns their registers, all from d on."""
        order = sorted(range(len(expressions)), key=lambda i: -need(expressions[i]))
        registers = [0] * len(expressions)
        for register, index in enumerate(order, start=d):
            self.value(expressions[index], register)
            registers[index] = register
        return registers

    def translate(self, numbers: Sequence[int], d: int) -> None:
        """Replaces the index in register d by the number at that index."""
        result = self.out.use(d + 2)
        for index, number in enumerate(numbers):
            skip = self._unless(d, index, d + 1)
            self.constant(number, result)
            self.out.land(skip)
        self.out.emit(Op.MOVE, d, result)

    def fail_unless(self, d: int, value: int) -> None:
        self.out.emit(Op.EXPECT, a=d, imm=value)

    # ---- the message -----------------------------------------------------

    @value.register
    def _place(self, expression: Place, d: int) -> None:
        out = self.out
        register, offset = self.address(expression, d)
        if not isinstance(expression.wire, layout.Integer):
            return  # taken whole by nobody: only its errors count
        code = wire_code(expression.wire)
        if register is None:
            out.emit(Op.FIELD, out.use(d), x=code, imm=offset)
            out.extent = max(out.extent, offset + expression.wire.size)
        else:
            out.emit(Op.LOAD, out.use(d), register, x=code, imm=offset)

    def address(self, place: Place, d: int) -> tuple[int | None, int]:
        """Where a value lies: at register + offset, or at offset if there is no register."""
        register: int | None = None
        offset = 0
        for step in place.steps:
            if isinstance(step, ElementStep):
                register, offset = self._element(step, register, offset, d)
            else:
                if isinstance(step, MemberStep):
                    self._expect_tag(step, register, offset, d)
                offset += step.offset
        return register, offset

    def address_in(self, place: Place, d: int) -> None:
        """The address of a value in register d."""
        register, offset = self.address(place, d)
        if register is None:
            self.constant(offset, d)
        elif offset:
            self.out.emit(Op.OFFSET, self.out.use(d), register, imm=offset)

    def _expect_tag(self, step: MemberStep, register: int | None, offset: int, d: int) -> None:
        out = self.out
        if register is None:
            out.emit(Op.FIELD, out.use(d), x=U32, imm=offset)
            out.extent = max(out.extent, offset + 4)
            self.fail_unless(d, step.tag)
        else:
            out.emit(Op.LOAD, out.use(d + 1), register, x=U32, imm=offset)
            self.fail_unless(d + 1, step.tag)

    def _element(
        self, step: ElementStep, register: int | None, offset: int, d: int
    ) -> tuple[int | None, int]:
        out, size = self.out, step.wire.size
        if register is None:
            index, base = d, d + 1
        else:
            index, base = d + 1, d
        constant = step.index.value if isinstance(step.index, Constant) else None
        if step.count is not None and isinstance(constant, int) and 0 <= constant < step.count:
            return register, offset + constant * size
        self.value(step.index, index)
        if register is None:
            self.constant(offset, base)
        elif offset:
            out.emit(Op.OFFSET, base, base, imm=offset)
        if step.count is not None:
            out.emit(Op.INDEX, out.use(d), base, index, step.count, size)
        else:
            out.emit(Op.ELEMENT, out.use(d), base, index, imm=size)
        return d, 0

    # ---- operations ------------------------------------------------------

    @value.register
    def _apply(self, expression: Apply, d: int) -> None:
        operation, operands = expression.operation, expression.operands
        if operation in _BINARY or operation in _ORDER:
            self._binary(operation, operands, expression.type, d)
        elif operation in _UNARY:
            self.value(operands[0], d)
            self.out.emit(_UNARY[operation], d, d, x=type_code(expression.type))
        elif operation in _LISTS:
            self._fold(operation, operands[0], expression.type, d)
        else:
            {
                "bool.not": self._not,
                "bool.cond": self._cond,
                "math.widen": self._widen,
                "pred.empty": self._empty,
                "struct.size": self._size,
                "struct.element": self._pick,
            }[operation](operands, d)

    def _binary(self, name: str, operands: tuple[Expression, ...], result: Type, d: int) -> None:
        left, right, known = self._pair(operands, d)
        if name in _ORDER:
            op, swapped = _ORDER[name]
            a, b = (right, left) if swapped else (left, right)
            self.out.emit(op, d, a, b, type_code(operands[0].type), known)
        else:
            op = _BINARY[name]
            self.out.emit(op, d, left, right, type_code(result) if op in _TYPED else 0, known)

    def _pair(self, operands: tuple[Expression, ...], d: int) -> tuple[int, int, int]:
        """The registers of two values, one of which may be IMMEDIATE: then with that number."""
        left, right = operands
        for number, other in ((right, left), (left, right)):
            if isinstance(number, Constant) and isinstance(number.value, int):
                self.value(other, d)
                known = int(number.value)
                return (d, IMMEDIATE, known) if number is right else (IMMEDIATE, d, known)
        first, second = self.values(operands, d)
        return first, second, 0

    def _not(self, operands: tuple[Expression, ...], d: int) -> None:
        self.value(operands[0], d)
        self.out.emit(Op.INVERT, d, d)

    def _widen(self, operands: tuple[Expression, ...], d: int) -> None:
        self.value(operands[0], d)  # registers are 64 bits wide

    def _cond(self, operands: tuple[Expression, ...], d: int) -> None:
        condition, then, otherwise = self.values(operands, d)
        result = self.out.use(d + 3)
        skip = self.out.jump(Op.JUMP_ZERO, condition)
        self.out.emit(Op.MOVE, result, then)
        end = self.out.jump(Op.JUMP)
        self.out.land(skip)
        self.out.emit(Op.MOVE, result, otherwise)
        self.out.land(end)
        self.out.emit(Op.MOVE, d, result)

    def _fold(self, name: str, operand: Expression, result: Type, d: int) -> None:
        self.select(operand, d, lambda leaf, to: self._fold_list(name, leaf, result, to))

    def _fold_list(self, name: str, operand: Expression, result: Type, d: int) -> None:
        if isinstance(operand, Place):
            self._fold_place(name, operand, result, d)
            return
        op, start = _LISTS[name]
        code = type_code(result) if op in _TYPED else 0
        items = list(items_of(operand))
        if not code and op not in _TYPED:  # order does not matter
            items.sort(key=lambda item: -need(item))
        if not items:
            self.constant(start, d)
            return
        self.value(items[0], d)
        for item in items[1:]:
            self.value(item, d + 1)
            self.out.emit(op, d, d, d + 1, code)

    def _fold_place(self, name: str, place: Place, result: Type, d: int) -> None:
        out = self.out
        self.address_in(place, d)
        if isinstance(place.wire, layout.Array):
            self.constant(place.wire.count, d + 1)
        else:
            self._length(place.wire, d, d + 1)
            out.emit(Op.SPAN, d, d)
        out.emit(_FOLDS[name], d, d, out.use(d + 1), type_code(result))

    def _empty(self, operands: tuple[Expression, ...], d: int) -> None:
        self._size(operands, d)
        self.out.emit(Op.INVERT, d, d)

    def _size(self, operands: tuple[Expression, ...], d: int) -> None:
        self.select(operands[0], d, self._size_of)

    def _size_of(self, operand: Expression, d: int) -> None:
        if not isinstance(operand, Place):
            self.value(operand, d)  # for its errors
            self.constant(_written_size(operand), d)
        elif isinstance(operand.wire, layout.Array):
            self.address(operand, d)  # for its errors
            self.constant(operand.wire.count, d)
        else:
            self.address_in(operand, d)
            self._length(operand.wire, d, d)

    def _length(self, wire: layout.WireType, address: int, d: int) -> None:
        if isinstance(wire, layout.String):
            self.out.emit(Op.TEXT_LENGTH, self.out.use(d), address)
            return
        size = wire.element.size if isinstance(wire, layout.Sequence) else 1
        self.out.emit(Op.LENGTH, self.out.use(d), address, x=size, imm=inverse_of(size))

    # ---- elements of lists written out -------------------------------------

    def _pick(self, operands: tuple[Expression, ...], d: int) -> None:
        """A scalar: every item is evaluated, one is taken."""
        out, (values, index) = self.out, operands
        if not isinstance(values, ListValue | Constant):
            self.select(Apply("struct.element", operands, values.type), d, self.value)
            return
        items, item, test = items_of(values), d + 2, d + 3
        self._checked_index(index, len(items), d + 1, test)
        for number, expression in enumerate(items):
            self.value(expression, item)
            skip = self._unless(d + 1, number, test)
            out.emit(Op.MOVE, d, item)
            out.land(skip)

    def select(self, expression: Expression, d: int, consume: Consumer) -> None:
        """Lets `consume` turn a value of any type into a scalar in register d; of an element of
        a list it is called for every item, and only the code for the right one runs."""
        if not (isinstance(expression, Apply) and expression.operation == "struct.element"):
            consume(expression, d)
            return
        values, index = expression.operands
        self.select(values, d, lambda leaf, to: self._select_from(leaf, index, to, consume))

    def _select_from(self, leaf: Expression, index: Expression, d: int, consume: Consumer) -> None:
        if isinstance(leaf, Place):
            assert isinstance(leaf.wire, layout.Bytes), leaf
            byte = layout.Integer(8, False)
            steps = (*leaf.steps, ElementStep(index, None, byte))
            consume(Place(leaf.message, steps, byte, UINT8), d)
            return
        out, items, test = self.out, items_of(leaf), d + 2
        self._checked_index(index, len(items), d + 1, test)
        for item in items:
            if not isinstance(item, Constant):
                self.value(item, test)  # for its errors
        ends: list[int] = []
        for number, item in enumerate(items):
            skip = self._unless(d + 1, number, test)
            self.select(item, test, consume)
            out.emit(Op.MOVE, d, test)
            ends.append(out.jump(Op.JUMP))
            out.land(skip)
        for end in ends:
            out.land(end)

    def _checked_index(self, index: Expression, count: int, d: int, test: int) -> None:
        """The index in register d; a negative one is a large one."""
        self.value(index, d)
        self.out.emit(Op.LT, self.out.use(test), d, IMMEDIATE, U64, count)
        self.fail_unless(test, 1)

    def _unless(self, register: int, number: int, test: int) -> int:
        """A jump that is taken unless the register holds the number."""
        self.out.emit(Op.EQ, self.out.use(test), register, IMMEDIATE, imm=number)
        return self.out.jump(Op.JUMP_ZERO, test)


def _written_size(operand: Expression) -> int:
    if isinstance(operand, ListValue):
        return len(operand.items)
    value = operand.value if isinstance(operand, Constant) else None
    if isinstance(value, tuple):
        return len(value)
    return len(value.encode()) if isinstance(value, str) else 0


# ---- how many registers an expression needs ----------------------------------


def need(expression: Expression) -> int:
    """Registers that `value` uses, roughly; exact for chains of operators."""
    parts = sorted((need(part) for part in _parts(expression)), reverse=True)
    if isinstance(expression, Logical):
        return max(parts)
    return max([1, *(size + held for held, size in enumerate(parts))])


def _parts(expression: Expression) -> tuple[Expression, ...]:
    match expression:
        case Apply(operands=operands):
            return operands
        case ListValue(items=items):
            return items
        case RecordValue(fields=fields):
            return tuple(item for _, item in fields)
        case Logical(left=left, right=right):
            return (left, right)
        case Query(arguments=arguments):
            return tuple(argument for _, argument in arguments)
        case Place(steps=steps):
            return _indices(steps)
        case _:
            return ()


def _indices(steps: tuple[Step, ...]) -> tuple[Expression, ...]:
    return tuple(step.index for step in steps if isinstance(step, ElementStep))
