"""khs schema"""

from __future__ import annotations

from typing import Annotated

import typer

from khs.cli import common


def schema(
    as_json: Annotated[bool, typer.Option("--json", help="The schema is JSON anyway.")] = False,
) -> int:
    """Print the JSON Schema of system.toml, for editors and other tools.

    Editors that know JSON Schema complete a system.toml with it and mark what is wrong.

        khs schema > system.schema.json
    """
    from khs import config

    common.print_json(config.schema())
    return common.OK
