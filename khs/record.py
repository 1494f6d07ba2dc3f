"""What came from outside in a run, with its ticks: `khs run --record DIR` and `--replay DIR`.

    run.json      the system, its archive's hash, frames, seed, and the hash of the run's trace,
                  null if it was interrupted
    inputs.json   tick, number of the input, offset and size of each, bytes in inputs.bin

The archive and these inputs make the run again, event by event, without what they came from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from khs.engine.result import Result
from khs.errors import KhsError, shown
from khs.image import Archive
from khs.image.archive import Stamped, encode_inputs, encode_json

FORMAT = 1


@dataclass(frozen=True)
class Record:
    """A run that was recorded."""

    about: dict[str, Any]
    inputs: list[Stamped]

    @property
    def frames(self) -> int:
        return int(self.about["frames"])

    @property
    def trace_sha256(self) -> str | None:
        found = self.about["trace_sha256"]
        return None if found is None else str(found)

    def check(self, archive: Archive) -> None:
        """KhsError unless it is a run of that archive."""
        if self.about["archive"] != archive.manifest["sha256"]:
            raise KhsError(
                f"the record is of another build of {self.about['system']}, so it would tell "
                "nothing\n  help: the archive or the sources that it was recorded with"
            )


def prepare(folder: Path) -> None:
    """Makes the folder of a record; KhsError if it cannot be, or holds something."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise KhsError(f"{shown(folder)} is not empty\n  help: a new folder for each record")
    except OSError as error:
        raise KhsError(f"{shown(folder)}: cannot be made: {error.strerror}") from error


def write(folder: Path, archive: Archive, result: Result, inputs: Sequence[Stamped]) -> None:
    """Writes a record into a prepared folder."""
    rows, data = encode_inputs(inputs)
    about = {
        "kind": "khs-record",
        "format": FORMAT,
        "system": result.system,
        "archive": archive.manifest["sha256"],
        "frames": result.frames,
        "seed": result.seed,
        "trace_sha256": None if result.interrupted else result.trace_sha256,
    }
    try:
        (folder / "inputs.json").write_bytes(rows)
        (folder / "inputs.bin").write_bytes(data)
        (folder / "run.json").write_bytes(encode_json(about))
    except OSError as error:
        raise KhsError(f"{error.filename}: cannot be written: {error.strerror}") from error


def read(folder: Path) -> Record:
    """KhsError if it is no record."""
    try:
        about = json.loads((folder / "run.json").read_bytes())
        rows = json.loads((folder / "inputs.json").read_bytes())
        data = (folder / "inputs.bin").read_bytes()
        if about["kind"] != "khs-record" or about["format"] != FORMAT:
            raise ValueError("run.json is of another kind or format")
        inputs = [_row(row, data) for row in rows]
        texts = [about["system"], about["archive"], about["trace_sha256"] or ""]
        counts = (about["frames"], about["seed"])
        if not all(type(n) is int and n >= 0 for n in counts):
            raise ValueError("run.json: frames and seed are no counts")
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("run.json: system and hashes are no texts")
    except OSError as error:
        what = f"{error.filename}: {error.strerror}"
        raise KhsError(f"{shown(folder)} is no record: {what}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KhsError(f"{shown(folder)} is no record: {error}") from error
    return Record(about, inputs)


def _row(row: Any, data: bytes) -> Stamped:
    numbers = [row[key] for key in ("tick", "input", "offset", "size")]
    if not all(type(number) is int and 0 <= number < 1 << 56 for number in numbers):
        raise ValueError("inputs.json: a number is out of range")
    tick, target, offset, size = numbers
    if offset + size > len(data):
        raise ValueError("inputs.json: an input lies outside inputs.bin")
    return tick, target, data[offset : offset + size]
