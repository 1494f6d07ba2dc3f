"""Addresses of regions."""

from __future__ import annotations

from collections.abc import Sequence

from khs.config.document import RegionTable
from khs.config.model import PAGE, REGION_BASE

#: Regions begin at multiples of this, with at least one unmapped page in between.
_STEP = 64 << 10


def place(regions: Sequence[RegionTable]) -> list[int]:
    """The address of each region, in the same order.

    A given address stays; the others follow each other from REGION_BASE upwards, around the given
    ones, so that adding a region at the end moves no other.
    """
    fixed = sorted(
        (region.address.value, region.address.value + region.size.bytes)
        for region in regions
        if region.address is not None
    )
    addresses: list[int] = []
    free = REGION_BASE
    for region in regions:
        if region.address is not None:
            addresses.append(region.address.value)
            continue
        size = region.size.bytes
        for start, end in fixed:
            if start < free + size + PAGE and free < end + PAGE:
                free = _up(end + PAGE)
        addresses.append(free)
        free = _up(free + size + PAGE)
    return addresses


def _up(address: int) -> int:
    return -(-address // _STEP) * _STEP
