"""The debugger on the terminal: `khs debug SYSTEM --tui`.

    Target --one thread moves and looks--> View --panes--> screen
           --event records---------------> Stream (rows, filter) --selected row--> its explanation

What is shown is made without Textual: lines of spans, each a text and the role that it plays
(`khs.debug.tui.lines`); panes and style.tcss give roles their looks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from khs.errors import KhsError

if TYPE_CHECKING:
    from khs.engine.result import Result
    from khs.runs import Plan

_HELP = "help: pip install 'khs[tui]' installs what it needs: textual 8 or newer"


def run(
    plan: Plan, system: Path, overlays: Sequence[Path] = (), policy_at: Sequence[str] = ()
) -> Result | None:
    """Debugs the plan's system on this terminal until the user ends it: what the run came to so
    far. `system` is the document or archive that it is from, `overlays` the documents over it,
    `policy_at` the FRAME=FILE of the run. KhsError if Textual is missing, if there is no terminal,
    or if the system cannot be run."""
    try:
        import textual
    except ImportError as error:
        raise KhsError(f"the terminal's debugger cannot be loaded: {error}\n  {_HELP}") from error
    if int(textual.__version__.partition(".")[0]) < 8:
        raise KhsError(f"textual {textual.__version__} is too old\n  {_HELP}")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):  # which Textual draws on
        raise KhsError(
            "the terminal's debugger needs a terminal\n"
            "  help: khs debug SYSTEM -x FILE runs gdb's commands without one"
        )
    from khs.debug.target import Target
    from khs.debug.tui.app import Debugger
    from khs.debug.why import Reasons

    with Target(plan) as target:
        app = Debugger(target, system, Reasons(plan, system, overlays, policy_at))
        return app.run(mouse=False)  # so that the terminal can select text
