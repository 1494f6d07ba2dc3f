"""The form of an audit trail: a record a line, each with the hash of the one before it.

A line is canonical JSON (keys sorted, no spaces, ASCII), the record's hash as its last member:

    {"decision":"denied", ... ,"prev":"<hash of the record before>","seq":7,"hash":"<hash>"}

`hash` is the SHA-256 of the canonical JSON of all other members. `seq` counts from 0; the first
record is `{"audit":1,...}` with `prev` 00...0, which tells a trail from other files. A
record that was changed, taken out, put in or moved breaks the chain. Records cut off at the end do
not: compare `head`, the hash of the last one, with a note of it that is kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kss.errors import KssError

VERSION = 1
FIRST = "0" * 64
MAGIC = b'{"audit":'
MAX_LINE = 1 << 24  # bytes; a longer one is no record
NO_RECORD = "no record is in it: this is no audit trail, or one that was emptied"
_TAIL = len(',"hash":"') + 64 + len('"}\n')


class ChainError(KssError):
    """A line is not the record that the chain has there."""


@dataclass(frozen=True, slots=True)
class Link:
    """What the next record is chained to: its number, and the hash of the last one."""

    seq: int = 0
    head: str = FIRST


@dataclass(frozen=True, slots=True)
class Checked:
    """What verification found. `records` are good, up to the one with the hash `head`; `line` (from
    1) is the first that is not, 0 if there is none. `torn` bytes follow the last line: a write that
    a crash cut short."""

    records: int
    head: str
    torn: int = 0
    line: int = 0
    message: str = ""

    @property
    def ok(self) -> bool:
        return not self.line


def canonical(record: Mapping[str, Any]) -> bytes:
    """The one way to write a record down. Raises ValueError for what JSON cannot hold."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def seal(fields: Mapping[str, Any], link: Link) -> tuple[bytes, Link]:
    """The line of the record that follows `link`, and what the next one follows."""
    body = canonical({**fields, "seq": link.seq, "prev": link.head})
    head = hashlib.sha256(body).hexdigest()
    return body[:-1] + f',"hash":"{head}"}}\n'.encode(), Link(link.seq + 1, head)


def unseal(line: bytes) -> dict[str, Any]:
    """The record in a line, which is whole and as it was written. Raises ChainError."""
    body = line[:-_TAIL] + b"}"
    head = hashlib.sha256(body).hexdigest()
    if line[-_TAIL:] != f',"hash":"{head}"}}\n'.encode():
        raise ChainError("the record is not the one that was written: its hash does not fit")
    try:
        record = json.loads(body)
        if not isinstance(record, dict) or canonical(record) != body:
            raise ValueError
    except (ValueError, RecursionError):
        raise ChainError("this is no record in canonical JSON") from None
    return {**record, "hash": head}


def follow(line: bytes, link: Link) -> tuple[dict[str, Any], Link]:
    """The record in a line, if it is the one that follows `link`. Raises ChainError."""
    record = unseal(line)
    if record.get("prev") != link.head:
        raise ChainError("the record does not follow the one before it: one was changed or taken")
    if record.get("seq") != link.seq:
        raise ChainError(f"the record has number {record.get('seq')}, {link.seq} comes next")
    if link.seq == 0 and record.get("audit") != VERSION:
        raise ChainError(f"the trail does not begin with {MAGIC.decode()}{VERSION},")
    return record, Link(link.seq + 1, record["hash"])


def lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file, the last one perhaps without its newline."""
    while line := stream.readline(MAX_LINE):
        yield line


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a trail, each verified; a torn last line is left out. Raises ChainError with
    the place of the first that is wrong, OSError if the file cannot be read."""
    link = Link()
    with path.open("rb") as stream:
        for number, line in enumerate(lines(stream), start=1):
            if not line.endswith(b"\n") and len(line) < MAX_LINE:
                break
            try:
                record, link = follow(line, link)
            except ChainError as error:
                raise ChainError(f"{path}:{number}: {error}") from None
            yield record
    if not link.seq:
        raise ChainError(f"{path}:1: {NO_RECORD}")


def verify(path: Path, head: str = "") -> Checked:
    """Checks that there are records, every one of them, and, if `head` is given, that a record has
    this hash. Raises OSError if the file cannot be read."""
    link, seen = Link(), not head
    with path.open("rb") as stream:
        for number, line in enumerate(lines(stream), start=1):
            if not line.endswith(b"\n") and len(line) < MAX_LINE:
                return _whole(link, seen, head, number, torn=len(line))
            try:
                _, link = follow(line, link)
            except ChainError as error:
                return Checked(link.seq, link.head, line=number, message=str(error))
            seen = seen or link.head == head
    return _whole(link, seen, head, link.seq + 1)


def _whole(link: Link, seen: bool, head: str, line: int, torn: int = 0) -> Checked:
    if not link.seq:
        return Checked(0, link.head, torn, 1, NO_RECORD)
    if seen:
        return Checked(link.seq, link.head, torn)
    message = f"no record has the hash {head}: the end of the trail was cut off or replaced"
    return Checked(link.seq, link.head, torn, line, message)
