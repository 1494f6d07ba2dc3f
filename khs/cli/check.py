"""khs check"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from khs.cli import common, options

if TYPE_CHECKING:
    from khs.errors import Finding
    from khs.hil.bench import Bench


def check(
    system: Annotated[
        str | None,
        typer.Argument(help="A folder with system.toml, an archive, or a shipped system."),
    ] = None,
    board: options.Board = None,
    overlays: options.Overlays = None,
    release: Annotated[
        bool, typer.Option("--release", help="Also demand what khs build --release does.")
    ] = False,
    bench: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A bench.toml, and the system that it names."),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Check a system: configuration, policies, interfaces, channels; nothing is compiled.

    Of an archive: that it is whole and that the kernel takes its configuration, programs and
    policies. With a bench the system is built, and everything wired to it is looked up; plants and
    models in Python are read, and none of their code runs.

    Every finding is printed with file, line, column, a stable rule id and what would be right.
    Exits 1 if there is an error among them.

        khs check images/iot-gateway
        khs check gateway.khs
        khs check mysystem --board q35 --json
        khs check --bench bench.toml
    """
    from khs.image.open import check_system

    findings: list[Finding] = []
    given: Bench | None = None
    if bench is not None:
        given, findings = _bench(bench)
        system = system or (None if given is None else given.system)
    if system is None and not findings:
        raise typer.BadParameter("which system? a folder, an archive, or --bench FILE")
    if system is not None:
        layers = common.layers(system, overlays)
        findings += check_system(system, layers, board, release=release)
        if given is not None and all(each.severity != "error" for each in findings):
            findings += _around(given, system, layers, board)
    failed = any(finding.severity == "error" for finding in findings)
    if as_json:
        common.print_json({"ok": not failed, "findings": [f.to_json() for f in findings]})
    else:
        for text in common.told(findings):
            print(text)
        if not findings:
            print(f"{system if bench is None else bench}: no findings")
    return common.FINDINGS if failed else common.OK


def _bench(file: Path) -> tuple[Bench | None, list[Finding]]:
    """It, and what is wrong in the file itself."""
    from khs.errors import ConfigError
    from khs.hil.bench import read

    try:
        return read(file), []
    except ConfigError as error:
        return None, list(error.findings)


def _around(bench: Bench, system: str, layers: list[Path], board: str | None) -> list[Finding]:
    """What is wrong with the bench around that system, which is built for it."""
    from khs.hil import checked
    from khs.image import open_system

    return checked.check(bench, open_system(system, layers, board))
