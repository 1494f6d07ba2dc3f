"""A master outside: the protocol, its client, and whoever sends nonsense."""

from __future__ import annotations

import json
import queue
import random
import socket
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from khs import record, replay, runs
from khs.attached import attached
from khs.errors import KhsError
from khs.hil import Client, ClientError, master
from khs.image import Archive, open_system
from khs.runs import Ran

FRAME_NS = 20_000_000


@cache
def archive(system: str = "iot-gateway") -> Archive:
    return open_system(system)


def play(
    folder: Path, work: Callable[[str], object], system: str = "iot-gateway", **options: Any
) -> Ran:
    """A run, and `work` with its socket in another thread; what that raised is raised."""
    path = str(folder / "socket")
    awaited, raised = threading.Event(), queue.Queue[BaseException]()

    def master() -> None:
        awaited.wait(20)
        try:
            work(path)
        except BaseException as error:
            raised.put(error)

    def say(line: str) -> None:
        assert line.startswith("a master is awaited at ")
        awaited.set()

    thread = threading.Thread(target=master)
    thread.start()
    plan = runs.plan(archive(system), attached=attached(pace=f"outside:{path}"), **options)
    ran = runs.run(plan, say=say)
    thread.join(20)
    assert not thread.is_alive()
    if not raised.empty():
        raise raised.get()
    assert not Path(path).exists()
    return ran


def test_time_and_memory(tmp_path: Path) -> None:
    """What is written is an input, and the recording needs no master."""

    def work(path: str) -> None:
        with Client(path) as system:
            assert system.about["system"] == "iot-gateway"
            assert system.time()["tick"] == 0
            told = system.run_for(ns=FRAME_NS + 8)
            assert (told["tick"], told["frames"], told["ended"]) == (2_500_001, 1, False)
            system.region_write("plant", 0, (900).to_bytes(4, "little"))
            system.run_for(ticks=1)
            assert system.region_read("plant", 0, 4) == (900).to_bytes(4, "little")
            entry = archive().manifest["partitions"]["sensor"]["entry"]
            assert len(system.memory_read("sensor", entry, 16)) == 16
            assert system.memory_read("sensor", 0, 4) == b""
            system.run_for(ns=9 * FRAME_NS)
            system.quit()

    ran = play(tmp_path, work, record=tmp_path / "kept")
    assert ran.healthy and not ran.result.interrupted and not ran.result.reproducible
    assert ran.result.frames == 11  # it ends with the frame that was begun
    again = record.read(tmp_path / "kept")
    assert (2_500_001, 1 << 31 | 1, bytes(8) + (900).to_bytes(4, "little")) in again.inputs
    assert replay.replay(again, replay.plan(again)).equal


def test_back_to_a_checkpoint(tmp_path: Path) -> None:
    def work(path: str) -> None:
        with Client(path) as system:
            system.run_for(ns=2 * FRAME_NS)
            kept = system.checkpoint()
            system.region_write("plant", 64, b"gone")
            system.run_for(ns=5 * FRAME_NS)
            assert system.region_read("plant", 64, 4) == b"gone"
            system.restore(kept)
            assert system.time()["ns"] == 2 * FRAME_NS
            assert system.region_read("plant", 64, 4) == bytes(4)
            system.forget(kept)
            with pytest.raises(ClientError, match="there is no checkpoint"):
                system.restore(kept)
            system.run_for(ns=3 * FRAME_NS)
            system.quit()

    ran = play(tmp_path, work, record=tmp_path / "kept")
    assert ran.result.frames == 5
    alone = runs.run(runs.plan(archive(), frames=5))
    assert ran.result.trace_sha256 == alone.result.trace_sha256
    again = record.read(tmp_path / "kept")
    assert replay.replay(again, replay.plan(again)).equal


def test_devices(tmp_path: Path) -> None:
    def work(path: str) -> None:
        with Client(path) as system:
            system.run_for(ns=50_000_000)
            assert system.device_read("driver.uart3") == b"ready\n"
            system.device_write("driver.uart3", b"text\n")
            system.run_for(ns=50_000_000)
            assert system.device_read("driver.uart3") == b"TEXT\n"
            with pytest.raises(ClientError, match='there are: "driver'):
                system.device_read("driver.uart4")
            system.quit()

    assert play(tmp_path, work, "uart").healthy


def test_the_run_ends_first(tmp_path: Path) -> None:
    def work(path: str) -> None:
        with Client(path) as system:
            assert system.run_for(ns=10 * FRAME_NS)["ended"]
            with pytest.raises(ClientError, match="the run is gone"):
                system.time()

    assert play(tmp_path, work, frames=4).result.frames == 4


def test_a_trace_cannot_be_taken_back(tmp_path: Path) -> None:
    def work(path: str) -> None:
        with Client(path) as system:
            with pytest.raises(ClientError, match="does not go back"):
                system.checkpoint()
            system.quit()

    play(tmp_path, work, trace=tmp_path / "run.trace")


