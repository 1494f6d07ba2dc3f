"""Arguments that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

System: TypeAlias = Annotated[
    str, typer.Argument(help="A folder with system.toml, an archive, or a shipped system.")
]
Board: TypeAlias = Annotated[
    str | None, typer.Option(help="This board instead of the system's own.")
]
Overlays: TypeAlias = Annotated[
    list[Path] | None, typer.Option("--with", help="Lay this document over it; repeatable.")
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout instead of text.")
]
