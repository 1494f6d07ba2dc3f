"""Rules about partitions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from khs.config.document import Document, PartitionTable
from khs.config.model import DEVICE_IRQS, PAGE, PRIVILEGES, PROGRAM_BASE, STACK_GUARD, STACK_TOP
from khs.config.rules import Context, Problem, Problems, at, readable, rule, suggest

PARTITIONS_MAX = 1024
#: Room for stack and heap; the program itself needs some of the space below the stack as well.
SPACE = STACK_TOP - STACK_GUARD - PROGRAM_BASE - (1 << 20)

CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@rule("PART-001", Context.whole)
def some_partition(c: Context, document: Document) -> Problems:
    """A system has at least one partition."""
    if not document.partition:
        help = "add [partition.NAME] with class and program"
        yield Problem(("partition",), "the system has no partition", help)


@rule("PART-002", Context.whole)
def not_too_many(c: Context, document: Document) -> Problems:
    """A system has at most 1024 partitions."""
    if len(document.partition) > PARTITIONS_MAX:
        first_too_many = list(document.partition.values())[PARTITIONS_MAX]
        yield Problem(
            first_too_many.path,
            f"{len(document.partition)} partitions",
            f"at most {PARTITIONS_MAX}; distribute them over several systems",
            at_key=True,
        )


@rule("PART-003", Context.partitions)
def one_program(c: Context, partition: PartitionTable) -> Problems:
    """A partition has exactly one of `program` and `image`, one of `kind = "board"` none."""
    if partition.kind == "board":
        return
    if partition.program is None and partition.image is None:
        help = 'program = "NAME", a folder of partitions/, or image = "PATH", an ELF file'
        yield Problem(partition.path, f"{partition.label} has no program", help, at_key=True)
    if partition.program is not None and partition.image is not None:
        message = f"{partition.label} has a program and an image"
        yield Problem(at(partition, "image"), message, "keep one of them", at_key=True)


@rule("PART-004", Context.partitions)
def image_exists(c: Context, partition: PartitionTable) -> Problems:
    """The file of `image` exists."""
    if partition.image is not None and not c.is_file(partition.image):
        yield Problem(
            at(partition, "image"),
            f'there is no file "{partition.image}"',
            f"paths are relative to {c.root.name}/",
        )


@rule("PART-005", Context.partitions)
def hash_syntax(c: Context, partition: PartitionTable) -> Problems:
    """`sha256` is 64 lower-case hexadecimal digits."""
    text = partition.sha256
    if text is not None and not re.fullmatch("[0-9a-f]{64}", text):
        what = f"has {len(text)} characters" if len(text) != 64 else "has other characters"
        yield Problem(
            at(partition, "sha256"),
            f"a hash that {what}",
            "64 of 0-9 and a-f, as `sha256sum` prints them",
        )


@rule("PART-006", Context.partitions)
def deadline_in_period(c: Context, partition: PartitionTable) -> Problems:
    """A deadline is not longer than the period."""
    period, deadline = partition.period, partition.deadline
    if period is not None and deadline is not None and deadline > period:
        yield Problem(
            at(partition, "deadline"),
            f"deadline {deadline} is longer than the period {period}",
            f"at most {period}",
        )


@rule("PART-007", Context.partitions)
def deadline_with_period(c: Context, partition: PartitionTable) -> Problems:
    """A deadline goes with a period: it counts from release points."""
    if partition.deadline is not None and not c.written(*at(partition, "period")):
        message = f"{partition.label} has a deadline but no period"
        yield Problem(at(partition, "deadline"), message, "add a period", at_key=True)


@rule("PART-008", Context.partitions)
def some_period(c: Context, partition: PartitionTable) -> Problems:
    """A period and a deadline are longer than 0."""
    for key, time in (("period", partition.period), ("deadline", partition.deadline)):
        if time is not None and time.ns == 0:
            yield Problem(at(partition, key), f"a {key} of 0", f"leave {key} out to have none")


@rule("PART-009", Context.partitions)
def known_privilege(c: Context, partition: PartitionTable) -> Problems:
    """A privilege is one that the kernel knows."""
    for index, word in enumerate(partition.privileges):
        if word not in PRIVILEGES:
            yield Problem(
                at(partition, "privileges", index),
                f'unknown privilege "{word}"',
                suggest(word, PRIVILEGES, "privileges"),
            )


@rule("PART-010", Context.partitions, "warning")
def privilege_once(c: Context, partition: PartitionTable) -> Problems:
    """A privilege is named once."""
    for index, word in repeated(partition.privileges):
        place = at(partition, "privileges", index)
        yield Problem(place, f'privilege "{word}" stands twice', "take one out")


def repeated(words: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Words that stand in a list before, and where they stand again."""
    first: dict[str, int] = {}
    return ((i, word) for i, word in enumerate(words) if first.setdefault(word, i) != i)


@rule("PART-011", Context.partitions)
def known_device(c: Context, partition: PartitionTable) -> Problems:
    """A device is one of the board's."""
    for index, name in enumerate(partition.devices):
        if c.board is not None and name not in c.board.devices:
            yield Problem(
                at(partition, "devices", index),
                f'board {c.board.name} has no device "{name}"',
                suggest(name, c.board.devices, "devices"),
            )


