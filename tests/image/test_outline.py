"""The outline of a system, out of config.bin, against the description that it was built from."""

from __future__ import annotations

import ctypes
import random

import pytest

from khs import config
from khs.config.model import System
from khs.image import build, records
from khs.image.outline import outline
from khs.resources import shipped
from khs.trace.outline import Outline


@pytest.fixture(scope="module")
def gateway() -> tuple[System, bytes]:
    pytest.importorskip("ziglang")
    loaded = config.load(shipped("images") / "iot-gateway")
    return loaded, build(loaded).config


def test_it_says_what_the_description_says(gateway: tuple[System, bytes]) -> None:
    system, binary = gateway
    told = outline(binary)
    read = Outline.from_header({"outline": told})
    assert read.schedules and read.channels, "what is written is what is read"
    number = {each.name: at for at, each in enumerate(system.partitions)}
    ms = system.board.clock_hz // 1000
    assert read.schedules[0].major_frame == 20 * ms
    assert read.schedules[0].windows[:2] == (
        (0, 2 * ms, number["sensor"]),
        (2 * ms, 6 * ms, number["controller"]),
    )
    by_name = dict(zip([each.name for each in system.channels], read.channels, strict=True))
    temperature = by_name["temperature"]
    assert (temperature.kind, temperature.source) == ("sampling", number["sensor"])
    readers = [number[name] for name in ("controller", "logger", "gateway")]
    assert list(temperature.readers) == readers
    assert (by_name["alarms"].kind, by_name["alarms"].depth) == ("queuing", 8)
    assert (by_name["service"].kind, by_name["service"].readers) == ("call", (number["actuator"],))
    assert [each.partition for each in read.inputs] == [number["gateway"]]
    costs = system.board.costs
    assert (read.costs.call, read.costs.copy, read.costs.verdict) == (
        costs.call, costs.copy, costs.verdict,
    )  # fmt: skip


def test_ports_lead_to_their_channels(gateway: tuple[System, bytes]) -> None:
    read = Outline.from_header({"outline": outline(gateway[1])})
    for partition, ports in enumerate(read.ports):
        for channel, reader in ports:
            ends = read.channels[channel]
            assert partition == (ends.source if reader is None else ends.readers[reader])
    assert sum(map(len, read.ports)) == sum(1 + len(each.readers) for each in read.channels)


def test_a_damaged_config_has_an_outline_or_none(
    gateway: tuple[System, bytes],
) -> None:
    """The kernel will refuse it in its own words; nothing may come before that."""
    chance, empty = random.Random(1), 0
    assert outline(b"") == outline(gateway[1][:100]) == {}
    for _ in range(300):
        damaged = bytearray(gateway[1])
        for _ in range(3):
            at = chance.randrange(
                ctypes.sizeof(records.Config) if chance.random() < 0.5 else len(damaged)
            )
            damaged[at] = chance.randrange(256)
        told = outline(bytes(damaged))
        empty += told == {}
        Outline.from_header({"outline": told})
    assert 0 < empty < 300
