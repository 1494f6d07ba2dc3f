"""One measured figure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` and `baseline` in `unit`; `ratio` is value to baseline. `asked` is the goal in words,
    `ok` whether it is met; a figure without a goal has none and is ok."""

    section: str
    name: str
    arch: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    asked: str | None = None
    ok: bool = True

    @classmethod
    def at_most(cls, limit: float, /, **fields: Any) -> Figure:
        """A figure whose ratio, or value if it has no baseline, must not exceed `limit`."""
        figure = cls(**fields)
        judged = figure.value if figure.ratio is None else figure.ratio
        unit = f" {figure.unit}" if figure.ratio is None else ""
        return replace(figure, asked=f"<= {limit:g}{unit}", ok=judged <= limit)

    @classmethod
    def at_least(cls, limit: float, /, **fields: Any) -> Figure:
        """A figure whose ratio must reach `limit`."""
        figure = cls(**fields)
        return replace(figure, asked=f">= {limit:g}", ok=(figure.ratio or 0) >= limit)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
