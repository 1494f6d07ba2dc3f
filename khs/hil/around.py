"""Everybody outside whom a run meets: plants, files of pins and frames, and who keeps time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from khs.engine.lines import Exchange, Line, Party
from khs.hil import gpio, plants
from khs.hil.can_log import CanLog, FileFrames, is_file
from khs.hil.gpio import Pins
from khs.hil.master import Door, Master
from khs.hil.pace import RealTime, prompt
from khs.hil.plants import PlantLoop, Wired

if TYPE_CHECKING:
    from khs.attached import Attached

Say = Callable[[str], object]
CanFile = CanLog | FileFrames


class Around:
    """False if there is nobody."""

    def __init__(
        self,
        attached: Attached,
        manifest: Mapping[str, Any],
        wired: Wired,
        pins: Pins,
        files: Sequence[CanFile],
        door: Door | None,
    ) -> None:
        #: Whether nothing of the run is kept that could not be forgotten.
        self.goes_back = True
        self._attached, self._manifest = attached, manifest
        self._wired, self._pins, self._door = wired, pins, door
        self._files = files
        self._loops: list[PlantLoop] = []
        self._keeper: RealTime | Master | None = None
        #: Virtual time for each second on the wall, if that was found out.
        self.ratio: float | None = None
        self.is_real = (attached.pace or ("real" if attached.live else "fast")) == "real"

    @staticmethod
    @contextmanager
    def opened(
        attached: Attached, manifest: Mapping[str, Any], say: Say = lambda line: None
    ) -> Iterator[Around]:
        """Plants and what pins are joined to live as long as this; `say` is told of chips that go
        away. KhsError if one cannot be had."""
        with ExitStack() as stack:
            wired: Wired = lambda exchange, manifest: []  # noqa: E731
            if attached.bench is not None:
                wired = stack.enter_context(plants.opened(attached.bench, say))
            pins = stack.enter_context(gpio.opened(attached.gpio, manifest, say))
            files = []
            for file in _can_files(attached, int(manifest["clock_hz"]), say):
                stack.callback(file.close)
                files.append(file)
            door = None
            if attached.master is not None:
                door = Door(attached.master, say)
                stack.callback(door.close)
            made = Around(attached, manifest, wired, pins, files, door)
            if made.is_real:
                stack.enter_context(prompt())
            yield made

    def __bool__(self) -> bool:
        others = self._attached.plants or bool(self._pins.files) or bool(self._files)
        return self.is_real or others or self._door is not None

    @property
    def lines(self) -> Mapping[str, Line]:
        """Those to chips."""
        return self._pins.lines

    def meet(self, exchange: Exchange) -> list[Party]:
        """Those to be met, in this order: who keeps time sees what the others did."""
        for each in self._files:
            each.join(exchange)
        self._loops = self._wired(exchange, self._manifest)
        files = [*self._files, *self._pins.parties(exchange)]
        if self._door is not None:
            self._keeper = Master(exchange, self._door, self._manifest, self.goes_back)
        elif self.is_real:
            attached = self._attached
            self._keeper = RealTime(exchange, live=attached.live, most_ns=attached.most_slip_ns)
        return [*files, *self._loops, *([] if self._keeper is None else [self._keeper])]

    def end(self) -> None:
        """The run is over, its machine not yet closed."""
        if isinstance(self._keeper, Master):
            self._keeper.end()

    @property
    def ended(self) -> bool:
        """Whether a master has ended the run, and well."""
        return isinstance(self._keeper, Master) and self._keeper.has_quit

    @property
    def failure(self) -> str:
        """Why one of them ended the run; "" if none did."""
        told = [loop.failure for loop in self._loops]
        if self._keeper is not None:
            told.append(self._keeper.failure)
        return next((failure for failure in told if failure), "")

    @property
    def loops(self) -> dict[str, PlantLoop]:
        """The plants by name, once they are met."""
        return {loop.name: loop for loop in self._loops}

    def plants(self) -> dict[str, Any] | None:
        """Steps of each plant, and its outputs after the last one."""
        about = ((loop.name, {"steps": loop.steps, "outputs": loop.last}) for loop in self._loops)
        return dict(about) or None

    def slip(self) -> dict[str, Any] | None:
        """Of a run in real time, how late its frames were."""
        if not isinstance(self._keeper, RealTime):
            return None
        return {"pace": "real", "ratio": self.ratio, **self._keeper.slip.to_json()}


def _can_files(attached: Attached, clock_hz: int, say: Say) -> Iterator[CanFile]:
    """Those that buses are joined to, and the log, which may be one of them. KhsError if one is
    none, or cannot be."""
    for bus in dict.fromkeys(attached.can.values()):
        join = attached.joins.get(bus, "")
        if is_file(join):
            yield FileFrames(bus, join, clock_hz, say)
    if attached.can_log is not None:
        yield CanLog(attached.can_log)
