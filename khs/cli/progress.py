"""Progress on stderr: a live line on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Reporter:
    """`step` says what is being done; `frames` how far a run is, out of `total`.

    Without `live`, plain lines even on a terminal, because others write there meanwhile.
    """

    def __init__(self, quiet: bool = False, live: bool = True) -> None:
        self._wanted = live and not quiet
        self._live: Progress | None = None
        self._task: TaskID | None = None
        self._quiet = quiet
        self._tenths = 0

    def __enter__(self) -> Reporter:
        if self._wanted and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._live = Progress(*columns, console=Console(stderr=True), transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def step(self, text: str) -> None:
        """One thing begins: `compiling sensor for armv7`."""
        if self._live is not None:
            if self._task is not None:
                self._live.remove_task(self._task)
            self._task = self._live.add_task(text, total=None)
        elif not self._quiet:
            print(f"khs: {text}", file=sys.stderr)

    def frames(self, done: int, total: int) -> None:
        """Major frames completed; a log gets a line for every tenth."""
        text = f"frame {done} of {total}"
        if self._live is not None and self._task is not None:
            self._live.update(self._task, description=text, completed=done, total=total)
        elif not self._quiet and done < total and done * 10 // total > self._tenths:
            self._tenths = done * 10 // total
            print(f"khs: {text}", file=sys.stderr)