@rule("PART-012", Context.whole)
def device_once(c: Context, document: Document) -> Problems:
    """A device belongs to one partition, and is named once."""
    owners: dict[str, str] = {}
    for partition in c.partitions():
        if not readable(partition, "devices"):
            continue
        for index, name in enumerate(partition.devices):
            if name in owners:
                yield Problem(
                    at(partition, "devices", index),
                    f'device "{name}" already belongs to {owners[name]}',
                    "a device belongs to one partition; let the others ask it through a channel",
                )
            owners.setdefault(name, partition.label)


@rule("PART-024", Context.whole)
def line_of_one_partition(c: Context, document: Document) -> Problems:
    """Devices that share an interrupt line belong to one partition."""
    owners: dict[int, tuple[str, str]] = {}
    for partition in c.partitions():
        if c.board is None or not readable(partition, "devices"):
            continue
        for index, name in enumerate(partition.devices):
            device = c.board.devices.get(name)
            for line in () if device is None else device.irqs:
                other, owner = owners.setdefault(line, (name, partition.label))
                if owner != partition.label and other != name:
                    yield Problem(
                        at(partition, "devices", index),
                        f"{name} shares interrupt line {line} with {other}, "
                        f"which belongs to {owner}",
                        "one partition for both, or a device with a line of its own "
                        f"instead of {name}",
                    )


@rule("PART-025", Context.partitions)
def few_interrupts(c: Context, partition: PartitionTable) -> Problems:
    """The devices of a partition have at most 29 interrupts: so many virtual ones there are."""
    known = {} if c.board is None else c.board.devices
    counts = [len(known[name].irqs) if name in known else 0 for name in partition.devices]
    sums = list(accumulate(counts))
    beyond = [index for index, total in enumerate(sums) if total > DEVICE_IRQS]
    if beyond:
        yield Problem(
            at(partition, "devices", beyond[0]),
            f"devices of {partition.label} have {sums[-1]} interrupts",
            f"at most {DEVICE_IRQS}; give some to another partition",
        )


@rule("PART-013", Context.partitions)
def free_device(c: Context, partition: PartitionTable) -> Problems:
    """The kernel's console belongs to no partition."""
    for index, name in enumerate(partition.devices):
        if c.board is not None and name == c.board.console:
            free = [other for other in c.board.devices if other != name]
            yield Problem(
                at(partition, "devices", index),
                f'device "{name}" is the kernel\'s console',
                suggest(name, free, "free devices"),
            )


@rule("PART-014", Context.partitions)
def class_syntax(c: Context, partition: PartitionTable) -> Problems:
    """`class` is the name of an EDL class: identifiers with dots between."""
    if not CLASS.fullmatch(partition.class_):
        yield Problem(
            at(partition, "class"),
            f'"{partition.class_}" is not the name of a class',
            'identifiers with dots between, as in "gateway.Sensor"',
        )


@rule("PART-015", Context.partitions)
def whole_pages(c: Context, partition: PartitionTable) -> Problems:
    """A stack is at least one page, stack and heap are whole pages of 4 KiB and fit beside the
    program."""
    for key, size in (("stack", partition.stack), ("heap", partition.heap)):
        if size.bytes % PAGE:
            up = type(size)(-(-size.bytes // PAGE) * PAGE)
            message = f"{key} of {size} is not whole pages"
            yield Problem(at(partition, key), message, f"pages have 4KiB; e.g. {up}")
    if partition.stack.bytes == 0:
        yield Problem(at(partition, "stack"), "no stack", "at least 4KiB")
    total = partition.stack.bytes + partition.heap.bytes
    if total > SPACE:
        key = "stack" if partition.stack > partition.heap else "heap"
        yield Problem(
            at(partition, key),
            f"stack and heap of {type(partition.stack)(total)} do not fit beside the program",
            f"at most {SPACE >> 10}KiB together; large data goes into a region",
        )


@rule("PART-016", Context.partitions)
def environment(c: Context, partition: PartitionTable) -> Problems:
    """Names in `env` are identifiers; arguments and values hold no zero character."""
    for name in partition.env:
        if not _VARIABLE.fullmatch(name):
            yield Problem(
                at(partition, "env", name),
                f'"{name}" is not the name of a variable',
                "letters, digits and _, no digit first",
                at_key=True,
            )
    texts = [(at(partition, "args", i), text) for i, text in enumerate(partition.args)]
    texts += [(at(partition, "env", name), text) for name, text in partition.env.items()]
    for path, text in texts:
        if "\0" in text:
            yield Problem(path, "a text with a zero character", "texts end with a zero")


@rule("PART-018", Context.partitions)
def program_name(c: Context, partition: PartitionTable) -> Problems:
    """`program` is the name of a folder of partitions/, not a path."""
    name = partition.program
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        yield Problem(
            at(partition, "program"),
            f'"{name}" is not the name of a program',
            f'the name of a folder of partitions/, as in "{Path(name).name or "sensor"}"',
        )
