"""The library that is fuzzed is that of the sources as they are."""

from __future__ import annotations

from tests.host.conftest import _library

__all__ = ["_library"]
