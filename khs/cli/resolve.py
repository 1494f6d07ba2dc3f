"""khs resolve"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from khs.cli import common


def resolve(
    system: Annotated[str, typer.Argument(help="A folder with system.toml, or a shipped system.")],
    board: Annotated[str | None, typer.Option(help="For this board instead.")] = None,
    overlays: Annotated[
        list[Path] | None, typer.Option("--with", help="Lay this document over system.toml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=common.JSON_HELP)] = False,
) -> int:
    """Print the effective configuration: overlays laid over, defaults filled in.

    khs resolve images/iot-gateway --with attack.toml
    """
    from khs import config
    from khs.image.open import find_system

    document = config.resolve(find_system(system), overlays=overlays or (), board=board)
    if as_json:
        import tomllib

        common.print_json(tomllib.loads(document))
    else:
        print(document, end="")
    return common.OK
