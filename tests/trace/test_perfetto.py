"""The picture for Perfetto: tracks, nesting, arrows, counters, details."""

from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from khs.errors import TraceError
from khs.trace import Reader, Writer, events, perfetto
from khs.trace.messages import causal

from . import pftrace
from .conftest import make_record
from .pftrace import Slice, Trace
from .run import CLIENT, NONE, RUN, RUN_HEADER, SERVER, boot, call, ms, verdict

GOLDEN = Path(__file__).with_name("golden.pftrace.txt")


def picture(records: Iterable[bytes], header: dict[str, Any] = RUN_HEADER) -> Trace:
    return pftrace.read(drawn(records, header))


def drawn(records: Iterable[bytes], header: dict[str, Any] = RUN_HEADER) -> bytes:
    packets: list[bytes] = []
    perfetto.draw(header, map(events.decode, records), packets.append)
    return b"".join(packets)


def named(trace: Trace, name: str) -> list[Slice]:
    return [each for each in trace.slices if each.name == name]


def lines(trace: Trace) -> Iterator[str]:
    """The whole picture as text."""
    points = [*trace.slices, *trace.instants]
    for each in sorted(points, key=lambda each: (each.begin, each.track, each.depth)):
        end = "" if each.end == each.begin else f" to {each.end}"
        inside = f" in {each.parent.name}" if each.parent else ""
        yield f"{each.begin}{end} {each.track}: {each.category} {each.name}{inside}"
        yield from (f"    {key}: {value}" for key, value in each.details.items())
    for one, other in trace.flows():
        yield f"{one.track} {one.name} {one.begin} => {other.track} {other.name} {other.begin}"
    for track, values in trace.counters.items():
        yield f"{track}: {values}"


def test_the_picture_of_a_small_run() -> None:
    """All of it; after a change that is meant, look at the difference and write it anew."""
    assert "\n".join(lines(picture(RUN))) + "\n" == GOLDEN.read_text(encoding="utf-8")


def test_hypercalls_stand_in_windows_from_entry_to_return() -> None:
    trace = picture(RUN)
    (write,) = named(trace, "khs_port_write")
    assert write.parent and (write.parent.name, write.parent.begin) == ("window", 0)
    assert write.begin == 1_000_000
    assert write.end == 1_000_000 + (100 + 10 + 50) * 8  # a call, 64 bytes begun, a verdict
    (read,) = named(trace, "khs_port_read")
    assert read.end == read.begin + (100 + 10) * 8


def test_a_wait_lasts_until_its_resume_and_in_the_window_until_that_ends() -> None:
    inside, whole = named(picture(RUN), "khs_call")
    assert (inside.track, inside.begin, inside.end) == ("client", 11_000_000, 14_000_000)
    assert (whole.track, whole.begin, whole.end) == ("client/waits", 11_000_000, 16_000_000)
    assert whole.details["code"] == "OK"


def test_what_is_cut_off_stays_nested() -> None:
    """A hypercall whose return lies behind its window; one at its very last tick; a restart."""
    trace = picture(
        [
            *boot(),
            call(3.9999, CLIENT, "nop"),
            call(4, CLIENT, "time_get", 0, data=bytes(8)),
            call(8, SERVER, "recv", 0, 16, 0, NONE, code=NONE),
            make_record(2, tick=ms(8.5), partition=1, code=1, value=1, args=[1, 0]),
        ]
    )
    (nop,), (last,) = named(trace, "khs_nop"), named(trace, "khs_time_get")
    assert nop.end == last.begin == last.end == 4_000_000
    assert nop.parent is last.parent is not None
    assert [each.end for each in named(trace, "khs_recv")] == [8_500_000, 8_500_000]


def test_what_nobody_ended_is_open() -> None:
    trace = picture([*boot(), call(1, CLIENT, "wait", code=NONE)])
    inside, whole = named(trace, "khs_wait")
    assert (inside.end, whole.end) == (4_000_000, None)


