"""The records of config.bin: a mirror of the structures of khs/core/config.h, field by field.

A test compares every size and offset with the C compiler's.
"""

from __future__ import annotations

from ctypes import LittleEndianStructure, c_uint16, c_uint32, c_uint64

MAGIC = 0x4346_534B
VERSION = 3
NONE = 0xFFFF_FFFF
REGION_SHARED, REGION_KEEP = 1, 2


class Table(LittleEndianStructure):
    """khs_table"""

    _fields_ = (("offset", c_uint32), ("count", c_uint32))


class Slice(LittleEndianStructure):
    """khs_slice"""

    _fields_ = (("first", c_uint32), ("count", c_uint32))


class Config(LittleEndianStructure):
    """khs_config"""

    _fields_ = (
        ("magic", c_uint32),
        ("version", c_uint32),
        ("size", c_uint64),
        ("clock_hz", c_uint64),
        ("arch", c_uint32),
        ("policies", c_uint32),
        ("kernel_class", c_uint64),
        ("einit_class", c_uint64),
        ("cost_call", c_uint32),
        ("cost_copy", c_uint32),
        ("cost_verdict", c_uint32),
        ("max_message", c_uint32),
        ("policy_image", c_uint32),
        ("policy_state", c_uint32),
        ("partitions", Table),
        ("schedules", Table),
        ("windows", Table),
        ("regions", Table),
        ("maps", Table),
        ("channels", Table),
        ("readers", Table),
        ("ports", Table),
        ("inputs", Table),
        ("health", Table),
    )


class Partition(LittleEndianStructure):
    """khs_cfg_partition"""

    _fields_ = (
        ("class_hash", c_uint64),
        ("entry", c_uint64),
        ("stack_top", c_uint64),
        ("start_info", c_uint64),
        ("stack_guard", c_uint64),
        ("stack_guard_size", c_uint64),
        ("period", c_uint64),
        ("deadline", c_uint64),
        ("phase", c_uint64),
        ("restart_within", c_uint64),
        ("restart_limit", c_uint32),
        ("restart_then", c_uint32),
        ("privileges", c_uint32),
        ("pad", c_uint32),
        ("maps", Slice),
        ("ports", Slice),
        ("inputs", Slice),
    )


class Schedule(LittleEndianStructure):
    """khs_cfg_schedule"""

    _fields_ = (("major_frame", c_uint64), ("windows", Slice))


class Window(LittleEndianStructure):
    """khs_cfg_window"""

    _fields_ = (
        ("start", c_uint64),
        ("length", c_uint64),
        ("partition", c_uint32),
        ("pad", c_uint32),
    )


class Region(LittleEndianStructure):
    """khs_cfg_region"""

    _fields_ = (
        ("size", c_uint64),
        ("file_offset", c_uint64),
        ("file_size", c_uint64),
        ("flags", c_uint32),
        ("pad", c_uint32),
    )


class Map(LittleEndianStructure):
    """khs_cfg_map"""

    _fields_ = (("address", c_uint64), ("region", c_uint32), ("rights", c_uint32))


class Channel(LittleEndianStructure):
    """khs_cfg_channel"""

    _fields_ = (
        ("kind", c_uint32),
        ("source", c_uint32),
        ("readers", Slice),
        ("mid", c_uint32),
        ("message_size", c_uint32),
        ("depth", c_uint32),
        ("pad", c_uint32),
        ("refresh", c_uint64),
    )


class Reader(LittleEndianStructure):
    """khs_cfg_reader"""

    _fields_ = (
        ("channel", c_uint32),
        ("partition", c_uint32),
        ("riid", c_uint32),
        ("pad", c_uint32),
    )


class Port(LittleEndianStructure):
    """khs_cfg_port"""

    _fields_ = (
        ("channel", c_uint32),
        ("direction", c_uint32),
        ("reader", c_uint32),
        ("pad", c_uint32),
    )


class Input(LittleEndianStructure):
    """khs_cfg_input"""

    _fields_ = (
        ("partition", c_uint32),
        ("capacity", c_uint32),
        ("depth", c_uint32),
        ("pad", c_uint32),
    )


class Health(LittleEndianStructure):
    """khs_cfg_health"""

    _fields_ = (("level", c_uint16), ("action", c_uint16))
