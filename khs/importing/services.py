"""Kernel services that the scaffolded programs ask for, and the policy denies.

A policy of KasperskyOS knows nothing of them: a process there has no mode, and prints otherwise.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from khs.importing.notes import Notes
from khs.importing.wiring import Wiring
from khs.monitor.files import Policy
from khs.monitor.services import CONSOLE_WRITE, MODE_SET, refusals

_WITHOUT = {
    MODE_SET: "its periods never begin, and it does nothing",
    CONSOLE_WRITE: "how its questions come out is not seen",
}


def tell_denied(
    wiring: Wiring, policy: Policy, root: Path, given: Container[str], notes: Notes
) -> None:
    """Notes what is denied to which class, and the rules that would grant it; `root` is the
    folder of the system, `given` are programs that are no scaffolds."""
    denied = {call: refusals(policy, call, root) for call in _WITHOUT}
    for partition in wiring.partitions:
        entity = partition.entity
        if partition.program in given:
            continue
        calls = [MODE_SET, *([CONSOLE_WRITE] if wiring.asked_by(entity) else [])]
        for refusal, call in ((denied[call].get(entity.name), call) for call in calls):
            if refusal is None:
                continue
            why = f" by {refusal.denied_by}" if refusal.denied_by else ""
            notes.denied[refusal.rule] = (
                f"{entity.name} never gets {refusal.service}{why}: {_WITHOUT[call]}"
            )
