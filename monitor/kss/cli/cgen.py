"""kss cgen"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kss.cli import common, options


def cgen(
    interface: Annotated[str, typer.Argument(help="An .idl file, or an interface's name.")],
    output: Annotated[Path, typer.Option("-o", metavar="FILE", help="The header to write.")],
    include: options.Include = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="CLASS", help="Class whose RIIDs to define; repeatable."),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Make the C header of an interface for guest programs.

    The header stands alone: the interface's messages as C structs with setters and getters, which
    check every size, and static assertions on the layout.

        kss cgen interfaces/gateway/ITelemetry.idl -o telemetry.h
        kss cgen gateway.ITelemetry -I interfaces --class gateway.Controller
    """
    from kss.cgen import generate
    from kss.describe import load_described_class, load_described_interface

    directories = include or []
    found = load_described_interface(interface, directories)
    owners = [load_described_class(name, directories) for name in classes or ()]
    try:
        output.write_text(generate(found, owners), "utf-8")
    except OSError as error:
        message = f"cannot write {output}: {error.strerror or error}"
        raise common.BadInputError(message) from None
    if as_json:
        common.print_json({"files": [str(output)]})
    return common.OK
