"""Lines of the terminal debugger's panes, out of views made by hand."""

from __future__ import annotations

import pytest

from khs.debug.stops import Cause, Position, Stop
from khs.debug.tui import show
from khs.debug.tui.view import CodeView, PartitionView, View
from khs.trace.kinds import Mode

CODE = CodeView(0, (("r0", 7, False),), (("d0", bytes(6) + b"\xf8\x3f"),), 0, (), 0, b"")


def text(width: int, *counts: tuple[int, int, int]) -> list[str]:
    """The partitions' lines; counts are denials, faults and deadlines missed."""
    rows = tuple(PartitionView("p", Mode.NORMAL, None, False, 12, *each) for each in counts)
    at = Position(0)
    view = View(at, Stop(Cause.STEP, at, 0), 0, 0, 0, rows, CODE)
    lines = [show.partition(n, view, None, 0, width, 8) for n in range(len(rows))]
    return ["".join(span if isinstance(span, str) else span[0] for span in each) for each in lines]


@pytest.mark.parametrize("width", [80, 120])
def test_whatever_went_wrong_is_counted(width: int) -> None:
    clean, one, three = text(width, (0, 0, 0), (0, 1, 0), (11, 2, 3))
    assert clean.rstrip().endswith("12 calls")
    assert one.rstrip().endswith(" 1 fault")
    for each in ("11 denied", "2 faults", "3 missed"):
        assert each in three
    assert max(map(len, (clean, one, three))) <= width


def test_floating_point_is_below_the_others() -> None:
    blank, row = show.floats(CODE, 60)
    assert "".join(span[0] for span in blank) == ""
    assert "".join(span[0] for span in row).split() == ["d0", "3ff8000000000000"]
