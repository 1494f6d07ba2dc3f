"""What a security model is: parameters, typed methods, and their reference semantics.

One model is one file with one subclass of `Model`, which `kss.models.MODELS` finds by itself. Its
methods are

* `signatures`: rules and expressions of a policy object, typed by declaration and called with the
  contexts of that object;
* `pure`: expressions without state, typed by code and turned into `tree.Apply` or plain nodes;
* operators, which name pure operations (`+` is `math.add`).

How objects are compiled, the model's `code` says. monitor/README.md tells how to write a new model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from kss import syntax, tree
from kss.codegen.object import MethodCode, ObjectCode
from kss.errors import Findings
from kss.events import Shown
from kss.syntax import Span
from kss.types import IntegerType, Type

if TYPE_CHECKING:
    from kss.patterns import Patterns
    from kss.regex import syntax as regex

# Runtime values of the reference interpreter: int, bool, None, bytes (text and bytes of messages),
# str (names that only the policy knows, such as states), lists, dictionaries.
Value: TypeAlias = Any
Label: TypeAlias = int | bool | str
Labelled: TypeAlias = tuple[syntax.Literal, Label]  # as written, and what it means
# A policy decision point that allocates nothing needs a bound: SIDs that one object holds contexts
# for, unless the caller says otherwise.
MAX_SIDS = 64


class Contexts(dict[int, Any]):
    """The contexts of one policy object: SID -> the model's own context, an immutable value.

    `capacity` is the number of SIDs it may hold; a rule that needs one more is denied. `crowded`:
    for that reason the last claim was.
    """

    crowded = False

    def __init__(self, capacity: int, contexts: Mapping[int, Any] | None = None) -> None:
        super().__init__(contexts or {})
        self.capacity = capacity

    def clone(self) -> Contexts:
        return Contexts(self.capacity, self)

    def claim(self, sid: int, context: Any) -> bool:
        """Gives a SID that has none a context; False if it has one, is no SID, or none is free."""
        new = sid != 0 and sid not in self
        self.crowded = new and len(self) >= self.capacity
        if not new or self.crowded:
            return False
        self[sid] = context
        return True


class EvaluationError(Exception):
    """An expression cannot be evaluated: the event is denied."""


def is_label(label: Label, value: Value) -> bool:
    """Whether a `choice` on the value takes this branch. Texts of messages are bytes, states are
    names."""
    if isinstance(label, str) and isinstance(value, bytes):
        return label.encode("utf-8") == value
    return bool(label == value)


class Typing(Protocol):
    """What the expression checker offers to the models."""

    def infer(self, node: syntax.Expression) -> tree.Expression:
        """Types an expression; integer literals without context stay free."""

    def check(self, node: syntax.Expression, expected: Type) -> tree.Expression:
        """Types an expression that must have (or adopt, or widen to) the expected type."""

    def common(
        self, left: tree.Expression, right: tree.Expression, span: Span
    ) -> tuple[tree.Expression, tree.Expression, IntegerType]:
        """Brings two integers to their common type."""

    def settle(self, expression: tree.Expression, span: Span) -> tree.Expression:
        """Gives free literals a type of their own."""

    def fields(
        self, argument: syntax.Expression, names: tuple[str, ...], method: str
    ) -> tuple[syntax.Expression, ...]:
        """The named fields of a dictionary argument, all required, in the order of `names`."""

    def elements(self, argument: syntax.Expression, method: str) -> tuple[tree.Expression, Type]:
        """A list argument and the common type of its elements (`free` ones settled)."""

    def fail(self, rule: str, span: Span, message: str, help: str = "") -> Exception:
        """Reports a finding; raise what it returns to abandon the expression."""

    def warn(self, rule: str, span: Span, message: str, help: str = "") -> None:
        """Reports a warning."""

    @property
    def patterns(self) -> Patterns:
        """The policy's regular expressions."""


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Signature:
    """Typed by declaration. Not `named`: one bare value, or none for `()`.

    `result` is None for a rule. `or_unit` admits `()` in place of the value. What is `for_choice`
    stands nowhere but between `choice` and its branches.
    """

    parameters: tuple[Parameter, ...] = ()
    named: bool = False
    result: Type | None = None
    or_unit: bool = False
    for_choice: bool = False


def argument_of(call: syntax.Call, name: str) -> syntax.Expression:
    """What is written for a named argument."""
    assert isinstance(call.argument, syntax.Dict)
    return next(entry.value for entry in call.argument.entries if entry.key == name)


@dataclass(frozen=True, slots=True)
class Setup:
    """A policy object's checked parameters."""

    config: object = None
    identity: str = ""


Pure: TypeAlias = Callable[[Typing, syntax.Call], tree.Expression]
Operation: TypeAlias = Callable[[Type, list[Value]], Value]


