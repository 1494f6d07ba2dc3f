"""The devices of a system on Unicorn: which model each has, and what goes in and out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from khs.engine.device import Adapter, Device, MisuseError
from khs.engine.native import Host
from khs.engine.structures import DeviceCounts, HostDevice
from khs.errors import EngineError

#: Kinds of the boards' files that libkhs has models of: enum khs_host_model.
MODELS = {
    "imx-uart": 1,
    "16550": 2,
    "imx-epit": 3,
    "i8254": 4,
    "imx-gpio": 5,
    "imx-wdog": 6,
    "ib700": 7,
    "imx-flexcan": 8,
    "sja1000": 9,
}
#: Those that are on a bus.
CAN = {"imx-flexcan", "sja1000"}


#: Kinds that send records of which libkhs knows the ticks.
RECORDS = frozenset({"imx-gpio", *CAN})


def lacking(manifest: Mapping[str, Any], models: Container[str]) -> list[str]:
    """Devices of partitions that there is no model of, as PARTITION.DEVICE."""
    names = manifest["names"]["partitions"]
    told = (_name(names, about) for about in manifest.get("devices", ())
            if about["kind"] not in MODELS)  # fmt: skip
    return [name for name in told if name not in models]


def device_names(manifest: Mapping[str, Any]) -> list[str]:
    """All devices of partitions as PARTITION.DEVICE, in the order of their numbers."""
    names = manifest["names"]["partitions"]
    return [_name(names, about) for about in manifest.get("devices", ())]


def _name(partitions: list[str], about: Mapping[str, Any]) -> str:
    return f"{partitions[about['partition']]}.{about['name']}"


@dataclass(frozen=True)
class Port:
    """A device, and its number at libkhs. `target`: of inputs to it."""

    name: str
    number: int
    target: int
    adapter: Adapter | None
    has_records: bool = False


class Devices:
    """All that have a model; the addresses of others lead nowhere."""

    def __init__(
        self,
        host: Host,
        manifest: Mapping[str, Any],
        models: Mapping[str, Device],
        can: Mapping[str, str] | None = None,
    ) -> None:
        """`models` in Python by PARTITION.DEVICE, in the place of those that libkhs has; `can`:
        names of buses, likewise. EngineError for a device that does not exist, or cannot be where
        it is."""
        self._host = host
        self.ports: dict[str, Port] = {}
        #: Of devices that send records: the ticks of those that `fetch` took last.
        self.sent_at: dict[str, list[int]] = {}
        names = manifest["names"]["partitions"]
        places: Counter[int] = Counter()
        for about in manifest.get("devices", ()):
            name = _name(names, about)
            place = places[about["partition"]]
            places[about["partition"]] += 1
            if name in models or about["kind"] in MODELS:
                self.ports[name] = self._add(name, place, about, models.get(name))
        self.check(models)
        #: Of each bus the first controller: through it goes what is sent, and may come what comes.
        self.buses: dict[str, Port] = {}
        self.check(can or {})
        for name, port in self.ports.items():
            if can and name in can:
                self._join(port, self.buses.setdefault(can[name], port))

    def _join(self, port: Port, first: Port) -> None:
        if not self._host.join_device(port.number, first.number):
            raise EngineError(
                f"{port.name} is no CAN controller of this engine\n"
                f"  help: there are models of {', '.join(sorted(CAN))}"
            )

    def check(self, names: Mapping[str, Any]) -> None:
        """EngineError unless all of them are devices here."""
        for name in names:
            if name not in self.ports:
                known = f"there are {', '.join(self.ports)}" if self.ports else "there is none"
                raise EngineError(
                    f"no partition has a device {name} on this engine\n  help: {known}"
                )

    def _add(self, name: str, place: int, about: Mapping[str, Any], model: Device | None) -> Port:
        irqs = len(about["lines"])
        adapter = None if model is None else Adapter(self._host, name, model, irqs)
        device = HostDevice(
            about["partition"],
            0 if adapter is not None else MODELS[about["kind"]],
            about["bus"] == "io",
            about["irq"],
            about["address"],
            about["size"],
            place,
            max(irqs - 1, 0),
            about["name"].encode()[:27],
        )
        number = self._host.add_device(device, adapter.calls if adapter is not None else None)
        if number is None:
            raise EngineError(f"{name} cannot be where the archive has it")
        if model is not None:
            model.send = lambda data: self._put(number, data)
        has_records = model is None and about["kind"] in RECORDS
        return Port(name, number, self._host.device_target(number), adapter, has_records)

    def _put(self, number: int, data: bytes) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise MisuseError(f"send() takes bytes, not {type(data).__name__}")
        if not self._host.device_put(number, bytes(data)):
            raise MisuseError("send(): there is no room for so many bytes")

    def counts(self) -> dict[str, dict[str, int]]:
        """Per device: accesses, bytes received, waiting, sent, characters lost in overruns, and
        faults told to the health monitor."""
        fields = [name for name, _ in DeviceCounts._fields_]
        told = {name: self._host.device_counts(port.number) for name, port in self.ports.items()}
        return {name: {f: int(getattr(row, f)) for f in fields} for name, row in told.items()}

    def check_models(self) -> None:
        """Raises the error of a model that failed."""
        for port in self.ports.values():
            if port.adapter is not None and port.adapter.failure is not None:
                raise port.adapter.failure

    def save(self) -> dict[str, Any]:
        """The state of models in Python, for a snapshot; libkhs keeps that of its own."""
        return {name: port.adapter.save() for name, port in self.ports.items() if port.adapter}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Takes them back to what `save` gave."""
        for name, state in saved.items():
            adapter = self.ports[name].adapter
            assert adapter is not None
            adapter.restore(state)

    def fetch(self) -> dict[str, bytes]:
        """What devices have sent to the outside since the last time; nothing for most."""
        for name, port in self.ports.items():
            if port.has_records:
                self.sent_at[name] = self._host.device_ticks(port.number)
        taken = {name: self._host.device_output(port.number) for name, port in self.ports.items()}
        return {name: data for name, data in taken.items() if data}
