"""Devices of partitions: where each finds its own, and which interrupt it gets from it.

Only boards have devices: the engine that has none leaves the addresses unmapped.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from khs.abi.hypercalls import CONSTANTS
from khs.config.model import DEVICE_BASE, PAGE, Partition, System

NONE = 0xFFFF_FFFF
_FIRST_IRQ = CONSTANTS["IRQ_DEVICE"]
BUSES = ("memory", "io")


@dataclass(frozen=True, slots=True)
class Window:
    """A device as its partition sees it. `address`: of its registers, or its first I/O port;
    `irq`: number of its first virtual interrupt, NONE if the device has none; `lines`: the numbers
    of that and those that follow at the board's interrupt controller."""

    name: str
    kind: str
    bus: str
    address: int
    physical: int
    size: int
    irq: int
    lines: tuple[int, ...]


def windows(system: System, partition: Partition) -> list[Window]:
    """In the order of system.toml; interrupts are numbered in this order, too."""
    found = []
    address = DEVICE_BASE
    irq = _FIRST_IRQ
    for name in partition.devices:
        device = system.board.devices[name]
        mapped = device.bus == "memory"
        found.append(
            Window(
                name,
                device.kind,
                device.bus,
                address + device.address % PAGE if mapped else device.address,
                device.address,
                device.size,
                irq if device.irqs else NONE,
                device.irqs,
            )
        )
        irq += len(device.irqs)
        if mapped:
            address += -(-(device.address % PAGE + device.size) // PAGE) * PAGE
    return found


def describe(system: System) -> list[dict[str, Any]]:
    """For the archive: each device with the number of its partition."""
    return [
        {
            "partition": partition.number,
            **asdict(window),
        }
        for partition in system.partitions
        for window in windows(system, partition)
    ]
