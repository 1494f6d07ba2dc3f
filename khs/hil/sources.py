"""What a Python file has, told from its text: nothing of it runs.

A file may do what its text does not tell: derive from what is defined elsewhere, set attributes by
name. Of such a class nothing is told, rather than something wrong.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from khs.errors import KhsError, shown
from khs.hil.models import absent, arguments, callable_of, lacking, needed, no_file, split
from khs.hil.plant import Causality

#: With these a class gets attributes that no statement sets.
_DYNAMIC = {"setattr", "vars", "exec", "eval", "globals", "type", "__dict__", "__getattr__",
            "__getattribute__", "__setattr__"}  # fmt: skip
_Classes = Mapping[str, ast.ClassDef]


class SourceVariables:
    """Attributes that a class sets; all of them may be inputs, outputs and parameters."""

    def __init__(self, names: set[str]) -> None:
        self._names = sorted(name for name in names if not name.startswith("_"))

    def names(self, causality: Causality) -> list[str]:
        return self._names

    def kind(self, name: str) -> type | None:
        """Values tell, once there are any."""
        return None


def read(place: str, base: type, example: str) -> SourceVariables | None:
    """The variables of the class in FILE[:CLASS] that `khs.hil.models.make` would make; None if its
    text does not tell. AbsentError if there is none, KhsError if it is no Python."""
    path, wanted = split(place)
    tree = _parsed(path)
    own = _classes(tree)
    classes = own | _imported(path, tree, set(own))
    derived = {name: _derives(node, classes, base.__name__) for name, node in own.items()}
    others = _bound(tree)
    if wanted and wanted not in own:
        is_unclear = bool({wanted, "*"} & others)
    else:
        asked = {wanted} if wanted else set(own)
        is_unclear = bool(asked & others) or any(derived[name] is None for name in asked)
    if is_unclear:
        return None
    known = [name for name, does in derived.items() if does is not False]
    found = [name for name in known if wanted in ("", name)]
    if len(found) != 1:
        raise absent(path, wanted, known, base, example)
    variables = _variables(tree, classes, found[0])
    if variables is not None:
        _check_calls(path, _family(classes, found[0]), base, variables)
    return variables


def _parsed(path: Path) -> ast.Module:
    if not path.is_file():
        raise no_file(path)
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
        line, column = getattr(error, "lineno", None) or 1, getattr(error, "offset", None) or 1
        what = getattr(error, "msg", None) or str(error)
        raise KhsError(f"{shown(path)}:{line}:{column}: {type(error).__name__}: {what}") from error


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Of a module, also within if and try: those that are no part of a class or function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _statements(child)


def _classes(tree: ast.Module) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in _statements(tree) if isinstance(node, ast.ClassDef)}


def _imported(path: Path, tree: ast.Module, own: set[str]) -> dict[str, ast.ClassDef]:
    """Classes of files beside this one, by the names that they have here. Those of files that have
    a class of a name that is another one here are left out, and so are theirs from elsewhere."""
    found: dict[str, ast.ClassDef] = {}
    for node in _statements(tree):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").isidentifier():
            continue
        beside = path.parent / f"{node.module}.py"
        theirs = _classes(_parsed(beside)) if beside.is_file() and beside != path else {}
        if not own & set(theirs) and not any(alias.asname for alias in node.names):
            found |= theirs
    return found


def _bound(tree: ast.Module) -> set[str]:
    """Names that something else than a class here gets; "*": those of a whole module."""
    found: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif not isinstance(node, ast.ClassDef):
            names = (each for each in ast.walk(node) if isinstance(each, ast.Name))
            found |= {each.id for each in names if isinstance(each.ctx, ast.Store)}
    return found


def _derives(
    node: ast.ClassDef, classes: _Classes, base: str, seen: tuple[str, ...] = ()
) -> bool | None:
    """Whether from `base`; None if the text does not tell."""
    told: list[bool | None] = [None] if node.decorator_list or node.keywords else []
    for each in node.bases:
        name = getattr(each, "id", getattr(each, "attr", ""))
        if name in classes:
            again = name in (*seen, node.name)
            told.append(
                None if again else _derives(classes[name], classes, base, (*seen, node.name))
            )
        else:
            told.append({base: True, "object": False}.get(name))
    return None if None in told else any(told)


def _family(classes: _Classes, name: str) -> list[ast.ClassDef]:
    """The class and those that it derives from."""
    family = [name]
    for each in family:  # it grows
        bases = (getattr(base, "id", "") for base in classes[each].bases)
        family += [base for base in bases if base in classes]
    return [classes[each] for each in family]


def _check_calls(
    path: Path, family: list[ast.ClassDef], base: type, variables: SourceVariables
) -> None:
    """As `khs.hil.models.make` does of what it has made."""
    kind = family[0]
    statements = [each for node in family for each in _statements(node)]
    defined = [each for each in statements if isinstance(each, ast.FunctionDef)]
    for name in callable_of(base):
        ours = getattr(base, name)
        own = [each for each in defined if each.name == name]
        if not own:
            if name in needed(base) and name not in variables.names("input"):
                raise lacking(path, kind.lineno, kind.name, base, name, True)
            continue
        count = 1 + len(arguments(ours))
        if own[0] in kind.body and not own[0].decorator_list and not _takes(own[0], count):
            raise lacking(path, own[0].lineno, kind.name, base, name, False)


def _takes(function: ast.FunctionDef, count: int) -> bool:
    """Whether it can be called with so many arguments."""
    given = function.args
    most = len(given.posonlyargs) + len(given.args)
    is_enough = most - len(given.defaults) <= count and None not in given.kw_defaults
    return is_enough and (count <= most or given.vararg is not None)


def _variables(tree: ast.Module, classes: _Classes, name: str) -> SourceVariables | None:
    nodes = _family(classes, name)
    parts = [each for node in (tree, *nodes) for each in ast.walk(node)]
    words = {getattr(each, key, "") for each in parts for key in ("id", "attr", "name")}
    if words & _DYNAMIC or any(_gives_itself_away(node) for node in nodes):
        return None
    rest = [each for each in _statements(tree) if not isinstance(each, ast.ClassDef)]
    found = {each for node in (*nodes, *rest) for each in _set(node)}
    return SourceVariables(found | {each for node in nodes for each in _of_class(node)})


def _set(node: ast.AST) -> Iterator[str]:
    """self.NAME = ..."""
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store):
            yield each.attr


def _of_class(node: ast.ClassDef) -> Iterator[str]:
    """NAME = ..., and properties."""
    for each in _statements(node):
        if isinstance(each, ast.FunctionDef):
            if each.decorator_list:
                yield each.name
        elif not isinstance(each, ast.ClassDef):
            names = (part for part in ast.walk(each) if isinstance(part, ast.Name))
            yield from (part.id for part in names if isinstance(part.ctx, ast.Store))


def _gives_itself_away(node: ast.ClassDef) -> bool:
    """Whether a method hands its object to somebody, who may set attributes of it."""
    for method in ast.walk(node):
        if isinstance(method, ast.FunctionDef) and method.args.args:
            own = method.args.args[0].arg
            used = [each for each in ast.walk(method) if isinstance(each, ast.Name)]
            dotted = {
                id(each.value) for each in ast.walk(method) if isinstance(each, ast.Attribute)
            }
            if any(each.id == own and id(each) not in dotted for each in used):
                return True
    return False
