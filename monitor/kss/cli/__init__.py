"""The `kss` command: one module a subcommand, no logic.

A command is a function in a file of its own and a line in `_COMMANDS`. Modules import what they
need inside their function, so that `kss --help` stays quick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from kss import __version__
from kss.cli import (
    audit,
    bench,
    cgen,
    check,
    compile,
    coverage,
    diff,
    evaluate,
    explain,
    flow,
    fmt,
    layout,
    mutate,
    query,
    rules,
    test,
    verify,
)
from kss.cli.common import command

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMMANDS: dict[str, dict[str, Callable[..., Any]]] = {
    "Policies": {
        "check": check.check,
        "rules": rules.rules,
        "fmt": fmt.fmt,
        "compile": compile.compile,
        "verify": verify.verify,
        "eval": evaluate.evaluate,
        "test": test.test,
        "mutate": mutate.mutate,
        "coverage": coverage.coverage,
    },
    "Asking a policy": {
        "query": query.query,
        "flow": flow.flow,
        "diff": diff.diff,
        "explain": explain.explain,
    },
    "Interfaces": {
        "layout": layout.layout,
        "cgen": cgen.cgen,
    },
    "This machine": {"bench": bench.bench},
}

for _panel, _commands in _COMMANDS.items():
    for _name, _function in _commands.items():
        app.command(_name, rich_help_panel=_panel)(command(_function))


_audit = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
_audit.command("verify")(command(audit.verify))
_audit.command("show")(command(audit.show))
app.add_typer(_audit, name="audit", rich_help_panel="Audit", help="Check and read audit trails.")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"kss {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """KSS: the security monitor, on its own.

    A policy, written in PSL, says who may start whom and who may send which message to whom; what
    it does not grant is denied. `docs/policy.md` teaches the language. Start with:

        kss check security.psl -I interfaces
        kss eval security.psl -I interfaces --events events.jsonl

    FILE is a policy. What it includes (.psl, .edl, .cdl, .idl) is searched for in its own folder,
    then in the folders given with -I.

    Exit codes: 0 fine, 1 findings, 2 bad input or usage, 3 a defect of kss, 130 interrupted.
    """


def main() -> None:
    """The `kss` command."""
    app(prog_name="kss")
