"""The panes: partitions on top, the stream, and the call, code, registers and memory beside it."""

from __future__ import annotations

from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container, Vertical

from khs.config.model import Arch
from khs.debug.source import Sources, sources
from khs.debug.tui import show
from khs.debug.tui.call import Calls, decisive
from khs.debug.tui.drive import Driver, Update
from khs.debug.tui.explain import Explained, Explaining
from khs.debug.tui.lines import Line
from khs.debug.tui.listing import Listing
from khs.debug.tui.stream import Filtered, Row
from khs.debug.why import Reasons

PANES = ("call", "code", "registers", "memory")
#: Columns from which on all panes are shown at once.
WIDE = 110
#: Columns for the longest name of a partition.
_NAMES = 14


class Panes(Container):
    """Shows what the driver's moves come to."""

    def __init__(self, driver: Driver, system: Path, reasons: Reasons) -> None:
        super().__init__()
        self._mover = driver
        self._sources = Sources(sources(system))
        self._arch = Arch[driver.target.arch.upper()]
        self._calls = Calls(driver.target.plan.header, driver.stream.names)
        self._explaining = Explaining(reasons)
        self._names = min(max(map(len, driver.target.names)), _NAMES)
        self.filtered = Filtered()
        self.current: Update | None = None

    def compose(self) -> ComposeResult:
        yield Listing(id="partitions")
        with Container(id="body"):
            with Vertical(id="left"):
                yield Listing(id="stream", cursor=True)
                yield Listing(id="call")
            with Vertical(id="right"):
                for name in PANES[1:]:
                    yield Listing(id=name)

    def on_mount(self) -> None:
        self.listing("partitions").styles.height = len(self._mover.target.names)
        self.listing("stream").focus()
        self.choose("call")

    def on_unmount(self) -> None:
        self._explaining.close()

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_all)

    def listing(self, name: str) -> Listing:
        return self.query_one(f"#{name}", Listing)

    @property
    def narrow(self) -> bool:
        return self.app.size.width < WIDE

    def choose(self, name: str) -> None:
        """The pane that is shown below the stream where there is no room for all."""
        for each in PANES:
            self.screen.set_class(each == name, f"-{each}")
        self.call_after_refresh(self.show_all)

    # ---- what a move came to

    def follow(self, update: Update) -> None:
        self.filtered.follow(update.rows, update.kept)
        self.current = update
        self.show_all()

    def show_all(self) -> None:
        update = self.current
        if update is None:
            return
        self._show_partitions(update)
        self._show_code(update)
        self.show_stream(self.filtered.at(update.view.position))

    def _show_partitions(self, update: Update) -> None:
        pane, view = self.listing("partitions"), update.view

        def make(number: int, width: int) -> Line:
            return show.partition(number, view, update.schedule, update.offset, width, self._names)

        pane.show(len(view.partitions), make, view.running)

    def show_stream(self, at: int | None = None) -> None:
        """The rows, with the cursor at one; it stays where it is for None."""
        update, filtered = self.current, self.filtered
        if update is None:
            return
        here = filtered.at(update.view.position)

        def make(number: int, width: int) -> Line:
            return filtered[number].line(width, self._names, number == here, number > here)

        stream = self.listing("stream")
        stream.show(len(filtered), make, None if at is None else max(at, 0))
        words = " ".join(filtered.words)
        counts = f"  / {words}  {len(filtered)} of {len(update.rows)}" if words else ""
        stream.title("Hypercalls" + counts)
        self._show_call()

    def _show_code(self, update: Update) -> None:
        code = update.view.code
        program = self._mover.programs[code.partition]
        points = self._mover.breakpoints.get(code.partition, frozenset())
        width = self._width("code")
        self.listing("code").lines(*show.code(code, program, self._sources, points, width))
        registers = show.registers(code, self._arch, width)
        self.listing("registers").lines([*registers, *show.floats(code, width)])
        self.listing("registers").styles.height = "1fr" if self.narrow else len(registers) + 1
        self.listing("memory").lines(show.memory(code, self._arch, width))
        who = self._mover.target.names[code.partition]
        pinned = "  pinned" if self._mover.follow is not None else ""
        for name in PANES[1:]:
            self.listing(name).title(self._labels(name), who + pinned)

    def _width(self, name: str) -> int:
        """Columns of a pane; those of a hidden one are the stream's."""
        pane = self.listing(name)
        shown = pane if pane.size.width else self.listing("stream")
        return max(shown.scrollable_content_region.width, 20)

    def _labels(self, shown: str) -> str:
        """The pane's name, with those of the others where it has their room."""
        labels = [f"{number} {name}" for number, name in enumerate(PANES, 1)]
        at = PANES.index(shown)
        labels[at] = f"[b $text]{labels[at]}[/]"
        return "  ".join(labels) if self.narrow else labels[at]

    # ---- the selected row

    @property
    def row(self) -> Row | None:
        at = self.listing("stream").at
        return self.filtered[at] if at < len(self.filtered) else None

    @on(Listing.Moved, "#stream")
    def _show_call(self) -> None:
        row, update = self.row, self.current
        if row is None or update is None:
            self.listing("call").lines([])
            self.listing("call").title(self._labels("call"))
            return
        told = self._explaining.known(row)
        self._tell(row, update, told)
        if told.reason is None and decisive(row) is not None:
            self._explain(row, update)

    def _tell(self, row: Row, update: Update, told: Explained) -> None:
        pane = self.listing("call")
        asked = self._explaining.asked(row, update.rows)
        width = self._width("call")
        pane.lines(self._calls.lines(row, asked, told.reason, told.excerpt, width))
        pane.title(self._labels("call"), f"event {row.last}")
        pane.scroll_to(y=0, animate=False)

    @work(exclusive=True, group="explain")
    async def _explain(self, row: Row, update: Update) -> None:
        told = await self._explaining.explain(row, update.judged)
        if told is not None and self.row is row:
            self._tell(row, update, told)
