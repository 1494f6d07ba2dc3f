"""kss fmt"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kss.cli import common

if TYPE_CHECKING:
    from kss.source import Source


def fmt(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files to format; - for stdin.")
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; show what would be changed.")
    ] = False,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What stdin is: the name of its file.")
    ] = "stdin.psl",
) -> int:
    """Format policies and interface descriptions (.psl, .edl, .cdl, .idl, and .in of them).

    Files are rewritten in the one canonical form, and those that change are named; - reads stdin
    and writes stdout. Only white space changes: comments, tests and template tags stay where they
    are. With --check nothing is written: what differs is shown as a diff, and the exit code is 1.

    A file with a syntax error is left as it is, and told; the exit code is 2 then.

        kss fmt security.psl interfaces/*.edl
        kss fmt --check security.psl
        kss fmt - --name IGate.idl < IGate.idl
    """
    from kss.format import language

    worst = common.OK
    for file in files:
        called = name if file == "-" else file
        if called.endswith((".yaml", ".yaml.in")):
            common.note(f"{called}: left as it is")
            continue
        suffix = language(called)
        if suffix is None:
            help = "the suffix tells what it is: .psl, .edl, .cdl or .idl"
            raise common.BadInputError(f"{called} cannot be formatted\n  help: {help}")
        worst = max(worst, _one(file, called, suffix, check))
    return worst


def _one(file: str, called: str, suffix: str, check: bool) -> int:
    from kss.errors import Findings
    from kss.format import format_source
    from kss.source import source_of

    findings = Findings()
    data = _read(file)
    source = source_of(called, data, findings)
    text = format_source(source, suffix, findings) if source else None
    if source is None or text is None:
        for finding in findings.items:
            print(finding, file=sys.stderr)
        return common.BAD_INPUT
    differs = text.encode() != data
    if check:
        if differs:
            _show(source, text, data)
        return common.FINDINGS if differs else common.OK
    if file == "-":
        sys.stdout.write(text)
    elif differs:
        _write(file, text)
        print(file)
    return common.OK


def _read(file: str) -> bytes:
    """At most a little more than a source may have."""
    from kss.source import MAX_FILE

    if file == "-":
        return sys.stdin.buffer.read(MAX_FILE + 1)
    try:
        with Path(file).open("rb") as stream:
            return stream.read(MAX_FILE + 1)
    except OSError as error:
        raise common.BadInputError(f"cannot read {file}: {error.strerror or error}") from None


def _write(file: str, text: str) -> None:
    try:
        Path(file).write_bytes(text.encode())
    except OSError as error:
        raise common.BadInputError(f"cannot write {file}: {error.strerror or error}") from None


def _show(source: Source, text: str, data: bytes) -> None:
    """A unified diff; of files that differ in line ends or a byte order mark only, a line."""
    if text == source.text:
        common.note(f"{source.name}: only line ends or the byte order mark differ")
        return
    old, new = (each.splitlines(keepends=True) for each in (source.text, text))
    for line in difflib.unified_diff(old, new, source.name, f"{source.name} (formatted)"):
        print(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n", end="")
