"""The policies of a trace with their texts, which a trace does not hold: those of the system it was
recorded from, and those that `--policy-at` gave to the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from khs import config, monitor
from khs.config.model import System
from khs.errors import KhsError, shown
from khs.image import load_policy
from khs.image.open import is_description
from khs.monitor import MonitorPolicy
from khs.swaps import parse

_HELP = "help: khs explain FOLDER TRACE N, with the folder that the system was built from"


def of_run(
    header: Mapping[str, Any], place: Path, overlays: Sequence[Path], swaps: Sequence[str]
) -> Recorded:
    """The policies of a run: `place` is the document that its system was built from, or an archive.
    KhsError if there are no texts, or no longer."""
    if not is_description(place):
        raise KhsError(f"an archive has its policies compiled, without their text\n  {_HELP}")
    if not place.is_file():
        raise KhsError(f"{shown(place)}: the policies' texts were there, and are gone\n  {_HELP}")
    board = str(header["manifest"]["board"])
    return Recorded(config.load(place, overlays=overlays, board=board), header, swaps)


class Recorded:
    """The policies of a trace, by number. `header` is that of the trace, `swaps` are the
    FRAME=FILE of its run."""

    def __init__(self, system: System, header: Mapping[str, Any], swaps: Sequence[str]) -> None:
        """KhsError if a text is no FRAME=FILE."""
        self._system = system
        maps, names = header.get("policies"), header.get("names")
        self._maps = maps if isinstance(maps, list) else []
        self._names = names.get("policies") if isinstance(names, dict) else None
        self._files = [parse(text)[1] for text in swaps]

    def __call__(self, number: int) -> MonitorPolicy:
        """KhsError if the text of the policy is not at hand, or is another one by now."""
        recorded = self._maps[number] if number < len(self._maps) else None
        wanted = recorded.get("sha256") if isinstance(recorded, dict) else None
        name = self._name(number)
        tried = []
        for policy in self._candidates(number, name):
            if sha256(policy.binary).hexdigest() == wanted:
                return policy
            tried.append(policy.name)
        if not tried:
            raise KhsError(
                f"the policy {name} took effect before that verdict, and the system has none such\n"
                f"  help: name its file as in the run: --policy-at FRAME={name}.psl"
            )
        raise KhsError(
            f"the trace was not recorded with the policy {' or '.join(tried)} of this system\n"
            "  help: was it changed since, or a --with left out?"
        )

    def _name(self, number: int) -> str:
        names = self._names if isinstance(self._names, list) else []
        return str(names[number]) if number < len(names) else f"number {number}"

    def _candidates(self, number: int, name: str) -> Iterator[MonitorPolicy]:
        system = self._system
        if number == 0:
            yield monitor.load(system)
            return
        if name in system.policies:
            yield monitor.load_file(system, system.policies[name], name)
        for file in self._files:
            if file not in system.policies:
                yield load_policy(system, Path(file).resolve(), Path(file).stem)
