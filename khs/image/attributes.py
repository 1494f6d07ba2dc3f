"""Build attributes of ARM objects (`.ARM.attributes`): what the compiler says it used.

Addenda to the ABI for the Arm architecture, section 3. Only the attributes of the whole file are
read; a damaged section reads as far as it makes sense, because attributes are only hints.
"""

from __future__ import annotations

ARM_ISA_USE = 8
_FILE = 1
_TEXTS = (4, 5, 67)  # CPU_raw_name, CPU_name, conformance
_COMPATIBILITY = 32


def read(section: bytes) -> dict[int, int]:
    """Numeric attributes of the "aeabi" vendor, by tag."""
    found: dict[int, int] = {}
    at = 1
    while section[:1] == b"A" and at + 4 < len(section):
        length = int.from_bytes(section[at : at + 4], "little")
        vendor, _, rest = section[at + 4 : at + length].partition(b"\0")
        if vendor == b"aeabi":
            found |= _file_attributes(rest)
        at += max(length, 4)
    return found


def _file_attributes(data: bytes) -> dict[int, int]:
    found: dict[int, int] = {}
    at = 0
    while at + 5 <= len(data):
        length = int.from_bytes(data[at + 1 : at + 5], "little")
        if data[at] == _FILE:
            found |= _pairs(data[at + 5 : at + length])
        at += max(length, 5)
    return found


def _pairs(data: bytes) -> dict[int, int]:
    found: dict[int, int] = {}
    at = 0
    while at < len(data):
        tag, at = _uleb128(data, at)
        is_text = tag in _TEXTS or (tag > _COMPATIBILITY and tag % 2 == 1)
        if not is_text:
            found[tag], at = _uleb128(data, at)
        if is_text or tag == _COMPATIBILITY:
            end = data.find(b"\0", at)
            at = end + 1 if end >= 0 else len(data)
    return found


def _uleb128(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
        if byte < 0x80:
            break
    return value, at
