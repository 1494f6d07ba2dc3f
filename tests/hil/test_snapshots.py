"""A snapshot holds what devices are in the middle of."""

from __future__ import annotations

import pytest

from khs.engine import unicorn
from khs.engine.inputs import Inputs
from khs.engine.native import NEVER
from tests.hil.test_uart import BOARDS, MS, PORT_NAME, archive


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("at", [4 * MS + 1000, 10 * MS + 4321, 11 * MS])
def test_a_snapshot_goes_on_as_it_went_on(board: str, at: int) -> None:
    image = Inputs(archive(board), [(4 * MS, 0, b"a text that is on its way for a while" * 9)])
    with unicorn.Machine(image) as machine:
        host, library = machine.host, machine.host.library
        port = machine.devices.ports[PORT_NAME].number
        machine.advance(lambda drained: None, until=at)
        sent_before = host.device_counts(port).sent
        kept = library.khs_host_snapshot(host.handle)
        assert kept
        outcomes = []
        for _ in range(2):
            records = bytearray()
            while host.status().frames < 6:
                host.run(6, NEVER)
                for drained in host.drain():
                    records += drained.records
            counts = host.device_counts(port)
            outcomes.append(
                (bytes(records), host.device_output(port), counts.sent, counts.received)
            )
            assert library.khs_host_restore(host.handle, kept)
            assert host.device_counts(port).sent == sent_before
        assert outcomes[0] == outcomes[1]
        assert outcomes[0][2] > sent_before
        library.khs_host_forget(host.handle, kept)
