"""The boot image: an archive as one block in a board's memory (boards/firmware/common/image.h).

Everything is little-endian; offsets count from the start of the image and are multiples of 8.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from khs.engine.qemu.cards import PCI

MAGIC = 0x4942_534B
VERSION = 2
EMULATED, COUNTED = 1, 2

_PART = struct.Struct("<QQ")
_INPUT = struct.Struct("<QI4x16s")
_SWAP = struct.Struct("<QI4x")
_DEVICE = struct.Struct("<QQIIIII4x")
_LINE = struct.Struct("<III4x")
_HEADER = struct.Struct("<IIQQQIIII" + 7 * "16s")


def boot_image(
    *,
    config: bytes,
    memory: bytes,
    policies: Sequence[bytes],
    inputs: Sequence[tuple[int, int, bytes]],
    swaps: Mapping[int, int],
    ram_size: int,
    frames: int,
    clock_hz: int,
    timer_hz: int,
    emulated: bool,
    counted: bool,
    log_size: int = 0,
    devices: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """The image of a built system.

    `ram_size` bytes of board memory; `frames` major frames to run, 0 for ever; `clock_hz` of the
    counter that measures guests, 0 if the board is to find out, `timer_hz` of the timer that ends
    windows, 0 if as the other; `emulated`: leave through the emulator's exit device at the end;
    `counted`: time passes with instructions alone, one a tick. `inputs`: tick, number of the input
    and bytes, in the order of their ticks. `swaps`: numbers of policies by the major frame at whose
    beginning they come into force. `log_size`: bytes of the log behind the image, a power of two; 0
    if events leave on the UART. `devices`: as the archive's manifest describes them.
    """
    body = bytearray(_HEADER.size)

    def add(data: bytes, count: int | None = None) -> bytes:
        body.extend(bytes(-len(body) % 8))
        offset = len(body)
        body.extend(data)
        return _PART.pack(offset, len(data) if count is None else count)

    parts = [add(config), add(memory)]
    parts.append(add(b"".join([add(policy) for policy in policies]), len(policies)))
    records = [_INPUT.pack(tick, target, add(data)) for tick, target, data in inputs]
    parts.append(add(b"".join(records), len(records)))
    parts.append(add(b"".join(_SWAP.pack(*swap) for swap in sorted(swaps.items())), len(swaps)))
    parts.append(add(b"".join(_device(each) for each in devices), len(devices)))
    lines = [line for each in devices for line in _lines(each)]
    parts.append(add(b"".join(lines), len(lines)))
    body.extend(bytes(-len(body) % 4096))
    flags = (EMULATED if emulated else 0) | (COUNTED if counted else 0)
    header = (MAGIC, VERSION, len(body), ram_size, frames, clock_hz, timer_hz, flags, log_size)
    body[: _HEADER.size] = _HEADER.pack(*header, *parts)
    return bytes(body)


def _device(device: Mapping[str, Any]) -> bytes:
    place = (device["address"], device["physical"], device["size"], device["partition"])
    card = PCI.get(device["kind"], 0)
    card_line = device["lines"][0] if card and device["lines"] else 0
    return _DEVICE.pack(*place, device["bus"] == "io", card, card_line)


def _lines(device: Mapping[str, Any]) -> list[bytes]:
    numbered = enumerate(device["lines"], device["irq"])
    return [_LINE.pack(device["partition"], line, irq) for irq, line in numbered]
