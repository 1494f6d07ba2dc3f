"""config.bin is read with suspicion: it is refused with the place of the defect, or it is safe."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import pytest

from khs.image import records
from tests.core import fuzz, host, systems
from tests.core.systems import (
    ALARM,
    CALLS,
    QUEUING,
    REPORT,
    SAMPLING,
    SERVICE,
    Channel,
    Partition,
    System,
)

NONE = systems.NONE
SYSTEM = System(
    [
        Partition("test.A", period=100, deadline=50, inputs=((16, 2),)),
        Partition("test.B", inputs=((8, 1), (4, 3))),
    ],
    [(1000, [(0, 0, 500), (1, 500, 400)]), (500, [(1, 10, 20)])],
    [
        Channel(SAMPLING, 0, (1,), REPORT),
        Channel(QUEUING, 1, (0, 1), ALARM, depth=2),
        Channel(CALLS, 0, (1,), SERVICE),
    ],
)


def check(data: bytes, folder: Path) -> tuple[int, int]:
    """(status, where) of khs_config_check."""
    path = folder / "config.bin"
    path.write_bytes(data)
    status, where = host.execute(["check", path]).split()
    return int(status), int(where)


TABLES: dict[str, type[ctypes.LittleEndianStructure]] = {
    "partitions": records.Partition,
    "schedules": records.Schedule,
    "windows": records.Window,
    "regions": records.Region,
    "maps": records.Map,
    "channels": records.Channel,
    "readers": records.Reader,
    "ports": records.Port,
    "inputs": records.Input,
    "health": records.Health,
}


class Edit:
    """config.bin with its records as attributes: header, partitions, windows, ..."""

    def __init__(self) -> None:
        self.data = bytearray(SYSTEM.config())
        self.header = records.Config.from_buffer(self.data)

    def place(self, table: str, index: int, field: str) -> int:
        kind = TABLES[table]
        at = getattr(self.header, table).offset + index * ctypes.sizeof(kind)
        return int(at + getattr(kind, field).offset)

    def set(self, table: str, index: int, field: str, value: object) -> int:
        """Sets a field; returns its offset in the file."""
        kind = TABLES[table]
        at = getattr(self.header, table).offset + index * ctypes.sizeof(kind)
        setattr(kind.from_buffer(self.data, at), field, value)
        return self.place(table, index, field)

    def head(self, field: str, value: object) -> int:
        setattr(self.header, field, value)
        return int(getattr(records.Config, field).offset)


def test_a_good_config_is_accepted(tmp_path: Path) -> None:
    assert check(SYSTEM.config(), tmp_path) == (0, 0)


HEADER = [
    ("magic", 0),
    ("version", 2),
    ("version", 4),
    ("size", 1),
    ("clock_hz", 0),
    ("clock_hz", 10**10 + 1),
    ("arch", 0),
    ("arch", 4),
    ("policies", 0),
    ("cost_call", 1_000_001),
    ("cost_copy", 1_000_001),
    ("cost_verdict", NONE),
    ("max_message", 511),
    ("max_message", (1 << 20) + 1),
    ("policy_image", (1 << 26) + 16),
    ("policy_image", 8),
    ("policy_state", (1 << 28) + 16),
    ("policy_state", 24),
]


@pytest.mark.parametrize(("field", "value"), HEADER)
def test_defects_of_the_header(field: str, value: int, tmp_path: Path) -> None:
    edit = Edit()
    where = edit.head(field, value)
    assert check(bytes(edit.data), tmp_path) == (1, where)


RECORDS = [
    ("partitions", 0, "deadline", 101),
    ("partitions", 0, "period", 1 << 56),
    ("partitions", 1, "phase", 1 << 63),
    ("partitions", 1, "restart_within", 1 << 60),
    ("partitions", 1, "restart_limit", 17),
    ("partitions", 1, "restart_then", systems.COLD),
    ("partitions", 1, "restart_then", systems.WARM),
    ("partitions", 1, "restart_then", 6),
    ("partitions", 1, "privileges", 32),
    ("partitions", 1, "maps", records.Slice(0, 11)),
    ("partitions", 1, "maps", records.Slice(11, 0)),
    ("partitions", 1, "ports", records.Slice(NONE, 2)),
    ("partitions", 1, "inputs", records.Slice(3, 1)),
    ("schedules", 0, "major_frame", 0),
    ("schedules", 1, "major_frame", 1 << 56),
    ("schedules", 1, "windows", records.Slice(2, 2)),
    ("windows", 0, "length", 0),
    ("windows", 0, "length", 1001),
    ("windows", 1, "length", 501),
    ("windows", 1, "start", 499),
    ("windows", 1, "start", 1000),
    ("windows", 2, "partition", 2),
    ("regions", 0, "size", 0),
    ("regions", 0, "size", 4095),
    ("regions", 0, "size", (1 << 40) + 4096),
    ("regions", 0, "file_size", 4097),
    ("regions", 0, "flags", 4),
    ("maps", 0, "address", systems.SHARED + 8),
    ("maps", 1, "address", systems.SHARED),
    ("maps", 4, "address", systems.DATA + systems.PAGE),
    ("maps", 4, "address", 1 << 32),
    ("maps", 4, "address", (1 << 32) - 4096 + 1),
    ("maps", 0, "region", 9),
    ("maps", 0, "rights", 0),
    ("maps", 0, "rights", 8),
    ("maps", 0, "rights", systems.W | systems.X),
    ("maps", 0, "rights", 7),
    ("channels", 0, "kind", 3),
    ("channels", 0, "source", 2),
    ("channels", 0, "mid", 65536),
    ("channels", 0, "message_size", 7),
    ("channels", 0, "message_size", 513),
    ("channels", 1, "depth", 0),
    ("channels", 1, "depth", 65537),
    ("channels", 0, "refresh", 1 << 57),
    ("readers", 0, "channel", 1),
    ("readers", 0, "partition", 2),
    ("ports", 0, "channel", 3),
    ("ports", 0, "direction", 2),
    ("ports", 0, "reader", 0),
    ("ports", 1, "reader", 4),
    ("ports", 1, "reader", 0),
    ("ports", 1, "reader", NONE),
    ("inputs", 0, "partition", 1),
    ("inputs", 0, "partition", 2),
    ("inputs", 0, "capacity", 0),
    ("inputs", 0, "capacity", 513),
    ("inputs", 0, "depth", 0),
    ("inputs", 0, "depth", 65537),
    ("health", 39, "level", 3),
    ("health", 0, "action", 6),
]


@pytest.mark.parametrize(("table", "index", "field", "value"), RECORDS)
def test_defects_of_records(
    table: str, index: int, field: str, value: object, tmp_path: Path
) -> None:
    edit = Edit()
    where = edit.set(table, index, field, value)
    assert check(bytes(edit.data), tmp_path) == (1, where)


ACCEPTED = [
    ("header", 0, "clock_hz", 10**10),
    ("header", 0, "clock_hz", 1),
    ("header", 0, "arch", 2),
    ("header", 0, "arch", 3),
    ("header", 0, "cost_call", 1_000_000),
    ("header", 0, "cost_copy", 1_000_000),
    ("header", 0, "cost_verdict", 1_000_000),
    ("header", 0, "max_message", 512),
    ("header", 0, "max_message", 1 << 20),
    ("header", 0, "policy_image", 1 << 26),
    ("header", 0, "policy_state", 1 << 28),
    ("partitions", 0, "deadline", 100),
    ("partitions", 0, "restart_limit", 16),
    ("partitions", 0, "restart_then", systems.STOP),
    ("partitions", 0, "privileges", 31),
    ("partitions", 0, "maps", records.Slice(0, 0)),
    ("partitions", 1, "maps", records.Slice(10, 0)),
    ("partitions", 0, "phase", (1 << 56) - 1),
    ("windows", 1, "length", 500),
    ("windows", 2, "start", 0),
    ("regions", 0, "file_size", 4096),
    ("regions", 0, "flags", 3),
    ("maps", 4, "address", (1 << 32) - 4096),
    ("maps", 4, "rights", systems.R),
    ("channels", 0, "message_size", 8),
    ("channels", 0, "mid", 65535),
    ("channels", 1, "message_size", 512),
    ("channels", 1, "depth", 65536),
    ("inputs", 0, "capacity", 512),
    ("inputs", 0, "depth", 65536),
    ("health", 0, "level", systems.PROCESS),
    ("health", 1, "level", systems.PROCESS),
    ("health", 17, "level", systems.PROCESS),
    ("health", 0, "action", systems.STOP),
]


@pytest.mark.parametrize(("table", "index", "field", "value"), ACCEPTED)
def test_the_last_good_value(
    table: str, index: int, field: str, value: object, tmp_path: Path
) -> None:
    edit = Edit()
    if table == "header":
        edit.head(field, value)
    else:
        edit.set(table, index, field, value)
    assert check(bytes(edit.data), tmp_path) == (0, 0)


MISFITS = [
    *((systems.MODULE, action) for action in (systems.WARM, systems.COLD, systems.IDLE)),
    *((systems.PROCESS, action) for action in (systems.IGNORE, systems.STOP)),
]


@pytest.mark.parametrize(("level", "action"), MISFITS)
def test_level_and_action_go_together(level: int, action: int, tmp_path: Path) -> None:
    edit = Edit()
    edit.set("health", systems.DEADLINE, "level", level)
    where = edit.set("health", systems.DEADLINE, "action", action)
    assert check(bytes(edit.data), tmp_path) == (1, where)


@pytest.mark.parametrize("error", sorted({*range(systems.ERRORS)} - {*systems.HANDLED}))
@pytest.mark.parametrize("state", [systems.INITIALISING, systems.RUNNING])
def test_no_fault_is_of_process_level(error: int, state: int, tmp_path: Path) -> None:
    edit = Edit()
    cell = state * systems.ERRORS + error
    where = edit.set("health", cell, "level", systems.PROCESS)
    assert check(bytes(edit.data), tmp_path) == (1, where)


@pytest.mark.parametrize("action", [systems.IGNORE, systems.LOG, systems.STOP])
def test_a_module_ignores_logs_or_stops(action: int, tmp_path: Path) -> None:
    edit = Edit()
    edit.set("health", 0, "level", systems.MODULE)
    edit.set("health", 0, "action", action)
    assert check(bytes(edit.data), tmp_path) == (0, 0)


def fewer_health_rows(edit: Edit) -> int:
    edit.header.health.count -= 1
    return records.Config.health.offset + 4


def too_many_partitions(edit: Edit) -> int:
    edit.header.partitions.count = 4097
    return records.Config.partitions.offset + 4


def a_table_past_the_end(edit: Edit) -> int:
    edit.header.maps.count = NONE
    return records.Config.maps.offset + 4


def a_table_in_the_header(edit: Edit) -> int:
    edit.header.windows.offset = 144
    return records.Config.windows.offset


def an_unaligned_table(edit: Edit) -> int:
    edit.header.ports.offset += 4
    return records.Config.ports.offset


def a_channel_without_readers(edit: Edit) -> int:
    edit.set("channels", 1, "readers", records.Slice(1, 0))
    return edit.place("channels", 1, "readers") + 4


def a_call_with_two_servers(edit: Edit) -> int:
    edit.set("channels", 2, "readers", records.Slice(2, 2))
    return edit.place("channels", 2, "readers") + 4


def readers_of_another_channel(edit: Edit) -> int:
    edit.set("channels", 0, "readers", records.Slice(1, 1))
    return edit.place("readers", 1, "channel")


def a_reader_that_no_channel_lists(edit: Edit) -> int:
    edit.set("channels", 1, "readers", records.Slice(1, 1))
    return edit.place("readers", 2, "channel")


def too_much_state(edit: Edit) -> int:
    edit.head("max_message", 1 << 20)
    edit.set("channels", 1, "message_size", 1 << 20)
    edit.set("channels", 1, "depth", 65536)
    return int(records.Config.size.offset)


OTHERS = [
    fewer_health_rows,
    too_many_partitions,
    a_table_past_the_end,
    a_table_in_the_header,
    an_unaligned_table,
    a_channel_without_readers,
    a_call_with_two_servers,
    readers_of_another_channel,
    a_reader_that_no_channel_lists,
    too_much_state,
]


@pytest.mark.parametrize("spoil", OTHERS, ids=lambda each: each.__name__)
def test_other_defects(spoil: Callable[[Edit], int], tmp_path: Path) -> None:
    edit = Edit()
    where = spoil(edit)
    assert check(bytes(edit.data), tmp_path) == (1, where)


@pytest.mark.parametrize("size", [0, 8, 151, -8, 8])
def test_a_file_of_another_size(size: int, tmp_path: Path) -> None:
    data = SYSTEM.config()
    data = data[:size] if size < 152 else data + bytes(size)
    status, where = check(data, tmp_path)
    assert status == 1
    assert where == (0 if len(data) < 152 else records.Config.size.offset)


@pytest.mark.parametrize("seed", range(100, 110))
def test_spoilt_configs_are_refused_or_run(seed: int) -> None:
    with fuzz.files(seed, 100_000) as arguments:
        words = host.execute(["corrupt", *arguments, "--seed", seed, "--steps", 150]).split()
    counts = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    assert sum(counts.values()) == 150
    assert counts["refused"] > 50 and counts["ran"] > 10
