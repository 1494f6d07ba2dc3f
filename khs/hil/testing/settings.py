"""The options of the pytest plugin, looked at once before any test begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from khs import config
from khs.errors import KhsError
from khs.hil.bench import read
from khs.hil.testing.duration import ns
from khs.hil.testing.spec import ENGINES
from khs.image.open import find_system, is_description

#: Of the option --khs-NAME, "" if it is not given.
Given = Callable[[str], str]


def check(given: Given, near: Callable[[str], str]) -> None:
    """KhsError for what no test could have; `near` completes paths."""
    engine = given("engine") or "unicorn"
    if engine not in (*ENGINES, "labgrid"):
        raise KhsError(f"--khs-engine {engine}: one of {', '.join(ENGINES)}, labgrid")
    _number(given, "seed", 0)
    repeats = _number(given, "repeat-check", 1)
    if repeats > 1 and engine != "unicorn":
        raise KhsError(
            f"--khs-repeat-check {repeats}: {engine} does not do the same each time\n"
            "  help: the unicorn engine does"
        )
    for name in ("boot", "vtimeout"):
        with _named(name, given(name)):
            ns(given(name) or "1s")
    _check_folder(given("artifacts"))
    if engine != "labgrid":
        _check_system(given, near)


def _check_system(given: Given, near: Callable[[str], str]) -> None:
    bench, system, board = (given(name) for name in ("bench", "system", "board"))
    if bench:
        with _named("bench", bench):
            named = read(Path(near(bench))).system
        system = system or named
    if system:
        with _named("system", system):
            path = find_system(near(system))
        if board and is_description(path):
            with _named("board", board):
                config.resolve(path, board=board)


def _check_folder(artifacts: str) -> None:
    """Somewhere above what is to be made is a folder that can be written to."""
    path = Path(artifacts or ".").absolute()
    above = next(each for each in (path, *path.parents) if each.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise KhsError(f"--khs-artifacts {artifacts}: no folder can be made in {above}")


@contextmanager
def _named(name: str, value: str) -> Iterator[None]:
    try:
        yield
    except KhsError as error:
        raise KhsError(f"--khs-{name} {value}: {error}") from error


def _number(given: Given, name: str, least: int) -> int:
    text = given(name) or str(least)
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise KhsError(f"--khs-{name} {text}: not a number from {least} on")
    return int(text)
