"""Arguments that several commands have in common."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer


class Engine(StrEnum):
    """What judges events."""

    VM = "vm"
    REFERENCE = "reference"


Policy: TypeAlias = Annotated[Path, typer.Argument(metavar="FILE", help="The policy, a .psl file.")]
Include: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "-I",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Folder to search for included files; repeatable.",
    ),
]
Judge: TypeAlias = Annotated[
    Engine, typer.Option("--engine", help="The policy VM, or the reference interpreter.")
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON on stdout instead of text, errors too.")
]
