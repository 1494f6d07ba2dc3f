"""A partition as a test sees it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from khs.engine.structures import View
from khs.errors import KhsError
from khs.trace.kinds import Mode

if TYPE_CHECKING:
    from khs.hil.testing.rig import Rig


@dataclass(frozen=True, slots=True)
class Counters:
    """Since power-on. `ticks` charged to it; `denied`: verdicts on events of which it was the
    source."""

    ticks: int
    idle_ticks: int
    hypercalls: int
    granted: int
    denied: int
    faults: int
    restarts: int
    deadlines_met: int
    deadlines_missed: int


class Partition:
    """`partition("controller")`"""

    def __init__(self, rig: Rig, number: int, name: str, elf: bytes | None) -> None:
        self.name, self.number = name, number
        self._rig, self._elf = rig, elf

    @property
    def _view(self) -> View:
        return self._rig.view(self.number)

    @property
    def mode(self) -> str:
        """The mode of ARINC 653: "idle", "cold-start", "warm-start", "normal"."""
        return Mode(self._view.mode).word

    @property
    def halted(self) -> bool:
        """It faulted, the health table lets it be, and it waits for a restart."""
        return bool(self._view.halted)

    @property
    def counters(self) -> Counters:
        view = self._view
        return Counters(**{name: int(getattr(view, name)) for name in Counters.__slots__})

    # ------------------------------------------------------------ from outside

    def restart(self, *, warm: bool = False) -> None:
        """As the health monitor does it, under the policy. KhsError if it cannot be."""
        self._rig.set_mode(self.number, Mode.WARM_START if warm else Mode.COLD_START)

    def stop(self) -> None:
        """To mode IDLE, until somebody restarts it."""
        self._rig.set_mode(self.number, Mode.IDLE)

    # ------------------------------------------------------------ memory

    def symbol(self, name: str) -> tuple[int, int]:
        """Address and size in bytes of a variable or a function. KhsError if there is none."""
        found = _symbols(self._elf or b"").get(name)
        if found is None:
            raise KhsError(f"{self.name}: its program has no symbol {name}")
        return found

    def read(self, where: str | int, size: int | None = None) -> bytes:
        """Memory at a symbol or an address; by default as much as the symbol has. KhsError where
        nothing is mapped."""
        address, size = self._place(where, size)
        data = self._rig.read(self.number, address, size)
        if len(data) < size:
            raise KhsError(f"{self.name}: nothing is mapped at {address + len(data):#x}")
        return data

    def write(self, where: str | int, data: bytes) -> None:
        """Changes memory between two ticks: an input of the run, which its recording keeps.
        KhsError where no partition may write."""
        address, _ = self._place(where, len(data))
        self._rig.write(self.number, address, data)

    def read_int(self, where: str | int, size: int | None = None, *, signed: bool = False) -> int:
        """The same as a little-endian integer."""
        return int.from_bytes(self.read(where, size), "little", signed=signed)

    def write_int(self, where: str | int, value: int, size: int | None = None) -> None:
        """The same with a little-endian integer."""
        address, size = self._place(where, size)
        try:
            data = value.to_bytes(size, "little", signed=value < 0)
        except OverflowError:
            raise KhsError(f"{self.name}: {value} does not fit into {size} bytes") from None
        self.write(address, data)

    def _place(self, where: str | int, size: int | None) -> tuple[int, int]:
        if isinstance(where, str):
            address, own = self.symbol(where)
            return address, own if size is None else size
        if size is None:
            raise KhsError(
                f"{self.name}: how many bytes at {where:#x}?\n  help: read(ADDRESS, SIZE)"
            )
        return where, size


@cache
def _symbols(elf: bytes) -> dict[str, tuple[int, int]]:
    """Address and size by name."""
    if not elf:
        return {}
    found: dict[str, tuple[int, int]] = {}
    for section in ELFFile(io.BytesIO(elf)).iter_sections():
        if isinstance(section, SymbolTableSection):
            for symbol in section.iter_symbols():
                if symbol.name and symbol["st_info"]["type"] in ("STT_OBJECT", "STT_FUNC"):
                    found[symbol.name] = int(symbol["st_value"]), int(symbol["st_size"])
    return found
