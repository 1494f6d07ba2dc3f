"""kss layout"""

from __future__ import annotations

from typing import Annotated

import typer

from kss.cli import common, options


def layout(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An .edl file, or a class name.")],
    include: options.Include = None,
    as_json: options.Json = False,
) -> int:
    """Show endpoints, method numbers and message layouts of a process class, as JSON.

    The class is given by its .edl file, or by name: then it is searched for in the folders of -I
    and among the kernel's own.

        kss layout interfaces/gateway/Controller.edl
        kss layout gateway.Controller -I interfaces
        kss layout kl.core.Core
    """
    from kss.describe import load_described_class
    from kss.show import layout_json

    common.print_json(layout_json(load_described_class(file, include or ())))
    return common.OK
