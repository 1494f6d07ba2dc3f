"""Lines as the panes show them: spans of text, each with the role it plays on the screen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

Role = Literal[
    "plain", "dim", "name", "good", "bad", "warn", "here", "value", "changed", "time", "heading"
]
Span: TypeAlias = tuple[str, Role]
Line: TypeAlias = tuple[Span, ...]

EMPTY: Line = ()


def line(*parts: str | Span) -> Line:
    """A line of spans; bare texts are plain."""
    return tuple((part, "plain") if isinstance(part, str) else part for part in parts)


def text_of(spans: Iterable[Span]) -> str:
    """The line without roles."""
    return "".join(text for text, _ in spans).rstrip()


def fit(text: str, width: int) -> str:
    """Exactly so many characters; what is cut off leaves an ellipsis."""
    if len(text) > width:
        return text[: max(width - 1, 0)] + "…"[:width]
    return text.ljust(width)


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most `width` characters, broken at spaces where there are some."""
    lines, rest = [], text
    while len(rest) > width:
        at = rest.rfind(" ", len(indent) + 1, width + 1)
        at = at if at > len(indent) else width
        lines.append(rest[:at].rstrip())
        rest = indent + rest[at:].lstrip()
    return [*lines, rest]
