"""khs new"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from khs.cli import common, options


def new(
    name: Annotated[
        str, typer.Argument(help="Name of the system; with --add-method, its IDL parameters.")
    ] = "",
    folder: Annotated[
        Path | None, typer.Option("-o", "--output", help="The system's folder.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--add-method", metavar="INTERFACE.METHOD", help="Add a method instead."),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Make a system of your own: small, running, to be changed into what you need.

    With --add-method, an interface of the system in this folder gets one method more: in its
    description, in the policy and in the server's program.

        khs new tank-control
        khs run tank-control
        cd tank-control
        khs new --add-method tank_control.IControl.Pause "in UInt32 periods"
    """
    if method is not None:
        return _add_method(folder or Path(), method, name, as_json)
    if not name:
        common.usage("give the new system a name\n  help: khs new tank-control")
    from khs.new import scaffold

    target = folder or Path(name)
    files = scaffold(name, target)
    _print(files, as_json)
    if not as_json:
        print(f"\nnext: khs run {shlex.quote(str(target))}")
    return common.OK


def _add_method(folder: Path, method: str, parameters: str, as_json: bool) -> int:
    from khs.new import add_method

    interface, _, last = method.rpartition(".")
    if not all(part.isidentifier() for part in method.split(".")) or not interface:
        common.usage(f"'{method}' is no INTERFACE.METHOD\n  help: demo.IControl.Pause")
    added = add_method(folder, interface, last, parameters)
    _print(added.files, as_json)
    for line in added.advice:
        common.note(line)
    return common.OK


def _print(files: tuple[Path, ...], as_json: bool) -> None:
    if as_json:
        common.print_json({"files": [str(path) for path in files]})
    else:
        for path in files:
            print(path)
