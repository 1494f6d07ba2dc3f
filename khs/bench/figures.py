"""One measured figure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` and `baseline` in `unit`; `ratio` is value to baseline. `asked` is the goal in words,
    `ok` whether it is met; a figure without a goal is always ok."""

    section: str
    name: str
    arch: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    asked: str = ""
    ok: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
