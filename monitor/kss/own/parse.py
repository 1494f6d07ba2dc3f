"""Reading a user's own model: a file `NAME.model` in a restricted form of Python.

The file is parsed and checked, never executed. docs/policy.md tells the language.
"""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections.abc import Callable, Iterator

from kss.errors import Findings
from kss.own import tree
from kss.own.bodies import MAX_LOCALS, Bodies, without_docstring
from kss.own.report import RefusedError, Report
from kss.own.terms import Terms
from kss.own.tree import Definition, Names, NameSet, Type
from kss.source import Source
from kss.types import BOOLEAN, SID, IntegerType

SUFFIX = ".model"
MAX_TEXT = 1 << 16  # characters of a model
MAX_FIELDS = 32
MAX_NAMES = 64  # of an enumeration: a set is held in as many bits
INTEGERS = {
    str(kind): kind
    for kind in (IntegerType(bits, signed) for signed in (False, True) for bits in (8, 16, 32, 64))
}
RULE, TEXTS, SET, MAP, ORDER = "Rule", "Texts", "Set", "Map", "Order"
_TAKEN = {*INTEGERS, "Boolean", "Sid", RULE, TEXTS, SET, MAP, ORDER, "config", "context"}


def parse_model(source: Source, findings: Findings) -> Definition | None:
    """The model of a file; None after a finding."""
    before = findings.errors
    report = Report(source, findings)
    try:
        module = _python(source, report)
        found = _Reader(report).model(module)
    except RefusedError:
        return None
    return None if findings.errors > before else found


def _python(source: Source, report: Report) -> ast.Module:
    start = ast.Pass(lineno=1, col_offset=0)
    if len(source.text) > MAX_TEXT:
        message = f"the model has more than {MAX_TEXT} characters"
        raise report.error("MODEL-009", start, message, "make it several models")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source.text)
    except SyntaxError as error:
        lines = source.text.split("\n")
        line = min(max(error.lineno or 1, 1), len(lines))
        column = min(max((error.offset or 1) - 1, 0), len(lines[line - 1]))
        node = ast.Pass(lineno=line, col_offset=len(lines[line - 1][:column].encode()))
        raise report.error("SRC-003", node, error.msg, "models are written like Python") from None
    except ValueError as error:  # a NUL
        raise report.error("SRC-003", start, str(error), "models are text") from None
    except (RecursionError, MemoryError):
        message = "the text is nested too deeply"
        raise report.error("SRC-004", start, message, "give parts of it names") from None


