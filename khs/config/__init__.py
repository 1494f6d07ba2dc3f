"""The configuration of a system: TOML files -> checked, frozen `System`.

toml        text -> plain data, with the position of every key and value; overlays
document    what may stand in a file: tables, keys, types, defaults
read        plain data -> typed tables, a finding for everything that does not fit
checks/     what typed tables must also satisfy, a function a rule
freeze      a checked document -> model.System
render      the effective document as TOML
schema      the JSON Schema
"""

from __future__ import annotations

from khs.config.load import check, check_text, load, resolve
from khs.config.model import System
from khs.config.schema import schema

__all__ = ["System", "check", "check_text", "load", "resolve", "schema"]
