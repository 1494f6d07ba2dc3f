"""A KHS system as a target of labgrid: power, and one of its consoles.

    imports: [khs.hil.labgrid]
    targets:
      main:
        resources:
          KhsSystem: {system: uart, board: sabrelite, engine: unicorn}
        drivers:
          KhsDriver: {console: driver.uart3}

Needs labgrid, which replaces pyserial by its own: in an environment of its own, not with khs[hil].
"""

from __future__ import annotations

import time
from typing import Any

import attr
from labgrid.driver import Driver
from labgrid.driver.consoleexpectmixin import ConsoleExpectMixin
from labgrid.factory import target_factory
from labgrid.protocol import ConsoleProtocol, PowerProtocol
from labgrid.resource import Resource
from labgrid.step import step
from pexpect import TIMEOUT

from khs.errors import KhsError
from khs.hil.testing.console import Wire
from khs.hil.testing.events import EventRig
from khs.hil.testing.spec import Spec, opened

_STEP_NS = 1_000_000


@target_factory.reg_resource
@attr.s(eq=False)
class KhsSystem(Resource):
    """`system` as on the command line: a folder, an archive, or a shipped system; `engine`:
    "unicorn" or "qemu"."""

    system: str = attr.ib(validator=attr.validators.instance_of(str))
    engine: str = attr.ib(default="unicorn", validator=attr.validators.in_(("unicorn", "qemu")))
    board: str | None = attr.ib(
        default=None, validator=attr.validators.optional(attr.validators.instance_of(str))
    )
    seed: int | None = attr.ib(
        default=None, validator=attr.validators.optional(attr.validators.instance_of(int))
    )


class _Port(ConsoleExpectMixin, Driver, ConsoleProtocol):
    """Reads and writes a console. Reading is what lets the system run: so many seconds of virtual
    time as the reader waits, however fast they pass."""

    def _rig(self) -> EventRig | None:
        raise NotImplementedError

    def _wire(self, rig: EventRig) -> Wire:
        return rig.wire(self.console)

    def _read(self, size: int = 1, timeout: float = 0.0, max_size: int | None = None) -> bytes:
        rig = self._rig()
        if rig is None:
            time.sleep(min(timeout, 0.1))
            raise TIMEOUT(f"{self.resource.system} is switched off")
        wire = self._wire(rig)
        until = rig.time_ns + max(int(timeout * 1e9), _STEP_NS)
        while len(wire.data) - wire.read < size and rig.time_ns < until and rig.stopped is None:
            rig.advance(min(rig.time_ns + _STEP_NS, until))
        data = bytes(wire.data[wire.read :][:max_size])
        wire.read += len(data)
        if len(data) < size:
            raise TIMEOUT(f"{self.console} is silent for {timeout:g} s of virtual time")
        return data

    def _write(self, data: bytes) -> int:
        rig = self._rig()
        if rig is not None:
            rig.console(self.console).send(data)
        return len(data)


@target_factory.reg_driver
@attr.s(eq=False)
class KhsDriver(_Port, PowerProtocol):
    """Switches the system on and off. `console`: a partition, or a port as PARTITION.DEVICE."""

    bindings = {"resource": {KhsSystem}}  # noqa: RUF012 - as labgrid wants it
    console: str = attr.ib(validator=attr.validators.instance_of(str))
    txdelay: float = attr.ib(default=0.0, validator=attr.validators.instance_of(float))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.rig: EventRig | None = None

    def _rig(self) -> EventRig | None:
        return self.rig

    @property
    def time_ns(self) -> int:
        """Virtual time since it was switched on."""
        return 0 if self.rig is None else self.rig.time_ns

    def on_deactivate(self) -> None:
        self._switch_off()

    def _switch_off(self) -> None:
        rig, self.rig = self.rig, None
        if rig is not None:
            rig.close()

    @Driver.check_active
    @step()
    def on(self) -> None:
        """From power-on."""
        if self.rig is None:
            about = self.resource
            spec = Spec(about.system, about.engine, about.board, about.seed, boot_ns=0)
            self.rig = opened(spec)
            try:
                self._check(self.rig)
            except KhsError:
                self._switch_off()
                raise
            self.rig.reset()

    def _check(self, rig: EventRig) -> None:
        """KhsError if a console of the environment is none of the system's."""
        drivers = self.target.drivers
        ports = [each for each in drivers if isinstance(each, KhsPort) and each.system is self]
        for each in (self, *ports):
            rig.wire(each.console)

    @Driver.check_active
    @step()
    def off(self) -> None:
        """Nothing is left of it."""
        self._switch_off()

    @Driver.check_active
    @step()
    def cycle(self) -> None:
        """On again from power-on."""
        if self.rig is None:
            self.on()
        else:
            self.rig.reset()


@target_factory.reg_driver
@attr.s(eq=False)
class KhsPort(_Port):
    """Another console of a KhsDriver's system."""

    bindings = {"system": {KhsDriver}}  # noqa: RUF012
    console: str = attr.ib(validator=attr.validators.instance_of(str))
    txdelay: float = attr.ib(default=0.0, validator=attr.validators.instance_of(float))

    def _rig(self) -> Any:
        return self.system.rig

    @property
    def resource(self) -> Any:
        """For messages."""
        return self.system.resource