class Model:
    """Base of all models; the defaults are those of a model without parameters and methods."""

    name: ClassVar[str]
    file: ClassVar[str]  # the nk file that provides it
    predeclared: ClassVar[str | None] = None  # the object that its file creates
    declarable: ClassVar[bool] = True
    auditable: ClassVar[bool] = True
    stateful: ClassVar[bool] = False  # whether its objects keep contexts for SIDs
    shared: ClassVar[bool] = False  # whether all its objects share their contexts
    code: ClassVar[type[ObjectCode] | None] = None  # of objects that the policy VM knows
    methods: ClassVar[MethodCode | None] = None  # of others whose methods become instructions
    operators: ClassVar[Mapping[str, str]] = {}
    # pure operations by name: (result type, operand values) -> value; may raise EvaluationError
    operations: ClassVar[Mapping[str, Operation]] = {}

    def configure(
        self,
        declaration: syntax.ObjectDeclaration,
        types: Mapping[str, Type],
        findings: Findings,
    ) -> Setup | None:
        """Checks the parameters of an object; None after a finding."""
        spans = [item.span for item in declaration.types]
        spans += [item.span for item in declaration.configurations]
        for span in spans:
            message = f"{self.name} has no parameters"
            findings.error("PSL-061", span.at, message, "take it out", span.text)
        return Setup(identity=self.name)

    def signatures(self, types: Mapping[str, Type], config: object) -> Mapping[str, Signature]:
        return {}

    def examine(
        self,
        typing: Typing,
        call: syntax.Call,
        config: object,
        arguments: Mapping[str, tree.Expression],
    ) -> None:
        """Checks a call of `signatures` beyond the types of its arguments; raises `typing.fail`."""

    def examine_label(
        self, typing: Typing, method: str, config: object, label: syntax.Literal
    ) -> Label | None:
        """Checks a text that labels a branch of a `choice` on an expression method; raises
        `typing.fail`. Returns it as `choose` takes it, equal ones alike; None: it stands for
        itself, as the type of the method's result has it."""
        return None

    def examine_choice(
        self, typing: Typing, method: str, config: object, labels: Sequence[Labelled]
    ) -> str | None:
        """Checks the labels of a `choice` on an expression method together. Returns in words what
        none of them is for, "" if nothing is left; None: as the type of the result has it."""
        return None

    def called(self, config: object) -> str:
        """What people call the model of an object."""
        return self.name

    #: What sets the capacity.
    bound: str = "--max-sids"

    def capacity(self, config: object, max_sids: int) -> int:
        """SIDs that an object may hold contexts for, at least 1."""
        return max_sids

    def audit_conditions(self, config: object) -> Mapping[str, tuple[str, ...]]:
        """The conditions of audit profiles beside `kss`, each with the words it may list."""
        return {}

    def audit_state(
        self, config: object, contexts: Contexts, arguments: Mapping[str, Value]
    ) -> str | None:
        """The state that the condition `omit` of audit profiles is about; None for none."""
        return None

    def pure(self) -> Mapping[str, Pure]:
        return {}

    def condition(
        self, method: str, arguments: Mapping[str, tree.Expression]
    ) -> tree.Expression | None:
        """What a rule asks, as a Boolean expression of its arguments (which are evaluated in any
        case); None if its answer depends on contexts."""
        return None

    def languages(
        self, method: str, patterns: Sequence[Label]
    ) -> Sequence[regex.Expression] | None:
        """Of an expression of a model without state: the languages that its value depends on, which
        are those of its texts that are in each; `patterns` are constant arguments of that type, or
        the labels of a `choice`. None if its value depends on more."""
        return None

    def unary(
        self, typing: Typing, operator: str, operand: tree.Expression, span: Span
    ) -> tree.Expression:
        raise NotImplementedError(operator)

    def binary(
        self,
        typing: Typing,
        operator: str,
        left: tree.Expression,
        right: tree.Expression,
        span: Span,
    ) -> tree.Expression:
        raise NotImplementedError(operator)

    def call(
        self, config: object, contexts: Contexts, method: str, arguments: dict[str, Value]
    ) -> Value:
        """Calls a rule (True: granted) or a stateful expression; may change `contexts`.

        Raises EvaluationError if an expression cannot be performed.
        """
        raise NotImplementedError(method)

    def choose(
        self,
        config: object,
        contexts: Contexts,
        method: str,
        arguments: dict[str, Value],
        labels: Sequence[Label],
    ) -> int | None:
        """Which label a `choice` on an expression method takes, None for none.

        Raises EvaluationError if the expression cannot be performed.
        """
        value = self.call(config, contexts, method, arguments)
        return next((i for i, label in enumerate(labels) if is_label(label, value)), None)

    def chosen(
        self,
        config: object,
        contexts: Contexts,
        method: str,
        arguments: dict[str, Value],
        labels: Sequence[Label],
    ) -> Shown:
        """What an audit record tells of an expression method that is the scrutinee of a `choice`:
        its value, if it has one without the labels."""
        value: Shown = self.call(config, contexts, method, arguments)
        return value

    def meaning(self, config: object, method: str) -> str | None:
        """What of the configuration a method depends on, its effect included: methods of objects
        with equal contexts do alike if it is equal. None: on all of it."""
        return None

    def reached(
        self,
        config: object,
        method: str,
        arguments: Mapping[str, tree.Expression],
        states: frozenset[str],
    ) -> frozenset[str] | None:
        """The states in which contexts of an object may be after a rule, if before they were in
        some of `states` or there were none; None if it never grants then."""
        return states

    def undecided_by(self, method: str) -> Collection[str]:
        """Arguments of a rule that count for its effect alone, not for its answer."""
        return ()

    def spoken(self, config: object, value: Value) -> Value:
        """The value of an expression method as people call it, such as a level by its name."""
        return value

    def show(self, config: object, context: Any) -> Any:
        """One context as a JSON value, for dumps of the state."""
        return context
