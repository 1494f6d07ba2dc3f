"""khs build"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from khs.cli import common, options

if TYPE_CHECKING:
    from khs.cli.progress import Reporter
    from khs.image import Archive


def build(
    system: options.System,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The archive.")] = None,
    board: options.Board = None,
    overlays: options.Overlays = None,
    release: Annotated[
        bool, typer.Option(help="Demand what a release needs: every program pinned by its hash.")
    ] = False,
    sd: Annotated[
        Path | None, typer.Option(help="Write an image for a real board's SD card, too.")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Build a bootable archive, and report.md beside it.

    The archive holds configuration, policies, programs and hashes; the same inputs give the same
    bytes. It runs anywhere: khs run ARCHIVE. Folders of the archive's path are made.

        khs build images/iot-gateway -o gateway.khs
        khs build mysystem --release
        khs build mysystem --board sabrelite --sd card.img
    """
    from khs.cli.progress import Reporter
    from khs.image import open_system
    from khs.image.lines import in_order

    with Reporter(quiet=as_json) as reporter:
        archive = open_system(
            system, common.layers(system, overlays), board, release=release, progress=reporter.step
        )
        card = _card(archive, reporter) if sd is not None else b""
    target = output or Path(f"{archive.manifest['system']}.khs")
    *folders, target, report = archive.write(target)
    for folder in folders:
        common.note(f"made the folder {folder}")
    if sd is not None:
        _write(sd, card)
    lines = in_order(archive.manifest["trusted_lines"])
    if as_json:
        document = {"archive": str(target), "sha256": archive.sha256, "trusted_lines": lines}
        common.print_json(document | ({} if sd is None else {"sd": str(sd)}))
    else:
        print(f"{target}  sha256 {archive.sha256}")
        print(f"{report}  memory map, windows, channels and rights for review")
        parts = ", ".join(f"{name} {count}" for name, count in lines.items())
        print(f"{sum(lines.values())} lines to trust: {parts}")
        if sd is not None:
            print(f"{sd}  for the SD card of a {archive.manifest['board']}")
    return common.OK


def _card(archive: Archive, reporter: Reporter) -> bytes:
    """Made before anything is written: there is none for every system."""
    from khs import sdcard

    return sdcard.card(archive, reporter.step)


def _write(path: Path, card: bytes) -> None:
    """Behind the archive, so that there is no card without one."""
    from khs import sdcard

    sdcard.write(path, card)
