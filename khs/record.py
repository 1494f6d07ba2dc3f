"""Recordings: `khs run --record DIR` keeps what a run depends on, `khs replay` runs it again.

    run.json         frames, seed, policies from outside, models in Python, CAN buses, versions,
                     the hash of every other file, and what the run came to: hashes of its trace,
                     null if it did not get that far
    system.khs       the archive that ran
    inputs.json      tick, number of the input, offset and size of each, bytes in inputs.bin
    changes.json     what a debugger wrote, see khs/debug/changes.py
    policy-at-N.bin  policies of --policy-at by frame, each with its .json map

Nothing of what the run did is kept: these files make it again, event by event, without what they
came from. `run.json` is written last, and in the place of the one before in one step; it is there
before the run begins unless inputs come during the run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import khs
from khs.debug.changes import decode, encode
from khs.engine.changes import Change
from khs.engine.native import LIBRARY
from khs.engine.result import Result
from khs.errors import KhsError, shown
from khs.hil import kept
from khs.image import Archive
from khs.image.archive import Stamped, encode_inputs, encode_json
from khs.swaps import Swap
from khs.trace import events

FORMAT = 5
_KIND = "khs-recording"
_RUN, _SYSTEM, _INPUTS, _BYTES = "run.json", "system.khs", "inputs.json", "inputs.bin"
_CHANGES = "changes.json"
_HELP = "help: a folder that khs run --record wrote"


@dataclass(frozen=True)
class Source:
    """The description that a recorded system was built from, to compile policies for it: a
    document, a board instead of its own, and documents over it."""

    system: Path
    board: str | None = None
    overlays: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        layers = [str(path.absolute()) for path in self.overlays]
        return {"system": str(self.system.absolute()), "board": self.board, "with": layers}


@dataclass(frozen=True)
class Recording:
    """A recorded run. `trace_sha256`: what a replay is to come to; None if the run did not end, or
    was interrupted under a debugger that wrote to it."""

    folder: Path
    about: Mapping[str, Any]
    archive: Archive
    inputs: list[Stamped]
    swaps: tuple[Swap, ...]
    changes: tuple[Change, ...] = ()

    @property
    def _result(self) -> Mapping[str, Any]:
        return self.about["result"] or {}

    @property
    def frames(self) -> int:
        """Frames to run: those that were to be run, of an interrupted run those it completed."""
        done = self._result["frames"] if self.interrupted else self.about["frames"]
        return max(int(done), 1)

    @property
    def done(self) -> int:
        """Frames that an interrupted run completed."""
        return int(self._result["frames"])

    @property
    def models(self) -> Mapping[str, Mapping[str, str]]:
        """Models in Python, see khs.hil.kept."""
        return dict(self.about["models"])

    @property
    def seed(self) -> int:
        return int(self.about["seed"])

    @property
    def can(self) -> Mapping[str, str]:
        """Names of CAN buses by PARTITION.DEVICE."""
        return dict(self.about["can"])

    @property
    def interrupted(self) -> bool:
        return bool(self._result.get("interrupted"))

    @property
    def until(self) -> int | None:
        """The tick where the run was interrupted; None if it was not."""
        return int(self._result["ticks"]) if self.interrupted else None

    @property
    def trace_sha256(self) -> str | None:
        lost = self.interrupted and self.changes
        return None if lost else self._result.get("trace_sha256")

    @property
    def partitions(self) -> Mapping[str, str]:
        """Hashes of what each partition could observe."""
        return dict(self._result.get("partitions", {}))

    @property
    def trace(self) -> Path | None:
        """The trace file that the run wrote as well, if it is where it was."""
        name = self.about["trace"]
        path = None if name is None else self.folder / name
        return path if path is not None and path.is_file() else None

    @property
    def source(self) -> Source | None:
        """What the system was built from, None if it was an archive."""
        row = self.about["source"]
        if row is None:
            return None
        return Source(Path(row["system"]), row["board"], tuple(map(Path, row["with"])))

    def other_versions(self) -> list[str]:
        """What was another when it was recorded: `khs 0.1.0, here 0.2.0`."""
        here = versions()
        told = self.about["versions"]
        return [f"{key} {told.get(key)}, here {here[key]}" for key in here
                if told.get(key) != here[key]]  # fmt: skip


def versions() -> dict[str, str]:
    """What a run depends on beside its recording."""
    kernel = hashlib.sha256(LIBRARY.read_bytes()).hexdigest()[:16]
    return {
        "khs": khs.__version__,
        "kernel": kernel,
        "unicorn": metadata.version("unicorn"),
        "trace": str(events.VERSION),
    }


# ---- writing ---------------------------------------------------------------


def prepare(folder: Path) -> None:
    """Makes the folder of a recording; KhsError if it cannot be, or holds something."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise KhsError(f"{shown(folder)} is not empty\n  help: a new folder for each recording")
    except OSError as error:
        raise KhsError(f"{shown(folder)}: cannot be made: {error.strerror}") from error


