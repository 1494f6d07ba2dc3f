"""Base: grant, deny, assert; and the audit level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from kss.binary import CLAIM_WRITES
from kss.codegen.object import Arguments, ObjectCode
from kss.models.model import Contexts, Model, Parameter, Signature, Value
from kss.tree import Apply, Constant, Expression
from kss.types import BOOLEAN, UINT8, Type

if TYPE_CHECKING:
    from kss.codegen.expressions import Expressions

# The audit level is one number for the whole policy; it is kept under a SID that no resource has.
AUDIT_LEVEL = 0


class Level(ObjectCode):
    """The audit level; all Base objects share it. In the image only if a rule sets it."""

    number = 1
    METHODS = ("set_level",)
    WRITES: ClassVar = {"set_level": CLAIM_WRITES + 1}
    context_words = 1
    initial = 0
    used = False

    def config(self) -> list[int]:
        return [self.initial]

    def call(self, to: Expressions, method: str, arguments: Arguments, d: int) -> None:
        self.used = True
        to.value(arguments[0][1], d)
        self.emit(to, method, d, d)


class Base(Model):
    name = "Base"
    file = "nk.base"
    predeclared = "base"
    shared = True

    def signatures(self, types: Mapping[str, Type], config: object) -> Mapping[str, Signature]:
        return {
            "grant": Signature(),
            "assert": Signature((Parameter("value", BOOLEAN),)),
            "deny": Signature((Parameter("value", BOOLEAN),), or_unit=True),
            "set_level": Signature((Parameter("value", UINT8),)),
        }

    def condition(self, method: str, arguments: Mapping[str, Expression]) -> Expression | None:
        if method == "assert":
            return arguments["value"]
        if method == "deny" and arguments:
            return Apply("bool.not", (arguments["value"],), BOOLEAN)
        return Constant(method != "deny", BOOLEAN)

    def capacity(self, config: object, max_sids: int) -> int:
        return 1

    def call(
        self, config: object, contexts: Contexts, method: str, arguments: dict[str, Value]
    ) -> Value:
        if method == "assert":
            return arguments["value"]
        if method == "deny":
            return not arguments.get("value", True)
        if method == "set_level":
            contexts[AUDIT_LEVEL] = arguments["value"]
        return True
