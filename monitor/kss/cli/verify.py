"""kss verify"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kss.cli import common, options

if TYPE_CHECKING:
    from kss.compiled import Compiled


def verify(
    file: Annotated[Path, typer.Argument(metavar="POLICY.bin", help="A compiled policy.")],
    as_json: options.Json = False,
) -> int:
    """Look at a compiled policy: is it sound, and what is in it.

    It is verified as at load: format, size, checksum, then every table and program. A kernel runs
    none that is refused here. The checksum is against accidents; whether this is the policy you
    mean, its SHA-256 tells. Classes come with their numbers and, in JSON, the hashes under which
    programs in C find them. Exits 1 if the policy is refused, with the reason.

    Names of rules come from the .json file beside it, which kss compile writes.

        kss verify policy.bin
        kss verify policy.bin --json
    """
    from kss.cli import inputs
    from kss.compiled import look

    inputs.must_exist(file)
    found = look(file)
    if as_json:
        common.print_json(found.to_json())
    elif found.refused:
        print(f"{file}: refused: {found.refused}")
    else:
        _print(found)
    return common.FINDINGS if found.refused else common.OK


def _print(found: Compiled) -> None:
    print(f"{found.path}: sound, format {found.format}, {found.size} bytes, sha256 {found.sha256}")
    print(f"checksum {found.checksum:08x}, {found.state} bytes of state, {found.max_sids} SIDs")
    print(f"{found.rules} rules, {len(found.objects)} objects, {len(found.classes)} classes:")
    for number, each in enumerate(found.classes):
        print(f"  {number:3}  {each.hash:016x}  {each.name or '(name not known)'}")
    print(f"names: {found.names}" if found.named else f"no names of rules: {found.names}")
