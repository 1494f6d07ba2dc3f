"""Models of devices and plants from people's own files: FILE[:CLASS]."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from khs.config.rules import suggest
from khs.engine.device import Device
from khs.errors import KhsError, shown

T = TypeVar("T")


class AbsentError(KhsError):
    """There is no such file, or no such class in it."""

    @property
    def parts(self) -> tuple[str, str]:
        """What is wrong, and what would be right."""
        what, _, help = str(self).partition("\n  help: ")
        return what, help


def pairs(option: str, form: str, given: Iterable[str]) -> dict[str, str]:
    """`PARTITION.DEVICE=...` each; KhsError for what is none, or comes twice."""
    found: dict[str, str] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name.count(".") != 1 or not all(name.split(".")) or not value:
            raise KhsError(f"{option} {text}: not of the form {form}\n  help: {option} {form}")
        if name in found:
            raise KhsError(f"{option} {text}: {name} has one already")
        found[name] = value
    return found


def load(given: Mapping[str, str]) -> dict[str, Device]:
    """Makes a model for each device from its FILE[:CLASS]. KhsError, with the place, if there is no
    such class, or it cannot be made."""
    return {
        name: make(place, Device, f"--device {name}={split(place)[0]}:CLASS")
        for name, place in given.items()
    }


def split(place: str) -> tuple[Path, str]:
    """FILE and CLASS, "" if none is named."""
    head, colon, tail = place.rpartition(":")
    return (Path(head), tail) if colon and tail.isidentifier() else (Path(place), "")


def make(place: str, base: type[T], example: str) -> T:
    """One of the class derived from `base` in FILE[:CLASS]; `example` is how to name one of
    several. KhsError."""
    path, wanted = split(place)
    module = _module(path)
    found = [
        value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and value is not base
        and (key == wanted if wanted else value.__module__ == module.__name__)
    ]  # fmt: skip
    if len(found) != 1:
        known = [
            key for key, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, base) and value is not base
        ] if wanted else [value.__name__ for value in found]  # fmt: skip
        raise absent(path, wanted, known, base, example)
    _check_spelling(found[0], base)
    try:
        made: T = found[0]()
    except Exception as error:
        raise failed(path, error) from error
    _check_calls(path, made, base)
    return made


def _check_calls(path: Path, made: object, base: type) -> None:
    """KhsError unless there is all that has to be, and can be called as `base` says."""
    for name in callable_of(base):
        method, ours = getattr(made, name), getattr(base, name)
        own = getattr(method, "__func__", method)
        if own is ours and name not in needed(base):
            continue
        wrong = own is ours or not _takes(method, arguments(ours))
        if wrong:
            kind = type(made).__name__
            code = getattr(own, "__code__", None) if own is not ours else None
            file, line = path, _line(path, kind)
            if code is not None:
                file, line = Path(code.co_filename), code.co_firstlineno
            raise lacking(file, line, kind, base, name, own is ours)


def callable_of(base: type) -> list[str]:
    """Public methods."""
    return [key for key, each in vars(base).items() if inspect.isfunction(each) and key[0] != "_"]


def needed(base: type) -> frozenset[str]:
    """Methods that there have to be."""
    return getattr(base, "_needed", frozenset())


def arguments(method: Callable[..., object]) -> list[str]:
    """Behind `self`."""
    return list(inspect.signature(method).parameters)[1:]


def _takes(method: Callable[..., object], names: Sequence[str]) -> bool:
    try:
        inspect.signature(method).bind(*names)
    except TypeError:
        return False
    except ValueError:  # nobody knows
        return True
    return True


def _line(path: Path, kind: str) -> int:
    """Of a class; 1 if it comes from elsewhere."""
    nodes = ast.walk(ast.parse(path.read_bytes()))
    return next((e.lineno for e in nodes if isinstance(e, ast.ClassDef) and e.name == kind), 1)


def lacking(file: Path, line: int, kind: str, base: type, name: str, absent: bool) -> KhsError:
    """A class has not got the method `name` of `base`, or it takes something else."""
    form = f"{name}({', '.join(('self', *arguments(getattr(base, name))))})"
    what = f"{kind} has no {name}()" if absent else f"{kind}.{name} cannot be called as it will be"
    return KhsError(f"{shown(file)}:{line}: {what}\n  help: def {form}")


def _check_spelling(kind: type, base: type) -> None:
    """KhsError for a public method that is called nearly as one of `base` that is not overridden:
    nobody would call it."""
    own = kind.__mro__[: kind.__mro__.index(base)]
    functions = [each for part in own for each in vars(part).values() if inspect.isfunction(each)]
    made = {each.__name__ for each in functions}
    known = [key for key in vars(base) if not key.startswith("_") and key not in made]
    for each in functions:
        name, code = each.__name__, each.__code__
        near = difflib.get_close_matches(name, known, 1, 0.75)
        if near and not name.startswith("_") and not hasattr(base, name):
            raise KhsError(
                f"{shown(code.co_filename)}:{code.co_firstlineno}: {kind.__name__}.{name} is never "
                f"called\n  help: {near[0]}; or _{name} for a method of your own"
            )


def absent(path: Path, wanted: str, known: Sequence[str], base: type, example: str) -> AbsentError:
    """There is not the one class: `wanted`, or the only one of the `known`."""
    what = f"no class {wanted}" if wanted else f"{len(known)} classes" if known else "no class"
    help = f"{example} names one of several"
    if wanted and known:
        help = suggest(wanted, known, "classes")
    return AbsentError(
        f"{shown(path)}: {what} derived from khs.hil.{base.__name__}\n  help: {help}"
    )


def no_file(path: Path) -> AbsentError:
    others = sorted(each.name for each in path.parent.glob("*.py"))
    help = suggest(path.name, others, "Python files there")
    return AbsentError(f"{shown(path)}: there is no such file\n  help: {help}")


def _module(path: Path) -> ModuleType:
    if path.is_dir():
        raise KhsError(f"{shown(path)}: it is a folder\n  help: a file with a class in Python")
    if not path.is_file():
        raise no_file(path)
    spec = importlib.util.spec_from_file_location(f"khs_device_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise KhsError(f"{shown(path)}: not a Python file\n  help: its name ends with .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise failed(path, error) from error
    return module


def failed(path: Path, error: BaseException) -> KhsError:
    """The error of code in a file, with the line."""
    line = next(
        (f.lineno for f in reversed(traceback.extract_tb(error.__traceback__))
         if f.filename == str(path)), getattr(error, "lineno", None),
    )  # fmt: skip
    return KhsError(f"{shown(path)}:{line or 1}: {type(error).__name__}: {error}")
