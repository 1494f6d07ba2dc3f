"""What policies hang on, of a document that has errors elsewhere: files, classes, channels.

Without it a window that overlaps another would hide everything that is wrong with the policies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from khs.config import boards
from khs.config.checks.channel import METHOD
from khs.config.checks.partition import CLASS
from khs.config.document import ChannelTable, PartitionTable, UnreadableError
from khs.config.model import KINDS, Channel, Partition, Privilege, Run, System
from khs.config.rules import Context, readable


class Salvaged(NamedTuple):
    """A system with the partitions and channels that can be read, by name, class and ends; it has
    nothing else, and can be neither built nor run. Not `whole`: there are others, and what
    policies say of their classes and endpoints may be right."""

    system: System
    whole: bool


def salvage(context: Context, files: tuple[Path, ...]) -> Salvaged | None:
    """What is left of the document read from `files`; None if it is not certain which files the
    policies are."""
    try:
        return _salvage(context, files)
    except UnreadableError:
        return None


def _salvage(context: Context, files: tuple[Path, ...]) -> Salvaged | None:
    document, root, table = context.document, context.root, context.document.system
    policies = [table.policy, *table.policies.values()]
    if not all(context.is_file(file) and not context.is_blank(file) for file in policies):
        return None
    if not all(context.is_folder(folder) for folder in table.include):
        return None
    partitions = {each.label: each for each in _named(list(document.partition.values()))}
    channels = [each for each in document.channel.values() if _leads(each, partitions)]
    whole = [len(partitions), len(channels)] == [len(document.partition), len(document.channel)]
    board = context.board or boards.load(boards.folder() / f"{boards.names()[0]}.toml")
    system = System(
        root=root,
        files=files,
        name=root.name,
        board=board,
        policy=root / table.policy,
        policies={name: root / path for name, path in sorted(table.policies.items())},
        include=tuple(root / folder for folder in table.include),
        stub=table.stub,
        run=Run(1, 1, (), "stop", None, 0),
        schedules=(),
        partitions=tuple(_partition(i, each) for i, each in enumerate(partitions.values())),
        regions=(),
        channels=tuple(_channel(i, each) for i, each in enumerate(channels)),
        inputs=(),
        document="",
        positions={path: mark.value for path, mark in context.source.marks.items()},
        warnings=(),
    )
    return Salvaged(system, whole)


def _named(tables: list[PartitionTable]) -> Iterator[PartitionTable]:
    """Those whose class is known."""
    for table in tables:
        if readable(table, "class_") and CLASS.fullmatch(table.class_):
            yield table


def _leads(table: ChannelTable, partitions: dict[str, PartitionTable]) -> bool:
    """Whether a channel carries something from a known partition to known ones."""
    if not readable(table, "kind", "from_", "to", "message", "endpoint"):
        return False
    call = table.kind == "call"
    carries = (table.endpoint if call else table.message) or ""
    well_formed = (CLASS if call else METHOD).fullmatch(carries)
    return bool(well_formed) and {table.from_, *table.to} <= partitions.keys()


def _partition(number: int, table: PartitionTable) -> Partition:
    return Partition(
        name=table.label,
        number=number,
        class_name=table.class_,
        program=None,
        image=None,
        sha256=None,
        stack=0,
        heap=0,
        period=0,
        deadline=0,
        phase=0,
        privileges=Privilege(0),
        devices=(),
        args=(),
        env={},
        health=(),
        limit=None,
    )


def _channel(number: int, table: ChannelTable) -> Channel:
    return Channel(
        name=table.label,
        number=number,
        kind=KINDS[table.kind],
        source=table.from_,
        readers=table.to,
        message=table.message,
        endpoint=table.endpoint,
        depth=0,
        refresh=0,
    )
