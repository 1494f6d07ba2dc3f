"""What all commands share: exit codes, how errors are told, progress on stderr."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import typer

from khs.errors import ConfigError, Finding, KhsError
from khs.signals import started

OK, FINDINGS, BAD_INPUT, DEFECT = 0, 1, 2, 3

P = ParamSpec("P")


def command(function: Callable[P, int | None]) -> Callable[P, None]:
    """Ends the process with the function's exit code, or with that of what went wrong.

    Bad input is told in its own words; only a defect of ours gets a short report, with the whole
    traceback if KHS_DEBUG is set.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.get("as_json"))
        try:
            started()
            code = function(*args, **kwargs)
            sys.stdout.flush()
        except KhsError as error:
            tell(error, as_json)
            code = error.exit_code
        except KeyboardInterrupt:
            note("interrupted")
            code = interrupted()
        except BrokenPipeError:  # `khs trace FILE | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = OK
        except (typer.Exit, typer.BadParameter):
            raise
        except Exception as error:
            code = _defect(error)
        raise typer.Exit(code or OK)

    return wrapper


def interrupted() -> int:
    """What a command ends with after the signal that ended its latest run: 130 if none did."""
    from khs.engine import interrupt

    return interrupt.latest.code


def tell(error: KhsError, as_json: bool = False) -> None:
    """An error on stderr, and as the JSON document if one was asked for."""
    if isinstance(error, ConfigError):
        for text in told(error.findings):
            print(text, file=sys.stderr)
    else:
        note(f"error: {error}")
    if as_json:
        findings = error.findings if isinstance(error, ConfigError) else ()
        document = {"ok": False, "error": str(error), "findings": [f.to_json() for f in findings]}
        print_json(document)


def told(findings: Iterable[Finding]) -> Iterator[str]:
    """Findings in words, each with its line."""
    from khs.monitor import Files

    files = Files()
    for found in findings:
        yield files.told(found.words(), found.file, found.line, found.column, found.text)


def usage(message: str) -> NoReturn:
    """Ends the command as wrongly used."""
    raise KhsError(message)


def not_the_same(source: Path, target: Path) -> None:
    """Ends the command if it would write over what it reads."""
    if target.exists() and source.exists() and target.samefile(source):
        usage(f"{target} is what is read; it would be lost\n  help: another name for the result")


def layers(system: str, overlays: Sequence[Path] | None) -> list[Path]:
    """The documents of `--with`: as named, else beside the system's own document."""
    from khs.image.open import find_system

    if not overlays:
        return []
    folder = find_system(system).parent
    return [path if path.exists() else _beside(folder, path) for path in overlays]


def _beside(folder: Path, path: Path) -> Path:
    return folder / path if (folder / path).exists() else path


def note(text: str) -> None:
    """A line for people, on stderr."""
    print(f"khs: {text}", file=sys.stderr)


def print_json(document: Any) -> None:
    """The one JSON document of a command."""
    json.dump(document, sys.stdout, indent=2)
    sys.stdout.write("\n")


def _defect(error: Exception) -> int:
    if os.environ.get("KHS_DEBUG"):
        raise error
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    note(f"this is a defect of khs: {type(error).__name__}: {error} ({place})")
    note("please report it; KHS_DEBUG=1 shows the whole traceback")
    return DEFECT
