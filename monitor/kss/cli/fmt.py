"""kss fmt"""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kss.cli import common, options

if TYPE_CHECKING:
    from kss.errors import Finding
    from kss.source import Source

_BRANCHES = (
    "{}: its branches of {{% if %}} are read one after the other; each must hold whole declarations"
    " or whole parts of one"
)


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
    as_json: options.Json = False,
) -> int:
    """Format policies and interface descriptions (.psl, .edl, .cdl, .idl, and .in of them).

    Files are rewritten in the one canonical form, and those that change are named; - reads stdin
    and writes stdout. Only white space changes: comments, tests and template tags stay where they
    are. With --check nothing is written: what differs is shown as a diff, and the exit code is 1.

    A file with a syntax error is left as it is, and told; the exit code is 2 then. The branches of
    {% if %} are read one after the other, as if their tags were comments.

        kss fmt security.psl interfaces/*.edl
        kss fmt --check security.psl
        kss fmt --check --json security.psl
        kss fmt - --name IGate.idl < IGate.idl
    """
    done: list[_Done] = []
    for file in files:
        found = _one(file, name if file == "-" else file)
        if found is not None:
            done.append(found)
    for item in done:
        if not check and not item.findings:
            _put(item, as_json)
        if not as_json:
            _tell(item, check)
    if as_json:
        common.print_json(_document(done, check))
    if any(item.findings for item in done):
        return common.BAD_INPUT
    return common.FINDINGS if check and any(item.changed for item in done) else common.OK


@dataclass
class _Done:
    """A file, `-` for stdin, what it is called, what it says and its canonical form; the form is
    what it says if there are findings."""

    file: str
    source: Source | None
    data: bytes
    text: str
    findings: list[Finding]

    @property
    def changed(self) -> bool:
        return not self.findings and self.text.encode() != self.data


def _one(file: str, called: str) -> _Done | None:
    """None for what has no form."""
    from kss.errors import Findings
    from kss.format import format_source, language
    from kss.source import source_of

    if called.endswith((".yaml", ".yaml.in")):
        common.note(f"{called}: left as it is")
        return None
    suffix = language(called)
    if suffix is None:
        help = "the suffix tells what it is: .psl, .edl, .cdl or .idl"
        raise common.BadInputError(f"{called} cannot be formatted\n  help: {help}")
    findings = Findings()
    data = _read(file)
    source = source_of(called, data, findings)
    text = format_source(source, suffix, findings) if source else None
    if text is None:
        return _Done(file, source, data, "", findings.items)
    return _Done(file, source, data, text, [])


def _put(item: _Done, as_json: bool) -> None:
    """Writes the form where it belongs."""
    if item.file != "-":
        if item.changed:
            _write(item.file, item.text)
    elif not as_json:
        sys.stdout.write(item.text)


def _tell(item: _Done, check: bool) -> None:
    if item.findings:
        common.tell_findings(item.findings)
        if item.source and "{%" in item.source.text:
            common.note(_BRANCHES.format(item.source.name))
    elif item.changed and check:
        lines = _diff(item)
        print("".join(lines), end="")
        if not lines:
            common.note(f"{item.file}: only line ends or the byte order mark differ")
    elif item.changed and item.file != "-":
        print(item.file)


def _document(done: list[_Done], check: bool) -> dict[str, Any]:
    """`diff` with --check, `text` of stdin without."""
    from kss.show import finding_json

    files: list[dict[str, Any]] = []
    for item in done:
        row: dict[str, Any] = {"file": item.source.name if item.source else item.file}
        row["changed"] = item.changed
        if check:
            row["diff"] = "".join(_diff(item)) if item.changed else ""
        elif item.file == "-" and not item.findings:
            row["text"] = item.text
        files.append(row)
    findings = [finding_json(found) for item in done for found in item.findings]
    ok = not findings and not (check and any(item.changed for item in done))
    return {"ok": ok, "files": files, "findings": findings}


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


def _diff(item: _Done) -> list[str]:
    """The lines of a unified diff; none if only line ends or a byte order mark differ."""
    assert item.source is not None
    name = item.source.name
    old, new = (each.splitlines(keepends=True) for each in (item.source.text, item.text))
    return [
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(old, new, name, f"{name} (formatted)")
    ]
