"""khs bench --section debug: what is stepped beside QEMU's server are instructions of ours."""

from __future__ import annotations

import threading

import pytest

from khs.bench import stepping
from khs.debug.rsp.listen import LOOPBACK
from khs.debug.rsp.server import Server
from khs.errors import EngineError

from .toy import Toy, systems


def test_the_client_steps_one_instruction_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "STEPS", 30)
    toy = Toy(["a", "b"], 1000, 1000)
    server = Server(systems(toy), (LOOPBACK, 0), print)
    serving = threading.Thread(target=server.run)
    serving.start()
    client = stepping.Client(server.place)
    try:
        assert client.steps() > 0
        assert toy.position.tick == 30 * stepping.TRIES
    finally:
        client.close()
        server.close()
        serving.join(20)


def test_a_client_that_fails_is_told() -> None:
    with pytest.raises(EngineError, match=r"the client at 127\.0\.0\.1:1 failed: (?s:.)*refused"):
        stepping.measured("127.0.0.1:1")
