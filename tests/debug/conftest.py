"""The library that is tested is that of the sources as they are, see tests/host."""

from __future__ import annotations

from tests.host.conftest import _library as _library
