"""Models of devices in Python, and how libkhs calls them."""

from __future__ import annotations

import copy
import ctypes
from collections.abc import Callable
from ctypes import pointer
from enum import IntEnum
from pathlib import Path
from typing import Any

from khs.engine import interrupt
from khs.engine.copies import copied
from khs.engine.interrupt import Interrupted, inside
from khs.engine.native import NEVER, Host
from khs.engine.structures import DeviceCalls, DeviceSaid
from khs.errors import EngineError, raised_at, shown

_MASK = 0xFFFF_FFFF


class Fault(IntEnum):
    """What a device, or the line behind it, may suffer, enum khs_host_fault: the health monitor's
    error device-fault of its owner."""

    LINE_LOST = 0
    LINE_FULL = 1
    OVERRUN = 2
    WATCHDOG = 3
    BUS_OFF = 4


class Device:
    """A device of one partition: derive from it, and override what there is to do.

    Times are absolute ticks of virtual time; everything is called at its very tick, so that a model
    that looks at nothing but its arguments replays bit for bit. `irq` is the interrupt line: while
    it is true, the owner's virtual interrupt comes, again whenever its handler returns; of a device
    that has several it is a number with a bit for each, the first being 1. An exception out of any
    method ends the run with an error that names the place.
    """

    irq: int = False

    #: Tells the health monitor; set by the engine. For calls out of the methods below.
    fail: Callable[[Fault], object] = staticmethod(lambda fault: None)

    #: Bytes to the outside (`--serial`, or nowhere); set by the engine.
    send: Callable[[bytes], object] = staticmethod(lambda data: None)

    def reset(self) -> None:
        """Power on, at tick 0 of each run."""

    def read(self, offset: int, size: int, now: int) -> int:
        """What the driver reads: `size` is 1, 2 or 4 bytes, `offset` a multiple of it."""
        return 0

    def write(self, offset: int, size: int, value: int, now: int) -> None:
        """What the driver writes."""

    def next_event(self) -> int | None:
        """The tick at which `advance` is to be called, if nothing else comes before; asked after
        each call. A tick that is over counts as the next one; after `advance` it is an error."""
        return None

    def advance(self, now: int) -> None:
        """The tick of `next_event` has come."""

    def receive(self, data: bytes, now: int) -> None:
        """Bytes from outside."""

    def save(self) -> Any:
        """All that changes, for a snapshot."""
        state = {key: value for key, value in vars(self).items() if key not in _SET}
        return copied(self, state, _COPYING)

    def restore(self, saved: Any) -> None:
        """Takes it back to what `save` gave."""
        kept = {key: value for key, value in vars(self).items() if key in _SET}
        vars(self).clear()
        vars(self).update(copy.deepcopy(saved) | kept)


_COPYING = "write save() and restore(saved) for what changes; open the rest again in restore"
#: Where methods are that a model calls.
_OURS = (__file__, str(Path(__file__).with_name("devices.py")))


class MisuseError(Exception):
    """A model calls what the engine gives it with something else than that takes."""


#: What the engine sets of a model.
_SET = ("send", "fail")


