"""What CAN controllers of partitions are joined to: `--can PARTITION.DEVICE=BUS`.

    NAME                a bus of this system: all controllers with the same name are on it
    INTERFACE:CHANNEL   the same, joined to a bus of python-can: udp_multicast:239.74.163.2
    ...?KEY=VALUE&...   with more of its arguments: slcan:/dev/ttyACM0?bitrate=500000
    file:IN.log         the same, with frames of a file on it (khs.hil.can_log)

The other bus is a node on the system's one: it acknowledges, and takes part in arbitration. When it
goes away, that is told once; then it acknowledges no more, and the run goes on.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

from khs.engine.device import Fault
from khs.engine.devices import CAN, device_names
from khs.engine.lines import Line
from khs.errors import KhsError
from khs.hil.can_log import is_file
from khs.hil.frames import GONE, THERE, Database, Frame, frames
from khs.hil.serial import LiveLine, Say

if TYPE_CHECKING:
    from khs.attached import Attached

__all__ = ["GONE", "THERE", "Buses", "CanLine", "Database", "Frame", "frames", "is_outside"]

_LOOK_S = 0.05
#: Interfaces by which one hears oneself, and how many frames of that are remembered.
_ECHOING, _ECHOES = ("udp_multicast",), 1 << 12


def is_outside(bus: str) -> bool:
    """Whether a bus is joined to one of python-can, or to a file."""
    return ":" in bus


class _Wire:
    """A bus of python-can. `refused`: frames of CAN FD, and reports of errors, which do not come
    in. `echoes`: what is sent comes back, and does not come in either."""

    def __init__(
        self, bus: Any, lost: type[Exception], message: Callable[..., Any], echoes: bool
    ) -> None:
        self.refused = 0
        self._echoes: deque[bytes] | None = deque(maxlen=_ECHOES) if echoes else None
        self._bus, self._lost, self._message = bus, lost, message

    def read(self) -> bytes:
        try:
            got = self._bus.recv(_LOOK_S)
        except self._lost as error:
            raise OSError(str(error)) from error
        if got is None:
            return b""
        if got.is_fd or got.is_error_frame:
            self.refused += 1
            return b""
        data = b"" if got.is_remote_frame else bytes(got.data)
        size = min(got.dlc, 8)
        number, extended, remote = got.arbitration_id, got.is_extended_id, got.is_remote_frame
        record = Frame(number, data, extended, remote, size).record
        return b"" if self._is_echo(record) else record

    def _is_echo(self, record: bytes) -> bool:
        """They come in the order in which they were sent; those before it were lost."""
        if not self._echoes or record not in self._echoes:
            return False
        while self._echoes.popleft() != record:
            pass
        return True

    def write(self, data: bytes) -> None:
        for frame in frames(data):
            message = self._message(
                arbitration_id=frame.id,
                is_extended_id=frame.extended,
                is_remote_frame=frame.remote,
                dlc=frame.size,
                data=None if frame.remote else frame.data,
            )
            if self._echoes is not None:
                self._echoes.append(frame.record)
            try:
                self._bus.send(message)
            except self._lost as error:
                raise OSError(str(error)) from error

    def close(self) -> None:
        self._bus.shutdown()


class CanLine(LiveLine):
    """A bus of python-can, seen from a controller's."""

    def __init__(self, name: str, wire: _Wire, say: Say) -> None:
        self._told, self._ended = False, False
        self._bus = wire
        super().__init__(name, wire, say)

    def take(self) -> bytes:
        data = super().take()
        if not self._told:
            self._told = True
            data = THERE + data
        if self.gone and not self._ended:
            self._ended = True
            data += GONE
        return data

    def close(self) -> None:
        super().close()
        if self._bus.refused:
            self._say(f"{self._name}: {self._bus.refused} frames from there were none of CAN 2.0")


def _open(name: str, place: str, say: Say) -> CanLine:
    option = f"--can {name}={place}"
    try:
        import can
    except ImportError as error:
        raise KhsError(
            f"{option}: python-can is missing\n  help: pip install 'khs[hil]'"
        ) from error
    interface, _, rest = place.partition(":")
    channel, _, query = rest.partition("?")
    more = {key: int(value) if value.isdecimal() else value for key, value in parse_qsl(query)}
    try:
        bus: Any = can.Bus(interface=interface, channel=channel, **more)  # type: ignore[arg-type]
    except (can.CanError, ValueError, TypeError, OSError, ImportError) as error:
        raise KhsError(
            f"{option}: {error}\n"
            "  help: a name, or INTERFACE:CHANNEL of python-can: udp_multicast:239.74.163.2"
        ) from error
    return CanLine(name, _Wire(bus, can.CanError, can.Message, interface in _ECHOING), say)


class Quiet:
    """A bus outside with somebody who acknowledges, and says nothing: for a trial of the system."""

    live = False

    def __init__(self) -> None:
        self._waiting = THERE

    def take(self) -> bytes:
        data, self._waiting = self._waiting, b""
        return data

    def put(self, data: bytes) -> None:
        pass

    def fault(self) -> Fault | None:
        return None


def firsts(attached: Attached, devices: Iterable[str]) -> dict[str, str]:
    """The first controller of each bus; `devices`: all of the system, in their order."""
    found: dict[str, str] = {}
    for name in devices:
        if name in attached.can:
            found.setdefault(attached.can[name], name)
    return found


def quiet(attached: Attached, devices: Iterable[str]) -> dict[str, Line]:
    """In the place of the lines of buses that lead outside."""
    buses = firsts(attached, devices)
    return {name: Quiet() for bus, name in buses.items() if bus in attached.joins}


def tell_of_lonely(attached: Attached, manifest: Mapping[str, Any], say: Say) -> None:
    """Of controllers that nobody hears: a bus has no other one, and leads nowhere."""
    rows = zip(device_names(manifest), manifest.get("devices", ()), strict=True)
    own = [name for name, about in rows if about["kind"] in CAN and name not in attached.models]
    buses = {name: attached.can.get(name, name) for name in own}
    nodes = Counter(buses.values())
    alone = [name for name, bus in buses.items() if nodes[bus] == 1 and bus not in attached.joins]
    if alone:
        say(
            f"{', '.join(alone)}: alone on a bus, where nobody acknowledges a frame\n"
            "  help: --can PARTITION.DEVICE=BUS puts controllers on one"
        )


class Buses:
    """Lines of all buses that lead to python-can's, by the first controller of each; closed in the
    end. `devices`: all of the system, in their order. `say` is told of those that go away.
    KhsError if one cannot be opened."""

    def __init__(self, attached: Attached, devices: Iterable[str], say: Say) -> None:
        self._firsts = firsts(attached, devices)
        self._joins, self._say = attached.joins, say
        self._stack = ExitStack()
        self.lines: dict[str, Line] = {}

    def __enter__(self) -> Self:
        try:
            for bus, name in self._firsts.items():
                if bus in self._joins and not is_file(self._joins[bus]):
                    line = _open(name, self._joins[bus], self._say)
                    self._stack.callback(line.close)
                    self.lines[name] = line
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
