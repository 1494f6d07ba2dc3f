"""Models of devices in Python, and how libkhs calls them."""

from __future__ import annotations

import copy
import ctypes
import traceback
from collections.abc import Callable
from ctypes import pointer
from enum import IntEnum
from typing import Any

from khs.engine.native import NEVER, Host
from khs.engine.structures import DeviceCalls, DeviceSaid
from khs.errors import EngineError

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
    it is true, the owner's virtual interrupt comes, again whenever its handler returns. An
    exception out of any method ends the run with an error that names the place.
    """

    irq: bool = False

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
        each call. A tick that is over counts as the next one."""
        return None

    def advance(self, now: int) -> None:
        """The tick of `next_event` has come."""

    def receive(self, data: bytes, now: int) -> None:
        """Bytes from outside."""

    def save(self) -> Any:
        """All that changes, for a snapshot."""
        return copy.deepcopy({key: value for key, value in vars(self).items() if key not in _SET})

    def restore(self, saved: Any) -> None:
        """Takes it back to what `save` gave."""
        kept = {key: value for key, value in vars(self).items() if key in _SET}
        vars(self).clear()
        vars(self).update(copy.deepcopy(saved) | kept)


#: What the engine sets of a model.
_SET = ("send", "fail")


class Adapter:
    """What libkhs calls in the place of a model. `failure`: the error that ended the run."""

    def __init__(self, host: Host, name: str, model: Device) -> None:
        self.failure: EngineError | None = None
        self._host, self._name, self.model = host, name, model
        self._said = DeviceSaid(NEVER, 0, 0)
        model.fail = self._note
        kinds: dict[str, Any] = dict(DeviceCalls._fields_)
        made = {
            "reset": self._guarded(lambda number: self._reset()),
            "read": self._reader(),
            "write": self._guarded(lambda number, *access: model.write(*access)),
            "advance": self._guarded(lambda number, now: model.advance(now)),
            "input": self._guarded(
                lambda number, data, size, now: model.receive(ctypes.string_at(data, size), now)
            ),
        }
        functions: dict[str, Any] = {key: kinds[key](each) for key, each in made.items()}
        self.calls = DeviceCalls(**functions)
        self.calls.said = pointer(self._said)

    def _note(self, fault: Fault) -> None:
        self._said.faults |= 1 << fault

    def _reset(self) -> None:
        self.model.irq = False
        self.model.reset()

    def _tell(self) -> Callable[[], None]:
        """Tells libkhs of the line and the next event; the latter, if the model has any."""
        model, said = self.model, self._said
        if type(model).next_event is Device.next_event:

            def line() -> None:
                said.line = model.irq

            return line

        def both() -> None:
            at = model.next_event()
            said.next = NEVER if at is None or at > NEVER else max(at, 0)
            said.line = model.irq

        return both

    def _guarded(self, call: Callable[..., None]) -> Callable[..., None]:
        tell = self._tell()

        def guarded(*arguments: Any) -> None:
            if self.failure is not None:
                return
            try:
                call(*arguments)
                tell()
            except BaseException as error:
                self._fail(error)

        return guarded

    def _reader(self) -> Callable[..., int]:
        tell, read = self._tell(), self.model.read

        def reader(number: int, offset: int, size: int, now: int) -> int:
            if self.failure is not None:
                return 0
            try:
                value = read(offset, size, now)
                tell()
                return value & _MASK
            except BaseException as error:
                self._fail(error)
                return 0

        return reader

    def _fail(self, error: BaseException) -> None:
        """Nothing of the model is asked any more; the run ends at the next tick boundary."""
        self._said.next, self._said.line = NEVER, 0
        frames = traceback.extract_tb(error.__traceback__)
        at = next((f for f in reversed(frames) if f.filename != __file__), None)
        where = f"{at.filename}:{at.lineno}: " if at is not None else ""
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self.failure = EngineError(f"{where}the model of {self._name} failed: {what}")
        self.failure.__cause__ = error
        self._host.stop()
