"""The models that KSS ships as `use kss.NAME._`: written like users' own ones."""

from __future__ import annotations

import re
from functools import cache

from kss.own.parse import SUFFIX
from kss.source import SDK

_CLASS = re.compile(r"(?m)^class (\w+)")


@cache
def shipped() -> dict[str, str]:
    """Model -> what includes it: `kss.rbac`."""
    files = sorted((SDK / "kss").glob(f"*{SUFFIX}"))
    found = ((_CLASS.search(path.read_text("utf-8")), path) for path in files)
    return {match[1]: f"kss.{path.stem}" for match, path in found if match}
