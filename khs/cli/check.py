"""khs check"""

from __future__ import annotations

from typing import Annotated

import typer

from khs.cli import common, options


def check(
    system: options.System,
    board: options.Board = None,
    overlays: options.Overlays = None,
    release: Annotated[
        bool, typer.Option("--release", help="Also demand what khs build --release does.")
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Check a system: configuration, policies, interfaces, channels; nothing is compiled.

    Every finding is printed with file, line, column, a stable rule id and what would be right.
    Exits 1 if there is an error among them.

        khs check images/iot-gateway
        khs check mysystem --board q35 --json
    """
    from khs import config
    from khs.image import check as policies_and_programs
    from khs.image.open import find_system

    findings = config.check(
        find_system(system),
        overlays=common.layers(system, overlays),
        board=board,
        release=release,
        also=(policies_and_programs,),
    )
    failed = any(finding.severity == "error" for finding in findings)
    if as_json:
        common.print_json({"ok": not failed, "findings": [f.to_json() for f in findings]})
    else:
        for finding in findings:
            print(finding.text())
        if not findings:
            print(f"{system}: no findings")
    return common.FINDINGS if failed else common.OK
