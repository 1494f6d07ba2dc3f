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
    free, passed = REGION_BASE, 0  # no given address below `free` is in the way any more
    for region in regions:
        if region.address is not None:
            addresses.append(region.address.value)
            continue
        size = region.size.bytes
        while passed < len(fixed) and fixed[passed][0] < free + size + PAGE:
            if free < fixed[passed][1] + PAGE:
                free = _up(fixed[passed][1] + PAGE)
            passed += 1
        addresses.append(free)
        free = _up(free + size + PAGE)
    return addresses


def _up(address: int) -> int:
    return -(-address // _STEP) * _STEP