class Adapter:
    """What libkhs calls in the place of a model. `failure`: the error that ended the run."""

    def __init__(self, host: Host, name: str, model: Device, irqs: int = 1) -> None:
        """`irqs`: interrupt lines that it has."""
        self.failure: EngineError | None = None
        self._is_over = False
        self._host, self._name, self.model = host, name, model
        self._inside = f"the model of {name}"
        self._said = DeviceSaid(NEVER, 0, 0)
        self._irqs = irqs
        model.fail = self._note
        self._tell = self._teller()
        kinds: dict[str, Any] = dict(DeviceCalls._fields_)
        made = {
            "reset": self._guarded("reset", lambda number: self._reset()),
            "read": self._reader(),
            "write": self._guarded("write", lambda number, *access: model.write(*access)),
            "advance": self._guarded("advance", lambda number, now: model.advance(now)),
            "input": self._guarded(
                "receive",
                lambda number, data, size, now: model.receive(ctypes.string_at(data, size), now),
            ),
        }
        functions: dict[str, Any] = {key: kinds[key](each) for key, each in made.items()}
        self.calls = DeviceCalls(**functions)
        self.calls.said = pointer(self._said)

    def _note(self, fault: Fault) -> None:
        try:
            self._said.faults |= 1 << Fault(fault)
        except (ValueError, TypeError):
            known = ", ".join(each.name for each in Fault)
            raise MisuseError(f"fail() takes a khs.hil.Fault: {known}") from None

    def save(self) -> Any:
        """The model's state. EngineError if it cannot be had."""
        try:
            return self.model.save()
        except Exception as error:
            raise self._failed(error, "save") from error

    def restore(self, saved: Any) -> None:
        """Takes the model back. EngineError, and the run cannot go on, if it does not go."""
        try:
            self.model.restore(saved)
        except Exception as error:
            self._end(error, "restore")
            raise self._failed(error, "restore") from error

    def _reset(self) -> None:
        self.model.irq = False
        self.model.reset()

    def _teller(self) -> Callable[[int], None]:
        """Tells libkhs of the line and the next event; the latter, if the model has any: at `least`
        at that tick."""
        model, said, several = self.model, self._said, self._irqs > 1
        told: object = None

        def line(least: int) -> None:
            nonlocal told
            irq = model.irq
            if irq is told:
                return
            if not isinstance(irq, int):
                what = f"{self._inside}: irq of {type(model).__name__} is {irq!r}"
                wanted = "a number with a bit for each" if several else "true or false"
                raise EngineError(f"{what}: {wanted}")
            said.lines = irq & _MASK if several else irq != 0
            told = irq

        if type(model).next_event is Device.next_event:
            return line

        def both(least: int) -> None:
            at = model.next_event()
            if at is not None and not isinstance(at, int):
                raise self._wrong("next_event", f"gave {at!r}", "a tick, an integer; or None")
            if at is not None and at < least:
                what = f"gave tick {at}, and it is {least}"
                raise self._wrong("next_event", what, "a tick to come; None for no more")
            said.next = NEVER if at is None or at > NEVER else max(at, 0)
            line(least)

        return both

    def _guarded(self, method: str, call: Callable[..., None]) -> Callable[..., None]:
        tell, advances = self._tell, method == "advance"

        def guarded(*arguments: Any) -> None:
            if self._is_over:
                return
            try:
                inside.what = self._inside
                call(*arguments)
                tell(arguments[1] if advances else 0)
                inside.what = ""
            except BaseException as error:
                self._end(error, method)

        return guarded

    def _reader(self) -> Callable[..., int]:
        tell, read, who = self._tell, self.model.read, self._inside

        def reader(number: int, offset: int, size: int, now: int) -> int:
            if self._is_over:
                return 0
            try:
                inside.what = who
                value = read(offset, size, now)
                if not isinstance(value, int) or not 0 <= value <= _MASK:
                    raise self._wrong("read", f"gave {value!r}", "an integer, 0 to 2**32 - 1")
                tell(0)
                inside.what = ""
                return value
            except BaseException as error:
                self._end(error, "read")
                return 0

        return reader

    def _wrong(self, method: str, what: str, right: str) -> EngineError:
        kind = type(self.model).__name__
        return EngineError(f"{self._place(method)}{method}() of {kind} {what}\n  help: {right}")

    def _place(self, method: str) -> str:
        """Where the model's class has it."""
        code = getattr(getattr(type(self.model), method), "__code__", None)
        return "" if code is None else f"{shown(code.co_filename)}:{code.co_firstlineno}: "

    def _end(self, error: BaseException, method: str) -> None:
        """Nothing of the model is asked any more; the run ends at the next tick boundary."""
        self._is_over = True
        self._said.next, self._said.lines = NEVER, 0
        if isinstance(error, Interrupted):
            interrupt.latest.interrupted(error)
        else:
            inside.what = ""
            self.failure = self._failed(error, method)
        self._host.stop()

    def _failed(self, error: BaseException, method: str) -> EngineError:
        is_ours = isinstance(error, EngineError)
        at = raised_at(error, *_OURS, *([copied.__code__.co_filename] if is_ours else []))
        if isinstance(error, EngineError) and not at:
            return error
        if isinstance(error, MisuseError):
            return EngineError(f"{at}: {error}" if at else str(error))
        where = f"{at}: " if at else self._place(method)
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        made = EngineError(f"{where}the model of {self._name} failed: {what}")
        made.__cause__ = error
        return made
