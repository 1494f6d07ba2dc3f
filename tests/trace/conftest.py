"""Records as the kernel writes them, for tests."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from khs.trace import Writer

RecordMaker = Callable[..., bytes]
FileMaker = Callable[..., Path]

INTEGER = {"offset": 8, "size": 4, "type": "UInt32"}
SET = {
    "name": "Set",
    "mid": 0,
    "in": {"size": 16, "arena": 0, "fields": [{"name": "temperature", **INTEGER}]},
    "out": {"size": 8, "arena": 0, "fields": []},
    "error": {"size": 8, "arena": 0, "fields": []},
}
SETPOINT = {"name": "setpoint", "riid": 0, "interface": "demo.ISetpoint", "methods": [SET]}


def policy_object(name: str, kind: str = "Flow", configuration: str = "a") -> dict[str, Any]:
    types = {"State": f"{kind} states"}
    return {"name": name, "model": "Flow", "types": types, "configuration": configuration}


POLICY_MAP: dict[str, Any] = {
    "objects": [policy_object(name) for name in ("flow", "counters", "guard", "pool", "old")],
    "classes": [
        {"name": "demo.Client", "endpoints": [], "security": []},
        {"name": "demo.Server", "endpoints": [SETPOINT], "security": []},
    ],
    "rules": [
        {
            "file": "demo.psl",
            "line": 7,
            "column": 5,
            "object": "math",
            "method": "range",
            "text": "assert(message.temperature <= 300)",
        }
    ],
    "bindings": [
        {"file": "demo.psl", "line": 3, "kind": "execute", "dst": "demo.Client"},
        {
            "file": "demo.psl",
            "line": 5,
            "kind": "request",
            "src": "demo.Client",
            "dst": "demo.Other",
        },
        {
            "file": "demo.psl",
            "line": 6,
            "kind": "request",
            "src": "demo.Client",
            "dst": "demo.Server",
            "endpoint": "setpoint",
            "method": "Get",
        },
    ],
}
RELAXED_MAP: dict[str, Any] = {
    "classes": [],
    "objects": [
        policy_object("flow"),
        policy_object("counters", kind="other"),
        policy_object("guard", configuration="b"),
        policy_object("pool"),
        policy_object("watch"),
        policy_object("door"),
    ],
}
HEADER: dict[str, Any] = {
    "names": {
        "clock_hz": 125_000_000,
        "partitions": ["client", "server"],
        "schedules": ["normal", "degraded"],
        "ports": [["setpoint", "alarms"], []],
        "inputs": ["uplink"],
        "policies": ["security", "relaxed"],
    },
    "policies": [POLICY_MAP, RELAXED_MAP],
    "symbols": {"client": [[0x4000_0000, 0x20, "main"], [0x4000_0100, 8, "leave"]]},
}


def make_record(
    kind: int,
    *,
    tick: int = 1_250_000,
    partition: int = 0,
    visible: bool = True,
    local: int = 0,
    number: int = 0,
    code: int = 0,
    value: int = 0,
    args: Sequence[int] = (),
    data: bytes = b"",
) -> bytes:
    body = struct.pack(f"<{len(args)}Q", *args) + data
    size = (48 + len(body) + 7) // 8 * 8
    head = struct.pack("<QIHHQHHIIHHII", tick, size, partition, int(visible), local, kind, number,
                       code, value, len(args), 0, len(data), 0)  # fmt: skip
    return (head + body).ljust(size, b"\0")


@pytest.fixture
def record() -> RecordMaker:
    return make_record


@pytest.fixture
def header() -> dict[str, Any]:
    return HEADER


@pytest.fixture
def trace_file(tmp_path: Path) -> FileMaker:
    def make(name: str, *records: bytes) -> Path:
        path = tmp_path / name
        with Writer(path, HEADER) as writer:
            for content in records:
                writer(content)
        return path

    return make
