"""Policies from outside that replace the one in force while a system runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from khs import config, monitor
from khs.errors import KhsError
from khs.image import Archive, load_policy
from khs.image.open import find_system, is_description

_MAGIC = b"KSSP"  # of policy.bin


@dataclass(frozen=True)
class Swap:
    """A policy from outside that comes into force at the beginning of major frame `frame`. `file`:
    where its text is, None if it came compiled or is the system's own."""

    frame: int
    name: str
    binary: bytes
    map: Mapping[str, Any]
    file: Path | None = None

    def __str__(self) -> str:
        """As on the command line."""
        return f"--policy-at {self.frame}={self.name}"

    @cached_property
    def state(self) -> int:
        """Bytes of state that it needs."""
        return monitor.state_size(self.binary)


def read_swaps(
    texts: Sequence[str],
    archive: Archive,
    system: str,
    *,
    board: str | None,
    overlays: Sequence[Path],
) -> list[Swap]:
    """The policies of `--policy-at FRAME=FILE`: a PSL file, a compiled policy (`policy.bin` of an
    archive of the system, with its map beside it), or a policy of the archive by name.

    `system` is the argument the archive was opened from: a PSL file is compiled for it. A compiled
    policy goes to the kernel as it is, which verifies it. Raises KhsError.
    """
    swaps = [
        read_policy(f"--policy-at {text}", *parse(text), archive, system, board, overlays)
        for text in texts
    ]
    frames = [swap.frame for swap in swaps]
    if len(set(frames)) != len(frames):
        raise KhsError("--policy-at: two policies cannot come into force at the same frame")
    return swaps


def parse(text: str) -> tuple[int, str]:
    """Frame and file of FRAME=FILE. KhsError."""
    number, _, name = text.partition("=")
    if not number.isdecimal() or int(number) < 1 or not name:
        raise KhsError(f"--policy-at {text}: want FRAME=FILE with a frame from 1 on")
    return int(number), name


def read_policy(
    option: str,
    frame: int,
    name: str,
    archive: Archive,
    system: str | None,
    board: str | None,
    overlays: Sequence[Path],
) -> Swap:
    """The policy that `option` names, see `read_swaps`. Without `system` none can be compiled."""
    known = archive.names["policies"]
    if name in known:
        number = known.index(name)
        return Swap(frame, name, archive.policies[number], archive.policy_maps[number])
    path = Path(name)
    if not path.is_file():
        raise KhsError(
            f"{option}: there is no such file, and no such policy in the system\n"
            f"  help: policies of the system: {', '.join(known)}"
        )
    if binary := _compiled(path, option):
        return Swap(frame, path.stem, binary, _map(path.with_suffix(".json"), binary))
    source = None if system is None else find_system(system)
    if source is None or not is_description(source):
        raise KhsError(
            f"{option}: a policy is compiled for a system's folder, not for an archive\n"
            "  help: give the folder with system.toml, or a policy of kss compile"
        )
    described = config.load(source, overlays=overlays, board=board)
    policy = load_policy(described, path.resolve(), path.stem)
    return Swap(frame, policy.name, policy.binary, policy.map, path.absolute())


def _compiled(path: Path, option: str) -> bytes:
    """The bytes of a compiled policy, b"" if the file is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise KhsError(f"{option}: cannot be read: {error.strerror}") from None
    return data if data.startswith(_MAGIC) else b""


def _map(path: Path, binary: bytes) -> dict[str, Any]:
    """The names behind a compiled policy's numbers; none if the file is not there, or is no map or
    that of another policy."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    own = isinstance(found, dict) and found.get("sha256") == sha256(binary).hexdigest()
    return found if own else {}
