"""The help screen, and the hints at the bottom."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

HINTS = {
    "": "s step h call w window f frame d denial c run  SHIFT back  / filter  ? help",
    "busy": "Esc stops it",
    "filter": "words narrow the stream, -word takes out   Enter keep   Esc drop",
    "prompt": "Enter go   Esc leave",
}

HELP = """\
[b]Move        forward back[/b]
 instruction    s    S    of the pinned partition, else of whichever runs
 hypercall      h    H    behind it: made, judged and answered
 window         w    W
 major frame    f    F
 denial         d    D
 run            c    C    to the next stop, or back to the last one
 to a row     Enter       of the stream, be it past or ahead
 to a point     g         12.5 (ms), f 75 (frame), # 326 (event)
 halt          Esc        what runs on; Ctrl-C does the same
[b]Stop[/b]
 x  at every denial, on and off
 b  breakpoint: function, FILE:LINE or address; once more takes it away
[b]Look[/b]
 1 2 3 4  call, code, registers, memory        Tab  next pane
 p P      pin the next, previous partition     .    whichever runs
 m        memory at an address, a function or a register
 /        filter as you type: words of a row, -word for those without it
          (partition, hypercall, port, method, denied, fault, console ...)
[b]Signs[/b]
 ✓ granted  ✗ denied  · refused  ! fault  … waits   ▸ row where it stands
 █ window  ┃ now in the frame   ▶ runs next   ● breakpoint
 ? or Esc closes this                              q  ends the debugger
"""


class Help(ModalScreen[None]):
    """All keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,question_mark,q,enter", "dismiss", "Close"),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(HELP.rstrip())
