"""khs flow"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from khs.cli import common, options


def flow(
    system: options.System,
    start: Annotated[str, typer.Argument(metavar="A", help="The partition that has the data.")],
    end: Annotated[str, typer.Argument(metavar="B", help="The partition it might get to.")],
    most: Annotated[int, typer.Option("--max", min=1, help="At most so many paths.")] = 10,
    links: Annotated[
        Path | None,
        typer.Option(help="Write the partitions and links to this file, for kss flow --system."),
    ] = None,
    board: options.Board = None,
    overlays: options.Overlays = None,
    as_json: options.Json = False,
) -> int:
    """Paths along which data can pass from partition A to B: channels and shared regions.

    A channel carries what the policy can grant, a region anything. "No path" is an answer, too, and
    certain: no region leads out of what A reaches, and what channels would carry is denied for
    every message and every state. Devices that lie outside of the system are not looked at.

        khs flow iot-gateway gateway actuator
        khs flow iot-gateway logger controller --json
    """
    from khs import config
    from khs.image.links import describe
    from khs.image.open import find_system, is_description
    from khs.monitor import ask

    path = find_system(system)
    if not is_description(path):
        common.usage(f"{system}: rules are shown from their text\n  help: give the folder")
    loaded = config.load(path, overlays=common.layers(system, overlays), board=board)
    policy, described = describe(loaded)
    if links is not None:
        _write(links, json.dumps(described, indent=2) + "\n")
    answer = ask.flow(policy, described, start, end, most)
    if as_json:
        common.print_json(answer.json)
    else:
        for line in answer.lines:
            print(line)
    return common.OK


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        common.usage(f"cannot write {path}: {error.strerror or error}")
