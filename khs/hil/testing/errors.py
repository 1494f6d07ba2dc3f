"""What goes wrong in a test."""

from __future__ import annotations

from khs.errors import KhsError


class ExpiredError(KhsError, AssertionError):
    """What was waited for did not come in its time."""


class UnsupportedError(KhsError):
    """What this engine or board cannot do: the plugin skips the test with these words."""
