"""Rules about outside inputs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from khs.config import content
from khs.config.document import InputTable, MessageTable
from khs.config.rules import Context, Problem, Problems, at, readable, rule, suggest
from khs.config.units import Duration, Size

#: Records of the event ring carry a message whole.
CAPACITY_MAX = 60 << 10
DEPTH_MAX = 4096


@rule("INPUT-001", Context.inputs)
def known_partition(c: Context, table: InputTable) -> Problems:
    """An input belongs to a partition of the system."""
    known = c.document.partition
    if table.partition not in known:
        help = suggest(table.partition, known, "partitions")
        message = f'there is no partition "{table.partition}"'
        yield Problem(at(table, "partition"), message, help)


@rule("INPUT-002", Context.inputs)
def capacity(c: Context, table: InputTable) -> Problems:
    """A message from outside has 1 B to 60 KiB."""
    if not 1 <= table.capacity.bytes <= CAPACITY_MAX:
        message = f"a capacity of {table.capacity}"
        yield Problem(at(table, "capacity"), message, f"1B to {Size(CAPACITY_MAX)}")


@rule("INPUT-003", Context.inputs)
def depth(c: Context, table: InputTable) -> Problems:
    """An input queues 1 to 4096 messages."""
    if not 1 <= table.depth <= DEPTH_MAX:
        yield Problem(at(table, "depth"), f"a depth of {table.depth}", f"1 to {DEPTH_MAX}")


@rule("INPUT-004", Context.messages)
def fits(c: Context, subject: tuple[InputTable, MessageTable]) -> Problems:
    """A message is not larger than the capacity of its input."""
    table, message = subject
    key, size = content.size(message, c.root)
    if key and size > table.capacity.bytes:
        yield Problem(
            at(message, key),
            f"a message of {size} B in an input of {table.capacity}",
            f'capacity = "{Size(size)}", or a shorter message',
        )


@rule("INPUT-005", Context.inputs)
def ascending(c: Context, table: InputTable) -> Problems:
    """Messages stand in the order in which they arrive."""
    readable_ones = [message for message in table.messages if readable(message, "at")]
    for before, message in pairwise(readable_ones):
        if message.at < before.at:
            yield Problem(
                at(message, "at"),
                f"the message at {message.at} stands after the one at {before.at}",
                "write messages in ascending order",
            )


@rule("INPUT-006", Context.messages, "warning")
def within_the_run(c: Context, subject: tuple[InputTable, MessageTable]) -> Problems:
    """A message arrives before the run ends."""
    _, message = subject
    schedule = next(iter(c.schedules()), None)
    if schedule is None:
        return
    end = Duration(schedule.major_frame.ns * c.document.run.frames)
    if message.at >= end > Duration(0):
        yield Problem(
            at(message, "at"),
            f"the message at {message.at} arrives when the run of {end} is over",
            f"raise run.frames above {message.at.ns // schedule.major_frame.ns}",
        )


@rule("INPUT-007", Context.messages)
def one_content(c: Context, subject: tuple[InputTable, MessageTable]) -> Problems:
    """A message has exactly one of `text`, `hex` and `file`."""
    _, message = subject
    given = [key for key in ("text", "hex", "file") if c.written(*at(message, key))]
    if len(given) != 1:
        found = " and ".join(given) or "no content"
        yield Problem(message.path, f"a message with {found}", "one of text, hex and file")


@rule("INPUT-008", Context.messages)
def hex_syntax(c: Context, subject: tuple[InputTable, MessageTable]) -> Problems:
    """`hex` is pairs of hexadecimal digits; spaces may stand between them."""
    _, message = subject
    if message.hex is not None and content.from_hex(message.hex) is None:
        yield Problem(
            at(message, "hex"), f'"{message.hex[:40]}" is not hexadecimal', 'e.g. "4f 4b 0a"'
        )


@rule("INPUT-009", Context.messages)
def file_exists(c: Context, subject: tuple[InputTable, MessageTable]) -> Problems:
    """The file of a message exists."""
    _, message = subject
    if message.file is not None and not c.is_file(message.file):
        yield Problem(
            at(message, "file"),
            f'there is no file "{message.file}"',
            f"paths are relative to {c.root.name}/",
        )


@rule("INPUT-010", Context.inputs, "warning")
def no_burst(c: Context, table: InputTable) -> Problems:
    """No more messages arrive at one instant than the input can queue."""
    for instant, messages in _bursts(table):
        if len(messages) > table.depth > 0:
            yield Problem(
                at(messages[table.depth], "at"),
                f"{len(messages)} messages at {instant} in an input of depth {table.depth}: "
                "the last ones are lost with the error input-overflow",
                "a greater depth, or messages apart",
            )


def _bursts(table: InputTable) -> Iterator[tuple[Duration, list[MessageTable]]]:
    bursts: dict[Duration, list[MessageTable]] = {}
    for message in table.messages:
        if readable(message, "at"):
            bursts.setdefault(message.at, []).append(message)
    yield from bursts.items()
