"""kss audit verify, kss audit show"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from kss.cli import common, options

File: TypeAlias = Annotated[Path, typer.Argument(metavar="FILE", help="The audit trail.")]


def verify(
    file: File,
    head: Annotated[
        str, typer.Option(metavar="HASH", help="A record with this hash must be in it.")
    ] = "",
    as_json: options.Json = False,
) -> int:
    """Check that no record of an audit trail was changed, taken out, put in or moved.

    Records cut off at the end are only noticed against a note kept elsewhere: the hash of the last
    record, which this command and `khs run --audit` print. A last line that a crash cut short is
    no finding; the next run takes it off and says so. Exits 1 if the chain is broken, and for a
    file without a record.

        kss audit verify audit.jsonl
        kss audit verify audit.jsonl --head 3f9c...
    """
    from kss.trail import verify as check

    try:
        checked = check(file, head)
    except OSError as error:
        raise _unreadable(file, error) from None
    if as_json:
        document = {
            "ok": checked.ok,
            "records": checked.records,
            "head": checked.head,
            "torn": checked.torn,
            "line": checked.line or None,
            "message": checked.message,
        }
        common.print_json(document)
    else:
        print(f"{checked.records} records, head {checked.head}")
        if checked.torn:
            print(f"{checked.torn} bytes of a record follow that was not completed")
        if not checked.ok:
            print(f"{file}:{checked.line}: {checked.message}")
    return common.OK if checked.ok else common.FINDINGS


def show(
    file: File,
    denied: Annotated[bool, typer.Option("--denied", help="Denials only.")] = False,
    as_json: options.Json = False,
) -> int:
    """Print the records of an audit trail, up to the first that does not verify.

    With --json, each record as a line of JSON. Exits 1 if the chain is broken.

        kss audit show audit.jsonl
        kss audit show audit.jsonl --denied --json
    """
    from kss.trail.chain import ChainError, read
    from kss.trail.text import line

    try:
        for record in read(file):
            if denied and record.get("decision") != "denied":
                continue
            if as_json:
                common.print_line(record)
            else:
                print(line(record))
    except ChainError as error:
        common.note(f"error: {error}")
        return common.FINDINGS
    except BrokenPipeError:  # `kss audit show FILE | head`, see common.command
        raise
    except OSError as error:
        raise _unreadable(file, error) from None
    return common.OK


def _unreadable(file: Path, error: OSError) -> common.BadInputError:
    return common.BadInputError(f"cannot read {file}: {error.strerror or error}")
