"""khs doctor"""

from __future__ import annotations

from khs.cli import common, options


def doctor(
    as_json: options.Json = False,
) -> int:
    """Look at this machine: what is there, what is missing, how to get it.

    Exits 1 if something is missing that khs cannot do without.
    """
    from khs.doctor import examine, healthy

    items = examine()
    ok = healthy(items)
    if as_json:
        common.print_json({"ok": ok, "items": [item.to_json() for item in items]})
        return common.OK if ok else common.FINDINGS
    from khs.cli.tables import doctor_table

    doctor_table(items)
    return common.OK if ok else common.FINDINGS
