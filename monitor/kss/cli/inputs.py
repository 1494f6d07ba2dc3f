"""What commands are given, opened: policies, engines, files of lines."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kss.api import Policy, load_policy
from kss.cli.common import BadInputError
from kss.cli.options import MAX_SIDS, Engine
from kss.reference import Reference

if TYPE_CHECKING:
    from kss.vm import Vm


def policy(
    file: Path,
    include: Sequence[Path] | None,
    defines: Sequence[str] | None = None,
    stub: bool = False,
) -> Policy:
    """Reads and checks a policy. Raises KssError."""
    must_exist(file)
    return load_policy(file, include or (), defines=definitions(defines), stub=stub)


_OTHERS: dict[str, Callable[[Path], bool]] = {
    "a folder": Path.is_dir,
    "a pipe, which cannot be read twice": Path.is_fifo,
}


def must_exist(file: Path) -> None:
    """A file that can be read more than once, as its lines stand beside findings."""
    try:
        if file.is_file():
            return
        what = next((word for word, is_it in _OTHERS.items() if is_it(file)), "no regular file")
        there = file.exists()
    except OSError as error:
        raise BadInputError(f"cannot read {file}: {error.strerror or error}") from None
    if not there:
        raise BadInputError(f"there is no file {file}")
    help = "\n  help: write it to a file first" if file.is_fifo() else ""
    raise BadInputError(f"{file} is {what}{help}")


def definitions(given: Sequence[str] | None) -> dict[str, str]:
    """What `--define NAME=TEXT` says."""
    pairs = [item.partition("=") for item in given or ()]
    for name, sign, text in pairs:
        if not sign or not re.fullmatch(r"\w+\+?", name, re.ASCII):
            raise BadInputError(f"--define takes NAME=TEXT, not {name}{sign}{text}")
    return {name: text for name, _, text in pairs}


def engine(name: Engine, policy: Policy, max_sids: int = MAX_SIDS) -> Reference | Vm:
    """What judges the events of a policy."""
    if name is Engine.REFERENCE:
        return Reference(policy.tree, max_sids=max_sids)
    from kss.compiler import compile_policy
    from kss.vm import Vm

    return Vm(compile_policy(policy.tree, max_sids=max_sids))


@contextmanager
def lines(name: str) -> Iterator[Any]:
    """The lines of a file, or of stdin for `-`; what is no UTF-8 in them is replaced."""
    if name == "-":
        yield (line.decode("utf-8", "replace") for line in sys.stdin.buffer)
        return
    try:
        stream = Path(name).open(encoding="utf-8", errors="replace")  # noqa: SIM115
    except OSError as error:
        raise BadInputError(f"cannot read {name}: {error.strerror or error}") from None
    with stream:
        yield stream
