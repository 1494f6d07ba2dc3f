"""The command line: `kss check`, `layout`, `eval`, `cgen`.

Exit codes: 0 fine, 1 findings, 2 bad input or usage, 3 a defect of KSS, 130 after Ctrl-C.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from kss.api import Policy, load_policy
from kss.cgen import generate
from kss.describe import load_described_class, load_described_interface
from kss.errors import DescriptionError, KssError
from kss.evaluate import Engine, Evaluation
from kss.reference import Reference
from kss.show import check_json, layout_json

app = typer.Typer(
    name="kss",
    help="The security monitor: check policies, judge events, show layouts, make C stubs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


class EngineName(StrEnum):
    VM = "vm"
    REFERENCE = "reference"


PolicyFile = Annotated[Path, typer.Argument(metavar="FILE", help="The policy, a .psl file.")]
Include = Annotated[
    list[Path] | None,
    typer.Option("-I", metavar="DIR", help="Directory to search for included files; repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


class BadInputError(KssError):
    """The command cannot do its work with what it was given."""


@app.command()
def check(
    file: PolicyFile,
    include: Include = None,
    format: Annotated[Format, typer.Option(help="Form of the findings.")] = Format.TEXT,
    as_json: AsJson = False,
) -> None:
    """Check a policy and everything it includes.

    Example: kss check security.psl -I interfaces --format json
    """
    _must_exist(file)
    try:
        findings = load_policy(file, include or ()).warnings
    except DescriptionError as error:
        findings = error.findings
    shown = check_json(findings)
    if as_json or format is Format.JSON:
        _print_json(shown)
    else:
        for finding in findings:
            typer.echo(str(finding))
        errors = sum(finding.severity == "error" for finding in findings)
        typer.echo(f"{errors} errors, {len(findings) - errors} warnings")
    raise typer.Exit(0 if shown["ok"] else 1)


@app.command()
def layout(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An .edl file, or a class name.")],
    include: Include = None,
    as_json: AsJson = False,
) -> None:
    """Show endpoints, method numbers and message layouts of a process class, as JSON.

    Example: kss layout interfaces/gateway/Controller.edl
    """
    shown = layout_json(load_described_class(file, include or ()))
    if as_json:
        _print_json(shown)
    else:
        typer.echo(json.dumps(shown, indent=2))


@app.command("eval")
def evaluate(
    file: PolicyFile,
    events: Annotated[
        str, typer.Option(metavar="FILE", help="Events, a JSON line each; - is stdin.")
    ],
    include: Include = None,
    engine: Annotated[EngineName, typer.Option(help="What judges.")] = EngineName.VM,
    as_json: AsJson = False,
) -> None:
    """Judge events against a policy; prints a JSON line for each.

    Example: echo '{"event": "execute", "dst": "Einit"}' | kss eval security.psl --events -
    """
    _must_exist(file)
    policy = load_policy(file, include or ())
    evaluation = Evaluation(policy, _engine(engine, policy))
    failed = False
    with _lines(events) as lines:
        for result in evaluation.lines(lines):
            failed |= "error" in result
            _print_json(result)
    raise typer.Exit(2 if failed else 0)


@app.command()
def cgen(
    interface: Annotated[str, typer.Argument(help="An .idl file, or an interface's name.")],
    output: Annotated[Path, typer.Option("-o", metavar="FILE", help="The header to write.")],
    include: Include = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="CLASS", help="Class whose RIIDs to define; repeatable."),
    ] = None,
) -> None:
    """Make the C header of an interface for guest programs.

    Example: kss cgen gateway.ITelemetry -I interfaces --class gateway.Controller -o telemetry.h
    """
    directories = include or []
    found = load_described_interface(interface, directories)
    owners = [load_described_class(name, directories) for name in classes or ()]
    try:
        output.write_text(generate(found, owners), "utf-8")
    except OSError as error:
        raise BadInputError(f"cannot write {output}: {error.strerror or error}") from None


def _must_exist(file: Path) -> None:
    if not file.is_file():
        raise BadInputError(f"there is no file {file}")


def _engine(name: EngineName, policy: Policy) -> Engine:
    if name is EngineName.REFERENCE:
        return Reference(policy.tree)
    from kss.compiler import compile_policy
    from kss.vm import Vm

    return Vm(compile_policy(policy.tree))


@contextmanager
def _lines(name: str) -> Iterator[Any]:
    if name == "-":
        yield (line.decode("utf-8", "replace") for line in sys.stdin.buffer)
        return
    try:
        stream = Path(name).open(encoding="utf-8", errors="replace")  # noqa: SIM115
    except OSError as error:
        raise BadInputError(f"cannot read {name}: {error.strerror or error}") from None
    with stream:
        yield stream


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value))


def main() -> int:
    """Runs the command line; returns the exit code."""
    try:
        code = app(standalone_mode=False)
        return code if isinstance(code, int) else 0
    except typer.Exit as error:
        return error.exit_code
    except KssError as error:
        typer.echo(str(error), err=True)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Exception as error:
        if hasattr(error, "exit_code"):  # a usage error of the command line library
            error.show()  # type: ignore[attr-defined]
            return int(error.exit_code)
        traceback.print_exc()
        typer.echo("this is a defect of kss", err=True)
        return 3
