"""kss rules"""

from __future__ import annotations

from typing import Annotated

import typer

from kss.cli import common, options


def rules(
    beginning: Annotated[
        str, typer.Argument(metavar="ID", help="A rule, or the beginning of several.")
    ] = "",
    as_json: options.Json = False,
) -> int:
    """List what kss check may find: every rule with its id and meaning.

    Ids are stable: what is called PSL-012 today is called so in every later version. The same table
    stands in docs/policy.md.

        kss rules
        kss rules PSL-012
        kss rules IDL --json
    """
    from kss.errors import did_you_mean
    from kss.rules import RULES

    found = {rule: text for rule, text in RULES.items() if rule.startswith(beginning.upper())}
    if not found:
        help = did_you_mean(beginning.upper(), RULES, f"ids begin with {_beginnings()}")
        raise common.BadInputError(f"there is no rule {beginning}\n  help: {help}")
    if as_json:
        common.print_json({"rules": [{"rule": rule, "text": text} for rule, text in found.items()]})
    else:
        for rule, text in found.items():
            print(f"{rule}  {text}")
    return common.OK


def _beginnings() -> str:
    from kss.rules import RULES

    return ", ".join(dict.fromkeys(rule.partition("-")[0] for rule in RULES))