def test_the_schedule_changes_at_the_very_tick() -> None:
    windows = named(picture(RUN), "window")
    assert [(each.track, each.begin // 1000, (each.end or 0) // 1000) for each in windows] == [
        ("client", 0, 4000), ("server", 5000, 9000),
        ("client", 10000, 14000), ("server", 15000, 19000),
        ("client", 30000, 35000),
    ]  # fmt: skip


def test_a_stopped_module_has_no_window_left() -> None:
    trace = picture([*boot(), make_record(14, tick=ms(2), partition=0xFFFF, code=1)])
    assert [(each.track, each.end) for each in named(trace, "window")] == [("client", 2_000_000)]


def test_quiet_frames_are_one_slice() -> None:
    trace = picture([*boot(), call(1_000_000_001, CLIENT, "nop")])
    frames = [each.name for each in trace.slices if each.track == "major frames"]
    assert frames == ["100000000 frames without an event", "frame 100000000"]


def test_causes_come_before_effects() -> None:
    kinds = [type(event).__name__ for event in causal(map(events.decode, RUN[15:]))]
    assert kinds[:6] == ["Hypercall", "Verdict", "Hypercall", "Resume", "Verdict", "Hypercall"]


def test_denials_name_the_rule_or_the_nearest() -> None:
    trace = picture([*boot(), verdict(1, granted=False), *RUN[9:11]])
    denied = [each for each in trace.instants if each.category == "denied"]
    assert denied[0].details["rule"] == "demo.psl:7: assert(message.temperature <= 300)"
    assert denied[1].details["rule"].startswith("no rule matches; nearest is demo.psl:6")
    assert named(trace, "khs_port_send")[0].details["verdict"] == "denied"


def test_a_restart_empties_the_queues() -> None:
    trace = picture(RUN)
    counts = [value for _, value in trace.counters["alarms -> server"]]
    assert counts == [1, 2, 1, 0]
    assert trace.counters["input uplink"] == [(22_000_000, 1)]


def test_hostile_names_and_texts_are_only_text() -> None:
    header = copy.deepcopy(RUN_HEADER)
    header["names"]["partitions"] = ["\ud800", "<b>\0"]
    header["manifest"] = {"system": "\udfff"}
    console = make_record(11, tick=5, partition=1, data=b"\xff\0\x1b[2J<script>")
    trace = picture([console, make_record(11, tick=6, partition=999, data=b"x")], header)
    assert {"\\ud800", "<b>\0", "partition 999"} <= {trace.name(track) for track in trace.tracks}
    assert trace.instants[0].details["what"] == "\\xff\\x00\\x1b[2J<script>"


@pytest.mark.parametrize(
    "damage",
    [
        None,
        [],
        {"schedules": [{"major_frame": 0, "windows": []}]},
        {"schedules": [{"major_frame": 5, "windows": [[0, 4, 0], [3, 1, 0]]}]},
        {"schedules": [{"major_frame": 5, "windows": [[0, 6, 0]]}]},
        {"channels": [{"kind": "pipe", "source": 0, "readers": [], "depth": 0}]},
        {"costs": {"call": -1}},
        {"ports": [[[7, 0]]]},
        {"inputs": [{"partition": 0}]},
    ],
)
def test_a_damaged_outline_is_none(damage: Any) -> None:
    trace = picture(RUN, {**RUN_HEADER, "outline": damage})
    assert named(trace, "window") == [] and len(named(trace, "khs_port_send")) == 3


def test_an_outline_may_name_what_is_not_there() -> None:
    wild = {
        **RUN_HEADER["outline"],
        "ports": [[[9, None], [1, 5], [2, 7]]] * 2,
        "inputs": [],
        "schedules": RUN_HEADER["outline"]["schedules"][:1],
    }
    assert picture(RUN, {**RUN_HEADER, "outline": wild}).slices


def test_memory_does_not_grow_with_the_trace() -> None:
    def many(count: int) -> Iterator[bytes]:
        for n in range(count):
            at = 10 * n + 1.0
            yield from (verdict(at), call(at, CLIENT, "port_send", 1, n, 16, value=1))

    def peak(count: int) -> int:
        tracemalloc.start()
        perfetto.draw(RUN_HEADER, map(events.decode, many(count)), len)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)
    assert peak(1000) < peak(100) + 50_000


def test_the_protocol_is_perfettos_own() -> None:
    """Its own schema knows every field, and sees the same."""
    schema = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")
    data = drawn(RUN)
    trace = schema.Trace()
    trace.ParseFromString(data)
    trace.DiscardUnknownFields()
    assert trace.ByteSize() == len(data)
    begins = [packet for packet in trace.packet if packet.track_event.type == 1]
    assert len(begins) == len(pftrace.read(data).slices)
    assert trace.packet[0].clock_snapshot.primary_trace_clock == 6
    assert all(packet.timestamp_clock_id in (0, 6) for packet in trace.packet)
    flows = [flow for packet in trace.packet for flow in packet.track_event.terminating_flow_ids]
    assert len(flows) == 3


def test_a_file_is_written(tmp_path: Path) -> None:
    source, target = tmp_path / "a.trace", tmp_path / "a.pftrace"
    with Writer(source, json.loads(json.dumps(RUN_HEADER))) as writer:
        writer(b"".join(RUN))
    with Reader(source) as reader:
        assert perfetto.write(reader, target) == len(RUN)
    assert target.read_bytes() == drawn(RUN)
    with Reader(source) as reader, pytest.raises(TraceError, match="cannot be written"):
        perfetto.write(reader, tmp_path / "no" / "folder")
