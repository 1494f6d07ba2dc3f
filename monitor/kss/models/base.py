"""Base: grant, deny, assert; and the audit level."""

from __future__ import annotations

from collections.abc import Mapping

from kss.models.model import Contexts, Model, Parameter, Signature, Value
from kss.types import BOOLEAN, UINT8, Type

# The audit level is one number for the whole policy; it is kept under a SID that no resource has.
AUDIT_LEVEL = 0


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
