"""Signatures of libkhs' functions: those of khs/host/host.h, without the prefix khs_host_."""

from __future__ import annotations

from ctypes import POINTER, c_bool, c_char_p, c_int, c_uint32, c_uint64, c_void_p

from khs.engine.structures import (
    DeviceCalls,
    DeviceCounts,
    Goal,
    Halt,
    HostBytes,
    HostDevice,
    HostError,
    HostEvents,
    HostNoted,
    HostOptions,
    HostWatch,
    KeptPage,
    Status,
    Timing,
    View,
)

_HOST, _BYTES, _U32, _U64 = c_void_p, POINTER(HostBytes), c_uint32, c_uint64
_EVENTS, _TIMING = POINTER(HostEvents), POINTER(Timing)

#: By name: what it returns, what it is given.
SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "open": (_HOST, [_BYTES, _BYTES, _BYTES, _U32, POINTER(HostOptions), POINTER(HostError)]),
    "close": (None, [_HOST]),
    "input": (c_bool, [_HOST, _U64, _U32, c_char_p, _U32]),
    "inputs": (_U64, [_HOST]),
    "cut_inputs": (None, [_HOST, _U64]),
    "policy_at": (c_bool, [_HOST, _U64, _U32]),
    "device_add": (_U32, [_HOST, POINTER(HostDevice), POINTER(DeviceCalls)]),
    "device_join": (c_bool, [_HOST, _U32, _U32]),
    "device_target": (_U32, [_HOST, _U32]),
    "device_output": (_U64, [_HOST, _U32, c_void_p, _U64]),
    "device_ticks": (_U64, [_HOST, _U32, c_void_p, _U64]),
    "device_put": (c_bool, [_HOST, _U32, c_char_p, _U64]),
    "device_count": (c_bool, [_HOST, _U32, POINTER(DeviceCounts)]),
    "region_target": (_U32, [_HOST, _U32]),
    "region_read": (c_bool, [_HOST, _U32, _U64, c_void_p, _U64]),
    "boot": (_U32, [_HOST]),
    "run": (_U32, [_HOST, _U64, _U64]),
    "stop": (None, [_HOST]),
    "drain": (c_bool, [_HOST, _EVENTS]),
    "split": (c_bool, [_HOST, c_void_p, _U64, _EVENTS]),
    "status_get": (None, [_HOST, POINTER(Status)]),
    "view": (c_bool, [_HOST, _U32, POINTER(View)]),
    "registers": (_U32, [_HOST, _U32, POINTER(_U64)]),
    "read": (_U64, [_HOST, _U32, _U64, c_void_p, _U64]),
    "serve": (None, [_HOST, _U64, _U64, c_int, c_int]),
    "packet_most": (_U64, [_HOST]),
    "confine": (c_bool, [c_int]),
    "scan": (_U64, [_U32, c_char_p, _U64]),
    "check_config": (_U32, [c_char_p, _U64, POINTER(_U64)]),
    "bench_raw": (c_bool, [_HOST, _U32, _U64, c_bool, _TIMING]),
    "bench_windows": (c_bool, [_HOST, _U32, _U64, _U64, _TIMING]),
    # debugging
    "register": (c_bool, [_HOST, _U32, c_int, c_char_p]),
    "set_register": (c_bool, [_HOST, _U32, c_int, c_char_p]),
    "write": (_U64, [_HOST, _U32, _U64, c_char_p, _U64]),
    "set_mode": (c_bool, [_HOST, _U32, _U32]),
    "set_breaks": (c_bool, [_HOST, _U32, POINTER(_U64), _U32]),
    "set_watches": (c_bool, [_HOST, _U32, POINTER(HostWatch), _U32]),
    "set_calls": (c_bool, [_HOST, _U32, _U32, _U32]),
    "set_noted": (c_bool, [_HOST, POINTER(HostNoted), _U32]),
    "debug": (None, [_HOST, POINTER(Goal), POINTER(Halt)]),
    "queued": (_U32, [_HOST, _U32, _U32]),
    "last": (_U64, [_HOST, _U32]),
    "snapshot": (c_void_p, [_HOST]),
    "restore": (c_bool, [_HOST, c_void_p]),
    "forget": (None, [_HOST, c_void_p]),
    "kept": (_U64, [_HOST]),
    "page": (c_bool, [_HOST, c_void_p, _U32, POINTER(KeptPage)]),
    "frame_began": (_U64, [_HOST]),
    "window": (_U32, [_HOST, POINTER(_U64), POINTER(_U64)]),
}
