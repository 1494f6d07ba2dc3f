"""From the syntax of policy tests to cases, with findings where names or values are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from kss import syntax
from kss.boot import KERNEL
from kss.called import NARROWING, MethodError, called
from kss.errors import Findings, did_you_mean
from kss.events import Kind
from kss.layout import EntityClass
from kss.pal.cases import Case, Expected, Message, Process, Test, TestSet
from kss.pal.values import Values
from kss.stubs import Stubs, is_opaque
from kss.syntax import Span, Word

_KEYS = {
    Kind.EXECUTE: ("src", "dst"),
    Kind.SECURITY: ("src", "interface", "component", "method"),
}
_CALL_KEYS = ("src", "dst", "interface", "component", "endpoint", "method")


class Tests:
    """Checks the test sets of a policy."""

    def __init__(
        self,
        classes: Mapping[str, EntityClass],
        broken: set[str],
        open: set[str],
        stubs: Stubs,
        findings: Findings,
    ) -> None:
        self._classes = classes
        self._broken = broken  # classes with findings
        self._open = open  # classes that may have more than is known
        self._stubs = stubs
        self._findings = findings

    def check(self, node: syntax.TestSet) -> TestSet:
        """The set, without the cases that have findings."""
        if not node.sequences:
            message = "the set has no test: nothing of it is run"
            self._findings.warning("PAL-006", node.span.at, message, 'sequence "name" { ... }')
        tests = []
        for sequence in node.sequences:
            if not (node.setup or sequence.cases or node.finally_):
                message = "the test has no case: it cannot fail"
                at, help = sequence.span.at, "write cases into it"
                self._findings.warning("PAL-006", at, message, help)
            self._variables: dict[str, Process] = {}
            self._lost: set[str] = set()  # variables of cases with findings
            cases = [self._case(case) for case in (*node.setup, *sequence.cases, *node.finally_)]
            sound = tuple(case for case in cases if case is not None)
            tests.append(Test(sequence.title, sound, sequence.span.at))
        return TestSet(node.title, tuple(tests), node.span.at)

    def _error(self, rule: str, span: Span, message: str, help: str = "") -> None:
        self._findings.error(rule, span.at, message, help, span.text)

    # ---- cases

    def _case(self, node: syntax.TestCase) -> Case | None:
        """None after a finding."""
        before = self._findings.errors
        given = self._selectors(node.event)
        case: Case | None = None
        if self._findings.errors == before:
            start = node.event.kind is Kind.EXECUTE
            case = self._execute(node, given) if start else self._call(node, given)
        if self._findings.errors == before and case is not None:
            return case
        if node.variable and node.variable.value not in self._variables:
            self._lost.add(node.variable.value)
        return None

    def _selectors(self, event: syntax.TestEvent) -> dict[str, Word]:
        given: dict[str, Word] = {}
        allowed = _KEYS.get(event.kind, _CALL_KEYS)
        kind = event.kind.name.lower()
        for selector in event.selectors:
            key, span = selector.key.value, selector.key.span
            if key not in _CALL_KEYS:
                self._error("PSL-010", span, f"unknown selector {key}", did_you_mean(key, allowed))
            elif key not in allowed:
                message = f"{key} does not apply to {kind} events"
                self._error("PSL-017", span, message, f"{kind} takes {', '.join(allowed)}")
            elif key in given:
                self._error("PSL-011", span, f"{key} is given twice", "take one out")
            else:
                given[key] = selector.value
        needed = {Kind.EXECUTE: ("dst",), Kind.SECURITY: ("src", "method")}
        missing = [k for k in needed.get(event.kind, ("src", "dst", "method")) if k not in given]
        if missing:
            help = ", ".join(f"{key}=..." for key in missing)
            self._error("PAL-001", event.span, f"the event lacks {' and '.join(missing)}", help)
        return given

    def _execute(self, node: syntax.TestCase, given: dict[str, Word]) -> Case | None:
        event = node.event
        if event.message is not None and event.message.entries:
            message = "execute events carry no message"
            self._error("PSL-038", event.message.span, message, "take it out")
        started = self._started(given["dst"])
        src = self._process(given["src"]) if "src" in given else self._kernel()
        if node.variable and started:
            name = node.variable.value
            self._variables[name] = Process(name, started.class_name, started.class_index)
        if started is None or src is None:
            return None
        return self._made(node, src, started, None)

    def _started(self, word: Word) -> Process | None:
        """The class of a process to be started."""
        name = word.value
        if name in self._classes:
            return Process(None, name, self._classes[name].index)
        if name not in self._broken:
            help = did_you_mean(name, self._classes, f"use EDL {name}")
            self._error("PSL-012", word.span, f"unknown class {name}", help)
        return None

    def _kernel(self) -> Process:
        kernel = self._classes.get(KERNEL)
        return Process(None, KERNEL, kernel.index if kernel else None)

    def _process(self, word: Word) -> Process | None:
        """The process that a variable or the name of a class stands for."""
        name = word.value
        if name in self._variables:
            return self._variables[name]
        if name in self._classes:
            return Process(None, name, self._classes[name].index)
        if name not in self._broken and name not in self._lost:
            known = [*self._variables, *self._classes]
            help = did_you_mean(name, known, f"{name} <- execute dst=...")
            self._error("PAL-002", word.span, f"there is no process {name}", help)
        return None

    def _call(self, node: syntax.TestCase, given: dict[str, Word]) -> Case | None:
        event = node.event
        if node.variable:
            message = f"{event.kind.name.lower()} events start no process"
            self._error("PAL-003", node.variable.span, message, "name what execute starts")
        src = self._process(given["src"])
        dst = self._process(given["dst"]) if "dst" in given else None
        server = src if event.kind.server_is_source else dst
        if src is None or server is None or ("dst" in given and dst is None):
            return None
        owner = self._classes.get(server.class_name)
        if owner is None:
            return None
        wanted = {key: given[key].value for key in NARROWING if key in given}
        security = event.kind is Kind.SECURITY
        try:
            endpoint, method = called(owner, given["method"].value, wanted, security=security)
        except MethodError as error:
            return self._unknown(node, owner, given, src, dst, error)
        direction = event.kind.direction
        assert direction is not None
        kinds = method.message(direction)
        if any(is_opaque(field.type) for field in kinds.fields):
            return self._obstructed(node, src, dst, f"{method.name} has values of unknown types")
        values = Values(self._process, self._findings).message(kinds, event.message)
        if values is None:
            return None
        return self._made(node, src, dst, Message(endpoint, method, kinds, values))

    def _unknown(
        self,
        node: syntax.TestCase,
        owner: EntityClass,
        given: dict[str, Word],
        src: Process,
        dst: Process | None,
        error: MethodError,
    ) -> Case | None:
        """A method that is not found: an error, or an obstacle if the class is a stub."""
        if owner.name in self._open:
            return self._obstructed(node, src, dst, str(error))
        self._error("PAL-004", given["method"].span, error.args[0], error.help)
        return None

    # ---- results

    def _obstructed(
        self, node: syntax.TestCase, src: Process, dst: Process | None, why: str
    ) -> Case:
        at, text = node.event.span.at, node.event.span.text
        message = "the case cannot be carried out without the SDK's files: it will fail"
        self._findings.note("STUB-004", at, message, why, text)
        return self._made(node, src, dst, None, why)

    def _made(
        self,
        node: syntax.TestCase,
        src: Process,
        dst: Process | None,
        message: Message | None,
        obstacle: str = "",
    ) -> Case:
        return Case(
            node.variable.value if node.variable else None,
            cast(Expected, node.expect),
            node.title,
            node.event.kind,
            src,
            dst,
            message,
            node.event.span.at,
            " ".join(node.event.span.text.split()),
            obstacle,
        )
