"""The bootable archive: everything a system needs to run, in one reproducible file.

A zip, stored, with fixed times and sorted names:

    manifest.json   format, names, tools, and the SHA-256 of every other member
    config.bin      the checked system (khs/core/config.h)
    memory.bin      initial content of memory regions
    policy.bin      policy 0; policy-1.bin ... the further ones, each with its .json map
    inputs.json     declared outside inputs, their bytes in inputs.bin
    elf/NAME.elf    the program of each partition, with its debug information
    machine/NAME/*  the files of a partition that is a whole machine
    report.md       what a reviewer reads
    system.toml     the effective configuration
    board.toml      the board's file

Reading verifies every hash and refuses anything else, with the member at fault.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from khs.config.model import Arch
from khs.errors import ImageError
from khs.image import configbin
from khs.image.devices import BUSES
from khs.image.lines import in_order

FORMAT = 3
#: Largest archive and member that are read.
MAX_SIZE = 1 << 30
_MANIFEST = "manifest.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_REQUIRED = ("config.bin", "memory.bin", "policy.bin", "policy.json", "inputs.json", "inputs.bin",
             "report.md", "system.toml", "board.toml")  # fmt: skip

#: (tick, input number of config.bin, bytes)
Stamped = tuple[int, int, bytes]


@dataclass(frozen=True)
class Archive:
    """A built system. `members` are the files of the archive but for the manifest; `manifest`
    is what `build` wrote about them."""

    manifest: Mapping[str, Any]
    members: Mapping[str, bytes]

    @property
    def config(self) -> bytes:
        """config.bin"""
        return self.members["config.bin"]

    def reserving(self, state: int) -> Archive:
        """The same with room for `state` bytes of state of a policy that comes later."""
        config = configbin.with_policy_state(self.config, state)
        return Archive(self.manifest, {**self.members, "config.bin": config})

    @property
    def memory(self) -> bytes:
        """memory.bin"""
        return self.members["memory.bin"]

    @property
    def policy(self) -> bytes:
        """policy.bin, the policy in force at the start."""
        return self.members["policy.bin"]

    @property
    def policies(self) -> tuple[bytes, ...]:
        """Every policy by number; 0 is `policy`."""
        return tuple(self.members[f"{stem}.bin"] for stem in self._policy_stems)

    @property
    def policy_map(self) -> dict[str, Any]:
        """Names and places of policy 0: classes, rules, bindings."""
        return self.policy_maps[0]

    @cached_property
    def policy_maps(self) -> tuple[dict[str, Any], ...]:
        """The maps of all policies, by number."""
        return tuple(json.loads(self.members[f"{stem}.json"]) for stem in self._policy_stems)

    @property
    def _policy_stems(self) -> list[str]:
        count = sum(name.startswith("policy-") and name.endswith(".bin") for name in self.members)
        return ["policy", *(f"policy-{number}" for number in range(1, count + 1))]

    @property
    def elfs(self) -> dict[str, bytes]:
        """The ELF of each partition, by name."""
        return {
            name[len("elf/") : -len(".elf")]: data
            for name, data in self.members.items()
            if name.startswith("elf/")
        }

    @property
    def report(self) -> str:
        """report.md"""
        return self.members["report.md"].decode()

    @property
    def document(self) -> str:
        """The effective configuration, system.toml."""
        return self.members["system.toml"].decode()

    @property
    def board(self) -> str:
        """board.toml, the file of the board it was built for."""
        return self.members["board.toml"].decode()

    @cached_property
    def inputs(self) -> list[Stamped]:
        """Declared outside inputs in the order in which they become visible."""
        data = self.members["inputs.bin"]
        return [
            (row["tick"], row["input"], data[row["offset"] : row["offset"] + row["size"]])
            for row in json.loads(self.members["inputs.json"])
        ]

    @property
    def names(self) -> dict[str, Any]:
        """Names of the kernel's numbers, as trace files carry them."""
        return cast(dict[str, Any], self.manifest["names"])

    @property
    def machines(self) -> dict[str, Any]:
        """The machines of partitions of kind "board", by partition: khs/image/machines.py."""
        return cast(dict[str, Any], self.manifest.get("machines", {}))

    @cached_property
    def data(self) -> bytes:
        """The bytes of the archive file."""
        content = {**self.members, _MANIFEST: encode_json(self.manifest)}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(content):
                info = zipfile.ZipInfo(name, _EPOCH)
                info.create_system = 3
                info.external_attr = 0o644 << 16
                archive.writestr(info, content[name])
        return buffer.getvalue()

    @cached_property
    def sha256(self) -> str:
        """Hash of the archive file."""
        return hashlib.sha256(self.data).hexdigest()

    def write(self, path: Path | str) -> tuple[Path, ...]:
        """Writes the archive file, and the report beside it as `*.report.md`, into folders that
        are made if need be. Returns what is new: folders, archive, report; ImageError if it
        cannot be written."""
        path = Path(path)
        report = path.with_suffix(".report.md")
        made = [each for each in reversed(path.parents) if not each.exists()]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.data)
            report.write_text(self.report, encoding="utf-8")
        except OSError as error:
            place = error.filename or path  # a device that is full has no name
            raise ImageError(f"{place}: cannot be written: {error.strerror}") from error
        return (*made, path, report)

    @classmethod
    def read(cls, path: Path | str) -> Archive:
        """Reads and verifies an archive file; ImageError says what is wrong with it."""
        path = Path(path)
        try:
            if path.stat().st_size > MAX_SIZE:
                raise ImageError(f"{path}: larger than any archive ({MAX_SIZE} bytes)")
            data = path.read_bytes()
        except OSError as error:
            raise ImageError(f"{path}: cannot be read: {error.strerror}") from error
        return cls.from_bytes(data, str(path))

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "archive") -> Archive:
        """Verifies an archive; `name` is how messages call it."""
        members = _members(data, name)
        manifest = _manifest(members.pop(_MANIFEST, None), name)
        archive = cls(manifest, members)
        _verify(archive, name)
        if archive.data != data:
            raise _damaged(name, "its members are right, but it holds more than them")
        return archive


