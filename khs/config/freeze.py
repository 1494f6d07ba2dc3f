"""A checked document -> the frozen description."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import or_
from pathlib import Path

from khs.config import content, health
from khs.config.document import (
    ChannelTable,
    Document,
    InputTable,
    LimitTable,
    PartitionTable,
    RegionTable,
    RunTable,
    ScheduleTable,
)
from khs.config.model import (
    ACTIONS,
    BOARD_PROXY,
    KINDS,
    PRIVILEGES,
    PROXY_CAPACITY,
    PROXY_DEPTH,
    PROXY_HEAP,
    Board,
    Channel,
    Input,
    Limit,
    Machine,
    Message,
    Partition,
    Privilege,
    Region,
    Right,
    Run,
    Schedule,
    System,
    Window,
)
from khs.config.place import place
from khs.config.render import render
from khs.config.toml import Source
from khs.config.units import Duration
from khs.errors import Finding


class Freezer:
    """Turns the tables of one document, without errors, into the description."""

    def __init__(self, document: Document, board: Board, root: Path) -> None:
        self.document = document
        self.board = board
        self.root = root

    def system(
        self, files: tuple[Path, ...], source: Source, warnings: tuple[Finding, ...]
    ) -> System:
        """The description; OSError if the file of an input cannot be read."""
        document, table = self.document, self.document.system
        schedules = tuple(self._schedule(i, s) for i, s in enumerate(document.schedule.values()))
        first: dict[str, int] = {}  # start of each partition's first window
        for schedule in schedules:
            for window in schedule.windows:
                first.setdefault(window.partition, window.start)
        regions = list(document.region.values())
        addresses = place(regions)
        return System(
            root=self.root,
            files=files,
            name=table.name,
            board=self.board,
            policy=self.root / table.policy,
            policies={name: self.root / path for name, path in sorted(table.policies.items())},
            include=tuple(self.root / folder for folder in table.include),
            stub=table.stub,
            run=self._run(document.run),
            schedules=schedules,
            partitions=tuple(
                self._partition(i, p, first.get(p.label, 0))
                for i, p in enumerate(document.partition.values())
            ),
            regions=tuple(self._region(i, r, addresses[i]) for i, r in enumerate(regions)),
            channels=tuple(self._channel(i, c) for i, c in enumerate(document.channel.values())),
            inputs=tuple(self._inputs()),
            document=render(document),
            positions={path: mark.value for path, mark in source.marks.items()},
            warnings=warnings,
        )

    def _ticks(self, time: Duration | None) -> int:
        return 0 if time is None else self.board.ticks(time.ns)

    def _schedule(self, number: int, table: ScheduleTable) -> Schedule:
        windows = (
            Window(w.partition, self._ticks(w.start), self._ticks(w.length)) for w in table.windows
        )
        ordered = tuple(sorted(windows, key=lambda window: window.start))
        return Schedule(table.label, number, self._ticks(table.major_frame), ordered)

    def _partition(self, number: int, table: PartitionTable, first: int) -> Partition:
        own = self.document.health.partition.get(table.label)
        return Partition(
            name=table.label,
            number=number,
            class_name=table.class_,
            program=BOARD_PROXY if table.kind == "board" else table.program,
            image=None if table.image is None else self.root / table.image,
            sha256=table.sha256,
            stack=table.stack.bytes,
            heap=PROXY_HEAP if table.kind == "board" else table.heap.bytes,
            period=self._ticks(table.period),
            deadline=self._ticks(table.deadline),
            phase=0 if table.period is None else first,
            privileges=reduce(or_, (PRIVILEGES[p] for p in table.privileges), Privilege(0)),
            devices=table.devices,
            args=table.args,
            env=dict(table.env),
            health=health.table(self.document.health, table.label),
            limit=self._limit(own.limit if own else None),
            machine=self._machine(table),
        )

    def _machine(self, table: PartitionTable) -> Machine | None:
        if table.kind != "board":
            return None
        keys = {key: getattr(table, key) for key in ("kernel", "initrd", "dtb", "bios")}
        files = {key: self.root / path for key, path in keys.items() if path is not None}
        return Machine(table.board or "", files, table.append)

    def _inputs(self) -> Iterator[Input]:
        """Those of the document, then the one of each machine, named as its partition."""
        tables = list(self.document.input.values())
        yield from (self._input(i, table) for i, table in enumerate(tables))
        machines = [p.label for p in self.document.partition.values() if p.kind == "board"]
        for number, name in enumerate(machines, len(tables)):
            yield Input(name, number, name, PROXY_CAPACITY, PROXY_DEPTH, ())

    def _run(self, table: RunTable) -> Run:
        limit = None if table.audit_limit is None else table.audit_limit.bytes
        return Run(
            table.frames,
            table.seed,
            table.preemption_dependent,
            table.audit_on_full,
            limit,
            table.audit_patience.ns,
        )

    def _limit(self, table: LimitTable | None) -> Limit | None:
        if table is None:
            return None
        return Limit(table.restarts, self._ticks(table.within), ACTIONS[table.then])

    def _region(self, number: int, table: RegionTable, address: int) -> Region:
        rights = {
            partition: reduce(or_, (Right[letter.upper()] for letter in text))
            for partition, text in table.map.items()
        }
        return Region(table.label, number, table.size.bytes, address, rights, table.keep)

    def _channel(self, number: int, table: ChannelTable) -> Channel:
        return Channel(
            name=table.label,
            number=number,
            kind=KINDS[table.kind],
            source=table.from_,
            readers=table.to,
            message=table.message,
            endpoint=table.endpoint,
            depth=table.depth or 0,
            refresh=self._ticks(table.refresh),
        )

    def _input(self, number: int, table: InputTable) -> Input:
        messages = tuple(
            Message(self._ticks(message.at), content.data(message, self.root))
            for message in table.messages
        )
        return Input(
            table.label, number, table.partition, table.capacity.bytes, table.depth, messages
        )
