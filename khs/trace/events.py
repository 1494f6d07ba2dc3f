"""Typed events, decoded from the kernel's raw records (khs/core/event.h, version 2).

Ticks count from boot; `local` is the partition's own clock (ticks charged to it). `partition` is
a number, None for the module itself; so are all other identities: `khs.trace.names` knows them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from khs.errors import TraceError
from khs.trace.kinds import (
    CallResult,
    EventType,
    FaultKind,
    HealthAction,
    HealthError,
    Level,
    Mode,
    PolicyRefusal,
    Reason,
    SecurityEvent,
    StartCondition,
    State,
    StopCause,
    Word,
)
from khs.trace.structs import split as split_data

VERSION = 2
NONE = 0xFFFF_FFFF
MODULE = 0xFFFF
VISIBLE = 1
MODULE_BYTES = 16
ARGUMENTS_MAX = 6

# tick size partition flags | local type number code value args pad data pad2
_HEAD = struct.Struct("<QIHHQHHIIHHII")
HEAD_SIZE = _HEAD.size
_AUDITED = struct.Struct("<III")

#: KHS_V_TRIAL of event.h
TRIAL = 0x8000_0000


@dataclass(frozen=True, slots=True)
class Event:
    """What all events have; `visible` ones are part of the partition's own trace."""

    kind: ClassVar[EventType]

    tick: int
    partition: int | None
    visible: bool
    local: int


@dataclass(frozen=True, slots=True)
class Boot(Event):
    kind = EventType.BOOT
    version: int
    clock_hz: int
    partitions: int


@dataclass(frozen=True, slots=True)
class Start(Event):
    kind = EventType.START
    mode: Mode
    condition: StartCondition
    class_number: int
    initiator_class: int


@dataclass(frozen=True, slots=True)
class ModeChange(Event):
    kind = EventType.MODE
    mode: Mode
    old: Mode


@dataclass(frozen=True, slots=True)
class Hypercall(Event):
    """`code` is None while the call blocks; `data` is the message that was delivered to the guest,
    `info` the struct that was written for it (`khs.trace.structs`)."""

    kind = EventType.HYPERCALL
    number: int
    arguments: tuple[int, ...]
    code: int | None
    value: int
    data: bytes
    info: bytes


@dataclass(frozen=True, slots=True)
class Resume(Event):
    """A blocked hypercall ends; `number` is None where no hypercall waited."""

    kind = EventType.RESUME
    number: int | None
    code: int
    value: int
    data: bytes
    info: bytes


@dataclass(frozen=True, slots=True)
class Verdict(Event):
    """`rule` decided (None: none was called); partitions are None for the kernel and Einit;
    `destination_class` is None for a security event. `message` is the whole message. A `trial`
    could not be delivered whatever the verdict (a full queue, say): no state changed."""

    kind = EventType.VERDICT
    event: SecurityEvent
    trial: bool
    granted: bool
    reason: Reason
    sequence: int
    source_class: int
    destination_class: int | None
    source_sid: int
    destination_sid: int
    source: int | None
    destination: int | None
    rule: int | None
    calls: int
    message: bytes


@dataclass(frozen=True, slots=True)
class Fault(Event):
    kind = EventType.FAULT
    fault: FaultKind
    pc: int
    address: int
    detail: int


@dataclass(frozen=True, slots=True)
class Health(Event):
    kind = EventType.HEALTH
    error: HealthError
    action: HealthAction
    level: Level
    state: State
    application: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Interrupt(Event):
    kind = EventType.INTERRUPT
    irq: int


@dataclass(frozen=True, slots=True)
class Input(Event):
    kind = EventType.INPUT
    input: int
    overflow: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Console(Event):
    kind = EventType.CONSOLE
    text: bytes


@dataclass(frozen=True, slots=True)
class ScheduleSwitch(Event):
    kind = EventType.SCHEDULE
    schedule: int
    old: int


@dataclass(frozen=True, slots=True)
class PolicySwap(Event):
    """`policy` is None if a partition installed it; `kept` is None if it was refused, and `refusal`
    tells why: with too much state, `needed` bytes of it and those that are `reserved`.

    `kept` objects of `count` kept their state, `objects` tells for each whether it did. `sequence`
    is that of the verdicts it gives.
    """

    kind = EventType.POLICY
    policy: int | None
    kept: int | None
    sequence: int
    count: int
    objects: tuple[bool, ...]
    refusal: PolicyRefusal | None = None
    needed: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class Stop(Event):
    kind = EventType.STOP
    cause: StopCause


@dataclass(frozen=True, slots=True)
class Wait(Event):
    kind = EventType.WAIT


@dataclass(frozen=True, slots=True)
class AuditedCall:
    """A call that an audit record lists; `value` is what an expression returned, by number."""

    rule: int
    result: CallResult
    value: int


@dataclass(frozen=True, slots=True)
class Audit(Event):
    """The policy's audit profiles have the verdict right before recorded, with these calls.

    `level` is the audit level at which it was judged, `count` the number of calls; `calls` are the
    first ones of them.
    """

    kind = EventType.AUDIT
    level: int
    count: int
    calls: tuple[AuditedCall, ...]


def decode(record: bytes | memoryview, offset: int = 0) -> Event:
    """The event in `record`, one whole record; TraceError names `offset` if it is damaged."""
    if len(record) < HEAD_SIZE:
        raise TraceError(f"offset {offset}: a record is cut short ({len(record)} bytes)")
    head = _HEAD.unpack_from(record)
    tick, size, partition, flags, local, kind, number, code, value, args, _, length, _ = head
    end = HEAD_SIZE + args * 8 + length
    if size != len(record) or size % 8 or args > ARGUMENTS_MAX or not 0 <= size - end < 8:
        raise TraceError(f"offset {offset}: a record's sizes do not agree; the file is damaged")
    common = (tick, None if partition == MODULE else partition, bool(flags & VISIBLE), local)
    arguments = struct.unpack_from(f"<{args}Q", record, HEAD_SIZE)
    data = bytes(record[HEAD_SIZE + args * 8 : end])
    try:
        return _DECODERS[kind](common, number, code, value, arguments, data)
    except (KeyError, ValueError, struct.error):
        raise TraceError(f"offset {offset}: an unknown or damaged event (type {kind})") from None


