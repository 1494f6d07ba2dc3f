"""`Machine`: an archive from tick 0 to its result."""

from __future__ import annotations

import hashlib
import os
import signal
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from khs import engine
from khs.engine.native import Options
from khs.engine.unicorn import Machine
from khs.errors import EngineError
from khs.trace import Names
from khs.trace.summary import Summary
from tests.host.system import COLD, IDLE, RAM, STOP, Arch, Partition, System, build, policy

COUNT = b"\xbb" + struct.pack("<I", RAM) + b"\xff\x03\xeb\xfc"
NOPS = b"\x31\xc0\xcd\x80\xeb\xfa"  # hypercalls without end
FAULTS = b"\x90\x0f\x0b"
# khs_input_receive (21): input 0 to RAM + 16, 64 bytes, timeout_us ~0, for ever
RECEIVE = bytes.fromhex(
    "b815000000 31db b910001040 ba40000000 be80969800 cd80 ebe6".replace(" ", "")
)
HYPERCALL, VERDICT, FAULT, HEALTH, POLICY = 4, 6, 7, 8, 13
UNKNOWN = 16


@dataclass
class FakeArchive:
    system: System
    names: tuple[str, ...]
    inputs: list[tuple[int, int, bytes]] = field(default_factory=list)
    policies: tuple[bytes, ...] = field(default_factory=lambda: (policy(),))

    @property
    def config(self) -> bytes:
        return build(self.system)[0]

    @property
    def memory(self) -> bytes:
        return build(self.system)[1]

    @property
    def manifest(self) -> Mapping[str, Any]:
        return {"system": "test", "board": "pc", "names": {"partitions": list(self.names)}}


def archive(*partitions: Partition, windows: tuple[tuple[int, int], ...] = ()) -> FakeArchive:
    names = tuple("abcdefgh"[: len(partitions)])
    return FakeArchive(System(Arch.X86, partitions, windows), names)


BUSY = archive(Partition(COUNT), Partition(NOPS), Partition(FAULTS, action=COLD))


@pytest.mark.parametrize("isolate", [False, True])
def test_result(isolate: bool) -> None:
    records = bytearray()
    seen: list[tuple[int, int]] = []
    with Machine(BUSY, seed=7, isolate=isolate) as machine:
        result = machine.run(
            5, sink=lambda view: records.extend(view), progress=lambda *at: seen.append(at)
        )
    assert (result.system, result.board, result.engine, result.seed) == ("test", "pc", "unicorn", 7)
    assert (result.frames, result.ticks) == (5, 150_000)
    assert result.trace_sha256 == hashlib.sha256(records).hexdigest()
    assert result.verdicts["granted"] >= 5
    assert seen[-1] == (5, 5)
    assert result.healthy and not result.interrupted and result.reproducible
    a, b, c = (result.partitions[name] for name in "abc")
    assert (a.ticks, a.idle_ticks, a.faults) == (50_000, 0, 0)
    assert b.hypercalls == pytest.approx(50_000 / 3, abs=2)
    assert c.faults == c.restarts > 1000
    assert all(p.ticks + p.idle_ticks == 50_000 for p in (a, b, c))
    document = result.to_json()
    assert document["partitions"]["a"]["mode"] == "cold-start"
    assert document["stopped"] is None


@pytest.mark.parametrize("isolate", [False, True])
def test_notable_events_are_those_that_people_are_told(isolate: bool) -> None:
    """Few of all: what a summary tells of them is what it would tell of everything."""
    unsound = b"\xb8\x63\0\0\0\xcd\x80\xeb\xf7"  # a hypercall that does not exist
    given = archive(Partition(FAULTS, action=COLD), Partition(NOPS), Partition(unsound))
    every, few = bytearray(), bytearray()
    with Machine(given, policy_at={3: policy(start=False)}, isolate=isolate) as machine:
        machine.run(6, sink=every.extend, notable=few.extend)
    kinds = {few[at + 24] for at in _records(few)}
    assert kinds == {VERDICT, HYPERCALL, FAULT, HEALTH, POLICY}
    assert {few[at + 28] for at in _records(few) if few[at + 24] == HYPERCALL} == {UNKNOWN}
    told = [Summary(Names()), Summary(Names())]
    told[0](every)
    told[1](few)
    assert told[0] == told[1]
    assert told[0].denials and told[0].refusals and told[0].faults and told[0].notes


def test_a_system_in_order_has_no_notable_event() -> None:
    few = bytearray()
    with Machine(archive(Partition(COUNT), Partition(NOPS))) as machine:
        result = machine.run(5, notable=few.extend)
    assert result.partitions["b"].hypercalls > 10_000
    assert few == b""


def test_partition_hashes_are_of_visible_parts() -> None:
    hashes = [hashlib.sha256() for _ in "abc"]

    def sink(view: memoryview) -> None:
        at = 0
        while at < len(view):
            size, number, flags = struct.unpack_from("<8xIHH", view, at)
            if flags & 1:
                hashes[number].update(view[at + 16 : at + size])
            at += size

    with Machine(BUSY) as machine:
        result = machine.run(2, sink=sink)
    assert [p.trace_sha256 for p in result.partitions.values()] == [h.hexdigest() for h in hashes]


