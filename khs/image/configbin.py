"""Writes config.bin: the checked system as the kernel reads it (khs/core/config.h)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

from khs.config.model import (
    PAGE,
    STACK_GUARD,
    STACK_TOP,
    START_INFO,
    Action,
    Error,
    Input,
    State,
    System,
)
from khs.config.model import Partition as Described
from khs.image import records
from khs.image.elf import Program
from khs.image.layout import Layout
from khs.image.records import NONE, Slice
from khs.image.wiring import Wiring
from khs.monitor import EINIT_CLASS, KERNEL_CLASS, class_hash

#: Most state of a policy that the kernel takes, see khs_config_check.
POLICY_STATE_MAX = 1 << 28

_Records = Sequence[ctypes.LittleEndianStructure]


@dataclass(frozen=True, slots=True)
class Reserve:
    """Bytes kept, twice each, for policies that replace the first one."""

    image: int
    state: int


def write(
    system: System,
    programs: Sequence[Program],
    wiring: Wiring,
    layout: Layout,
    reserve: Reserve,
) -> bytes:
    """config.bin of `system`; programs by partition number."""
    header = records.Config(
        magic=records.MAGIC,
        version=records.VERSION,
        clock_hz=system.board.clock_hz,
        arch=system.board.arch,
        policies=1 + len(system.policies),
        kernel_class=class_hash(KERNEL_CLASS),
        einit_class=class_hash(EINIT_CLASS),
        cost_call=system.board.costs.call,
        cost_copy=system.board.costs.copy,
        cost_verdict=system.board.costs.verdict,
        max_message=wiring.max_message,
        policy_image=reserve.image,
        policy_state=reserve.state,
    )
    tables = {
        "partitions": _partitions(system, programs, wiring, layout),
        "schedules": _schedules(system),
        "windows": _windows(system),
        "regions": _regions(layout),
        "maps": _maps(layout),
        "channels": _channels(system, wiring),
        "readers": _readers(wiring),
        "ports": _ports(wiring),
        "inputs": _inputs(system),
        "health": _health(system),
    }
    return _join(header, tables)


def with_policy_state(config: bytes, state: int) -> bytes:
    """config.bin with room for `state` bytes of a policy that comes later, if it has less."""
    header = records.Config.from_buffer_copy(config)
    header.policy_state = max(header.policy_state, -(-state // PAGE) * PAGE)
    return bytes(header) + config[ctypes.sizeof(header) :]


def kernel_inputs(system: System) -> list[Input]:
    """The inputs by partition; the place in this list is the number the kernel knows them by."""
    return sorted(system.inputs, key=lambda outside: system.number(outside.partition))


def _join(header: records.Config, tables: dict[str, _Records]) -> bytes:
    """The header with its tables filled in, then the tables, each at a multiple of 8."""
    body = bytearray(ctypes.sizeof(header))
    for name, table in tables.items():
        setattr(header, name, records.Table(len(body), len(table)))
        body += b"".join(bytes(record) for record in table)
        body += bytes(-len(body) % 8)
    header.size = len(body)
    return bytes(header) + bytes(body[ctypes.sizeof(header) :])


def _slices(counts: Sequence[int]) -> list[Slice]:
    """Slices of these lengths, one behind the other."""
    first, slices = 0, []
    for count in counts:
        slices.append(Slice(first, count))
        first += count
    return slices


def _partitions(
    system: System, programs: Sequence[Program], wiring: Wiring, layout: Layout
) -> _Records:
    numbers = [outside.partition for outside in kernel_inputs(system)]
    maps = _slices([len(each) for each in layout.maps])
    ports = _slices([len(each) for each in wiring.ports])
    inputs = _slices([numbers.count(partition.name) for partition in system.partitions])
    return [
        _partition(partition, programs[n].entry, maps[n], ports[n], inputs[n])
        for n, partition in enumerate(system.partitions)
    ]


def _partition(
    partition: Described, entry: int, maps: Slice, ports: Slice, inputs: Slice
) -> records.Partition:
    limit = partition.limit
    return records.Partition(
        class_hash=class_hash(partition.class_name),
        entry=entry,
        stack_top=STACK_TOP,
        start_info=START_INFO,
        stack_guard=STACK_TOP - partition.stack - STACK_GUARD,
        stack_guard_size=STACK_GUARD,
        period=partition.period,
        deadline=partition.deadline,
        phase=partition.phase,
        restart_within=limit.within if limit else 0,
        restart_limit=limit.restarts if limit else 0,
        restart_then=limit.then if limit else Action.IDLE,
        privileges=partition.privileges,
        maps=maps,
        ports=ports,
        inputs=inputs,
    )


def _schedules(system: System) -> _Records:
    windows = _slices([len(schedule.windows) for schedule in system.schedules])
    return [
        records.Schedule(major_frame=schedule.major_frame, windows=part)
        for schedule, part in zip(system.schedules, windows, strict=True)
    ]


def _windows(system: System) -> _Records:
    return [
        records.Window(
            start=window.start, length=window.length, partition=system.number(window.partition)
        )
        for schedule in system.schedules
        for window in schedule.windows
    ]


def _regions(layout: Layout) -> _Records:
    return [
        records.Region(
            size=region.size,
            file_offset=offset,
            file_size=len(region.data),
            flags=records.REGION_SHARED * region.shared | records.REGION_KEEP * region.keep,
        )
        for region, offset in zip(layout.regions, layout.offsets, strict=True)
    ]


def _maps(layout: Layout) -> _Records:
    return [
        records.Map(address=each.address, region=each.region, rights=each.rights)
        for maps in layout.maps
        for each in maps
    ]


def _channels(system: System, wiring: Wiring) -> _Records:
    readers = _slices([len(link.readers) for link in wiring.links])
    return [
        records.Channel(
            kind=link.channel.kind,
            source=system.number(link.channel.source),
            readers=part,
            mid=NONE if link.mid is None else link.mid,
            message_size=link.message_size,
            depth=link.channel.depth,
            refresh=link.channel.refresh,
        )
        for link, part in zip(wiring.links, readers, strict=True)
    ]


def _readers(wiring: Wiring) -> _Records:
    return [
        records.Reader(channel=each.channel, partition=each.partition, riid=each.endpoint.riid)
        for each in wiring.readers
    ]


def _ports(wiring: Wiring) -> _Records:
    return [
        records.Port(
            channel=port.link.channel.number,
            direction=0 if port.reader is None else 1,
            reader=NONE if port.reader is None else port.reader.number,
        )
        for ports in wiring.ports
        for port in ports
    ]


def _inputs(system: System) -> _Records:
    return [
        records.Input(
            partition=system.number(each.partition), capacity=each.capacity, depth=each.depth
        )
        for each in kernel_inputs(system)
    ]


def _health(system: System) -> _Records:
    return [
        records.Health(level=response.level, action=response.action)
        for partition in system.partitions
        for state in State
        for response in (partition.response(error, state) for error in Error)
    ]
