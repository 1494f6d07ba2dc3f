"""Binding of libkhs, the kernel on Unicorn. What its functions promise: khs/host/host.h.

A `Host` is one loaded system; nothing here knows archives.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Sequence
from ctypes import c_uint64
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache
from itertools import pairwise
from pathlib import Path

from khs.engine.signatures import SIGNATURES
from khs.engine.structures import (
    DeviceCalls,
    DeviceCounts,
    HostBytes,
    HostDevice,
    HostError,
    HostEvents,
    HostOptions,
    Status,
    Timing,
    View,
)
from khs.errors import EngineError

LIBRARY = Path(__file__).resolve().parent.parent / "_lib" / "libkhs.so"
NEVER = (1 << 64) - 1
NONE = (1 << 32) - 1
#: Records that a device may have sent and nobody has fetched, at 8 bytes each.
RECORDS_MOST = 1 << 17


class End(IntEnum):
    """Why `Host.run` came back: enum khs_host_end."""

    REACHED = 0
    DRAIN = 1
    STOPPED = 2
    INTERRUPTED = 3
    YIELDED = 4


class Failure(IntEnum):
    """What was refused: enum khs_host_failure."""

    CONFIG = 1
    MEMORY = 2
    CODE = 3
    POLICY = 4
    SYSTEM = 5


#: khs_status, as people read it.
BOOT_STATUS = {
    1: "config.bin is inconsistent",
    2: "the policy image is damaged or of another version",
    3: "the policy does not know every class of the system",
    4: "more memory is needed than config.bin reserves",
}

_BUILD = "make setup (or python scripts/build_native.py) builds it; or reinstall khs"

#: Exit status of a child that could not be confined.
NOT_CONFINED = 70
UNSCANNED = 1


@dataclass(frozen=True, slots=True)
class Options:
    """khs_host_options; 0 takes the default. `unscanned` loads code that aborts the engine."""

    cache_bytes: int = 0
    ring_bytes: int = 0
    abandoned_most: int = 0
    unscanned: bool = False


class LoadError(EngineError):
    """The library refuses a system. `where`: offset, address or number, see khs_host_failure."""

    def __init__(self, failure: Failure, partition: int | None, where: int, text: str) -> None:
        super().__init__(text)
        self.failure, self.partition, self.where = failure, partition, where


@dataclass(frozen=True, slots=True)
class Drained:
    """Events taken out of the ring: whole records, and the visible parts by partition. `notable`
    are again the records that people are told one by one: see khs_host_events.

    The views are of memory that the next call on the host reuses.
    """

    records: memoryview
    parts: list[tuple[int, memoryview]]
    notable: memoryview
    granted: int
    denied: int
    stop_cause: int  # 0 unless the module stopped
    count: int  # records
    swaps: int = 0  # of policies


@cache
def library() -> ctypes.CDLL:
    """libkhs, with the CPU engine it needs already loaded. Raises EngineError."""
    try:
        import unicorn  # noqa: F401 - loads libunicorn.so.2, which libkhs asks for
    except ImportError as error:
        raise EngineError(f"the CPU engine cannot be loaded: {error}") from error
    try:
        lib = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        raise EngineError(f"{error}\n  help: {_BUILD}") from error
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(lib, f"khs_host_{name}", None)
        if function is None:
            raise EngineError(
                f"{LIBRARY} is older than this khs (it has no khs_host_{name})\n  help: {_BUILD}"
            )
        function.restype, function.argtypes = result, arguments
    return lib


def _bytes(data: bytes) -> HostBytes:
    return HostBytes(data, len(data))


def _view(address: int | None, size: int) -> memoryview:
    if not size or address is None:
        return memoryview(b"")
    return memoryview((ctypes.c_uint8 * size).from_address(address)).cast("B")


class Host:
    """One loaded system. Use as a context manager, or call `close`."""

    def __init__(
        self,
        config: bytes,
        memory: bytes,
        policies: Sequence[bytes],
        options: Options | None = None,
    ) -> None:
        """Raises LoadError if the library refuses the system."""
        self.library = self._lib = library()
        self._run = self._lib.khs_host_run
        self._boot = self._lib.khs_host_boot
        self._calls: list[DeviceCalls] = []
        self._opened: int | None = None
        self._closing = threading.RLock()  # `stop` may be called by a signal handler in `close`
        images = (HostBytes * max(len(policies), 1))(*map(_bytes, policies))
        given = options or Options()
        flags = UNSCANNED if given.unscanned else 0
        wanted = HostOptions(given.cache_bytes, given.ring_bytes, given.abandoned_most, flags)
        error = HostError()
        self._opened = self._lib.khs_host_open(
            _bytes(config), _bytes(memory), images, len(policies), wanted, error
        )
        if self._opened is None:
            partition = None if error.partition == NONE else int(error.partition)
            text = error.text.decode(errors="replace")
            raise LoadError(Failure(error.failure), partition, int(error.where), text)
        self.partitions = int(self.status().partitions)
        self._buffer = ctypes.create_string_buffer(1 << 16)
        self._ticks: ctypes.Array[c_uint64] | None = None

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees everything; the host cannot be used afterwards."""
        with self._closing:
            opened, self._opened = self._opened, None
            if opened is not None:
                self._lib.khs_host_close(opened)

    def __del__(self) -> None:
        if hasattr(self, "_opened"):
            self.close()

    @property
    def handle(self) -> int:
        """The khs_host, for functions of the library. Raises EngineError if it is closed."""
        if self._opened is None:
            raise EngineError("the machine is closed")
        return self._opened

    # ------------------------------------------------------------ running

    def add_input(self, tick: int, target: int, data: bytes = b"") -> bool:
        """False if the tick is before that of an earlier input or over, or there is no target."""
        return bool(self._lib.khs_host_input(self.handle, tick, target, data, len(data)))

    @property
    def inputs(self) -> int:
        """How many there are."""
        return int(self._lib.khs_host_inputs(self.handle))

    def cut_inputs(self, count: int) -> None:
        """Forgets those from number `count` on, which a restored system has not got."""
        self._lib.khs_host_cut_inputs(self.handle, count)

    def policy_at(self, frame: int, policy: int) -> bool:
        """Swaps the policy at the beginning of a major frame, from 1 on. False if it has begun or
        has a policy already, or there is no such policy."""
        return bool(self._lib.khs_host_policy_at(self.handle, frame, policy))

    def boot(self) -> None:
        """Takes the system to tick 0. Raises EngineError if the policy does not fit it."""
        check_boot(int(self._boot(self.handle)))

    def run(self, frames: int = NEVER, until: int = NEVER) -> End:
        """Until so many major frames are complete, or tick `until`; drain events afterwards."""
        return End(self._run(self.handle, frames, until))

    def stop(self) -> None:
        """Makes `run` return soon, with End.INTERRUPTED. From any thread, at any time."""
        with self._closing:
            if self._opened is not None:
                self._lib.khs_host_stop(self._opened)

    def drain(self) -> Iterator[Drained]:
        """Takes out all unread events."""
        events = HostEvents()
        while self._lib.khs_host_drain(self.handle, events):
            yield self._drained(events)

    def split(self, records: bytes) -> Drained:
        """Records from elsewhere, as if drained. Raises EngineError if they are damaged."""
        aligned = (c_uint64 * (len(records) // 8 + 1))()
        ctypes.memmove(aligned, records, len(records))
        events = HostEvents()
        if not self._lib.khs_host_split(self.handle, aligned, len(records), events):
            raise EngineError("the event stream is damaged")
        return replace(self._drained(events), records=memoryview(records))

    def _drained(self, events: HostEvents) -> Drained:
        at = events.at[: self.partitions + 1]
        parts = _view(events.parts, at[-1])
        sorted_parts = [
            (number, parts[begin:end])
            for number, (begin, end) in enumerate(pairwise(at))
            if end > begin
        ]
        return Drained(
            records=_view(events.records, events.size),
            parts=sorted_parts,
            notable=_view(events.notable, events.notable_size),
            granted=events.granted,
            denied=events.denied,
            stop_cause=events.stop_cause,
            count=events.count,
            swaps=events.swaps,
        )

    def serve(self, frames: int, until: int, descriptor: int, parent: int) -> None:
        """For a forked child: see khs_host_serve. Does not return."""
        self._lib.khs_host_serve(self.handle, frames, until, descriptor, parent)

    def packet_most(self) -> int:
        """Bytes that a packet of `serve` has at most."""
        return int(self._lib.khs_host_packet_most(self.handle))

    # ------------------------------------------------------------ devices

    def add_device(self, device: HostDevice, calls: DeviceCalls | None = None) -> int | None:
        """Its number; None if the partition cannot have it. `calls`: a model outside. Before
        `boot`."""
        number = int(self._lib.khs_host_device_add(self.handle, device, calls))
        if number == NONE:
            return None
        if calls is not None and not self._calls:
            # The lock of Python stays taken in between: to get it back for each access would make
            # the run wait for every other thread.
            held = ctypes.PyDLL(str(LIBRARY))
            for function in (self._lib.khs_host_run, self._lib.khs_host_boot):
                same = getattr(held, function.__name__)
                same.restype, same.argtypes = function.restype, function.argtypes
            self._run, self._boot = held.khs_host_run, held.khs_host_boot
        if calls is not None:
            self._calls.append(calls)
        return number

    def join_device(self, device: int, other: int) -> bool:
        """Joins a CAN controller to the bus of another; False if one of them is none."""
        return bool(self._lib.khs_host_device_join(self.handle, device, other))

    def device_target(self, device: int) -> int:
        """The target for `add_input`."""
        return int(self._lib.khs_host_device_target(self.handle, device))

    def device_output(self, device: int) -> bytes:
        """What it has sent to the outside since the last time."""
        taken = b""
        while count := self._lib.khs_host_device_output(
            self.handle, device, self._buffer, len(self._buffer)
        ):
            taken += self._buffer.raw[:count]
        return taken

    def device_ticks(self, device: int) -> list[int]:
        """The ticks of the records that `device_output` would take; none for bytes."""
        if self._ticks is None:
            self._ticks = (c_uint64 * RECORDS_MOST)()
        count = self._lib.khs_host_device_ticks(self.handle, device, self._ticks, RECORDS_MOST)
        return self._ticks[:count]

    def device_put(self, device: int, data: bytes) -> bool:
        """For models outside: sends bytes to the outside."""
        return bool(self._lib.khs_host_device_put(self.handle, device, data, len(data)))

    def device_counts(self, device: int) -> DeviceCounts:
        counts = DeviceCounts()
        self._lib.khs_host_device_count(self.handle, device, counts)
        return counts

    # ------------------------------------------------------------ regions

    def region_target(self, region: int) -> int | None:
        """The target for `add_input`, whose bytes are an offset (u64) and what to write there; None
        if there is no such region, or it holds code."""
        target = int(self._lib.khs_host_region_target(self.handle, region))
        return None if target == NONE else target

    def read_region(self, region: int, offset: int, size: int) -> bytes | None:
        """None if that does not lie in a region."""
        buffer = ctypes.create_string_buffer(size)
        fine = self._lib.khs_host_region_read(self.handle, region, offset, buffer, size)
        return buffer.raw if fine else None

    # ------------------------------------------------------------ looking

    def status(self) -> Status:
        status = Status()
        self._lib.khs_host_status_get(self.handle, status)
        return status

    def view(self, partition: int) -> View:
        view = View()
        self._lib.khs_host_view(self.handle, partition, view)
        return view

    def registers(self, partition: int) -> list[int]:
        """In gdb's order, see host.h; empty if the partition never ran."""
        values = (c_uint64 * 32)()
        count = self._lib.khs_host_registers(self.handle, partition, values)
        return list(values[:count])

    def read(self, partition: int, address: int, size: int) -> bytes:
        """Memory of a partition, up to the first byte that is not mapped."""
        buffer = ctypes.create_string_buffer(size)
        count = self._lib.khs_host_read(self.handle, partition, address, buffer, size)
        return buffer.raw[:count]

    # ------------------------------------------------------------ measuring

    def bench_raw(self, partition: int, traps: int, same_tlb: bool = False) -> Timing:
        """Unicorn alone on the partition's image, up to so many hypercalls; `same_tlb`: with the
        TLB that partitions run with."""
        timing = Timing()
        if not self._lib.khs_host_bench_raw(self.handle, partition, traps, same_tlb, timing):
            raise EngineError(f"partition {partition} cannot be measured")
        return timing

    def bench_windows(self, partition: int, traps: int, window: int) -> Timing:
        """The same image in exact windows of `window` ticks, without the kernel."""
        timing = Timing()
        if not self._lib.khs_host_bench_windows(self.handle, partition, traps, window, timing):
            raise EngineError(f"partition {partition} cannot be measured")
        return timing


def check_boot(status: int) -> None:
    """Raises EngineError for a khs_status other than success."""
    if status:
        raise EngineError(f"the system does not boot: {BOOT_STATUS.get(status, status)}")


def scan(arch: int, code: bytes) -> int | None:
    """Offset of the first instruction that must not be loaded; `arch` is enum khs_arch."""
    at = int(library().khs_host_scan(arch, code, len(code)))
    return at if at < len(code) else None


def check_config(config: bytes) -> int | None:
    """Offset of the first defect of a config.bin."""
    where = c_uint64()
    return int(where.value) if library().khs_host_check_config(config, len(config), where) else None


def confine(descriptor: int) -> bool:
    """From now on this process can only compute and write there; False if that is impossible."""
    return bool(library().khs_host_confine(descriptor))
