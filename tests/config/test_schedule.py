"""The arithmetic of release points and windows against a slow reference."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from khs.config.checks.schedule import Service, unserved
from khs.config.document import RegionTable, ScheduleTable
from khs.config.model import PAGE, REGION_BASE
from khs.config.place import place
from khs.config.units import Address, Size


@st.composite
def services(draw: st.DrawFn) -> Service:
    frame = draw(st.integers(1, 40))
    cuts = sorted(draw(st.sets(st.integers(0, frame), min_size=2, max_size=8)))
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    return Service(ScheduleTable(), frame, draw(st.integers(1, 50)), spans)


@given(services(), st.data())
def test_unserved(service: Service, data: st.DataObject) -> None:
    """Some release point has no window time in the next `length` ticks: found if there is one."""
    phase = data.draw(st.integers(0, service.frame - 1))
    length = data.draw(st.integers(1, 60))
    busy = {tick for start, end in service.spans for tick in range(start, end)}
    releases = [
        phase + number * service.period
        for number in range(service.frame // math.gcd(service.frame, service.period))
    ]
    idle = {
        release % service.frame
        for release in releases
        if not any((release + tick) % service.frame in busy for tick in range(length))
    }
    found = unserved(service, phase, length)
    assert found in idle if idle else found is None


@given(
    st.lists(st.tuples(st.integers(1, 40), st.none() | st.integers(0, 200)), min_size=1, max_size=8)
)
def test_placed_regions_do_not_overlap(shapes: list[tuple[int, int | None]]) -> None:
    regions = [
        RegionTable(
            size=Size(pages * PAGE),
            map={},
            address=None if at is None else Address(REGION_BASE + at * PAGE),
        )
        for pages, at in shapes
    ]
    starts = place(regions)
    spans = [
        (start, start + region.size.bytes) for start, region in zip(starts, regions, strict=True)
    ]
    for region, (start, end) in zip(regions, spans, strict=True):
        assert start % PAGE == 0 and start >= REGION_BASE
        if region.address is not None:
            assert start == region.address.value
            continue
        others = [span for span in spans if span != (start, end)]
        assert spans.count((start, end)) == 1
        assert all(end + PAGE <= first or last + PAGE <= start for first, last in others)
