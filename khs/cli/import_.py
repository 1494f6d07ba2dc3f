"""khs import"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from khs.cli import common, options
from khs.errors import shown

if TYPE_CHECKING:
    from khs.importing import Imported


def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The solution's folder.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="The system's folder: DIR-khs."),
    ] = None,
    define: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TEXT", help="What @NAME@ stands for, and NAME in {% if %}."),
    ] = None,
    init: Annotated[
        Path | None, typer.Option(help="The init description, if there are several.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="The policy, if it is another one.")] = None,
    programs: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Programs in folders NAME, instead of scaffolds."),
    ] = None,
    board: Annotated[str, typer.Option(help="The system's board.")] = "sabrelite",
    as_json: options.Json = False,
) -> int:
    """Turn a KasperskyOS-style solution into a system: init.yaml, EDL, CDL, IDL, security.psl.

    Processes become partitions, connections become call channels. Policy and interfaces are copied
    as they are, with templates expanded; each class gets a program in C that answers and asks with
    zeros. What the SDK would bring is taken on trust and denied; import.md tells it, and
    everything else that was not carried over, with file and line.

        khs import traffic-light -o lights
        khs run lights
        khs import traffic-light -o lights --programs my-programs
        khs import solution --init client/init.yaml.in --define ROOTFS=kl.VfsRamFs
    """
    from khs.importing import import_solution

    done = import_solution(
        folder,
        output,
        init=init,
        policy=policy,
        defines=_definitions(define),
        board=board,
        programs=programs,
    )
    if as_json:
        common.print_json(
            {
                "folder": str(done.folder),
                "files": [str(path) for path in done.files],
                "lost": list(done.lost),
                "trusted": list(done.trusted),
                "denied": [{"rule": rule, "what": what} for rule, what in done.denied.items()],
            }
        )
        return common.OK
    _print(done)
    return common.OK


def _print(done: Imported) -> None:
    for path in done.files:
        print(shown(path))
    said = f"{len(done.lost)} things were not carried over, {len(done.trusted)} taken on trust"
    print(f"\n{said}: {shown(done.folder / 'import.md')}")
    if done.denied:
        print(
            f"\nthe policy denies what the programs ask the kernel for; {shown(done.policy)} lacks:"
        )
        for rule, what in done.denied.items():
            print(f"  {rule}\n    {what}")
    print(f"next: khs run {shlex.quote(shown(done.folder))}")


def _definitions(given: Sequence[str] | None) -> dict[str, str]:
    pairs = [item.partition("=") for item in given or ()]
    for name, sign, text in pairs:
        if not sign or not re.fullmatch(r"\w+\+?", name, re.ASCII):
            common.usage(f"--define takes NAME=TEXT, not {name}{sign}{text}")
    return {name: text for name, _, text in pairs}
