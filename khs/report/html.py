"""HTML from parts. Every text is escaped unless it is `Html` already: names, messages and console
lines are made by guests and files that nobody vouches for."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable

from khs.trace.message import escape


class Html(str):
    """Markup, made by this module or shipped with the package."""


Content = str | int | None
_VOID = frozenset(("meta", "br", "col"))


def text(value: Content) -> Html:
    """What may stand between tags and in attributes."""
    if isinstance(value, Html):
        return value
    return Html("" if value is None else html.escape(escape(str(value))))


def tag(name: str, /, *content: Content, **attributes: Content) -> Html:
    """An element. `class_` and `for_` are written without the line, other lines as hyphens;
    attributes that are None are left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{''.join(map(text, content))}</{name}>")


def join(parts: Iterable[Content]) -> Html:
    """Parts, one behind the other, each on a line."""
    return Html("\n".join(map(text, parts)))


def data(value: object) -> Html:
    """JSON that may stand in a script element."""
    told = json.dumps(value, separators=(",", ":"))
    for character in "<>&":
        told = told.replace(character, f"\\u{ord(character):04x}")
    return Html(told)


def table(
    caption: str, heads: Iterable[str], rows: Iterable[Iterable[Content]], numbers: int = 0
) -> Html:
    """A table; its last `numbers` columns are figures."""
    names = list(heads)

    def cells(kind: str, row: Iterable[Content], scope: str | None = None) -> Html:
        return join(
            tag(kind, cell, scope=scope, class_="n" if at >= len(names) - numbers else None)
            for at, cell in enumerate(row)
        )

    body = join(tag("tr", cells("td", row)) for row in rows)
    if not body:
        return tag("p", "None.", class_="none")
    head = tag("thead", tag("tr", cells("th", names, "col")))
    inner = tag("table", tag("caption", caption), head, tag("tbody", body))
    return tag("div", inner, class_="wide", tabindex=0, role="region", aria_label=caption)
