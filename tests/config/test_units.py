"""Quantities."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khs.config.units import Address, Duration, Frequency, Quantity, Size, UnitError


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Duration, "20ms", 20_000_000),
        (Duration, "0.5ms", 500_000),
        (Duration, "1.000000001s", 1_000_000_001),
        (Duration, "8ns", 8),
        (Duration, "007us", 7000),
        (Size, "512B", 512),
        (Size, "64KiB", 65536),
        (Size, "3GiB", 3 << 30),
        (Frequency, "125MHz", 125_000_000),
        (Frequency, "0.125GHz", 125_000_000),
        (Address, "0xffff_ffff_8000_0000", 0xFFFF_FFFF_8000_0000),
        (Address, "0x0", 0),
    ],
)
def test_values(kind: type[Quantity], text: str, value: int) -> None:
    assert kind.parse(text).value == value


@pytest.mark.parametrize(
    ("kind", "text", "help"),
    [
        (Duration, "20", "units are ns, us, ms, s"),
        (Duration, "20 ms", 'write "20ms"'),
        (Duration, "20MS", 'write "20ms"'),
        (Duration, "20min", "units are"),
        (Duration, "-1ms", "write it as"),
        (Duration, "+1ms", "write it as"),
        (Duration, "1e3ms", "write it as"),
        (Duration, "1_000ms", "write it as"),
        (Duration, ".5ms", "write it as"),
        (Duration, "", "write it as"),
        (Duration, "٣ms", "write it as"),
        (Duration, "1.5ns", '"1ns"'),
        (Duration, "7000001s", 'at most "7000000s"'),
        (Duration, "9" * 100 + "s", "write it as"),
        (Size, "64KB", 'write "64KiB"'),
        (Size, "64kib", 'write "64KiB"'),
        (Size, "1.5KiB", '"1536B"'),
        (Size, "64", "units are B"),
        (Frequency, "125mhz", 'write "125MHz"'),
        (Address, "50000000", "0x5000_0000"),
        (Address, "0x", "0x5000_0000"),
        (Address, "0x1__0", "0x5000_0000"),
        (Address, "0x1_0000_0000_0000_0000", "64 bits"),
        (Address, "0x" + "f" * 5000, "0x5000_0000"),
    ],
)
def test_refused(kind: type[Quantity], text: str, help: str) -> None:
    with pytest.raises(UnitError) as caught:
        kind.parse(text)
    assert help in caught.value.help


@given(st.sampled_from([Duration, Size, Frequency, Address]), st.data())
def test_text_and_value(kind: type[Quantity], data: st.DataObject) -> None:
    """What is printed means the same, and matches the pattern of the schema."""
    quantity = kind(data.draw(st.integers(0, kind.limit)))
    assert kind.parse(str(quantity)) == quantity
    assert re.fullmatch(kind.pattern, str(quantity))


@given(st.sampled_from([Duration, Size, Frequency, Address]), st.text(max_size=12))
def test_any_text_is_parsed_or_refused(kind: type[Quantity], text: str) -> None:
    try:
        kind.parse(text)
    except UnitError as error:
        assert error.help
    else:
        assert re.fullmatch(kind.pattern, text, re.ASCII)
