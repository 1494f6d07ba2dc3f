"""Hardware in the loop: models of devices, what emulated devices are joined to, and plants."""

from __future__ import annotations

from khs.engine.device import Device, Fault
from khs.hil.client import Client, ClientError
from khs.hil.plant import Plant

__all__ = ["Client", "ClientError", "Device", "Fault", "Plant"]
