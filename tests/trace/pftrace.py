"""A reader of Perfetto's format that shares nothing with the writer: fields by number, as
protoc --decode_raw has them, and what a trace processor makes of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

Fields = dict[int, list[Any]]


def fields(data: bytes) -> Fields:
    """Every field of a message: ints, and bytes for what has a length."""
    found: Fields = defaultdict(list)
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                assert value < 1 << 64
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            found[key >> 3].append(varint())
        elif key & 7 == 1:
            found[key >> 3].append(int.from_bytes(data[at : at + 8], "little"))
            at += 8
        else:
            assert key & 7 == 2, f"wire type {key & 7} at {at}"
            length = varint()
            assert at + length <= len(data)
            found[key >> 3].append(data[at : at + length])
            at += length
    return found


@dataclass
class Slice:
    track: str
    name: str
    category: str
    begin: int
    end: int | None = None
    details: dict[str, Any] = field(default_factory=dict)
    depth: int = 0
    parent: Slice | None = None
    flows: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()


@dataclass
class Trace:
    """Slices (instants have begin == end, `instant`), counters, tracks with their parents."""

    clock: int = 0
    tracks: dict[int, tuple[str, int]] = field(default_factory=dict)
    slices: list[Slice] = field(default_factory=list)
    instants: list[Slice] = field(default_factory=list)
    counters: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    def name(self, track: int) -> str:
        """`sensor`, `sensor/waits`."""
        name, parent = self.tracks[track]
        above = self.name(parent) if self.tracks.get(parent, ("", 0))[1] else ""
        return f"{above}/{name}" if above else name

    def flows(self) -> list[tuple[Slice, Slice]]:
        """Arrows: from each slice or instant of a flow to the next one of the flow."""
        points = sorted([*self.slices, *self.instants], key=lambda each: each.begin)
        known: dict[int, Slice] = {}
        arrows = []
        for point in points:
            for flow in (*point.flows, *point.ends):
                if flow in known:
                    arrows.append((known.pop(flow), point))
                else:
                    assert flow not in point.ends, f"{point} ends a flow that nobody began"
            known.update(dict.fromkeys(point.flows, point))
        return arrows


def read(data: bytes) -> Trace:
    """Checks the nesting as well: a slice ends inside the one that it began in."""
    trace = Trace()
    strings: dict[int, dict[int, str]] = defaultdict(dict)
    events: list[tuple[int, Fields]] = []
    resolved: dict[int, tuple[str, str, dict[str, Any]]] = {}
    for raw in fields(data)[1]:
        packet = fields(raw)
        assert packet[10] == [1], "every packet is of the one sequence"
        for snapshot in packet[6]:
            trace.clock = fields(snapshot)[2][0]
        for descriptor in packet[60]:
            about = fields(descriptor)
            name = about[2][0] if about[2] else fields(about[3][0])[6][0]
            assert about[1][0] not in trace.tracks
            trace.tracks[about[1][0]] = (name.decode(), about[5][0] if about[5] else 0)
        for interned in packet[12]:
            for kind, rows in fields(interned).items():
                for row in map(fields, rows):
                    assert row[1][0] not in strings[kind]
                    strings[kind][row[1][0]] = row[2][0].decode()
        for event in packet[11]:
            about = fields(event)
            assert about[11][0] in trace.tracks, "tracks are described before they are used"
            resolved[id(about)] = _resolve(about, strings)
            events.append((packet[8][0], about))
    stacks: dict[int, list[Slice]] = defaultdict(list)
    for ns, about in sorted(events, key=lambda each: each[0]):
        _place(trace, stacks, ns, about, resolved[id(about)])
    return trace


def _resolve(about: Fields, strings: Any) -> tuple[str, str, dict[str, Any]]:
    name = strings[2][about[10][0]] if about[10] else b"".join(about[23]).decode()
    category = strings[1][about[3][0]] if about[3] else b"".join(about[22]).decode()
    details = {}
    for each in map(fields, about[4]):
        key = strings[3][each[1][0]] if each[1] else each[10][0].decode()
        value = each[6][0].decode() if each[6] else (each[3] or [None])[0]
        details[key] = strings[29][each[17][0]] if each[17] else value
    return name, category, details


def _place(trace: Trace, stacks: Any, ns: int, about: Fields, resolved: Any) -> None:
    kind, number = about[9][0], about[11][0]
    track, stack = trace.name(number), stacks[number]
    name, category, details = resolved
    if kind == 4:
        trace.counters[track].append((ns, about[30][0]))
        return
    if kind == 2:
        assert stack, f"{track}: a slice ends at {ns} that never began"
        ended = stack.pop()
        ended.end = ns
        ended.details.update(details)
        assert ended.parent is None or ended.parent.end is None
        return
    point = Slice(track, name, category, ns, None, details)
    point.flows, point.ends = tuple(about[47]), tuple(about[48])
    if kind == 3:
        point.end = ns
        trace.instants.append(point)
        return
    assert kind == 1
    point.depth, point.parent = len(stack), stack[-1] if stack else None
    stack.append(point)
    trace.slices.append(point)
