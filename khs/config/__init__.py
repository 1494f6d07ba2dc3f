"""The configuration of a system: TOML files -> checked, frozen `System`."""

from __future__ import annotations