@pytest.mark.parametrize("isolate", [False, True])
def test_the_same_every_time(isolate: bool) -> None:
    """Also with a ring that has to be drained all the time, and in several runs."""
    with Machine(BUSY, isolate=isolate) as machine:
        one = machine.run(6)
    with Machine(BUSY, options=Options(ring_bytes=1)) as machine:
        machine.run(1)
        machine.run(4)
        other = machine.run(1)
    assert (one.trace_sha256, one.partitions) == (other.trace_sha256, other.partitions)
    assert (one.ticks, one.frames, one.verdicts) == (other.ticks, other.frames, other.verdicts)


@pytest.mark.parametrize("isolate", [False, True])
def test_inputs_arrive_at_their_tick(isolate: bool) -> None:
    given = archive(Partition(RECEIVE, inputs=((64, 4),)))
    given.inputs = [(5_000, 0, b"hello"), (5_000, 0, b"world"), (25_000, 0, b"late")]
    records = bytearray()
    with Machine(given, isolate=isolate) as machine:
        machine.run(3, sink=lambda view: records.extend(view))
    ticks = [
        struct.unpack_from("<Q", records, at)[0]
        for at in _records(records)
        if records[at + 24] == 10
    ]
    assert ticks == [5_000, 5_000, 25_000]
    assert all(text in records for text in (b"hello", b"world", b"late"))


def _records(records: bytes | bytearray) -> list[int]:
    found, at = [], 0
    while at < len(records):
        found.append(at)
        at += struct.unpack_from("<8xI", records, at)[0]
    return found


def test_policy_from_outside() -> None:
    """The second policy denies every start, so the next restart is the last."""
    restarting = archive(Partition(FAULTS, action=COLD))
    with Machine(restarting, policy_at={3: policy(start=False)}) as machine:
        early = machine.run(3).partitions["a"]
        late = machine.run(3)
    assert early.restarts > 100
    assert late.partitions["a"].mode == "idle"
    assert late.partitions["a"].restarts - early.restarts <= 2
    assert late.verdicts["denied"] == 1


def test_stopped_by_the_health_monitor() -> None:
    with Machine(archive(Partition(FAULTS, action=STOP), Partition(COUNT))) as machine:
        result = machine.run(5)
    assert result.stopped is not None
    assert result.to_json()["stopped"] == "health"
    assert not result.healthy
    assert (result.frames, result.ticks) == (0, 1)


# ---- Ctrl-C ----------------------------------------------------------------


@pytest.mark.parametrize("isolate", [False, True])
def test_interrupt_gives_the_results_so_far(isolate: bool) -> None:
    before = signal.getsignal(signal.SIGINT)
    fired = threading.Event()

    def sink(view: memoryview) -> None:
        if not fired.is_set():
            fired.set()
            os.kill(os.getpid(), signal.SIGINT)

    with Machine(BUSY, isolate=isolate) as machine:
        result = machine.run(10_000_000, sink=sink)
    assert result.interrupted
    assert 0 < result.ticks < 10_000_000 * 30_000
    assert sum(p.ticks for p in result.partitions.values()) <= result.ticks
    assert signal.getsignal(signal.SIGINT) is before


def test_interrupted_within_a_long_window() -> None:
    """Nothing is drained for hours of virtual time, but a signal is seen."""
    long = archive(Partition(COUNT), windows=((0, 1 << 50),))
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with Machine(long) as machine:
        result = machine.run(1)
        assert result.interrupted
        assert result.wall_s < 5
        ticks = result.ticks
        threading.Timer(0.1, machine.stop).start()
        assert machine.run(1).ticks > ticks  # goes on from there


# ---- what is refused -------------------------------------------------------


def test_refused_code_names_the_partition() -> None:
    """More places where the engine would abort than it can be told to stop at."""
    most = b"\xf0\x0f\xab\xd1" * 4096
    Machine(archive(Partition(COUNT), Partition(most))).close()
    message = "partition b: lock bt.* more than 4096 addresses; the next is 0x40004000"
    with pytest.raises(EngineError, match=message):
        Machine(archive(Partition(COUNT), Partition(most + most[:4])))


def test_a_policy_that_does_not_fit() -> None:
    given = archive(Partition(COUNT))
    given.policies = (b"KSSP" + bytes(60),)
    with Machine(given) as machine, pytest.raises(EngineError, match="does not boot: the policy"):
        machine.run(1)
    with Machine(given, isolate=True) as machine, pytest.raises(EngineError, match="does not boot"):
        machine.run(1)


def test_inputs_that_do_not_fit() -> None:
    given = archive(Partition(COUNT))
    given.inputs = [(10, 3, b"")]
    with pytest.raises(EngineError, match="input at tick 10"):
        Machine(given)


def test_a_boot_that_the_policy_denies() -> None:
    given = archive(Partition(COUNT, action=IDLE))
    given.policies = (policy(start=False),)
    with Machine(given) as machine:
        result = machine.run(2)
    assert result.partitions["a"].mode == "idle"
    assert result.partitions["a"].ticks == 0


def test_engines_by_name() -> None:
    assert "unicorn" in engine.engines()
    machine = engine.open(BUSY, "unicorn", seed=1)
    assert machine.run(1).frames == 1
    machine.close()
    with pytest.raises(EngineError, match="no engine 'bochs'; there is unicorn"):
        engine.open(BUSY, "bochs")
