"""The `khs` command: one module a subcommand, no logic.

Modules import what they need inside their function, so that `khs --help` stays quick.
"""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from khs import __version__
from khs.cli import (
    bench,
    boot,
    build,
    check,
    compare,
    debug,
    doctor,
    explain,
    flow,
    import_,
    new,
    replay,
    report,
    resolve,
    run,
    schema,
    trace,
)
from khs.cli.common import command
from khs.signals import leave

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _panel, _commands in (
    (
        "Run and look",
        (
            run.run,
            replay.replay,
            trace.trace,
            report.report,
            explain.explain,
            flow.flow,
            compare.compare,
        ),
    ),
    ("Boards", (boot.boot, debug.debug)),
    ("Make", (new.new, import_.import_, check.check, resolve.resolve, build.build, schema.schema)),
    ("This machine", (doctor.doctor, bench.bench)),
):
    for _command in _commands:
        app.command(_command.__name__.rstrip("_"), rich_help_panel=_panel)(command(_command))


def _version(wanted: bool) -> None:
    if wanted:
        print(f"khs {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """KHS: a MILS separation kernel with its workbench.

    Guest programs for x86, x86-64 and ARMv7 run in partitions, separated in space and in time;
    the security monitor judges every interaction between them against a policy. Start with:

        khs run iot-gateway        the demonstration system
        khs new mysystem           a system of your own
        khs run mysystem

    SYSTEM is a folder with system.toml, an archive that khs build wrote, or the name of a shipped
    system.

    Exit codes: 0 fine, 1 findings, 2 bad input or usage, 3 a defect of khs, 130 interrupted,
    143 ended by SIGTERM.
    """


def main() -> None:
    """The `khs` command. Who asks it to end lets it tidy up."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # not under nohup
            signal.signal(number, leave)
    app(prog_name="khs")
