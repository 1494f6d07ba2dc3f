"""What an archive holds of partitions that are whole machines: their images, and how they run."""

from __future__ import annotations

from typing import Any

from khs.config import boards
from khs.config.model import Partition, System
from khs.errors import ConfigError, shown
from khs.image.configbin import kernel_inputs
from khs.image.layout import heap_address
from khs.image.parts import Parts


def member(partition: str, key: str) -> str:
    """The archive's name of a file of a machine."""
    return f"machine/{partition}/{key}"


def members(system: System) -> dict[str, bytes]:
    """The files of every machine; ConfigError if one cannot be read."""
    found = {}
    for partition in system.partitions:
        for key, path in partition.machine.files.items() if partition.machine else ():
            try:
                found[member(partition.name, key)] = path.read_bytes()
            except OSError as error:
                message = f"{shown(path)} cannot be read: {error.strerror}"
                place = ("partition", partition.name, key)
                raise ConfigError([system.finding("PART-022", place, message, "")]) from error
    return found


def describe(parts: Parts) -> dict[str, Any]:
    """What the manifest says, by partition: its board, the number of its input, the address at
    which its proxy leaves answers, and its windows in ticks by schedule."""
    system = parts.system
    inputs = [each.name for each in kernel_inputs(system)]
    return {
        partition.name: _describe(system, partition)
        | {
            "input": inputs.index(partition.name),
            "mailbox": heap_address(parts.programs[partition.name]),
        }
        for partition in system.partitions
        if partition.machine is not None
    }


def _describe(system: System, partition: Partition) -> dict[str, Any]:
    machine = partition.machine
    assert machine is not None
    path = boards.find(machine.board)
    assert path is not None, "the document is checked"
    board = boards.load(path)
    return {
        "board": board.name,
        "arch": board.arch.name.lower(),
        "hardware": {**board.qemu, "memory": board.memory_size},
        "files": sorted(machine.files),
        "append": machine.append,
        "windows": [
            [[w.start, w.length] for w in schedule.windows if w.partition == partition.name]
            for schedule in system.schedules
        ],
    }
