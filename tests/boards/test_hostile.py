"""The hostile partition on emulated boards: what the MMU and the CPU's modes have to stop there.
The table is that of tests/guests/cases.toml; the engine's own words are in its `qemu` columns."""

from __future__ import annotations

import pytest

from khs.engine import qemu
from khs.errors import EngineError
from khs.trace import events
from tests.guests.systems import BOARDS, Run, watched
from tests.guests.test_cases import CASES, FRAMES, check, expected, rows, system_of

from .conftest import firmware, need_emulator

_QUIET: dict[str, str] = {}


def play(name: str, arch: str) -> Run:
    archive = system_of(name, arch)
    with qemu.Machine(archive, firmware(BOARDS[arch])) as machine:
        return watched(machine, archive, FRAMES)


def quiet(arch: str) -> str:
    """The bystander's trace when nothing bad happens."""
    if arch not in _QUIET:
        _QUIET[arch] = play("nothing", arch).result.partitions["bystander"].trace_sha256
    return _QUIET[arch]


@pytest.mark.parametrize(("name", "arch"), rows(patched=False))
def test_case(name: str, arch: str) -> None:
    need_emulator(BOARDS[arch])
    want = expected(CASES[name], arch, "qemu")
    if want == "emulator":
        with pytest.raises(EngineError, match="QEMU says"):
            play(name, arch)
        return
    played = play(name, arch)
    check(name, played, want)
    assert played.result.partitions["bystander"].trace_sha256 == quiet(arch)


@pytest.mark.parametrize("arch", ["x64", "x86"])
def test_a_trap_is_told_by_its_own_number(arch: str) -> None:
    need_emulator(BOARDS[arch])
    (fault,) = play("int-invalid-opcode", arch).of(events.Fault, "hostile")[:1]
    assert (fault.fault.name, fault.detail) == ("TRAP", 6)
