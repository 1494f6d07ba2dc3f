"""khs check"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from khs.cli import common, options

if TYPE_CHECKING:
    from khs.errors import Finding


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
    policies.

    Every finding is printed with file, line, column, a stable rule id and what would be right.
    Exits 1 if there is an error among them.

        khs check images/iot-gateway
        khs check gateway.khs
        khs check mysystem --board q35 --json
        khs check --bench bench.toml
    """
    from khs.image.open import check_system

    findings: list[Finding] = []
    if bench is not None:
        named, findings = _bench(bench)
        system = system or named
    if system is None and not findings:
        raise typer.BadParameter("which system? a folder, an archive, or --bench FILE")
    if system is not None:
        layers = common.layers(system, overlays)
        findings += check_system(system, layers, board, release=release)
    failed = any(finding.severity == "error" for finding in findings)
    if as_json:
        common.print_json({"ok": not failed, "findings": [f.to_json() for f in findings]})
    else:
        for text in common.told(findings):
            print(text)
        if not findings:
            print(f"{system if bench is None else bench}: no findings")
    return common.FINDINGS if failed else common.OK


def _bench(file: Path) -> tuple[str | None, list[Finding]]:
    """The system that it names, and what is wrong in the file; its plants are not opened."""
    from khs.errors import ConfigError
    from khs.hil.bench import read

    try:
        return read(file).system, []
    except ConfigError as error:
        return None, list(error.findings)
