"""The terminal debugger: its screen, its keys, and the thread that has the target."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, Static

from khs.debug.target import Target
from khs.debug.tui import places, show
from khs.debug.tui.drive import MOVES, Driver, Move, Update
from khs.debug.tui.help import HINTS, Help
from khs.debug.tui.panes import PANES, WIDE, Panes
from khs.debug.why import Reasons
from khs.engine.result import Result
from khs.errors import KhsError

_STEPS = {"s": "instruction", "h": "hypercall", "w": "window", "f": "frame", "d": "denial",
          "c": "continue"}  # fmt: skip
#: Seconds until a target that was asked to stop is asked again.
_PATIENCE = 0.1


class Debugger(App[Result]):
    """Drives a target; ends with what the run came to so far."""

    CSS_PATH = "style.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 - as App has it
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key, f"go('{move}')") for key, move in _STEPS.items()),
        *(Binding(key.upper(), f"go('back-{move}')") for key, move in _STEPS.items()),
        *(Binding(str(n), f"pane('{name}')") for n, name in enumerate(PANES, 1)),
        Binding("enter", "go_to_row"),
        Binding("x", "toggle_denials"),
        Binding("p", "partition(1)"),
        Binding("P", "partition(-1)"),
        Binding("full_stop", "partition(0)"),
        Binding("slash", "ask('filter')"),
        Binding("b", "ask('breakpoint')"),
        Binding("m", "ask('memory')"),
        Binding("g", "ask('go')"),
        Binding("question_mark", "help"),
        Binding("escape", "leave"),
        Binding("ctrl+c", "leave", priority=True),
        Binding("q", "end"),
        Binding("ctrl+q", "end", priority=True),
    ]

    def __init__(self, target: Target, system: Path, reasons: Reasons) -> None:
        super().__init__()
        self._target = target
        self._mover = Driver(target)
        self._hand = ThreadPoolExecutor(1, "target")
        self.panes = Panes(self._mover, system, reasons)
        self._busy = self._asked = self._told = ""
        self._wrong = self._stopping = False

    def compose(self) -> ComposeResult:
        yield Static(id="title")
        yield self.panes
        yield Static(HINTS[""], id="hints")
        yield Input(id="prompt", compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        self.title = str(self._target.archive.manifest["system"])
        self._move(None, "looking")

    def on_unmount(self) -> None:
        self._target.interrupt()
        self._hand.shutdown()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_title)

    def _show_title(self) -> None:
        update = self.panes.current
        if update is None:
            return
        told = show.title(
            update.view,
            self._target,
            self._busy,
            self._mover.stop_at_denials,
            self.size.width - 2,
        )
        self.query_one("#title", Static).update(told)

    def _show_hint(self) -> None:
        """What one may do now, or what went wrong the last time."""
        kind = "busy" if self._busy else self._asked
        hint = self.query_one("#hints", Static)
        hint.set_class(bool(self._told) and self._wrong, "-wrong")
        hint.update(Content(self._told or HINTS.get(kind, HINTS["prompt"])))

    def _tell(self, text: str, wrong: bool = True) -> None:
        """A line about what went wrong or was done, until the next move."""
        self._told, self._wrong = text.splitlines()[0], wrong
        self._show_hint()

    # ---- moving

    def action_go(self, name: str) -> None:
        self._move(MOVES[name], name.replace("back-", "back: "))

    def action_go_to_row(self) -> None:
        row = self.panes.row
        if row is not None and self.panes.listing("stream").has_focus:
            self._move(places.to_tick(row.tick), "going there")

    @work(group="move")
    async def _move(self, move: Move | None, what: str, done: str = "") -> None:
        """Lets the thread that has the target move it and look; one move at a time. `done`: what to
        tell then."""
        if self._busy:
            self.bell()
            return
        self._busy, self._told, self._wrong = what, "", False
        self._show_hint()
        self._show_title()
        try:
            self.panes.follow(await self._done(partial(self._mover.do, move)))
            self._told = done
        except KhsError as error:
            self._told, self._wrong = str(error).splitlines()[0], True
        finally:
            self._busy = ""
            self._show_hint()
            self._show_title()

    async def _done(self, job: Callable[[], Update]) -> Update:
        """What a job on the target's thread comes to. Who asks it to stop may be too early for the
        target to notice: it is asked until it does."""
        self._stopping = False
        future = asyncio.wrap_future(self._hand.submit(job))
        while not future.done():
            await asyncio.wait((future,), timeout=_PATIENCE)
            if self._stopping and not future.done():
                self._target.interrupt()
        return future.result()

    def _interrupt(self) -> None:
        self._stopping = True
        self._target.interrupt()

    def action_leave(self) -> None:
        if self._busy:
            self._interrupt()
        elif self._asked:
            if self._asked == "filter":
                self._filter("")
            self._close_prompt()
        else:
            self._told = ""
            self._show_hint()

    def action_end(self) -> None:
        self._interrupt()
        self._end()

    @work(group="end", exclusive=True)
    async def _end(self) -> None:
        self.exit(await asyncio.wrap_future(self._hand.submit(self._target.result)))

    # ---- looking elsewhere

    def action_pane(self, name: str) -> None:
        self.panes.choose(name)
        self.panes.listing(name).focus()

    def action_partition(self, by: int) -> None:
        update = self.panes.current
        if update is None or self._busy:
            return
        pinned = (update.view.code.partition + by) % len(self._target.names)
        self._mover.follow = pinned if by else None
        self._move(None, "looking")

    def action_toggle_denials(self) -> None:
        self._mover.stop_at_denials = not self._mover.stop_at_denials
        self._show_title()

    def action_help(self) -> None:
        self.push_screen(Help())

    # ---- asking

    def action_ask(self, what: str) -> None:
        self._asked, self._told = what, ""
        prompt = self.query_one("#prompt", Input)
        update = self.panes.current
        whose = self._target.names[update.view.code.partition] if update else ""
        prompt.placeholder = places.PROMPTS[what].format(whose)
        prompt.value = " ".join(self.panes.filtered.words) if what == "filter" else ""
        prompt.cursor_position = len(prompt.value)
        self.screen.add_class("-asking")
        prompt.focus()
        self._show_hint()

    def _close_prompt(self) -> None:
        self._asked = ""
        self.screen.remove_class("-asking")
        self.panes.listing("stream").focus()
        self._show_hint()

    def _filter(self, wanted: str) -> None:
        """The cursor stays where the system stands."""
        filtered, update = self.panes.filtered, self.panes.current
        filtered.ask(wanted)
        if update is not None:
            self.panes.show_stream(filtered.at(update.view.position))

    @on(Input.Changed, "#prompt")
    def _typed(self, event: Input.Changed) -> None:
        if self._asked == "filter":
            self._filter(event.value)

    @on(Input.Submitted, "#prompt")
    def _answered(self, event: Input.Submitted) -> None:
        asked, answer, update = self._asked, event.value.strip(), self.panes.current
        self._close_prompt()
        if asked == "filter" or not answer or update is None or self._busy:
            return
        move, done = None, ""
        try:
            if asked == "breakpoint":
                done = places.breakpoint_at(answer, self._mover, update)
            else:
                move = places.answer(asked, answer, self._mover, update)
        except KhsError as error:
            self._tell(str(error))
            return
        if asked == "memory":
            self.action_pane("memory")
        self._move(move, "going there" if move else "looking", done)
