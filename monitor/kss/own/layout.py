"""How values and contexts of users' own models are represented in the VM."""

from __future__ import annotations

from kss.codegen.expressions import U64, type_code
from kss.own import tree
from kss.own.tree import Config
from kss.types import IntegerType

# The operand of `load` and `store` (vm/model_record.c).
_WIDE, _SIGNED, _NUMBER = 1, 2, 4


class Layout:
    """How an object's values and contexts are represented."""

    def __init__(self, config: Config) -> None:
        self.config = config
        definition = config.definition
        kinds: list[tree.Type | tree.Setting] = [field.type for field in definition.fields.values()]
        kinds += definition.settings.values()
        for method in definition.methods.values():
            kinds += [each.type for each in method.parameters]
            kinds += [method.result] if method.result else []
        self.names: list[str] = []
        for kind in kinds:
            if isinstance(kind, tree.NameSet):
                kind = kind.of
            if isinstance(kind, tree.Names):
                self.names += [n for n in config.members(kind) if n not in self.names]
        self.operands: dict[str, int] = {}  # of `load` and `store`, by field
        self.words = 0
        for name, field in definition.fields.items():
            wide, signed = words_of(field.type) == 2, is_signed(field.type)
            self.operands[name] = self.words * _NUMBER | _WIDE * wide | _SIGNED * signed
            self.words += words_of(field.type)

    def number(self, name: str) -> int:
        if name not in self.names:  # of a type that only expressions within a method have
            self.names.append(name)
        return self.names.index(name)

    def bits(self, members: frozenset[str], names: tree.Names) -> int:
        return sum(1 << i for i, name in enumerate(self.config.members(names)) if name in members)


def words_of(kind: tree.Type) -> int:
    wide = isinstance(kind, tree.NameSet) or (isinstance(kind, IntegerType) and kind.bits == 64)
    return 2 if wide else 1


def is_signed(kind: tree.Type) -> bool:
    return isinstance(kind, IntegerType) and kind.signed


def type_code_of(kind: tree.Type) -> int:
    return type_code(kind) if isinstance(kind, IntegerType) else U64