class Recorder:
    """Writes the recording of one run into a prepared folder. KhsError if it cannot."""

    def __init__(
        self,
        folder: Path,
        archive: Archive,
        *,
        frames: int,
        seed: int,
        swaps: Sequence[Swap],
        trace: Path | None,
        source: Source | None,
        live: bool,
        models: Mapping[str, str] | None = None,
        can: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._hashes: dict[str, str] = {}
        self._about = {
            "kind": _KIND,
            "format": FORMAT,
            "system": archive.manifest["system"],
            "board": archive.manifest["board"],
            "engine": "unicorn",
            "frames": frames,
            "seed": seed,
            "policy_at": [_about_swap(swap) for swap in swaps],
            "can": dict(can or {}),
            "versions": versions(),
            "trace": None if trace is None else _relative(trace, folder),
            "source": None if source is None else source.to_json(),
            "models": kept.keep(models or {}),
            "result": None,
        }
        self._put(_SYSTEM, archive.data)
        for swap in swaps:
            self._put(f"{_stem(swap.frame)}.bin", swap.binary)
            self._put(f"{_stem(swap.frame)}.json", encode_json(swap.map))
        if not live:  # all that will come is known
            self._end(archive.inputs)

    def end(
        self,
        result: Result,
        inputs: Sequence[Stamped],
        changes: Sequence[Change] = (),
        frames: int | None = None,
    ) -> None:
        """What came of the run, and all that came from outside, and from a debugger. `frames`:
        after so many it was ended from outside."""
        if frames is not None:
            self._about["frames"] = frames
        self._about["result"] = {
            "frames": result.frames,
            "ticks": result.ticks,
            "interrupted": result.interrupted,
            "trace_sha256": result.trace_sha256,
            "partitions": {name: row.trace_sha256 for name, row in result.partitions.items()},
        }
        self._end(inputs, changes)

    def _end(self, inputs: Sequence[Stamped], changes: Sequence[Change] = ()) -> None:
        rows, data = encode_inputs(sorted(inputs, key=lambda row: row[0]))
        self._put(_INPUTS, rows)
        self._put(_BYTES, data)
        self._put(_CHANGES, encode(changes))
        about = {**self._about, "files": dict(self._hashes)}
        self._put(_RUN, encode_json({**about, "sha256": _own_hash(about)}))

    def _put(self, name: str, data: bytes) -> None:
        """A whole file or none: whoever is killed meanwhile leaves the one before."""
        digest = hashlib.sha256(data).hexdigest()
        if self._hashes.get(name) == digest:
            return
        path, part = self._folder / name, self._folder / f"{name}.part"
        try:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            raise KhsError(f"{shown(path)}: cannot be written: {error.strerror}") from error
        if name != _RUN:
            self._hashes[name] = digest


def _stem(frame: int) -> str:
    return f"policy-at-{frame}"


def _about_swap(swap: Swap) -> dict[str, Any]:
    file = None if swap.file is None else str(swap.file)
    return {"frame": swap.frame, "name": swap.name, "file": file}


def _relative(trace: Path, folder: Path) -> str:
    """A trace in the folder goes where the folder goes."""
    whole, home = trace.absolute(), folder.absolute()
    return str(whole.relative_to(home) if whole.is_relative_to(home) else whole)


def _own_hash(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(encode_json(about)).hexdigest()


# ---- reading ---------------------------------------------------------------


def read(folder: Path) -> Recording:
    """Reads and verifies a recording; KhsError names the file that is missing or damaged."""
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "there is no such folder"
        raise KhsError(f"{shown(folder)}: {what}\n  {_HELP}")
    about = _about(folder / _RUN)
    files = {name: _file(folder / name, digest) for name, digest in about["files"].items()}
    archive = Archive.from_bytes(files[_SYSTEM], shown(folder / _SYSTEM))
    swaps = tuple(_swap(row, files) for row in about["policy_at"])
    try:
        inputs = [_row(row, files[_BYTES]) for row in json.loads(files[_INPUTS])]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(folder / _INPUTS, _words(error)) from error
    arch, names = str(archive.manifest["arch"]), archive.names["partitions"]
    try:
        changes = decode(files[_CHANGES], arch, len(names))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(folder / _CHANGES, _words(error)) from error
    return Recording(folder, about, archive, inputs, swaps, changes)


def _damaged(path: Path, what: str) -> KhsError:
    return KhsError(
        f"{shown(path)}: the recording is damaged: {what}\n  help: record the run again"
    )


def _words(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _about(path: Path) -> dict[str, Any]:
    """run.json, as `Recorder` wrote it."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        missing = f"{shown(path.parent)} is no recording, or one of a run that did not end"
        raise KhsError(f"{missing}: there is no {_RUN}\n  {_HELP}") from error
    except OSError as error:
        raise KhsError(f"{shown(path)}: cannot be read: {error.strerror}") from error
    try:
        about = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(about, dict) or about.get("kind") not in (_KIND, "khs-record"):
        raise KhsError(f"{shown(path)}: this is not of a recording\n  {_HELP}")
    if about.get("format") != FORMAT:
        raise KhsError(
            f"{shown(path)}: recording format {about.get('format')}, this khs reads {FORMAT}\n"
            "  help: record the run again"
        )
    if about.pop("sha256", None) != _own_hash(about):
        raise _damaged(path, "its hash is not what it says itself")
    try:
        _check(about)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, _words(error)) from error
    return about


def _check(about: Mapping[str, Any]) -> None:
    """ValueError and the like unless everything has the shape that `Recorder` gives it."""
    _want(all(_count(about[key]) for key in ("frames", "seed")), "frames and seed are no counts")
    _want(about["trace"] is None or isinstance(about["trace"], str), "trace is no path")
    _texts(about["versions"], "versions")
    kept.check(about["models"])
    _texts(about["can"], "can")
    files = {_SYSTEM, _INPUTS, _BYTES, _CHANGES}
    for row in about["policy_at"]:
        _want(_count(row["frame"]) and isinstance(row["name"], str), "policy_at has no policy")
        _want(isinstance(row["file"], str | None), "policy_at has no path")
        files |= {f"{_stem(row['frame'])}.bin", f"{_stem(row['frame'])}.json"}
    _texts(about["files"], "files")
    _want(set(about["files"]) == files, f"files are not {', '.join(sorted(files))}")
    source, result = about["source"], about["result"]
    if source is not None:
        paths = [source["system"], *source["with"], source["board"] or ""]
        _want(all(isinstance(path, str) for path in paths), "source has no paths")
    if result is not None:
        for key in ("frames", "ticks"):
            _want(_count(result[key]), f"result.{key} is no count")
        _want(isinstance(result["interrupted"], bool), "result.interrupted is no bool")
        _want(isinstance(result["trace_sha256"], str), "result.trace_sha256 is no text")
        _texts(result["partitions"], "result.partitions")


def _want(fine: bool, what: str) -> None:
    if not fine:
        raise ValueError(what)


def _count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 56


def _texts(table: Any, name: str) -> None:
    fine = isinstance(table, dict) and all(isinstance(text, str) for text in table.values())
    _want(fine, f"{name} are no texts")


def _file(path: Path, digest: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _damaged(path, f"cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise _damaged(path, f"its hash is not the one in {_RUN}")
    return data


def _swap(row: Mapping[str, Any], files: Mapping[str, bytes]) -> Swap:
    stem = _stem(row["frame"])
    try:
        names = json.loads(files[f"{stem}.json"])
    except (ValueError, RecursionError):
        names = None
    known = names if isinstance(names, dict) else {}
    file = None if row["file"] is None else Path(row["file"])
    return Swap(row["frame"], row["name"], files[f"{stem}.bin"], known, file)


def _row(row: Any, data: bytes) -> Stamped:
    numbers = [row[key] for key in ("tick", "input", "offset", "size")]
    _want(all(_count(number) for number in numbers), "a number is out of range")
    tick, target, offset, size = numbers
    _want(offset + size <= len(data), f"an input lies outside {_BYTES}")
    return tick, target, data[offset : offset + size]
