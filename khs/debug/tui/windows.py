"""The window bar: a major frame from left to right, a partition's windows in it, and now."""

from __future__ import annotations

from khs.debug.tui.lines import Line, Role
from khs.trace.outline import Schedule

#: Cells of the bar: in a window, outside, and where the frame is.
_FULL, _EMPTY, _NOW = "█", "·", "┃"


def bar(schedule: Schedule | None, partition: int, offset: int, width: int) -> Line:
    """`offset`: ticks of the frame that are over. A window that is over is dim, one that goes on
    stands out; every window has a cell at least."""
    if schedule is None or width <= 0:
        return ((" " * max(width, 0), "plain"),)
    frame = schedule.major_frame
    now = min(offset * width // frame, width - 1)
    cells: list[tuple[str, Role]] = [(_EMPTY, "dim")] * width
    for start, length, owner in schedule.windows:
        if owner != partition:
            continue
        first = start * width // frame
        end = max(-(-(start + length) * width // frame), first + 1)
        inside = start <= offset < start + length
        role: Role = "here" if inside else "dim" if start + length <= offset else "value"
        cells[first:end] = [(_FULL, role)] * (end - first)
    text, role = cells[now]
    cells[now] = (_NOW, "here" if text == _FULL and role == "here" else "plain")
    return _joined(cells)


def _joined(cells: list[tuple[str, Role]]) -> Line:
    spans: list[tuple[str, Role]] = []
    for text, role in cells:
        if spans and spans[-1][1] == role:
            spans[-1] = (spans[-1][0] + text, role)
        else:
            spans.append((text, role))
    return tuple(spans)
