"""Timers that are stepped through every cycle of their clocks, as their manuals tell it."""

from __future__ import annotations

from dataclasses import dataclass, field


class Oracle:
    """`hz` of its clock; `system_hz` of ticks. Ticks of the interrupts' causes are in `rose`."""

    hz = 1

    def __init__(self, system_hz: int) -> None:
        self.system_hz = system_hz
        self.cycle = 0
        self.rose: list[int] = []

    def run_to(self, tick: int) -> None:
        """All cycles that are complete at this tick."""
        while -(-(self.cycle + 1) * self.system_hz // self.hz) <= tick:
            self.cycle += 1
            self.step(-(-self.cycle * self.system_hz // self.hz))

    def step(self, tick: int) -> None:
        raise NotImplementedError


class Epit(Oracle):
    """Chapter 24 of the i.MX 6Dual/6Quad reference manual, clocked by 66 MHz."""

    hz = 66_000_000

    def __init__(self, system_hz: int) -> None:
        super().__init__(system_hz)
        self.control, self.status, self.load, self.compare = 0, 0, 0xFFFFFFFF, 0
        self.counter, self.prescaled = 0xFFFFFFFF, 0

    @property
    def counts(self) -> bool:
        return bool(self.control & 1) and self.control >> 24 & 3 in (1, 2)

    def step(self, tick: int) -> None:
        if not self.counts:
            return
        self.prescaled += 1
        if self.prescaled <= self.control >> 4 & 0xFFF:
            return
        self.prescaled = 0
        if self.counter == 0:
            self.counter = self.load if self.control & 8 else 0xFFFFFFFF
        else:
            self.counter -= 1
        if self.counter == self.compare:
            if not self.status:
                self.rose.append(tick)
            self.status = 1

    def write(self, offset: int, value: int) -> None:
        if offset == 0:
            before, self.control = self.control, value & ~0x10000
            if value & ~before & 1 and value & 2:
                self.counter, self.prescaled = self.load if value & 8 else 0xFFFFFFFF, 0
            elif (before ^ value) & 0x0300FFF1:
                self.prescaled = 0
        elif offset == 4:
            self.status &= ~value
        elif offset == 8:
            self.load = value
            if self.control & 0x20000:
                self.counter, self.prescaled = value, 0
        elif offset == 12:
            self.compare = value

    def read(self, offset: int) -> int:
        return {0: self.control, 4: self.status, 8: self.load, 12: self.compare, 16: self.counter}[
            offset
        ]


@dataclass
class Channel:
    """One counter of the 8254 data sheet, gate high, binary, low byte then high byte."""

    mode: int = 3
    count: int = 65536  # in CR when it was loaded last
    element: int = 65536
    out: bool = True
    counting: bool = True
    pending: int = 0  # in CR, not loaded
    low: int = -1
    reads_high: bool = False
    latch: list[int] = field(default_factory=list)

    def command(self, mode: int) -> None:
        self.mode, self.counting, self.pending, self.low = mode, False, 0, -1
        self.out, self.reads_high, self.latch = mode != 0, False, []

    def write(self, byte: int) -> None:
        if self.low < 0:
            self.low = byte
            if self.mode == 0:
                self.counting, self.out, self.pending = False, False, 0
            return
        self.pending, self.low = (byte << 8 | self.low) or 65536, -1

    def begin(self) -> None:
        self.count, self.pending, self.counting = self.pending, 0, True
        self.element = self.count & ~1 if self.mode == 3 else self.count
        if self.mode == 0:
            self.out = False

    def clock(self) -> None:
        if self.pending and (not self.counting or self.mode in (0, 4)):
            self.begin()
            self.out = self.mode != 0
            return
        if not self.counting:
            return
        if self.mode in (0, 4):
            self.element = (self.element - 1) % 65536
            fired = self.element == 0 and not self.done
            self.out = (self.out or fired) if self.mode == 0 else not fired
            self.done = self.done or fired
        elif self.mode == 2:
            self.element -= 1
            if self.element == 0:
                self._reload()
            self.out = self.element != 1
        else:
            self._square()

    def _reload(self) -> None:
        if self.pending:
            self.begin()
        self.element = self.count & ~1 if self.mode == 3 else self.count

    def _square(self) -> None:
        """High for (n + 1) / 2 cycles, low for (n - 1) / 2, in steps of two."""
        odd_high = self.out and self.count % 2 == 1
        self.element -= 2
        if (self.element == 0 and not odd_high) or self.element < 0:
            self.out = not self.out
            self._reload()

    done = False


class Pit(Oracle):
    """Channel 0 and its interrupt."""

    hz = 1_193_182

    def __init__(self, system_hz: int) -> None:
        super().__init__(system_hz)
        self.channel = Channel()

    def step(self, tick: int) -> None:
        before, was_pending = self.channel.out, self.channel.pending
        self.channel.clock()
        if was_pending and not self.channel.pending and self.channel.mode in (0, 4):
            self.channel.done = False
        if self.channel.out and not before:
            self.rose.append(tick)

    def write(self, offset: int, value: int, tick: int) -> None:
        before = self.channel.out
        if offset == 0:
            self.channel.write(value)
        elif value & 0x30:
            self.channel.command(value >> 1 & 7)
        elif not self.channel.latch:
            self.channel.latch = list((self.channel.element % 65536).to_bytes(2, "little"))
        if self.channel.out and not before:
            self.rose.append(tick)

    def read(self) -> int:
        c = self.channel
        if c.latch:
            return c.latch.pop(0)
        c.reads_high = not c.reads_high
        return c.element % 65536 >> (0 if c.reads_high else 8) & 0xFF
