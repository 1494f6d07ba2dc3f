"""A trace as a picture for Perfetto (https://ui.perfetto.dev, which runs in the browser alone).

A track a partition: its windows, in them its hypercalls from entry to return, and what befell it;
below it a track of its waits, each from the hypercall that waited to its end. Arrows lead from what
sent a message to what got it, counters tell how many messages are in a queue. It is written while
the trace is read: memory does not grow with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from khs.errors import TraceError
from khs.trace import events, text
from khs.trace.events import Event
from khs.trace.file import Header, Reader
from khs.trace.kinds import Mode
from khs.trace.message import show_bytes
from khs.trace.messages import Messages, Moved, Queue, causal
from khs.trace.names import Names
from khs.trace.outline import Outline
from khs.trace.timeline import Slot, Timeline
from khs.trace.track_events import Point, Shared, TrackEvents, Value
from khs.trace.verdicts import Judged, Verdicts

_ROOT, _KERNEL, _FRAMES = 1, 2, 3
_PARTITIONS, _WAITS, _QUEUES = 1 << 16, 2 << 16, 3 << 16


def write(reader: Reader, path: Path) -> int:
    """Writes the picture of a trace; how many events it shows. TraceError if the trace is damaged
    or the file cannot be written."""
    try:
        with path.open("wb") as file:
            return draw(reader.header, reader.events(), file.write)
    except OSError as error:
        raise TraceError(f"{path}: cannot be written: {error.strerror}") from None


def draw(header: Header, records: Iterable[Event], sink: Callable[[bytes], object]) -> int:
    """Gives the picture of these events to `sink`, packet by packet; how many there are."""
    picture = _Picture(header, TrackEvents(sink))
    count = 0
    for event in causal(records):
        picture.add(event)
        count += 1
    picture.close()
    return count


class _Picture:
    def __init__(self, header: Header, out: TrackEvents) -> None:
        self._names = Names.from_header(header)
        self._outline = Outline.from_header(header)
        self._out = out
        self._timeline = Timeline(self._outline)
        self._messages = Messages(self._outline)
        self._verdicts = Verdicts(self._names)
        self._window: Slot | None = None  # that is open
        self._nested: set[int] = set()  # partitions with a hypercall that waits, in their window
        self._waits: set[int] = set()  # partitions with an open slice in their track of waits
        self._tracks: set[int] = set()
        self._queues: dict[Queue, int] = {}
        self._stopped = False
        about = header.get("manifest")
        about = about if isinstance(about, dict) else {}
        system, board = (str(about.get(key, f"no {key}")) for key in ("system", "board"))
        out.process(_ROOT, f"{system} on {board}", ["virtual time since boot"])
        out.track(_KERNEL, _ROOT, "kernel", 0, "Schedules, policies, start and stop of the module")
        out.track(_FRAMES, _ROOT, "major frames", 1)
        for number in range(len(self._names.partitions)):
            self._track(number)

    def add(self, event: Event) -> None:
        for slot in self._timeline.before(event):
            self._slot(slot)
        self._leave(event.tick)
        moved = self._messages.moved(event)
        match event:
            case events.Hypercall():
                self._hypercall(event, moved)
            case events.Resume():
                self._resume(event, moved)
            case events.Wait():
                self._begin_wait(event, Point("idle instruction", "wait"))
            case events.Verdict():
                judged = self._verdicts.judged(event)
                if not event.granted:
                    self._instant(event, Point("denied", "denied", self._told(judged)))
            case events.Audit():
                pass
            case _:
                self._happened(event, moved)
        for queue, depth in moved.depths:
            self._out.count(self._queue(queue), self._ns(event.tick), depth)
        self._names.observe(event)

    def close(self) -> None:
        """The rest of the last major frame, unless the module stopped in it."""
        for slot in () if self._stopped else self._timeline.rest():
            self._slot(slot)
        if self._window is not None:
            self._leave(self._window.end + 1)

    # ---- windows

    def _slot(self, slot: Slot) -> None:
        if slot.partition is not None:
            self._leave(slot.start + 1)
            name, track = "window", self._track(slot.partition)
            self._window = slot
        else:
            name, track = f"frame {slot.frame}", _FRAMES
            if slot.frames > 1:
                name = f"{slot.frames} frames without an event"
        schedule = Shared(self._names.schedule(slot.schedule))
        details: dict[str, Value] = {"frame": slot.frame, "schedule": schedule}
        point = Point(name, "schedule", details, once=slot.partition is None)
        self._out.begin(track, self._ns(slot.start), point)
        if slot.partition is None:
            self._out.end(track, self._ns(slot.end))

    def _leave(self, tick: int) -> None:
        """Closes the open window if it has ended before `tick`."""
        window = self._window
        if window is None or window.partition is None or window.end >= tick:
            return
        self._close_window(window.partition, window.end)

    def _close_window(self, partition: int, tick: int) -> None:
        if partition in self._nested:
            self._nested.remove(partition)
            self._out.end(self._track(partition), self._ns(tick))
        self._out.end(self._track(partition), self._ns(tick))
        self._window = None

    # ---- hypercalls

    def _hypercall(self, event: events.Hypercall, moved: Moved) -> None:
        judged = self._verdicts.of(event)
        name = text.hypercall_name(event.number)
        details: dict[str, Value] = {"call": text.called(event, self._names)}
        if event.code is not None:
            details |= _answer(event)
        for number, each in enumerate(judged, 1):
            place = f" {number}" if len(judged) > 1 else ""
            details |= {f"{key}{place}": value for key, value in self._told(each).items()}
        point = Point(name, "hypercall", details, (*moved.begun, *moved.passed), moved.ended)
        if event.code is None:
            self._begin_wait(event, point)
            return
        track, window = self._track(event.partition), self._window
        end = event.tick + self._outline.costs.of(event, len(judged))
        if window is not None and window.partition == event.partition:
            end = min(end, window.end)
        self._out.begin(track, self._ns(event.tick), point)
        self._out.end(track, self._ns(end))

    def _begin_wait(self, event: Event, point: Point) -> None:
        """A slice in the track of waits, and one in the window for as long as that lasts."""
        self._end_wait(event)
        partition, window = event.partition, self._window
        if partition is None:
            return
        if window is not None and window.partition == partition:
            self._nested.add(partition)
            self._out.begin(self._track(partition), self._ns(event.tick), point)
            point = Point(point.name, "wait")
        self._waits.add(partition)
        self._out.begin(_WAITS + partition, self._ns(event.tick), point)

    def _end_wait(self, event: Event) -> None:
        partition = event.partition
        if partition in self._nested:
            self._nested.remove(partition)
            self._out.end(self._track(partition), self._ns(event.tick))
        if partition in self._waits:
            self._waits.remove(partition)
            details = _answer(event) if isinstance(event, events.Resume) else {}
            self._out.end(_WAITS + partition, self._ns(event.tick), details)

    def _resume(self, event: events.Resume, moved: Moved) -> None:
        self._track(event.partition)
        self._end_wait(event)
        if event.number is not None:
            name, flows = (
                f"{text.hypercall_name(event.number)} resumes",
                (*moved.begun, *moved.passed),
            )
            self._instant(event, Point(name, "resume", _answer(event), flows, moved.ended))

    def _told(self, judged: Judged) -> dict[str, Value]:
        verdict = judged.verdict
        answer = "granted" if verdict.granted else "denied"
        return {
            "verdict": Shared(answer + (" (could not be delivered)" if verdict.trial else "")),
            "judged": text.judged(verdict, self._names),
            "rule": Shared(judged.why),
        }

    # ---- the rest

    def _happened(self, event: Event, moved: Moved) -> None:
        if isinstance(event, events.Start) or (
            isinstance(event, events.ModeChange) and event.mode is Mode.IDLE
        ):
            self._end_wait(event)
        if isinstance(event, events.Stop):
            self._stop(event)
        kind, _, what = text.describe(event, self._names).partition(" ")
        details: dict[str, Value] = {"what": what.strip()}
        self._instant(event, Point(kind, kind, details, moved.begun))

    def _stop(self, event: events.Stop) -> None:
        self._stopped = True
        if self._window is not None and self._window.partition is not None:
            self._close_window(self._window.partition, event.tick)

    def _instant(self, event: Event, point: Point) -> None:
        self._out.instant(self._track(event.partition), self._ns(event.tick), point)

    def _track(self, partition: int | None) -> int:
        """The track of a partition, or the kernel's."""
        if partition is None:
            return _KERNEL
        track = _PARTITIONS + partition
        if track not in self._tracks:
            self._tracks.add(track)
            self._out.track(track, _ROOT, self._names.partition(partition), 2 + partition)
            self._out.track(_WAITS + partition, track, "waits", 0)
        return track

    def _queue(self, queue: Queue) -> int:
        track = self._queues.get(queue)
        if track is None:
            track = self._queues[queue] = _QUEUES + len(self._queues)
            kind, number, reader = queue
            name = f"input {self._names.input(number)}"
            if kind == "port":
                partition = self._outline.channels[number].readers[reader]
                name = f"{self._names.channel(number)} -> {self._names.partition(partition)}"
            self._out.counter(track, _ROOT, name, track, "messages")
        return track

    def _ns(self, tick: int) -> int:
        return tick * 1_000_000_000 // self._names.clock_hz


def _answer(event: events.Hypercall | events.Resume) -> dict[str, Value]:
    """How a hypercall ended."""
    details: dict[str, Value] = {"code": Shared(text.code(event.code or 0)), "value": event.value}
    if event.data:
        details["data"] = show_bytes(event.data)
    return details
