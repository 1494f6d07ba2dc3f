"""Who can pass data to whom in a system, in terms that the security monitor's analysis takes:
processes and links (`kss flow --system`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from khs import monitor
from khs.config.model import ChannelKind, Right, System
from khs.errors import ConfigError
from khs.image.wiring import Link, wire
from khs.monitor import MonitorPolicy


def describe(system: System) -> tuple[MonitorPolicy, dict[str, Any]]:
    """The policy in force at the start, and the processes (partitions) and links (channels, shared
    regions) that there are. ConfigError with every finding."""
    policy = monitor.load(system)
    wiring, findings = wire(system, policy)
    if findings:
        raise ConfigError(findings)
    links = [*(row for link in wiring.links for row in _channel(link)), *_regions(system)]
    return policy, {
        "processes": {each.name: each.class_name for each in system.partitions},
        "links": links,
    }


def _channel(link: Link) -> Iterator[dict[str, Any]]:
    channel = link.channel
    for target, reader in zip(channel.readers, link.readers, strict=True):
        row = {"name": f"channel {channel.name}", "from": channel.source, "to": target}
        row["endpoint"] = reader.endpoint.name
        if channel.kind is ChannelKind.CALL:
            yield {**row, "answers": True}
        else:
            yield {**row, "method": (channel.message or "").rpartition(".")[2]}


def _regions(system: System) -> Iterator[dict[str, Any]]:
    """From everyone who may write a shared region to everyone else who may read it."""
    for region in system.regions:
        for source, rights in region.rights.items():
            for target, others in region.rights.items() if rights & Right.W else ():
                if target != source and others & (Right.R | Right.X):
                    yield {"name": f"region {region.name}", "from": source, "to": target}
