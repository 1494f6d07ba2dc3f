"""A small run, as the kernel would record it: two partitions, a window each, all kinds of channel."""

from __future__ import annotations

import struct
from typing import Any

from khs.abi.hypercalls import BY_NAME

from .conftest import HEADER, make_record

MS = 125_000  # ticks
NONE = 0xFFFF_FFFF
CLIENT, SERVER = 0, 1

OUTLINE: dict[str, Any] = {
    "schedules": [
        {"major_frame": 10 * MS, "windows": [[0, 4 * MS, CLIENT], [5 * MS, 4 * MS, SERVER]]},
        {"major_frame": 20 * MS, "windows": [[10 * MS, 5 * MS, CLIENT]]},
    ],
    "channels": [
        {"kind": "sampling", "source": 0, "readers": [1], "depth": 0},
        {"kind": "queuing", "source": 0, "readers": [1], "depth": 2},
        {"kind": "call", "source": 0, "readers": [1], "depth": 0},
    ],
    "ports": [[[0, None], [1, None], [2, None]], [[0, 0], [1, 0], [2, 0]]],
    "inputs": [{"partition": 1, "depth": 4}],
    "costs": {"call": 100, "copy": 10, "verdict": 50},
}
RUN_HEADER: dict[str, Any] = {
    **HEADER,
    "manifest": {"system": "demo", "board": "sabrelite"},
    "names": {
        **HEADER["names"],
        "channels": ["level", "alarms", "control"],
        "ports": [["level", "alarms", "control"], ["level", "alarms", "control"]],
    },
    "outline": OUTLINE,
}


def ms(value: float) -> int:
    """Milliseconds as ticks."""
    return round(value * MS)


def call(
    at: float,
    partition: int,
    name: str,
    *args: int,
    code: int = 0,
    value: int = 0,
    data: bytes = b"",
) -> bytes:
    number = BY_NAME[f"khs_{name}"].number
    return make_record(
        4, tick=ms(at), partition=partition, number=number, code=code, value=value, args=args, data=data
    )  # fmt: skip


def resume(
    at: float, partition: int, name: str, code: int = 0, value: int = 0, data: bytes = b""
) -> bytes:
    number = BY_NAME[f"khs_{name}"].number
    return make_record(
        5, tick=ms(at), partition=partition, number=number, code=code, value=value, data=data
    )  # fmt: skip


def verdict(at: float, *, granted: bool = True, mid: int = 0, rule: int = 0) -> bytes:
    """Client asks server: setpoint.Set, denied by rule 0, or by no rule with another `mid`."""
    message = struct.pack("<IHHII", 0, mid, 0, 300, 0)
    args = [1, 0 | 1 << 32, 0, rule | 1 << 32, CLIENT | SERVER << 32]
    return make_record(
        6, tick=ms(at), partition=CLIENT, value=granted, code=int(rule == NONE), args=args, data=message
    )  # fmt: skip


def health(at: float, text: bytes = b"") -> bytes:
    return make_record(8, tick=ms(at), partition=1, code=4, value=3, args=[1, 1, 0], data=text)


def boot() -> list[bytes]:
    starts = [
        record
        for partition in (CLIENT, SERVER)
        for record in (
            make_record(3, tick=0, partition=partition, code=1, value=0),
            make_record(2, tick=0, partition=partition, code=1, args=[partition, 0]),
        )
    ]
    return [make_record(1, tick=0, partition=0xFFFF, code=2, args=[125_000_000, 2]), *starts]


TOKEN = struct.pack("<IIII", CLIENT | 7 << 12, 2, 0, 0)

RUN: list[bytes] = [
    *boot(),
    # frame 0: a value, a message, a denial; the server waits for requests
    *(verdict(1), call(1, CLIENT, "port_write", 0, 0x1000, 16, value=1)),
    *(verdict(1.5), call(1.5, CLIENT, "port_send", 1, 0x1000, 16, value=1)),
    *(verdict(2, granted=False, rule=NONE, mid=3),
      call(2, CLIENT, "port_send", 1, 0x1000, 16, code=7)),
    *(verdict(2.5), call(2.5, CLIENT, "port_send", 1, 0x1000, 16, value=1)),
    call(5.5, SERVER, "port_read", 0, 0, 16, 0, value=16, data=bytes(32)),
    call(6, SERVER, "port_receive", 1, 0, 16, 0, value=16, data=bytes(16)),
    call(7, SERVER, "recv", 0, 16, 0, NONE, code=NONE),
    # frame 1: a call; the kernel records the server's wake-up before the call that woke it
    *(verdict(11), resume(11, SERVER, "recv", value=16, data=bytes(16) + TOKEN),
      call(11, CLIENT, "call", 2, 0, 16, 0, 16, 1000, code=NONE)),
    *(verdict(16), resume(16, CLIENT, "call", value=8, data=bytes(8)),
      call(16, SERVER, "reply", CLIENT | 7 << 12, 0, 8)),
    make_record(11, tick=ms(17), partition=1, data=b"ready\n"),
    make_record(7, tick=ms(18), partition=1, code=2, args=[0x4000_0004, 0x1234, 0]),
    health(18),
    *(make_record(3, tick=ms(18), partition=1, code=1, value=3),
      make_record(2, tick=ms(18), partition=1, code=1, value=2, args=[1, 0])),
    # frame 2: another schedule, a policy
    make_record(12, tick=ms(20), partition=0xFFFF, code=1, value=0),
    make_record(13, tick=ms(20), partition=0xFFFF, code=1, value=2, args=[1, 5], data=b"\3"),
    make_record(10, tick=ms(22), partition=1, code=0, data=b"outside"),
    make_record(15, tick=ms(31), partition=0),
]  # fmt: skip
