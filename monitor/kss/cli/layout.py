"""kss layout"""

from __future__ import annotations

from typing import Annotated

import typer

from kss.cli import common, options


def layout(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="An .edl or .idl file, or a class name.")
    ],
    include: options.Include = None,
    as_json: options.Json = False,
) -> int:
    """Show endpoints, method numbers and message layouts of a process class, as JSON.

    The class is given by its .edl file, or by name: then it is searched for in the folders of -I
    and among the kernel's own. Of an interface, given by its .idl file, its methods and messages.

        kss layout interfaces/gateway/Controller.edl
        kss layout gateway.Controller -I interfaces
        kss layout kl.core.Core
        kss layout interfaces/gateway/IDrive.idl
    """
    from kss.describe import load_described_class, load_described_interface
    from kss.show import interface_json, layout_json

    if file.endswith(".idl"):
        common.print_json(interface_json(load_described_interface(file, include or ())))
        return common.OK
    common.print_json(layout_json(load_described_class(file, include or ())))
    return common.OK
