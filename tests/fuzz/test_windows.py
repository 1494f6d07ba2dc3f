"""Random guests cannot see how their time is cut up, and the fuzzer would."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fuzz import windows
from tests.host.system import Arch
from tests.host.windows import Guest, Played

BATCHES = 4


@pytest.mark.parametrize("arch", Arch, ids=[arch.name.lower() for arch in Arch])
def test_windows_of_any_length(arch: Arch) -> None:
    batches = [windows.batch(arch, seed) for seed in range(BATCHES)]
    assert [str(found) for batch in batches for found in batch.differences] == []
    assert sum(batch.faults for batch in batches) > BATCHES * windows.BATCH


def test_a_guest_that_differs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    really = windows.play

    def play(arch: Arch, guests: list[Guest]) -> list[Played]:
        played = really(arch, guests)
        if len(guests[0].windows) >= windows.TICKS // 3:
            played[5] = replace(played[5], faults=played[5].faults + 1)
        return played

    monkeypatch.setattr(windows, "play", play)
    found = windows.batch(Arch.X86, 1).differences
    assert [each.what for each in found] == [{1: ["faults"], 3: ["faults"]}]
    assert "other faults in windows of 1; faults in windows of 3" in str(found[0])
