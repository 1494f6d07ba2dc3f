"""The bytes of a message from outside."""

from __future__ import annotations

import re
from pathlib import Path

from khs.config.document import MessageTable


def from_hex(text: str) -> bytes | None:
    """The bytes of pairs of hexadecimal digits, None if it is no such text."""
    digits = re.sub(r"[ \t\n]", "", text)
    is_hex = re.fullmatch(r"([0-9a-fA-F]{2})*", digits, re.ASCII)
    return bytes.fromhex(digits) if is_hex else None


def size(message: MessageTable, root: Path) -> tuple[str, int]:
    """The key that gives the content and its bytes; an empty key if there is no content."""
    if message.text is not None:
        return "text", len(message.text.encode())
    if message.hex is not None:
        data = from_hex(message.hex)
        return ("hex", len(data)) if data is not None else ("", 0)
    try:
        return ("file", (root / message.file).stat().st_size) if message.file else ("", 0)
    except (OSError, ValueError):
        return "", 0


def data(message: MessageTable, root: Path) -> bytes:
    """The bytes of a checked message; OSError if its file cannot be read."""
    if message.file is not None:
        return (root / message.file).read_bytes()
    if message.hex is not None:
        return from_hex(message.hex) or b""
    return (message.text or "").encode()
