"""The items that apply to an event become an entry of the decision table.

Items come flat: conditions are resolved, so that only rules, expression statements and choices
are left. If all rules have constant results, the entry is their list; else it is a program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from kss import layout
from kss.binary import CallRecord, EntryKind, Instruction, Op
from kss.codegen.assembler import Assembler
from kss.codegen.expressions import Expressions
from kss.codegen.models import Objects
from kss.errors import Location
from kss.tree import Choice, Constant, Evaluate, Place, Query, Rule, Site


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
        out.emit(Op.END)
        return Compiled(
            EntryKind.PROGRAM,
            code=tuple(out.code),
            extent=out.extent,
            registers=out.registers,
            writes=out.writes,
            most_calls=out.calls,
        )

    def _place(self, item: FlatItem) -> Location:
        site = item.choice.site if isinstance(item, FlatChoice) else item.site
        return self._sites[site].location

    def _items(self, to: Expressions, items: tuple[FlatItem, ...]) -> None:
        for item in items:
            to.out.at = self._place(item)
            match item:
                case Rule():
                    self._objects.rule(to, item, 0)
                    to.out.rule(0, item.site)
                case Evaluate(site, expression):
                    to.value(expression, 0)
                    to.out.mark(site)
                case FlatChoice():
                    self._choice(to, item)

    def _choice(self, to: Expressions, item: FlatChoice) -> None:
        out, choice = to.out, item.choice
        text = isinstance(choice.scrutinee, Place) and isinstance(
            choice.scrutinee.wire, layout.String
        )
        if text:
            assert isinstance(choice.scrutinee, Place)
            to.address_in(choice.scrutinee, 0)
        else:
            to.value(choice.scrutinee, 0)
        out.mark(choice.site)
        ends: list[int] = []
        for branch, items in zip(choice.branches, item.branches, strict=True):
            if not self._test(to, choice, branch.label, text):
                continue
            skip = out.jump(Op.JUMP_ZERO, 1)
            self._items(to, items)
            ends.append(out.jump(Op.JUMP))
            out.land(skip)
        if item.default is None:
            to.constant(0, 0)
            out.rule(0, choice.site)
        else:
            self._items(to, item.default)
        for end in ends:
            out.land(end)

    def _test(self, to: Expressions, choice: Choice, label: int | bool | str, text: bool) -> bool:
        """Leaves in register 1 whether the scrutinee (register 0) has the label; False if it
        never has."""
        out = to.out
        if text:
            assert isinstance(label, str)
            data = label.encode()
            word = self._objects.words.add_text(data)
            out.emit(Op.TEXT_EQUAL, out.use(1), 0, x=word, imm=len(data))
            return True
        value = self._label(choice, label)
        if value is None:
            return False
        to.constant(value, 1)
        out.emit(Op.EQ, 1, 0, 1, x=0)
        return True

    def _label(self, choice: Choice, label: int | bool | str) -> int | None:
        scrutinee = choice.scrutinee
        if isinstance(scrutinee, Query):
            return self._objects.stateful[scrutinee.object].label(label)
        if isinstance(scrutinee, Constant) and isinstance(scrutinee.value, str):
            return 0 if scrutinee.value == label else None  # a text constant is held as 0
        return int(label) if isinstance(label, int) else None
