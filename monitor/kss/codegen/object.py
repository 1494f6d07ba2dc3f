"""What a model says about compiling its objects: see "A new model" in monitor/README.md."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from kss.binary import Op
from kss.events import Shown
from kss.tree import Expression, PolicyObject

if TYPE_CHECKING:
    from kss.codegen.expressions import Expressions

Arguments: TypeAlias = tuple[tuple[str, Expression], ...]
Label: TypeAlias = int | bool | str


class Words:
    """The image's pool of constant words; equal runs are stored once."""

    def __init__(self) -> None:
        self.words = array("I")
        self._runs: dict[tuple[int, ...], int] = {}

    def add(self, run: Sequence[int]) -> int:
        """Index of the first word of the run."""
        key = tuple(run)
        if key not in self._runs:
            self._runs[key] = len(self.words)
            self.words.extend(key)
        return self._runs[key]

    def add_text(self, text: bytes) -> int:
        return self.add(to_words(text))


def to_words(text: bytes) -> list[int]:
    padded = text + bytes(-len(text) % 4)
    return [int.from_bytes(padded[i : i + 4], "little") for i in range(0, len(padded), 4)]


def bits(members: list[int], count: int) -> list[int]:
    """A set of numbers below `count`, as words of bits."""
    words = [0] * -(-count // 32)
    for member in members:
        words[member // 32] |= 1 << member % 32
    return words


class MethodCode(ABC):
    """Compiles calls of methods."""

    @abstractmethod
    def call(self, to: Expressions, method: str, arguments: Arguments, d: int) -> None:
        """Computes the arguments and emits the call; the result is in register d."""

    def label(self, label: Label) -> int | None:
        """The value an expression method returns for a branch label, None if it never does."""
        return int(label) if isinstance(label, int) else None

    def choose(
        self, to: Expressions, method: str, arguments: Arguments, labels: Sequence[Label], d: int
    ) -> list[int | None]:
        """A `choice` on an expression method: leaves a number in register d, and tells which
        number leads to the branch of each label (None: nothing does)."""
        self.call(to, method, arguments, d)
        return [self.label(label) for label in labels]

    def shown(self, method: str, labels: Sequence[Label]) -> list[Shown] | None:
        """What an audit record calls the numbers that `call` or, with labels, `choose` leaves; None
        if they stand for themselves."""
        return None


class ObjectCode(MethodCode):
    """Compiles one object that the VM knows: its configuration once, and every call of its methods.

    `number` is the model's place in vm/models.c, `METHODS` the methods by the numbers that
    vm/model_<name>.c gives them, `WRITES` the most words of state each of them changes (none if
    not named). The C side says the same in `verify_call`.
    """

    number: ClassVar[int]
    METHODS: ClassVar[tuple[str, ...]]
    WRITES: ClassVar[dict[str, int]] = {}

    def __init__(self, thing: PolicyObject, index: int, words: Words) -> None:
        self.thing = thing
        self.index = index  # in the image
        self.words = words

    @property
    @abstractmethod
    def context_words(self) -> int:
        """Words of state for each SID."""

    @abstractmethod
    def config(self) -> list[int]:
        """The configuration, as vm/model_<name>.c reads it."""

    def emit(self, to: Expressions, method: str, d: int, a: int, operand: int = 0) -> None:
        """The call itself, with arguments from register a on."""
        to.out.emit(Op.CALL, to.out.use(d), a, self.METHODS.index(method), self.index, operand)
        to.out.writes += self.writes(method)

    def writes(self, method: str) -> int:
        """Most words of state that a call changes."""
        return self.WRITES.get(method, 0)

    def state(self, to: Expressions, arguments: Arguments, d: int) -> None:
        """Leaves in register d the number of the state that `Model.audit_state` names, UINT32_MAX
        for none; never fails but for its arguments."""
        raise NotImplementedError(self.METHODS)

    def omitted(self, states: Sequence[str]) -> list[int]:
        """The states that an audit profile omits, as words of bits by number."""
        raise NotImplementedError(self.METHODS)

    def symbols(self) -> dict[str, Any]:
        """What `show` needs, as JSON."""
        return {}

    @staticmethod
    def show(symbols: dict[str, Any], context: tuple[int, ...]) -> Any:
        """A context's words as the JSON value that `Model.show` gives for the same context."""
        return list(context)
