"""Structures of libkhs: those of khs/host/host.h and khs/core/core.h."""

from __future__ import annotations

from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char,
    c_char_p,
    c_uint32,
    c_uint64,
    c_void_p,
)


class HostBytes(Structure):
    """khs_host_bytes."""

    _fields_ = (("data", c_char_p), ("size", c_uint64))


class HostOptions(Structure):
    """khs_host_options."""

    _fields_ = (
        ("cache_bytes", c_uint64),
        ("ring_bytes", c_uint64),
        ("abandoned_most", c_uint32),
        ("flags", c_uint32),
    )


class HostError(Structure):
    """khs_host_error."""

    _fields_ = (
        ("failure", c_uint32),
        ("partition", c_uint32),
        ("where", c_uint64),
        ("text", c_char * 160),
    )


class HostEvents(Structure):
    """khs_host_events."""

    _fields_ = (
        ("records", c_void_p),
        ("size", c_uint64),
        ("parts", c_void_p),
        ("at", POINTER(c_uint64)),
        ("granted", c_uint64),
        ("denied", c_uint64),
        ("stop_cause", c_uint32),
        ("swaps", c_uint32),
        ("notable", c_void_p),
        ("notable_size", c_uint64),
        ("count", c_uint64),
    )


class Status(Structure):
    """khs_host_status."""

    _fields_ = (
        ("tick", c_uint64),
        ("frames", c_uint64),
        ("schedule", c_uint32),
        ("stopped", c_uint32),
        ("partitions", c_uint32),
        ("abandoned", c_uint32),
    )


class View(Structure):
    """khs_partition_view."""

    _fields_ = (
        ("mode", c_uint32),
        ("sid", c_uint32),
        ("blocked", c_uint32),
        ("restarts", c_uint32),
        ("halted", c_uint32),
        ("pad", c_uint32),
        ("ticks", c_uint64),
        ("idle_ticks", c_uint64),
        ("hypercalls", c_uint64),
        ("denied", c_uint64),
        ("granted", c_uint64),
        ("faults", c_uint64),
        ("deadlines_met", c_uint64),
        ("deadlines_missed", c_uint64),
    )


class Ending(Structure):
    """khs_host_ending: the last packet of a confined child."""

    _fields_ = (("boot_status", c_uint32), ("end", c_uint32), ("status", Status))


class HostDevice(Structure):
    """khs_host_device."""

    _fields_ = (
        ("partition", c_uint32),
        ("model", c_uint32),
        ("is_io", c_uint32),
        ("irq", c_uint32),
        ("address", c_uint64),
        ("size", c_uint64),
        ("place", c_uint32),
        ("more", c_uint32),
        ("name", c_char * 28),
    )


class DeviceSaid(Structure):
    """khs_host_device_said."""

    _fields_ = (("next", c_uint64), ("lines", c_uint64), ("faults", c_uint64))


class DeviceCalls(Structure):
    """khs_host_device_calls."""

    _fields_ = (
        ("reset", CFUNCTYPE(None, c_uint32)),
        ("read", CFUNCTYPE(c_uint32, c_uint32, c_uint32, c_uint32, c_uint64)),
        ("write", CFUNCTYPE(None, c_uint32, c_uint32, c_uint32, c_uint32, c_uint64)),
        ("advance", CFUNCTYPE(None, c_uint32, c_uint64)),
        ("input", CFUNCTYPE(None, c_uint32, c_void_p, c_uint32, c_uint64)),
        ("said", POINTER(DeviceSaid)),
    )


class DeviceCounts(Structure):
    """khs_host_device_counts."""

    _fields_ = (
        ("accesses", c_uint64),
        ("received", c_uint64),
        ("waiting", c_uint64),
        ("sent", c_uint64),
        ("overruns", c_uint64),
        ("faults", c_uint64),
    )


class Timing(Structure):
    """khs_host_timing."""

    _fields_ = (("ns", c_uint64), ("ticks", c_uint64), ("traps", c_uint64), ("windows", c_uint64))


class HostWatch(Structure):
    """khs_host_watch."""

    _fields_ = (("address", c_uint64), ("size", c_uint64), ("access", c_uint32), ("pad", c_uint32))


class HostNoted(Structure):
    """khs_host_noted."""

    _fields_ = (("type", c_uint32), ("partition", c_uint32), ("code", c_uint32), ("pad", c_uint32))


class KeptPage(Structure):
    """khs_host_kept_page."""

    _fields_ = (("area", c_uint32), ("number", c_uint32), ("data", c_void_p), ("size", c_uint64))


class Goal(Structure):
    """khs_host_goal."""

    _fields_ = (
        ("frames", c_uint64),
        ("until", c_uint64),
        ("start", c_uint64),
        ("settled", c_uint32),
        ("steps", c_uint32),
        ("move", c_uint32),
        ("pad", c_uint32),
    )


class Halt(Structure):
    """khs_host_halt."""

    _fields_ = (
        ("tick", c_uint64),
        ("address", c_uint64),
        ("found", c_uint64),
        ("settled", c_uint32),
        ("cause", c_uint32),
        ("partition", c_uint32),
        ("number", c_uint32),
    )
