"""Explanations of rows, made beside the screen: a long run is judged once more for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from khs.debug.tui.call import Excerpt, decisive
from khs.debug.tui.stream import Row
from khs.debug.why import Reason, Reasons
from khs.errors import KhsError
from khs.trace.events import Event, Hypercall, Resume

#: Verdicts and policy swaps since the run's begin, each with its number; None: not known.
Judged = Sequence[tuple[int, Event]] | None


@dataclass(frozen=True, slots=True)
class Explained:
    """`reason`: why, or why it is not known; None if nobody has looked yet."""

    reason: Reason | str | None = None
    excerpt: Excerpt = ()


def _words(error: KhsError) -> str:
    """What is wrong, and what helps: of many findings, the first."""
    what, *more = (text.strip() for text in str(error).splitlines())
    advice = next((text for text in more if text.startswith("help: ")), "")
    return "; ".join(filter(None, (what, advice.removeprefix("help: "))))


class Explaining:
    """Looks for reasons on a thread of its own, for the row that was asked for last."""

    def __init__(self, reasons: Reasons) -> None:
        self._reasons = reasons
        self._thread = ThreadPoolExecutor(1, "explain")
        self._known: dict[int, Explained] = {}
        self._wanted: Row | None = None

    def close(self) -> None:
        self._wanted = None
        self._thread.shutdown()

    def known(self, row: Row) -> Explained:
        """What is known already."""
        return self._known.get(row.last, Explained())

    async def explain(self, row: Row, judged: Judged) -> Explained | None:
        """Why the row's verdict is what it is; None if another row was asked for meanwhile."""
        self._wanted = row
        return await asyncio.wrap_future(self._thread.submit(self._find, row, judged))

    def _find(self, row: Row, judged: Judged) -> Explained | None:
        told = self.find(row, judged, lambda: self._wanted is row)
        if told is not None:
            self._known[row.last] = told
        return told

    def find(
        self,
        row: Row,
        judged: Judged,
        going_on: Callable[[], bool] = lambda: True,
    ) -> Explained | None:
        """The same at once; None if `going_on` says so meanwhile."""
        if judged is None:
            return Explained("a run this long is not judged again here; khs explain does it")
        wanted = decisive(row)
        before = [event for number, event in judged if number <= row.last]
        while before and before[-1] is not wanted:
            before.pop()
        try:
            reason = self._reasons.explain(before, going_on)
        except KhsError as error:
            return Explained(_words(error))
        if reason is None:
            return None
        rule = reason.decisive()
        return Explained(reason, self._reasons.excerpt(rule["file"], rule["line"]) if rule else ())

    @staticmethod
    def asked(row: Row, rows: Sequence[Row]) -> Event | None:
        """The hypercall that a row resumes."""
        event = row.event
        if not isinstance(event, Resume):
            return None
        for each in reversed(rows):
            began = each.event
            mine = isinstance(began, Hypercall) and began.partition == event.partition
            if mine and each.last < row.last:
                return began
        return None
