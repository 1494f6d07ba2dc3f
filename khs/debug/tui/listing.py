"""The widget that all panes are made of: lines, of which only those on the screen are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, get_args

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.markup import escape
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from khs.debug.tui.lines import Line, Role

#: A line by its number, made for so many columns.
Maker = Callable[[int, int], Line]


class Listing(ScrollView, can_focus=True):
    """Lines by number. With a `cursor`, the arrow keys move it, and it is told of."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "listing--cursor", *(f"listing--{role}" for role in get_args(Role))
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "end(-1)", show=False),
        Binding("end", "end(1)", show=False),
    ]

    class Moved(Message):
        """The cursor is on another line."""

        def __init__(self, listing: Listing) -> None:
            super().__init__()
            self.listing = listing

        @property
        def control(self) -> Listing:
            return self.listing

    def __init__(self, *, id: str, cursor: bool = False) -> None:
        super().__init__(id=id)
        self._make: Maker = lambda number, width: ()
        self._has_cursor = cursor
        self.count = 0
        self.at = 0

    def title(self, title: str, about: str = "") -> None:
        """Titles in the line above; `about` is no markup."""
        quiet = f"  {escape(about)}" if about else ""
        self.border_title = title + quiet

    def show(self, count: int, make: Maker, at: int | None = None) -> None:
        """Other lines. `at` becomes visible, and has the cursor."""
        self.count, self._make = count, make
        self.virtual_size = Size(0, count)
        if at is not None:
            self.at = at
        self.at = max(min(self.at, count - 1), 0)
        if at is not None:
            self._reveal()
        self.refresh()

    def lines(self, lines: Sequence[Line], at: int | None = None) -> None:
        """Other lines, which fit the width that they are shown in."""
        self.show(len(lines), lambda number, width: lines[number], at)

    def _reveal(self) -> None:
        """Scrolls as little as needed; code is shown with what surrounds it."""
        height = self.scrollable_content_region.height
        margin = 0 if self._has_cursor else min(height // 3, 8)
        region = Region(0, max(self.at - margin, 0), 1, 2 * margin + 1)
        self.scroll_to_region(region, animate=False, force=True)

    def on_resize(self) -> None:
        self._reveal()

    def action_move(self, by: int) -> None:
        if not self._has_cursor:
            self.scroll_relative(y=by, animate=False)
            return
        at = max(min(self.at + by, self.count - 1), 0)
        if at != self.at:
            self.at = at
            self._reveal()
            self.refresh()
            self.post_message(self.Moved(self))

    def action_page(self, by: int) -> None:
        self.action_move(by * max(self.scrollable_content_region.height - 1, 1))

    def action_end(self, by: int) -> None:
        self.action_move(by * self.count)

    def render_line(self, y: int) -> Strip:
        number, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        base = self.rich_style
        if not 0 <= number < self.count:
            return Strip.blank(width, base)
        chosen = self._has_cursor and number == self.at
        under = (
            self.get_component_rich_style("listing--cursor", partial=True) if chosen else Style()
        )
        segments = [
            Segment(text, base + self._style(role) + under)
            for text, role in self._make(number, width)
        ]
        return Strip(segments).adjust_cell_length(width, base + under).crop(0, width)

    def _style(self, role: Role) -> Style:
        return self.get_component_rich_style(f"listing--{role}", partial=True)
