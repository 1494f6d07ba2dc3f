"""A system under test, whatever runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

from khs.engine.structures import View
from khs.errors import KhsError
from khs.hil.testing.audit import Audit
from khs.hil.testing.canbus import CanBus
from khs.hil.testing.console import Console
from khs.hil.testing.duration import Time, ns, words
from khs.hil.testing.errors import ExpiredError, UnsupportedError
from khs.hil.testing.gpio import Gpio
from khs.hil.testing.partition import Partition
from khs.hil.testing.plant import PlantUnderTest
from khs.trace.kinds import Mode

T = TypeVar("T")

#: What `khs_requires` knows, and what each means.
FEATURES = {
    "virtual-time": "time that stands still while the test thinks",
    "partitions": "modes and counters of partitions",
    "memory": "reading and writing memory of partitions",
    "restart": "restarting and stopping partitions",
    "snapshot": "going back to a point of the run",
    "reverse": "debugging backwards",
    "replay": "a recording that runs again bit for bit",
    "events": "hypercalls, health and the policy's decisions",
    "inputs": "messages of the test to inputs of partitions",
    "uart": "a serial port of a partition",
    "can": "a CAN controller of a partition",
    "gpio": "GPIO of a partition",
    "plant": "a plant in the loop",
}


@dataclass(frozen=True, slots=True)
class HypercallLine:
    """A hypercall: `code` it came back with, None while it blocks; `text` as `khs trace` shows it;
    `verdicts` that it took, likewise."""

    time_ns: int
    partition: str
    name: str
    code: str | None
    text: str
    verdicts: tuple[str, ...]

    def __str__(self) -> str:
        head = f"{self.time_ns / 1e6:>13.6f} ms  {self.partition:<12}  "
        return "\n".join(
            [head + self.text, *(f"{'':>16}  {'':<12}    {row}" for row in self.verdicts)]
        )


@dataclass(frozen=True, slots=True)
class HealthLine:
    """What the health monitor saw and did, by its words in system.toml."""

    time_ns: int
    partition: str
    error: str
    action: str
    text: str


class Rig(ABC):
    """What a test has of a system: fixture `khs_system`. Virtual time passes in `run_for`,
    `run_until` and `Console.expect` alone."""

    engine: ClassVar[str]
    #: Of FEATURES, those that there are always.
    can: ClassVar[frozenset[str]] = frozenset()
    #: Virtual time between two looks at a condition.
    step_ns: ClassVar[int] = 1_000_000

    def __init__(self, vtimeout_ns: int) -> None:
        self.vtimeout_ns = vtimeout_ns
        self.began_ns = 0  # of this test

    # ------------------------------------------------------------ what it is

    @property
    def features(self) -> frozenset[str]:
        """Of FEATURES, those that this system has here."""
        return self.can

    def require(self, *features: str) -> None:
        """UnsupportedError if one is not there; KhsError if it is none."""
        for feature in features:
            if feature not in FEATURES:
                raise KhsError(
                    f"khs_requires: nothing is called {feature}\n  help: {', '.join(FEATURES)}"
                )
            if feature not in self.features:
                raise UnsupportedError(f"{self} has not got {feature}: {FEATURES[feature]}")

    @abstractmethod
    def __str__(self) -> str: ...

    # ------------------------------------------------------------ time

    @property
    @abstractmethod
    def time_ns(self) -> int:
        """Since power-on, in virtual nanoseconds (on a real board: of the clock on the wall)."""

    @property
    def time(self) -> float:
        """The same in seconds."""
        return self.time_ns / 1e9

    @property
    def limit_ns(self) -> int:
        """Where the test's time is over: `khs_vtimeout`."""
        return self.began_ns + self.vtimeout_ns

    @property
    def stopped(self) -> str | None:
        """Why the module stopped; None while it runs."""
        return None

    def run_for(self, duration: Time) -> None:
        """Lets the system run so long. ExpiredError if the test has not so much time left."""
        __tracebackhide__ = True
        until = self.time_ns + ns(duration)
        self._advance(min(until, self.limit_ns))
        if until > self.limit_ns and self.stopped is None:
            raise ExpiredError(f"the test's virtual time, {words(self.vtimeout_ns)}, is over")

    def run_until(self, condition: Callable[[], T], timeout: Time | None = None) -> T:
        """Lets the system run until `condition()` is true, which is what comes back; it is looked
        at every millisecond of virtual time (QEMU: when the board stands). ExpiredError if it does
        not become true within `timeout`, by default the time that the test has left."""
        __tracebackhide__ = True
        begin = self.time_ns
        until = self.limit_ns if timeout is None else min(begin + ns(timeout), self.limit_ns)
        while not (found := condition()):
            if self.stopped is not None:
                raise ExpiredError(f"before the module stopped: {self.stopped}")
            if self._is_over(until):
                raise ExpiredError(f"within {words(self.time_ns - begin)}")
            self._advance(min(self.time_ns + self.step_ns, until))
        return found

    @abstractmethod
    def _advance(self, until_ns: int) -> None:
        """Up to there, or to the module's stop; perhaps a bit farther."""

    def _is_over(self, until_ns: int) -> bool:
        return self.time_ns >= until_ns

    # ------------------------------------------------------------ what is in it

    @abstractmethod
    def console(self, name: str) -> Console:
        """Of a partition, or a serial port as PARTITION.DEVICE."""

    def partition(self, name: str) -> Partition:
        """By name. KhsError if there is none."""
        raise self._lacking("partitions")

    def can_bus(self, name: str | None = None) -> CanBus:
        """A CAN bus of the system, the only one if there is no name. KhsError if there is none."""
        raise self._lacking("can")

    def gpio(self, name: str) -> Gpio:
        """Pins of PARTITION.DEVICE. KhsError if there are none."""
        raise self._lacking("gpio")

    def inject(self, name: str, data: bytes | str) -> None:
        """A message from outside to [input.NAME], at the next millisecond of virtual time. KhsError
        if there is no such input."""
        raise self._lacking("inputs")

    def plant(self, name: str) -> PlantUnderTest:
        """Of the bench (bench.toml) around the system. KhsError if there is none."""
        raise self._lacking("plant")

    @property
    def audit(self) -> Audit:
        """Decisions of the policy in this test."""
        raise self._lacking("events")

    def hypercalls(self, last: int = 16) -> list[HypercallLine]:
        """The last hypercalls of all partitions, in the order of time."""
        raise self._lacking("events")

    def health(self) -> list[HealthLine]:
        """What the health monitor saw in this test, in the order of time."""
        raise self._lacking("events")

    def view(self, partition: int) -> View:
        """What the kernel tells of a partition."""
        raise self._lacking("partitions")

    def read(self, partition: int, address: int, size: int) -> bytes:
        """Up to the first byte that is not mapped."""
        raise self._lacking("memory")

    def write(self, partition: int, address: int, data: bytes) -> None:
        """KhsError where no partition may write."""
        raise self._lacking("memory")

    def set_mode(self, partition: int, mode: Mode) -> None:
        """KhsError if it cannot be."""
        raise self._lacking("restart")

    def _lacking(self, feature: str) -> UnsupportedError:
        return UnsupportedError(f"{self} has not got {feature}: {FEATURES[feature]}")

    # ------------------------------------------------------------ going back

    def snapshot(self) -> Any:
        """Of here, for `restore` in the same test."""
        raise self._lacking("snapshot")

    def restore(self, snapshot: Any) -> None:
        """Goes on from there: consoles, decisions, time and all are as they were."""
        raise self._lacking("snapshot")

    @abstractmethod
    def reset(self) -> None:
        """To where tests begin."""

    def begin(self, vtimeout_ns: int) -> None:
        """A test begins here."""
        self.vtimeout_ns, self.began_ns = vtimeout_ns, self.time_ns

    # ------------------------------------------------------------ afterwards

    @property
    def trace_sha256(self) -> str | None:
        """Hash of all events since power-on; None where there are none."""
        return None

    @property
    def hashes(self) -> dict[str, str]:
        """What was tested: SHA-256 of image, policy and kernel, as far as they are known."""
        return {}

    @abstractmethod
    def consoles(self) -> dict[str, str]:
        """All that was written, by console."""

    def write_trace(self, path: Path) -> bool:
        """For `khs trace`; False if there is none."""
        return False

    def record(self, folder: Path) -> str | None:
        """Keeps the run, up to the end of its major frame, in a new folder; the command that runs
        it again, None if nothing can. The test must be over."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Frees everything."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
