"""A compiled policy as a file: is it sound, what is in it, and the names beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from kss.binary import CHECKSUM, VERSION, Image, format_of, read, seal
from kss.compiler import class_hash
from kss.errors import KssError
from kss.vm import LibraryMissingError, state_size


@dataclass(frozen=True, slots=True)
class Class:
    """A class by its number. `name` is "" if the policy has none that gives this hash."""

    hash: int
    name: str


@dataclass(frozen=True)
class Compiled:
    """What is to be said of a policy.bin. `refused` is why it is not sound, "" if it is: without
    that nothing below `sha256` is known. `names` is the file with the names of rules if `named`,
    else why there is none."""

    path: Path
    size: int
    sha256: str
    format: int | None = None
    refused: str = ""
    checksum: int = 0
    state: int = 0
    max_sids: int = 0
    rules: int = 0
    classes: tuple[Class, ...] = ()
    objects: tuple[dict[str, Any], ...] = ()
    named: bool = False
    names: str = ""

    def to_json(self) -> dict[str, Any]:
        """The document of `kss verify --json`."""
        told = {"policy": str(self.path), "ok": not self.refused, "reason": self.refused or None}
        known = {"format": self.format, "bytes": self.size, "sha256": self.sha256}
        if self.refused:
            return told | known
        return {
            **told,
            **known,
            "checksum": f"{self.checksum:08x}",
            "state_bytes": self.state,
            "max_sids": self.max_sids,
            "rules": self.rules,
            "classes": [{"name": c.name or None, "hash": f"{c.hash:016x}"} for c in self.classes],
            "objects": list(self.objects),
            "names": self.names if self.named else None,
        }


def names_file(binary: Path) -> Path:
    """Where the names of a compiled policy are looked for."""
    return binary.with_suffix(".json")


def read_names(file: Path) -> dict[str, Any] | None:
    """The names of a compiled policy (`kss.names`), None if the file holds none."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and {"sha256", "rules"} <= found.keys() else None


def look(path: Path) -> Compiled:
    """Verifies a policy.bin. Raises KssError if the file cannot be read, LibraryMissingError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise KssError(f"cannot read {path}: {error.strerror or error}") from None
    given = Compiled(path, len(data), sha256(data).hexdigest(), format_of(data))
    if why := _other(data):
        return _with(given, refused=why)
    try:
        state, image = state_size(data), read(data)
    except LibraryMissingError:
        raise
    except KssError as error:
        return _with(given, refused=str(error))
    named, names = _names(path, given.sha256)
    return _with(
        given,
        checksum=CHECKSUM.unpack(data[-CHECKSUM.size :])[0],
        state=state,
        max_sids=image.max_sids,
        rules=image.rules,
        classes=_classes(image),
        objects=_objects(image),
        named=named,
        names=names,
    )


def _other(data: bytes) -> str:
    """What is wrong before its tables are looked at, "" if nothing."""
    format = format_of(data)
    if format is None:
        return "this is no compiled policy: it does not begin with KSSP"
    if format != VERSION:
        return f"it has format {format}, this kss format {VERSION}: compile the policy again"
    size = int.from_bytes(data[8:12], "little")
    if size != len(data):
        return f"it says that it has {size} bytes, and has {len(data)}: it was cut short or joined"
    if seal(data) != data:
        return "its checksum is wrong: it was damaged"
    return ""


def _with(given: Compiled, **found: Any) -> Compiled:
    return replace(given, **found)


def _classes(image: Image) -> tuple[Class, ...]:
    known = image.symbols.get("classes")
    listed = known if isinstance(known, list) else []
    names = {class_hash(name): name for name in listed if isinstance(name, str)}
    hashes = (record.name_hash for record in image.classes)
    return tuple(Class(each, names.get(each, "")) for each in hashes)


def _objects(image: Image) -> tuple[dict[str, Any], ...]:
    known = image.symbols.get("objects")
    rows = known if isinstance(known, list) else []
    kept = (row for row in rows if isinstance(row, dict))
    return tuple({key: row.get(key) for key in ("name", "model")} for row in kept)


def _names(path: Path, digest: str) -> tuple[bool, str]:
    file = names_file(path)
    if not file.exists():
        return False, f"there is no {file}, which kss compile writes"
    found = read_names(file)
    if found is None or found["sha256"] != digest:
        return False, f"{file} is not of this policy"
    return True, str(file)
