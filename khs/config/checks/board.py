"""Rules about the board and its file."""

from __future__ import annotations

from khs.config import boards
from khs.config.document import BoardDocument, DeviceTable, Document
from khs.config.model import DEVICE_IRQS, LINES, PAGE, Arch
from khs.config.rules import BoardContext, Context, Problem, Problems, at, rule, suggest


@rule("BOARD-001", Context.whole)
def found(c: Context, document: Document) -> Problems:
    """The board has a file: a name from boards/, or a path."""
    name = document.system.board
    if c.board is None and boards.find(name, c.root) is None:
        help = suggest(name, boards.names(), "boards")
        yield Problem(at(document.system, "board"), f'there is no board "{name}"', help)


@rule("BOARD-002", BoardContext.whole)
def memory(c: BoardContext, document: BoardDocument) -> Problems:
    """A board's memory is whole pages of 4 KiB within its physical address space."""
    table = document.memory
    for key, value in (("base", table.base), ("size", table.size)):
        if value.value % PAGE:
            yield Problem(at(table, key), f"{value} is not whole pages", "pages have 4 KiB")
    end, limit = table.base.value + table.size.bytes, _address_limit(document)
    if not table.size.bytes or end > limit:
        yield Problem(
            at(table, "size"),
            f"memory of {table.size} at {table.base} ends at 0x{end:x}",
            f"more than nothing, and at most up to 0x{limit:x}",
        )


def _address_limit(document: BoardDocument) -> int:
    return 1 << (52 if boards.ARCHES[document.board.arch] is Arch.X64 else 32)


@rule("BOARD-003", BoardContext.whole)
def clock(c: BoardContext, document: BoardDocument) -> Problems:
    """A board's clock is not 0."""
    if document.board.clock.value == 0:
        yield Problem(at(document.board, "clock"), "the clock stands still", 'e.g. "125MHz"')


@rule("BOARD-004", BoardContext.whole)
def costs(c: BoardContext, document: BoardDocument) -> Problems:
    """A cost is 0 to 1000000 ticks."""
    table = document.cost
    for key, ticks in (("call", table.call), ("copy", table.copy), ("verdict", table.verdict)):
        if not 0 <= ticks <= 1_000_000:
            yield Problem(at(table, key), f"a cost of {ticks} ticks", "0 to 1000000 ticks")


@rule("BOARD-005", BoardContext.devices)
def device_place(c: BoardContext, device: DeviceTable) -> Problems:
    """A device lies within the address space of its bus and apart from the other devices."""
    start, end = device.address.value, device.address.value + device.size.bytes
    limit = 1 << 16 if device.bus == "io" else _address_limit(c.document)
    if not device.size.bytes or end > limit:
        yield Problem(
            at(device, "address"), f"{device.label} ends at 0x{end:x}", f"at most up to 0x{limit:x}"
        )
    for other in c.devices():
        if other.label == device.label:
            return
        first = other.address.value
        if other.bus == device.bus and first < end and start < first + other.size.bytes:
            yield Problem(
                at(device, "address"), f"{device.label} overlaps {other.label}", "one of them moves"
            )


@rule("BOARD-006", BoardContext.whole)
def console(c: BoardContext, document: BoardDocument) -> Problems:
    """The kernel's console is a device of the board."""
    name = document.board.console
    if name is not None and name not in document.device:
        help = suggest(name, document.device, "devices")
        yield Problem(at(document.board, "console"), f'there is no device "{name}"', help)


@rule("BOARD-007", BoardContext.devices)
def io_ports(c: BoardContext, device: DeviceTable) -> Problems:
    """Only x86 and x64 have I/O ports."""
    if device.bus == "io" and c.document.board.arch == "armv7":
        yield Problem(at(device, "bus"), "ARM has no I/O ports", 'bus = "memory"')


@rule("BOARD-008", BoardContext.whole)
def version(c: BoardContext, document: BoardDocument) -> Problems:
    """A board file has format 1."""
    if document.format != 1:
        yield Problem(("format",), f"unknown format {document.format}", "write format = 1")


@rule("BOARD-009", BoardContext.whole)
def processor(c: BoardContext, document: BoardDocument) -> Problems:
    """A board has the processor model that guests of its architecture run on: `cortex-a9` for
    armv7, `qemu64` for x86 and x64."""
    model = boards.PROCESSORS[boards.ARCHES[document.board.arch]]
    if document.board.cpu != model:
        message = f'there is no {document.board.arch} processor "{document.board.cpu}"'
        yield Problem(at(document.board, "cpu"), message, f'cpu = "{model}"')


@rule("BOARD-010", BoardContext.devices)
def interrupts(c: BoardContext, device: DeviceTable) -> Problems:
    """A device has at most 29 interrupts: lines of an interrupt controller, 0 to 1019, each
    once."""
    for index, line in enumerate(device.irq):
        if not 0 <= line < LINES:
            message = f"no interrupt controller has a line {line}"
            yield Problem(at(device, "irq", index), message, f"0 to {LINES - 1}")
        elif line in device.irq[:index]:
            message = f"interrupt {line} stands twice"
            yield Problem(at(device, "irq", index), message, "take one out")
    if len(device.irq) > DEVICE_IRQS:
        message = f"{device.label} has {len(device.irq)} interrupts"
        yield Problem(at(device, "irq", DEVICE_IRQS), message, f"at most {DEVICE_IRQS}")
