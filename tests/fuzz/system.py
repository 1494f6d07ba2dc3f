"""The system that random guests run in.

A hostile partition holds many cases of code; each start, it goes on to the next. A warden restarts
it every major frame, so that no case lasts longer. A bystander does periodic work beside it, and a
neighbour answers the hostile partition's calls and reads its ports and the memory they share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from khs.image import records
from tests.core import systems
from tests.fuzz.emit import Word, dispatch, filled, forever, hypercall, increment
from tests.host.system import Arch

HOSTILE, BYSTANDER, NEIGHBOUR, WARDEN = range(4)
WINDOWS = ((HOSTILE, 400), (BYSTANDER, 120), (NEIGHBOUR, 200), (WARDEN, 80))
MAJOR_FRAME = sum(length for _, length in WINDOWS)

#: Bytes of a case and its place in the hostile partition.
SLOT, CASES = 256, 0x100000
STATUS = systems.DATA  # where the hostile partition's entry point keeps its number of restarts
COUNTER, BUFFER, INFO = systems.DATA, systems.DATA + 0x400, systems.DATA + 0x800
#: (address, content) of what nobody ever writes, in each of the other partitions.
CANARIES = (
    (systems.DATA + 0x1000, b"\xa5" * 0xF00),
    (systems.KEEP, b"\x5a" * systems.PAGE),
)
#: Where `messages` are.
REPORT, ALARM, ASK, ANSWER, WIDE = (systems.CONSTANTS + 64 * n for n in range(5))

_HEALTH: dict[object, tuple[int, int]] = {systems.HARDWARE: (systems.MODULE, systems.STOP)}

RULES = systems.EVERYTHING + (
    "execute src=test.D { grant () }\n"
    # the hostile partition may restart the neighbour, nobody else
    "request src=test.A, dst=kl.core.Core, interface=kl.core.Partition, method=Restart {\n"
    "    assert (message.target == 2)\n"
    "}\n"
)


def messages() -> bytes:
    """What everybody finds at CONSTANTS: one message for each endpoint, at multiples of 64."""
    made = (
        systems.message(1, 2, riid=systems.REPORT),
        systems.message(3, 4, riid=systems.ALARM),
        systems.message(5, 6, riid=systems.SERVICE),
        systems.message(7, riid=systems.SERVICE, flags=1),
        systems.wide(8),
    )
    return b"".join(message.ljust(64, b"\0") for message in made)


@dataclass(frozen=True)
class Fuzzed(systems.System):
    """A system whose partitions have programs; the hostile one has further regions."""

    arch: Arch = Arch.ARMV7
    programs: Sequence[bytes] = ()
    cases: bytes = b""
    image: bytes = b""

    def config(self) -> bytes:
        made = records.Config.from_buffer_copy(super().config())
        made.arch = self.arch
        return bytes(made) + super().config()[len(bytes(made)) :]

    def _contents(self) -> list[bytes]:
        """Of every region, in order."""
        made = [systems.initial(0)]
        for program in self.programs:
            made += [program, messages(), b"\xa5" * systems.DATA_SIZE, b"\x5a" * systems.PAGE]
        return [*made, self.cases, self.image]

    def _regions(self) -> list[records.Region]:
        made, at = [], 0
        flags = (0, 0, 0, records.REGION_KEEP)
        for number, content in enumerate(self._contents()):
            kind = records.REGION_SHARED if number == 0 else flags[(number - 1) % 4]
            if number > 4 * len(self.partitions):
                kind = 0
            size = _pages(content)
            made.append(
                records.Region(size=size, file_offset=at, file_size=len(content), flags=kind)
            )
            at += len(content)
        return made

    def _maps(self, partition: int) -> list[records.Map]:
        made = super()._maps(partition)
        if partition == HOSTILE:
            first = 1 + 4 * len(self.partitions)
            made.append(records.Map(CASES, first, systems.R | systems.X))
            made.append(records.Map(image_address(self.cases), first + 1, systems.R))
        return made

    def memory(self) -> bytes:
        return b"".join(self._contents())


def _pages(content: bytes) -> int:
    """Bytes of the region that holds it."""
    return max(-(-len(content) // systems.PAGE), 1) * systems.PAGE


def image_address(cases: bytes) -> int:
    """The policy image lies right behind the cases: two regions that touch each other."""
    return CASES + _pages(cases)


def _hostile(arch: Arch, count: int) -> bytes:
    start = hypercall(arch, 4, STATUS)
    code = start + dispatch(arch, STATUS + 8, count, SLOT, CASES)
    return filled(arch, code, systems.PAGE)


def _harmless(arch: Arch) -> bytes:
    return forever(arch, [], [hypercall(arch, 3)])


def _bystander(arch: Arch, port: int) -> bytes:
    work = [
        increment(arch, COUNTER),
        hypercall(arch, 1, BUFFER),
        hypercall(arch, 16, port, REPORT, 16),
        hypercall(arch, 4, BUFFER + 64),
        hypercall(arch, 20, port, BUFFER + 128),
        hypercall(arch, 2),
    ]
    return forever(arch, [hypercall(arch, 5, 3)], work)


def _neighbour(arch: Arch, sampled: int, queue: int) -> bytes:
    work = [
        hypercall(arch, 14, BUFFER, 256, INFO, 0),
        hypercall(arch, 15, Word(INFO), ANSWER, 16),
        hypercall(arch, 17, sampled, BUFFER, 256, INFO + 64),
        hypercall(arch, 19, queue, BUFFER, 256, 0),
        increment(arch, systems.SHARED),
        hypercall(arch, 3),
    ]
    return forever(arch, [hypercall(arch, 5, 3)], work)


def _warden(arch: Arch, port: int) -> bytes:
    work = [
        hypercall(arch, 17, port, BUFFER, 256, INFO),
        hypercall(arch, 6, NEIGHBOUR, 2),  # may be stopped by now
        hypercall(arch, 6, HOSTILE, 1),
        hypercall(arch, 3),
    ]
    return forever(arch, [hypercall(arch, 5, 3)], work)


def system(arch: Arch, cases: Sequence[bytes]) -> Fuzzed:
    """With a power of two of cases; without any, the hostile partition does nothing."""
    schedule, at = [], 0
    for partition, length in WINDOWS:
        schedule.append((partition, at, length))
        at += length
    made = Fuzzed(
        partitions=[
            systems.Partition(
                "test.A",
                privileges=("schedule-switch", "partition-control", "policy-swap", "health-log"),
                inputs=((64, 2),),
            ),
            systems.Partition("test.B", period=MAJOR_FRAME, deadline=MAJOR_FRAME, shared=0),
            systems.Partition("test.C"),
            systems.Partition("test.D", privileges=("partition-control",), shared=0),
        ],
        schedules=[(MAJOR_FRAME, schedule), (MAJOR_FRAME, schedule)],
        channels=[
            systems.Channel(systems.SAMPLING, HOSTILE, (NEIGHBOUR,), systems.REPORT, refresh=900),
            systems.Channel(systems.QUEUING, HOSTILE, (NEIGHBOUR,), systems.ALARM, depth=2),
            systems.Channel(systems.CALLS, HOSTILE, (NEIGHBOUR,), systems.SERVICE),
            systems.Channel(systems.SAMPLING, BYSTANDER, (WARDEN,), systems.REPORT),
        ],
        health=_HEALTH,
        costs=(10, 1, 3),
        arch=arch,
        image=policy(),
        cases=b"".join(filled(arch, case, SLOT) for case in cases),
    )
    programs = [
        _hostile(arch, len(cases)) if cases else _harmless(arch),
        _bystander(arch, made.port(BYSTANDER, 3)),
        _neighbour(arch, made.port(NEIGHBOUR, 0), made.port(NEIGHBOUR, 1)),
        _warden(arch, made.port(WARDEN, 3)),
    ]
    return Fuzzed(**{**vars(made), "programs": programs})


def policy() -> bytes:
    return systems.policy(RULES)
