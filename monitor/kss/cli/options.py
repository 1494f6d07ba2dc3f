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
Define: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--define",
        metavar="NAME=TEXT",
        help="What the template placeholder @NAME@ stands for; repeatable.",
    ),
]
Stub: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--stub",
        help="Take on trust classes, components and interfaces whose files are not found, such as"
        " those of the SDK.",
    ),
]
# As kss.compiler has them, which is dear to import for every --help.
MAX_SIDS, MAX_POOL = 64, 1 << 20
MaxSids: TypeAlias = Annotated[
    int,
    typer.Option(
        "--max-sids",
        metavar="N",
        min=1,
        max=MAX_POOL,
        help="SIDs that one policy object has room for.",
    ),
]
Judge: TypeAlias = Annotated[
    Engine, typer.Option("--engine", help="The policy VM, or the reference interpreter.")
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON on stdout instead of text, errors too.")
]
