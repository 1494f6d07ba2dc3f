"""The other side of `khs run --pace outside:SOCKET`: docs/hil-protocol.md.

with Client("/tmp/bench.sock") as system:
    system.run_for(ns=20_000_000)
    speed = system.region_read("drive_out", 0, 4)
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from khs.errors import KhsError

VERSION = 1
_PINS = struct.Struct("<II")
_RETRY_S = 0.02


class ClientError(KhsError):
    """The run refuses a request, or is gone."""


class Client:
    """A master. All methods raise ClientError."""

    def __init__(self, path: str, timeout: float = 10.0) -> None:
        """Waits up to `timeout` seconds for the run to listen. `about`: the run's greeting."""
        self._socket = _connect(path, timeout)
        self._file = self._socket.makefile("rwb")
        self._number = 0
        self._levels: dict[str, dict[int, bool]] = {}
        self.about: Mapping[str, Any] = self._line()
        if self.about.get("khs") != "hil" or self.about.get("version") != VERSION:
            self.close()
            raise ClientError(f"{path}: not of a run that speaks version {VERSION}")
        if "error" in self.about:
            self.close()
            raise ClientError(f"{path}: {self.about['error']}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """A run that was not told to `quit` ends with a finding."""
        with suppress(OSError):  # what was not sent does not get there
            self._file.close()
        self._socket.close()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Any request, and its answer."""
        self._number += 1
        try:
            self._file.write(json.dumps({"id": self._number, "do": do, **arguments}).encode())
            self._file.write(b"\n")
            self._file.flush()
        except (OSError, ValueError) as error:
            raise ClientError(f"the run is gone: {error}") from error
        told = self._line()
        if not told.get("ok"):
            raise ClientError(f"{do}: {told.get('error')}")
        return told

    def _line(self) -> dict[str, Any]:
        try:
            line = self._file.readline()
        except (OSError, ValueError) as error:
            raise ClientError(f"the run is gone: {error}") from error
        if not line:
            raise ClientError("the run is gone")
        told: dict[str, Any] = json.loads(line)
        return told

    # ------------------------------------------------------------ time

    def time(self) -> dict[str, int]:
        """`tick`, `ns` and completed `frames`."""
        return self.ask("time")

    def run_for(self, *, ns: int | None = None, ticks: int | None = None) -> dict[str, Any]:
        """Lets so much virtual time pass; `ended` tells whether the run is over."""
        return self.ask("run_for", **({"ns": ns} if ticks is None else {"ticks": ticks}))

    def quit(self) -> None:
        """The run ends with its frame, and well."""
        self.ask("quit")

    # ------------------------------------------------------------ memory

    def region_read(self, region: str, offset: int, size: int) -> bytes:
        told = self.ask("region_read", region=region, offset=offset, size=size)
        return bytes.fromhex(told["data"])

    def region_write(self, region: str, offset: int, data: bytes) -> None:
        self.ask("region_write", region=region, offset=offset, data=data.hex())

    def memory_read(self, partition: str, address: int, size: int) -> bytes:
        """By the partition's addresses, up to the first byte that is not mapped."""
        told = self.ask("memory_read", partition=partition, address=address, size=size)
        return bytes.fromhex(told["data"])

    # ------------------------------------------------------------ devices

    def device_read(self, device: str) -> bytes:
        """What it has sent since the last time."""
        return bytes.fromhex(self.ask("device_read", device=device)["data"])

    def device_write(self, device: str, data: bytes) -> None:
        """Bytes to a UART, records to others: docs/hil.md."""
        self.ask("device_write", device=device, data=data.hex())

    def pin_set(self, device: str, pin: int, level: bool) -> None:
        """The level of a pin that is an input of a GPIO controller."""
        self.device_write(device, _PINS.pack(1 << pin, level << pin))

    def pin_get(self, device: str, pin: int) -> bool | None:
        """The level that a GPIO controller gives the pin; None if it never did."""
        levels = self._levels.setdefault(device, {})
        for mask, given in _PINS.iter_unpack(self.device_read(device)):
            levels.update({n: bool(given >> n & 1) for n in range(32) if mask >> n & 1})
        return levels.get(pin)

    # ------------------------------------------------------------ going back

    def checkpoint(self) -> int:
        """Keeps the whole system as it is now; the number is for `restore` and `forget`."""
        return int(self.ask("checkpoint")["checkpoint"])

    def restore(self, checkpoint: int) -> None:
        """Back there: what came since never did."""
        self.ask("restore", checkpoint=checkpoint)
        self._levels.clear()

    def forget(self, checkpoint: int) -> None:
        self.ask("forget", checkpoint=checkpoint)


def _connect(path: str, timeout: float) -> socket.socket:
    until = time.monotonic() + timeout
    while True:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.connect(path)
            return made
        except OSError as error:
            made.close()
            if time.monotonic() >= until:
                raise ClientError(f"{path}: no run listens there: {error.strerror}") from error
        time.sleep(_RETRY_S)
