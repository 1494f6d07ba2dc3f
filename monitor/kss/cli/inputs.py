"""What commands are given, opened: policies, engines, files of lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kss.api import Policy, load_policy
from kss.cli.common import BadInputError
from kss.cli.options import Engine
from kss.evaluate import Engine as Judge
from kss.reference import Reference


def policy(file: Path, include: Sequence[Path] | None) -> Policy:
    """Reads and checks a policy. Raises KssError."""
    if not file.is_file():
        raise BadInputError(f"there is no file {file}")
    return load_policy(file, include or ())


def engine(name: Engine, policy: Policy) -> Judge:
    """What judges the events of a policy."""
    if name is Engine.REFERENCE:
        return Reference(policy.tree)
    from kss.compiler import compile_policy
    from kss.vm import Vm

    return Vm(compile_policy(policy.tree))


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
