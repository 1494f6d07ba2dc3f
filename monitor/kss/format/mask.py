"""Templates as the lexer can read them: as many characters, each at its place."""

from __future__ import annotations

import re

_PARTS = re.compile(
    r"//[^\n]*|/\*[\s\S]*?\*/|\"(?:\\.|[^\"\\\n])*\"|```regex[ \t]*\n[\s\S]*?```"
    r"|(?P<alone>(?m:^)[ \t\f]*@\w+\+?@[ \t\f\r]*(?m:$))|(?P<name>@\w+\+?@)|(?P<tag>\{%[^\n]*?%\})",
    re.ASCII,
)


def masked(text: str) -> str:
    """The text with tags, and placeholders that are alone on their line, as comments; other
    placeholders as parts of names."""
    return _PARTS.sub(_mask, text) if "@" in text or "{%" in text else text


def _mask(match: re.Match[str]) -> str:
    found = match[0]
    if match["alone"] is not None:
        # two characters of its own make it a comment: the rest is what it was
        start = found.index("@")
        return found[:start] + "//" + found[start + 2 :]
    if match["name"] is not None:
        return re.sub("[@+]", "_", found)
    if match["tag"] is not None:
        return "/*" + "-" * (len(found) - 4) + "*/"
    return found
