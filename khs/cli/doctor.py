"""khs doctor"""

from __future__ import annotations

from typing import Annotated

import typer

from khs.cli import common, options


def doctor(
    where: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Print a folder alone: sdk, docs, images, boards, gdb."),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Look at this machine: what is there, what is missing, how to get it.

    Exits 1 if something is missing that khs cannot do without. With --where, prints where a part
    of khs lies: the SDK, the manual, shipped systems, board files, gdb's data directory.

        khs doctor
        khs doctor --where sdk
    """
    if where is not None:
        return _where(where, as_json)
    from khs.doctor import examine, healthy

    items = examine()
    ok = healthy(items)
    if as_json:
        common.print_json({"ok": ok, "items": [item.to_json() for item in items]})
        return common.OK if ok else common.FINDINGS
    from khs.cli.tables import doctor_table

    doctor_table(items)
    return common.OK if ok else common.FINDINGS


def _where(name: str, as_json: bool) -> int:
    from khs.resources import places

    known = places()
    if name not in known:
        common.usage(f"there is no part '{name}'\n  help: one of {', '.join(known)}")
    if as_json:
        common.print_json({name: str(known[name])})
    else:
        print(known[name])
    return common.OK
