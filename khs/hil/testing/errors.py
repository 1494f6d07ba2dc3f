"""What goes wrong in a test."""

from __future__ import annotations

from pathlib import Path

from khs import errors
from khs.errors import KhsError

#: Where our code is.
_OURS = str(Path(errors.__file__).parent) + "/"


class ExpiredError(KhsError, AssertionError):
    """What was waited for did not come in its time."""


class UnsupportedError(KhsError):
    """What this engine or board cannot do: the plugin skips the test with these words."""


def end_in_test(error: KhsError) -> None:
    """Ends its traceback with the last line that is not ours: what the words are about."""
    last, at = None, error.__traceback__
    while at is not None:
        if not at.tb_frame.f_code.co_filename.startswith(_OURS):
            last = at
        at = at.tb_next
    if last is not None:
        last.tb_next = None
    error.__cause__, error.__suppress_context__ = None, True
