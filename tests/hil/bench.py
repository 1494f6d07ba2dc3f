"""Guests with a device that writes down what they do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from khs.engine.device import Adapter, Device
from khs.engine.native import NEVER, End, Host
from khs.engine.structures import HostDevice
from tests.host.assemble import assemble
from tests.host.system import COLD, Arch, Partition, System, build, policy

WINDOW, PORT, SIZE, IRQ = 0x4C000000, 0x3E8, 8, 3
NONE = 0xFFFF_FFFF

#: Tick, "r" or "w" or "advance", offset, size, value.
Row = tuple[int, str, int, int, int]


class Notebook(Device):
    """Reads count upwards. Writing n to 4 asks for an event n ticks later; its interrupt line then
    rises, and falls when 0 is written to 0."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.at: int | None = None

    def reset(self) -> None:
        self.rows.clear()
        self.at = None

    def read(self, offset: int, size: int, now: int) -> int:
        self.rows.append((now, "r", offset, size, 0))
        return len(self.rows)

    def write(self, offset: int, size: int, value: int, now: int) -> None:
        self.rows.append((now, "w", offset, size, value))
        if offset == 4:
            self.at = now + value
        elif offset == 0 and value == 0:
            self.irq = False

    def next_event(self) -> int | None:
        return self.at

    def advance(self, now: int) -> None:
        self.rows.append((now, "advance", 0, 0, 0))
        self.at, self.irq = None, True


@dataclass
class Played:
    """All that a guest and its device can know."""

    rows: list[Row]
    trace: bytes
    registers: Sequence[int]
    ticks: int
    faults: int
    seen: list[object] = field(default_factory=list, compare=False)


def place(arch: Arch, partition: int = 0, size: int = SIZE, model: int = 0) -> HostDevice:
    """In memory on ARM, behind ports on x86."""
    is_io = arch is not Arch.ARMV7
    return HostDevice(partition, model, is_io, IRQ, PORT if is_io else WINDOW, size)


def play(
    arch: Arch,
    source: str | bytes,
    windows: Sequence[int],
    until: Sequence[int] = (),
    where: HostDevice | None = None,
) -> Played:
    """The windows follow one another without a gap; `until`: further ticks to come back at."""
    code = source if isinstance(source, bytes) else assemble(arch, source)
    system = System(arch, [Partition(code, action=COLD)], [(0, ticks) for ticks in windows])
    model, trace = Notebook(), bytearray()
    with Host(*build(system), [policy()]) as host:
        adapter = Adapter(host, "guest.device", model)
        assert host.add_device(where or place(arch), adapter.calls) == 0
        host.boot()
        for tick in [*until, NEVER]:
            while host.run(1, tick) is not End.REACHED:
                pass
            for drained in host.drain():
                for _, part in drained.parts:
                    trace += part
        assert adapter.failure is None, adapter.failure
        view = host.view(0)
        return Played(model.rows, bytes(trace), host.registers(0), view.ticks, view.faults)
