"""Cards that a board has if partitions own them: QEMU's arguments, and which are PCI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from khs.engine.devices import CAN, device_names
from khs.errors import EngineError

#: Vendor and device of PCI cards, as their first register has them, by the kind of device on them;
#: boards/firmware/pc/cards.c knows them. Of Kvaser's the one that QEMU has.
PCI = {"sja1000": 0x8406_10E8}


def can_controllers(manifest: Mapping[str, Any], on_cards: bool = True) -> list[str]:
    """Those of partitions that QEMU has on cards, or those that it has not, as PARTITION.DEVICE."""
    kinds = _kinds(manifest).items()
    return [name for name, kind in kinds if kind in CAN and (kind in PCI) is on_cards]


def check(manifest: Mapping[str, Any]) -> None:
    """EngineError if partitions own what QEMU's board has not."""
    told = can_controllers(manifest, on_cards=False)
    if told:
        raise EngineError(
            f"QEMU's board does not have {', '.join(told)}: "
            "partitions would not find what they own\n"
            "  help: without --engine qemu; or --board q35 or pc, where QEMU has them"
        )


def arguments(manifest: Mapping[str, Any], can: Mapping[str, str]) -> list[str]:
    """QEMU's, for cards of partitions in the order of their devices. `can`: names of buses by
    PARTITION.DEVICE; a controller that has none is on a bus of its own. EngineError for a name that
    is no controller on a card."""
    able = can_controllers(manifest)
    for name in can:
        if name not in able:
            known = f"there are {', '.join(able)}" if able else "there is none"
            raise EngineError(f"{name} is no CAN controller of QEMU's board\n  help: {known}")
    return [word for words in _cards(_kinds(manifest), can) for word in words]


def _cards(kinds: Mapping[str, str], can: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    buses: dict[tuple[bool, str], str] = {}
    for name, kind in kinds.items():
        if kind == "ib700":
            yield ("-device", "ib700")
        elif kind == "sja1000":
            key = (name in can, can.get(name, name))
            if key not in buses:
                buses[key] = f"can{len(buses)}"
                yield ("-object", f"can-bus,id={buses[key]}")
            yield ("-device", f"kvaser_pci,canbus={buses[key]}")


def _kinds(manifest: Mapping[str, Any]) -> dict[str, str]:
    kinds = (str(about["kind"]) for about in manifest.get("devices", ()))
    return dict(zip(device_names(manifest), kinds, strict=True))
