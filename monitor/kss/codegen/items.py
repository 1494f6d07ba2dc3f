"""The items that apply to an event become an entry of the decision table.

Items come flat: conditions are resolved, so that only rules, expression statements and choices
are left. If all rules have constant results, the entry is their list; else it is a program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeAlias

from kss.binary import IMMEDIATE, NONE, CallRecord, EntryKind, Instruction, Op
from kss.codegen import texts
from kss.codegen.assembler import Assembler
from kss.codegen.expressions import U64, Expressions
from kss.codegen.objects import Objects
from kss.errors import Location
from kss.regex.syntax import literal
from kss.tree import Choice, Constant, Evaluate, Expression, Place, Query, Rule, Site
from kss.types import BooleanType, IntegerType

FEW_BRANCHES = 8  # that are tried one after the other
_ALL_BITS = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class FlatChoice:
    """A choice with its branches flat; a default of None means there is no `_` branch."""

    choice: Choice
    branches: tuple[tuple[FlatItem, ...], ...]
    default: tuple[FlatItem, ...] | None


FlatItem: TypeAlias = Rule | Evaluate | FlatChoice


@dataclass(frozen=True, slots=True)
class Compiled:
    """One entry: a constant verdict with its calls, or a program."""

    kind: EntryKind
    calls: tuple[CallRecord, ...] = ()
    code: tuple[Instruction, ...] = ()
    extent: int = 0
    registers: int = 0
    writes: int = 0
    most_calls: int = 0
    notes: int = 0

    @property
    def object(self) -> int:
        """The object that a program calls first."""
        return next((each.x for each in self.code if each.op == Op.CALL), NONE)


NOTHING = Compiled(EntryKind.DEFAULT)


class Items:
    """Compiles flat items; `sites` tells where in the source they stand."""

    def __init__(self, objects: Objects, sites: tuple[Site, ...]) -> None:
        self._objects = objects
        self._sites = sites

    def compile(self, items: tuple[FlatItem, ...]) -> Compiled:
        if not items:
            return NOTHING
        return self._constant(items) or self._program(items)

    def _constant(self, items: tuple[FlatItem, ...]) -> Compiled | None:
        calls: list[CallRecord] = []
        for item in items:
            if isinstance(item, Evaluate) and isinstance(item.expression, Constant):
                continue
            result = self._objects.constant(item) if isinstance(item, Rule) else None
            if result is None or not isinstance(item, Rule):
                return None
            calls.append(CallRecord(item.site, int(result)))
        if not calls:
            return NOTHING
        granted = all(call.result for call in calls)
        kind = EntryKind.GRANTED if granted else EntryKind.DENIED
        return Compiled(kind, tuple(calls), most_calls=len(calls))

    def _program(self, items: tuple[FlatItem, ...]) -> Compiled:
        out = Assembler(self._place(items[0]))
        to = Expressions(out, self._objects)
        self._items(to, items)
        return Compiled(
            EntryKind.PROGRAM,
            code=out.end(),
            extent=out.extent,
            registers=out.registers,
            writes=out.writes,
            most_calls=out.calls,
            notes=len(out.notes),
        )

    def _place(self, item: FlatItem) -> Location:
        site = item.choice.site if isinstance(item, FlatChoice) else item.site
        return self._sites[site].location

    def _items(self, to: Expressions, items: tuple[FlatItem, ...]) -> None:
        for item in items:
            to.out.at = self._place(item)
            match item:
                case Rule():
                    if any(watch.omit for watch in self._sites[item.site].watches):
                        self._objects.note_state(to, item, 0)
                    self._objects.rule(to, item, 0)
                    to.out.rule(0, item.site)
                case Evaluate(site, expression):
                    to.value(expression, 0)
                    to.out.mark(site)
                case FlatChoice():
                    self._choice(to, item)

    def _choice(self, to: Expressions, item: FlatChoice) -> None:
        out, choice = to.out, item.choice
        values = self._branch_values(to, choice)
        out.mark(choice.site)
        first: dict[int, tuple[FlatItem, ...]] = {}
        for value, items in zip(values, item.branches, strict=True):
            if value is not None:
                first.setdefault(value & _ALL_BITS, items)
        misses: list[int] = []
        ends: list[int] = []
        self._dispatch(to, sorted(first.items(), key=itemgetter(0)), misses, ends)
        out.code.pop()  # the last miss goes on right here
        for miss in misses[:-1]:
            out.land(miss)
        if item.default is None:
            to.constant(0, 0)
            out.rule(0, choice.site)
        else:
            self._items(to, item.default)
        for end in ends:
            out.land(end)

    def _dispatch(
        self,
        to: Expressions,
        branches: Sequence[tuple[int, tuple[FlatItem, ...]]],
        misses: list[int],
        ends: list[int],
    ) -> None:
        """The branch of the number in register 0; branches ascend. Where none is, and after one,
        jumps are left to be landed."""
        out = to.out
        if len(branches) > FEW_BRANCHES:
            middle = len(branches) // 2
            out.emit(Op.LT, out.use(1), 0, IMMEDIATE, U64, branches[middle][0])
            upper = out.jump(Op.JUMP_ZERO, 1)
            self._dispatch(to, branches[:middle], misses, ends)
            out.land(upper)
            self._dispatch(to, branches[middle:], misses, ends)
            return
        for value, items in branches:
            out.emit(Op.EQ, out.use(1), 0, IMMEDIATE, imm=value)
            skip = out.jump(Op.JUMP_ZERO, 1)
            self._items(to, items)
            ends.append(out.jump(Op.JUMP))
            out.land(skip)
        misses.append(out.jump(Op.JUMP))

    def _branch_values(self, to: Expressions, choice: Choice) -> list[int | None]:
        """Leaves a number in register 0, and tells which number leads to each branch; a branch
        that nothing leads to has None."""
        scrutinee, labels = choice.scrutinee, [branch.label for branch in choice.branches]
        if isinstance(scrutinee.type, IntegerType | BooleanType):
            to.value(scrutinee, 0)
            return [int(label) if isinstance(label, int) else None for label in labels]
        if isinstance(scrutinee, Query):
            code = self._objects.methods[scrutinee.object]
            values = code.choose(to, scrutinee.method, scrutinee.arguments, labels, 0)
            if scrutinee.site is not None:
                to.out.note(0, scrutinee.site)
                self._objects.values[scrutinee.site] = code.shown(scrutinee.method, labels)
            return values
        names = [str(label) for label in labels]
        to.select(scrutinee, 0, lambda leaf, d: self._branch_number(to, leaf, names, d))
        return list(range(len(labels)))

    def _branch_number(self, to: Expressions, leaf: Expression, names: list[str], d: int) -> None:
        """The index of the first name that the text or state is, else their number."""
        out, found = to.out, to.out.use(d + 1)
        if isinstance(leaf, Constant):
            place = names.index(str(leaf.value)) if leaf.value in names else len(names)
            to.constant(place, d)
            return
        if isinstance(leaf, Place):
            labels = [literal(name.encode()) for name in names]
            texts.answer(to, leaf, labels, range(len(names) + 1), d)
            return
        assert isinstance(leaf, Query), leaf
        to.value(leaf, d)
        to.constant(len(names), found)
        for number, name in reversed(list(enumerate(names))):
            label = self._objects.methods[leaf.object].label(name)
            if label is not None:
                out.emit(Op.EQ, out.use(d + 2), d, IMMEDIATE, imm=label)
                skip = out.jump(Op.JUMP_ZERO, d + 2)
                to.constant(number, found)
                out.land(skip)
        out.emit(Op.MOVE, d, found)
