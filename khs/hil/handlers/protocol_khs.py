"""khs://SYSTEM/PARTITION/DEVICE for pyserial: a serial port of a system that runs with --serve.

Settings of the line (baud rate, parity and so on) are the driver's in the partition; here they are
ignored, as with pyserial's socket://. What the partition sent while nobody was there comes first.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios

from serial.serialutil import SerialException
from serial.urlhandler import protocol_socket

from khs.errors import KhsError
from khs.hil.served import connect


class Serial(protocol_socket.Serial):  # type: ignore[misc]
    """The port, as pyserial wants it."""

    is_open: bool

    def open(self) -> None:
        """SerialException if there is no such system or port, or somebody is there already."""
        self.logger = None
        if self._port is None:
            raise SerialException("Port must be configured before it can be used.")
        if self.is_open:
            raise SerialException("Port is already open.")
        self._socket: socket.socket | None = None
        try:
            line = connect(self.portstr)
        except (KhsError, OSError) as error:
            raise SerialException(f"could not open port {self.portstr}: {error}") from error
        line.setblocking(False)
        self._socket, self.is_open = line, True

    @property
    def in_waiting(self) -> int:
        """Bytes that have come in."""
        if self._socket is None:
            raise SerialException("Port is not open.")
        waiting = fcntl.ioctl(self._socket.fileno(), termios.FIONREAD, bytes(4))
        return int(struct.unpack("i", waiting)[0])
