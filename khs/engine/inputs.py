"""An image with other inputs than its own: those of a recorded run, or of machines beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from khs.engine.unicorn import Image

#: Tick, number of the input, bytes.
Stamped = tuple[int, int, bytes]


@dataclass(frozen=True)
class Inputs:
    """An image with inputs of its own."""

    image: Image
    inputs: list[Stamped]

    @property
    def config(self) -> bytes:
        return self.image.config

    @property
    def memory(self) -> bytes:
        return self.image.memory

    @property
    def policies(self) -> tuple[bytes, ...]:
        return self.image.policies

    @property
    def manifest(self) -> Mapping[str, Any]:
        return self.image.manifest
