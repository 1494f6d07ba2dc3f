"""Handlers of URLs for pyserial. Importing this package is all it takes:

import khs.hil.handlers, serial
port = serial.serial_for_url("khs://bench/driver/uart3")
"""

from __future__ import annotations

import serial

if __name__ not in serial.protocol_handler_packages:
    serial.protocol_handler_packages.append(__name__)