class _Reader:
    """Reads declarations in order; what stands further up is known further down."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.settings: dict[str, tree.Setting] = {}
        self.fields: dict[str, tree.Field] = {}
        self.methods: dict[str, tree.Method] = {}
        self.broken: set[str] = set()  # methods with findings
        self._sound = True  # without findings in what all methods may use

    def model(self, module: ast.Module) -> Definition:
        found = without_docstring(module.body)
        outside = next((n for n in found if not isinstance(n, ast.ClassDef)), None)
        if outside is not None:
            raise self.report.foreign(outside, "class NAME: ... and nothing beside it")
        classes = [node for node in found if isinstance(node, ast.ClassDef)]
        if len(classes) != 1:
            at = classes[1] if classes else ast.Pass(lineno=1, col_offset=0)
            message = "a file holds one model"
            raise self.report.error("MODEL-001", at, message, "class NAME: ...")
        node = classes[0]
        self._must_be_plain(node)
        methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
        if not any(_is_rule(part) or part.returns is None for part in methods):
            message = f"{node.name} has no rule"
            raise self.report.error("MODEL-001", node, message, "def name(sid: Sid) -> Rule: ...")
        for part in without_docstring(node.body):
            self._guarded(part, self._part)
        meaning = repr((self.settings, self.fields, self.methods))
        digest = hashlib.sha256(meaning.encode()).hexdigest()
        return Definition(node.name, self.settings, self.fields, self.methods, digest)

    def _guarded(self, node: ast.stmt, read: Callable[[ast.stmt], None]) -> None:
        try:
            read(node)
        except RefusedError:
            if isinstance(node, ast.FunctionDef):
                self.broken.add(node.name)
            else:  # names may lack
                self._sound = False

    def _must_be_plain(self, node: ast.ClassDef) -> None:
        extra = next(iter([*node.bases, *node.keywords, *node.decorator_list]), None)
        if extra is not None:
            raise self.report.foreign(extra, f"class {node.name}:")
        self.report.must_be_word(node, node.name)

    def _part(self, node: ast.stmt) -> None:
        match node:
            case ast.ClassDef(name="config" | "context" as name):
                self._must_be_plain(node)
                if self.methods or (name == "config" and self.fields):
                    message = f"{name} stands too far down"
                    raise self.report.error(
                        "MODEL-001", node, message, "config, then context, then methods"
                    )
                read = self._setting if name == "config" else self._field
                for part in without_docstring(node.body):
                    if not isinstance(part, ast.Pass):
                        self._guarded(part, read)
            case ast.FunctionDef():
                if self._sound:
                    self._method(node)
            case ast.Pass():
                pass
            case _:
                raise self.report.foreign(node, "class config, class context, and def")

    def _must_be_new(self, node: ast.AST, name: str) -> None:
        if name in _TAKEN:
            message = f"the name {name} is taken: models have it from the start"
            raise self.report.error("MODEL-002", node, message, "choose another")
        Terms(self.report, self.settings, self.fields, self.methods).must_be_new(node, name)

    # ---- configuration and context

    def _setting(self, node: ast.stmt) -> None:
        match node:
            case ast.AnnAssign(ast.Name(name), annotation, None):
                self._must_be_new(node, name)
                self.settings[name] = self._setting_type(name, annotation)
            case _:
                raise self.report.foreign(node, "name : TYPE, without a value")

    def _setting_type(self, name: str, node: ast.expr) -> tree.Setting:
        match node:
            case ast.Name(kind) if kind in INTEGERS:
                return INTEGERS[kind]
            case ast.Name("Texts"):
                return Names(parameter=name)
            case ast.Subscript(ast.Name("Map"), ast.Tuple([key, value])):
                return tree.Relation(self._names(key), self._names(value))
            case ast.Subscript(ast.Name("Order"), key):
                names = self._names(key)
                return tree.Relation(names, names, ordered=True)
        help = "an integer type, Texts, Map[A, B] or Order[A], with A and B listed above"
        raise self.report.error("MODEL-004", node, "no type of a parameter", help)

    def _names(self, node: ast.expr) -> Names:
        found = self._type(node)
        if not isinstance(found, Names):
            message = f"{found} are no names"
            raise self.report.error("MODEL-004", node, message, "a list of Texts declared above")
        return found

    def _field(self, node: ast.stmt) -> None:
        match node:
            case ast.AnnAssign(ast.Name(name), annotation, value):
                self._must_be_new(node, name)
                if len(self.fields) >= MAX_FIELDS:
                    message = f"more than {MAX_FIELDS} fields"
                    raise self.report.error("MODEL-009", node, message, "use several models")
                kind = self._type(annotation)
                self.fields[name] = tree.Field(kind, None)
                if value is not None:
                    self.fields[name] = tree.Field(kind, self._default(value, kind))
            case _:
                raise self.report.foreign(node, "name : TYPE = DEFAULT")

    def _default(self, node: ast.expr, kind: Type) -> tree.Constant | tree.SetOf:
        found = Terms(self.report, {}, {}, {}).check(node, kind)
        if isinstance(found, tree.Constant):
            return found
        if isinstance(found, tree.SetOf) and all(
            isinstance(item, tree.Constant) for item in found.items
        ):
            return found
        raise self.report.error("MODEL-005", node, "a default is constant", "a literal")

    def _type(self, node: ast.expr) -> Type:
        match node:
            case ast.Name("Boolean"):
                return BOOLEAN
            case ast.Name("Sid"):
                return SID
            case ast.Name(name) if name in INTEGERS:
                return INTEGERS[name]
            case ast.Name(name) if isinstance(found := self.settings.get(name), Names):
                return found
            case ast.Subscript(ast.Name("Set"), element):
                return NameSet(self._names(element))
            case ast.Constant(str()) | ast.BinOp(op=ast.BitOr()):
                return self._alternatives(node)
        known = [name for name, each in self.settings.items() if isinstance(each, Names)]
        listed = ", ".join(["Boolean", "Sid", "UInt8 to SInt64", *known])
        help = f'{listed}, Set[...], "a" | "b"'
        raise self.report.error("MODEL-004", node, "no type of a value", help)

    def _alternatives(self, node: ast.expr) -> Names:
        found: list[str] = []
        for each in reversed(list(_alternatives(node))):
            if not isinstance(each, ast.Constant) or not isinstance(each.value, str):
                raise self.report.error("MODEL-004", each, "a text is needed here", '"a" | "b"')
            if each.value in found:
                message = f'"{each.value}" is listed twice'
                raise self.report.error("MODEL-002", each, message, "take one out")
            found.append(each.value)
        if len(found) > MAX_NAMES:
            message = f"more than {MAX_NAMES} names"
            raise self.report.error("MODEL-009", node, message, f"at most {MAX_NAMES}")
        return Names(tuple(found))

    # ---- methods

    def _method(self, node: ast.FunctionDef) -> None:
        self._must_be_new(node, node.name)
        arguments = node.args
        extra = [*node.decorator_list, *arguments.defaults, *arguments.kwonlyargs]
        extra += [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
        extra += arguments.posonlyargs
        if extra:
            raise self.report.foreign(extra[0], "def name(parameter: TYPE, ...) -> Rule:")
        if node.returns is None:
            message = f"what {node.name} returns is not told"
            raise self.report.error("MODEL-004", node, message, "-> Rule, or the type of its value")
        result = None if _is_rule(node) else self._type(node.returns)
        terms = Terms(self.report, self.settings, self.fields, self.methods, self.broken)
        parameters: list[tree.Local] = []
        for each in arguments.args:
            terms.must_be_new(each, each.arg)
            if each.annotation is None:
                message = f"parameter {each.arg} has no type"
                raise self.report.error("MODEL-004", each, message, f"{each.arg}: UInt32")
            kind = self._type(each.annotation)
            terms.scope[each.arg] = kind
            parameters.append(tree.Local(each.arg, kind))
        if len(parameters) > MAX_LOCALS:
            message = f"more than {MAX_LOCALS} parameters"
            raise self.report.error("MODEL-009", node, message, "use several methods")
        body = Bodies(terms, result, self._type).method(node)
        self.methods[node.name] = tree.Method(node.name, tuple(parameters), result, body)


def _is_rule(node: ast.FunctionDef) -> bool:
    return isinstance(node.returns, ast.Name) and node.returns.id == RULE


def _alternatives(node: ast.expr) -> Iterator[ast.expr]:
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield node.right
        node = node.left
    yield node
