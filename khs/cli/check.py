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

    Of an archive: that it is whole and that the kernel takes its configuration, programs and
    policies.

    Every finding is printed with file, line, column, a stable rule id and what would be right.
    Exits 1 if there is an error among them.

        khs check images/iot-gateway
        khs check gateway.khs
        khs check mysystem --board q35 --json
    """
    from khs.image.open import check_system

    findings = check_system(system, common.layers(system, overlays), board, release=release)
    failed = any(finding.severity == "error" for finding in findings)
    if as_json:
        common.print_json({"ok": not failed, "findings": [f.to_json() for f in findings]})
    else:
        for text in common.told(findings):
            print(text)
        if not findings:
            print(f"{system}: no findings")
    return common.FINDINGS if failed else common.OK