def split(records: bytes | memoryview, base: int = 0) -> Iterator[memoryview]:
    """The records in a drained block, one by one; `base` is its offset for error messages."""
    view = memoryview(records)
    at = 0
    while at < len(view):
        size = int.from_bytes(view[at + 8 : at + 12], "little")
        if size < HEAD_SIZE or size % 8 or at + size > len(view):
            raise TraceError(f"offset {base + at}: a record is cut short or damaged")
        yield view[at : at + size]
        at += size


Common = tuple[int, int | None, bool, int]
Arguments = tuple[int, ...]
W = TypeVar("W", bound=Word)


def _low(pair: int) -> int:
    return pair & NONE


def _optional(value: int) -> int | None:
    return None if value == NONE else value


def _boot(common: Common, _n: int, code: int, _v: int, a: Arguments, _d: bytes) -> Event:
    clock_hz, partitions = a
    return Boot(*common, code, clock_hz, partitions)


def _start(common: Common, _n: int, code: int, value: int, a: Arguments, _d: bytes) -> Event:
    class_number, initiator = a
    return Start(*common, Mode(code), StartCondition(value), class_number, initiator)


def _mode(common: Common, _n: int, code: int, value: int, _a: Arguments, _d: bytes) -> Event:
    return ModeChange(*common, Mode(code), Mode(value))


def _hypercall(common: Common, n: int, code: int, value: int, a: Arguments, d: bytes) -> Event:
    return Hypercall(*common, n, a, _optional(code), value, *split_data(n, code, d))


def _resume(common: Common, n: int, code: int, value: int, _a: Arguments, d: bytes) -> Event:
    return Resume(*common, None if n == MODULE else n, code, value, *split_data(n, code, d))


def _verdict(common: Common, _n: int, code: int, value: int, a: Arguments, d: bytes) -> Event:
    kind, classes, sids, rule, partitions = a
    return Verdict(
        *common,
        event=SecurityEvent(_low(kind) & ~TRIAL),
        trial=bool(kind & TRIAL),
        granted=bool(value),
        reason=Reason(code),
        sequence=kind >> 32,
        source_class=_low(classes),
        destination_class=_optional(classes >> 32),
        source_sid=_low(sids),
        destination_sid=sids >> 32,
        source=_optional(_low(partitions)),
        destination=_optional(partitions >> 32),
        rule=_optional(_low(rule)),
        calls=rule >> 32,
        message=d,
    )


def _fault(common: Common, _n: int, code: int, _v: int, a: Arguments, _d: bytes) -> Event:
    pc, address, detail = a
    return Fault(*common, FaultKind(code), pc, address, detail)


def _health(common: Common, _n: int, code: int, value: int, a: Arguments, d: bytes) -> Event:
    level, state, application = a
    error, action = HealthError(code), HealthAction(value)
    return Health(*common, error, action, Level(level), State(state), application, d)


def _interrupt(common: Common, _n: int, code: int, _v: int, _a: Arguments, _d: bytes) -> Event:
    return Interrupt(*common, code)


def _input(common: Common, _n: int, code: int, value: int, _a: Arguments, d: bytes) -> Event:
    return Input(*common, code, bool(value), d)


def _console(common: Common, _n: int, _c: int, _v: int, _a: Arguments, d: bytes) -> Event:
    return Console(*common, d)


def _schedule(common: Common, _n: int, code: int, value: int, _a: Arguments, _d: bytes) -> Event:
    return ScheduleSwitch(*common, code, value)


def _policy(common: Common, _n: int, code: int, value: int, a: Arguments, d: bytes) -> Event:
    if value == NONE:
        why, needed, reserved = a
        refusal = PolicyRefusal(why)
        return PolicySwap(*common, _optional(code), None, 0, 0, (), refusal, needed, reserved)
    sequence, count = a
    kept = tuple(bool(d[bit // 8] >> bit % 8 & 1) for bit in range(min(count, 8 * len(d))))
    return PolicySwap(*common, _optional(code), _optional(value), sequence, count, kept)


def _stop(common: Common, _n: int, code: int, _v: int, _a: Arguments, _d: bytes) -> Event:
    return Stop(*common, StopCause(code))


def _wait(common: Common, _n: int, _c: int, _v: int, _a: Arguments, _d: bytes) -> Event:
    return Wait(*common)


def _audit(common: Common, _n: int, code: int, value: int, _a: Arguments, d: bytes) -> Event:
    rows = _AUDITED.iter_unpack(d)
    calls = tuple(AuditedCall(rule, CallResult(result), value) for rule, result, value in rows)
    return Audit(*common, code, value, calls)


_DECODERS = {
    EventType.BOOT: _boot,
    EventType.START: _start,
    EventType.MODE: _mode,
    EventType.HYPERCALL: _hypercall,
    EventType.RESUME: _resume,
    EventType.VERDICT: _verdict,
    EventType.FAULT: _fault,
    EventType.HEALTH: _health,
    EventType.INTERRUPT: _interrupt,
    EventType.INPUT: _input,
    EventType.CONSOLE: _console,
    EventType.SCHEDULE: _schedule,
    EventType.POLICY: _policy,
    EventType.STOP: _stop,
    EventType.WAIT: _wait,
    EventType.AUDIT: _audit,
}