@pytest.mark.parametrize("data", [b"", b"{", b'{"id": 1, "do": "run_for", "ns": 20000000}\n'])
def test_a_master_that_goes_away(data: bytes, tmp_path: Path) -> None:
    """Ends the run, which says so; never a hang."""

    def work(path: str) -> None:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(path)
            peer.sendall(data)

    ran = play(tmp_path, work)
    assert ran.stopped.startswith("the master has gone")
    assert not ran.healthy


BAD = [
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"do": "explode"}',
    b'{"do": ["time"]}',
    b'{"do": "run_for"}',
    b'{"do": "run_for", "ns": 1}',
    b'{"do": "run_for", "ns": -1}',
    b'{"do": "run_for", "ns": 1e9}',
    b'{"do": "run_for", "ticks": true}',
    b'{"do": "run_for", "ticks": 18446744073709551616}',
    b'{"do": "run_for", "ns": 1, "ticks": 1}',
    b'{"do": "region_read"}',
    b'{"do": "region_read", "region": "plant", "offset": 4095, "size": 2}',
    b'{"do": "region_read", "region": "plant", "offset": 0, "size": 1000000000}',
    b'{"do": "region_read", "region": ["plant"], "offset": 0, "size": 1}',
    b'{"do": "region_write", "region": "plant", "offset": 18446744073709551615, "data": "00"}',
    b'{"do": "region_write", "region": "plant", "offset": 0, "data": ""}',
    b'{"do": "region_write", "region": "plant", "offset": 0, "data": "0"}',
    b'{"do": "region_write", "region": "plant", "offset": 0, "data": 7}',
    b'{"do": "region_write", "region": "sensor/code", "offset": 0, "data": "00"}',
    b'{"do": "memory_read", "partition": "nobody", "address": 0, "size": 1}',
    b'{"do": "device_write", "device": "sensor.uart", "data": "00"}',
    b'{"do": "restore", "checkpoint": 1}',
    b'{"do": "forget", "checkpoint": {}}',
]


def test_nonsense_is_answered(tmp_path: Path) -> None:
    """Each request has one answer, and the run is as if it had not been asked."""

    def work(path: str) -> None:
        rng = random.Random(1)
        good = [b'{"id": 7, "do": "run_for", "ticks": 5}', *BAD]
        fuzz = []
        for _ in range(400):
            line = bytearray(rng.choice(good)[:300] or b"x")
            for _ in range(rng.randint(1, 6)):
                line[rng.randrange(len(line))] = rng.randrange(256)
            fuzz.append(bytes(line).replace(b"\n", b" "))
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(path)
            file = peer.makefile("rwb")
            assert json.loads(file.readline())["version"] == master.VERSION
            for line in BAD:
                file.write(line + b"\n")
                file.flush()
                told = json.loads(file.readline())
                assert not told["ok"] and told["error"]
            for line in fuzz:
                if b"quit" in line:
                    continue
                file.write(line + b"\n")
                file.flush()
                assert "ok" in json.loads(file.readline())
            file.write(b'{"id": "last", "do": "quit"}\n')
            file.flush()
            assert json.loads(file.readline())["id"] == "last"

    assert play(tmp_path, work).healthy


def test_a_request_has_an_id_and_known_keys_alone(tmp_path: Path) -> None:
    def work(path: str) -> None:
        with Client(path) as system:
            for do, more, told in (
                ("run_for", {"ns": 8, "foo": 1}, "run_for: no such key 'foo'; it takes"),
                ("time", {"ns": 8}, "time: no such key 'ns'; it takes nothing"),
                ("time", {"id": None}, "a request has an id"),
            ):
                with pytest.raises(ClientError, match=told):
                    system.ask(do, **more)
            assert system.time()["tick"] == 0
            system.quit()

    assert play(tmp_path, work).healthy


def test_a_second_master_is_sent_away(tmp_path: Path) -> None:
    def work(path: str) -> None:
        with Client(path) as system:
            with pytest.raises(ClientError, match="another master is there"):
                Client(path)
            system.run_for(ns=FRAME_NS)
            system.quit()

    assert play(tmp_path, work).healthy


def test_a_line_without_end(tmp_path: Path) -> None:
    def work(path: str) -> None:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(path)
            try:
                for _ in range(40):
                    peer.sendall(b"x" * 65536)
            except OSError:
                return

    assert "a line of more than" in play(tmp_path, work).stopped


def test_a_socket_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    for path in (tmp_path / "there", tmp_path / "no" / "folder", tmp_path / ("x" * 120)):
        plan = runs.plan(archive(), attached=attached(pace=f"outside:{path}"))
        with pytest.raises(KhsError, match="a path that does not exist yet"):
            runs.run(plan)
    assert (tmp_path / "there").exists()


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="no run listens there"):
        Client(str(tmp_path / "nobody"), timeout=0)