def encode_json(value: object) -> bytes:
    """One text for one value."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    return text.encode() + b"\n"


def describe_members(members: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """What a manifest says about each member."""
    return {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in sorted(members.items())
    }


def hash_all(described: Mapping[str, Mapping[str, Any]]) -> str:
    """One hash over every member: of the lines `sha256  name`, as sha256sum prints them."""
    lines = "".join(f"{row['sha256']}  {name}\n" for name, row in sorted(described.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def encode_inputs(inputs: Sequence[Stamped]) -> tuple[bytes, bytes]:
    """inputs.json and inputs.bin."""
    rows, data = [], bytearray()
    for tick, number, content in inputs:
        rows.append({"tick": tick, "input": number, "offset": len(data), "size": len(content)})
        data += content
    return encode_json(rows), bytes(data)


# ---- reading ---------------------------------------------------------------


def _damaged(name: str, what: str) -> ImageError:
    return ImageError(
        f"{name}: the archive is damaged: {what}\n  help: build it again with khs build"
    )


def _members(data: bytes, name: str) -> dict[str, bytes]:
    if data[:4] != b"PK\x03\x04":
        raise ImageError(
            f"{name}: this is no KHS archive\n"
            "  help: give a folder with system.toml, or what khs build wrote"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > len(data):
                raise _damaged(name, "its members are larger than itself")
            return {entry.filename: archive.read(entry) for entry in entries}
    except ImageError:
        raise
    except Exception as error:  # zipfile answers damage with many kinds of exceptions
        raise _damaged(name, str(error) or type(error).__name__) from error


def _manifest(data: bytes | None, name: str) -> dict[str, Any]:
    if data is None:
        raise _damaged(name, f"{_MANIFEST} is missing")
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _damaged(name, f"{_MANIFEST}: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("kind") != "khs-archive":
        raise _damaged(name, f"{_MANIFEST} is no manifest")
    if manifest.get("format") != FORMAT:
        raise ImageError(
            f"{name}: archive format {manifest.get('format')}, this KHS reads format {FORMAT}\n"
            "  help: build it again with khs build"
        )
    return manifest


def _verify(archive: Archive, name: str) -> None:
    """Every member is there, as the manifest describes it, and nothing else."""
    described = archive.manifest.get("members")
    found = describe_members(archive.members)
    if not isinstance(described, dict):
        raise _damaged(name, f"{_MANIFEST} lists no members")
    for member in sorted({*described, *found, *_REQUIRED}):
        if member not in found:
            raise _damaged(name, f"{member} is missing")
        if member not in described:
            raise _damaged(name, f"{member} is not in the manifest")
        if described[member] != found[member]:
            raise _damaged(name, f"{member} is not what the manifest's hash covers")
    if archive.manifest.get("sha256") != hash_all(found):
        raise _damaged(name, f"{_MANIFEST}: the hash over all members is wrong")
    _verify_json(archive, name)


def _verify_json(archive: Archive, name: str) -> None:
    """The documents have the shape their readers rely on; a hash alone says who wrote them not."""
    member = "inputs.json"
    try:
        size = len(archive.members["inputs.bin"])
        for row in json.loads(archive.members[member]):
            numbers = [row[key] for key in ("tick", "input", "offset", "size")]
            if not all(type(number) is int and 0 <= number < 1 << 56 for number in numbers):
                raise ValueError("a number is out of range")
            if row["offset"] + row["size"] > size:
                raise ValueError("an input lies outside inputs.bin")
        for stem in archive._policy_stems:
            member = f"{stem}.json"
            if f"{stem}.bin" not in archive.members:
                raise ValueError(f"{stem}.bin is missing")
            if not isinstance(json.loads(archive.members[member]), dict):
                raise ValueError("not an object")
        for member in ("report.md", "system.toml", "board.toml"):
            archive.members[member].decode()
        member = _MANIFEST
        _verify_manifest(archive.manifest)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(name, f"{member}: {error}") from error


def _verify_manifest(manifest: Mapping[str, Any]) -> None:
    for key in ("system", "board", "arch"):
        if not isinstance(manifest[key], str):
            raise ValueError(f"{key} is no text")
    in_order(manifest["trusted_lines"])
    if manifest["arch"].upper() not in Arch.__members__:
        raise ValueError("arch is none that there is")
    run = manifest["run"]
    numbers = (manifest["clock_hz"], manifest["names"]["clock_hz"], run["frames"], run["seed"])
    if not all(type(number) is int and 0 <= number < 1 << 63 for number in numbers):
        raise ValueError("clock_hz, frames and seed are no counts")
    if 0 in numbers[:3]:
        raise ValueError("clock_hz and frames are not 0")
    limit, patience = run["audit_limit"], run["audit_patience"]
    if run["audit_on_full"] not in ("stop", "count") or not (limit is None or type(limit) is int):
        raise ValueError("audit_on_full is neither stop nor count, or audit_limit no count")
    if type(patience) is not int or patience < 0:
        raise ValueError("audit_patience is no count")
    _verify_names(manifest["names"])
    _verify_devices(manifest.get("devices", []))
    machines = manifest.get("machines", {})
    if not isinstance(machines, dict) or not {*machines} <= {*manifest["names"]["partitions"]}:
        raise ValueError("machines are not those of partitions")
    partitions = manifest["names"]["partitions"]
    if sorted(manifest["partitions"]) != sorted(partitions):
        raise ValueError("partitions are not those of names.partitions")
    for name in partitions:
        about = manifest["partitions"][name]
        texts = [about["sha256"], *about["devices"]]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"sha256 and devices of partition {name} are no texts")


def _verify_devices(devices: Any) -> None:
    keys = ("partition", "address", "physical", "size", "irq")
    for device in devices:
        numbers = [*(device[key] for key in keys), *device["lines"]]
        if not all(type(number) is int for number in numbers) or device["bus"] not in BUSES:
            raise ValueError("a device is described with what are no numbers")


def _verify_names(names: Any) -> None:
    for key in ("partitions", "schedules", "channels", "inputs", "policies", "regions"):
        if not all(isinstance(text, str) for text in names[key]):
            raise ValueError(f"names.{key} are no texts")
    if not all(isinstance(text, str) for ports in names["ports"] for text in ports):
        raise ValueError("names.ports are no texts")
