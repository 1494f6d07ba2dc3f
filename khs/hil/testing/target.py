"""A labgrid target: a real board, or whatever its environment has in its place.

Needed are a driver of PowerProtocol, and one of ConsoleProtocol for each console, under the name
that tests call it by; a single one may have any name. What else a test wants, a board has not got.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

from khs.errors import KhsError
from khs.hil.testing.console import Console, Wire
from khs.hil.testing.rig import Rig


class _DriverWire(Wire):
    """A console of labgrid's."""

    def __init__(self, driver: Any) -> None:
        super().__init__()
        self._driver = driver

    def send(self, data: bytes) -> None:
        self._driver.write(data)

    def listen(self, seconds: float) -> None:
        """Takes what comes, and waits so long for it."""
        from pexpect import TIMEOUT

        try:
            self.put(self._driver.read(size=1, timeout=seconds, max_size=4096))
        except TIMEOUT:
            return


class OnTarget(Rig):
    """`target` is labgrid's."""

    engine = "labgrid"
    can: ClassVar[frozenset[str]] = frozenset({"uart"})
    step_ns = 20_000_000

    def __init__(self, target: Any, vtimeout_ns: int) -> None:
        super().__init__(vtimeout_ns)
        self._target = target
        self._power = target.get_driver("PowerProtocol")
        self._wires: dict[str, _DriverWire] = {}
        self._on_at = time.monotonic()

    def __str__(self) -> str:
        return f"{self._target.name} (labgrid)"

    @property
    def time_ns(self) -> int:
        """A driver of emulated boards has a time of its own."""
        virtual = getattr(self._power, "time_ns", None)
        real = int((time.monotonic() - self._on_at) * 1e9)
        return real if virtual is None else int(virtual)

    def _advance(self, until_ns: int) -> None:
        wires = list(self._wires.values()) or [self._default()]
        while (left := until_ns - self.time_ns) > 0:
            for wire in wires:
                wire.listen(min(left, self.step_ns) / 1e9 / len(wires))

    def _default(self) -> _DriverWire:
        """Somebody who waits, where no test has named a console."""
        return _DriverWire(self._target.get_driver("ConsoleProtocol"))

    def console(self, name: str) -> Console:
        if name not in self._wires:
            self._wires[name] = _DriverWire(self._driver(name))
        return Console(name, self._wires[name], self, port=True)

    def _driver(self, name: str) -> Any:
        from labgrid.exceptions import NoDriverFoundError

        try:
            return self._target.get_driver("ConsoleProtocol", name=name)
        except NoDriverFoundError:
            pass
        try:
            return self._target.get_driver("ConsoleProtocol")
        except NoDriverFoundError as error:
            raise KhsError(
                f"{self}: no console {name}: {error}\n"
                f'  help: in the environment, a driver of ConsoleProtocol with name: "{name}"'
            ) from error

    def consoles(self) -> dict[str, str]:
        return {name: wire.text for name, wire in self._wires.items() if wire.data}

    def reset(self) -> None:
        self._wires.clear()
        self._power.cycle()
        self._on_at = time.monotonic()

    def close(self) -> None:
        """The target is labgrid's, and a board stays as the last test left it."""
