"""Words, numbers, texts and operators of a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

# Kinds of tokens. An operator's kind is its own text.
NAME = "NAME"  # a word, or words joined by dots
INT = "INT"
TEXT = "TEXT"
REGEX = "REGEX"
END = "END"
OPERATOR = "OPERATOR"  # in what is expected: any of those that join two values
BAD = "BAD"  # a character that begins no token, or all of a text or comment that does not end

PSL_OPERATORS = "==> == != <= >= && || .[ ( ) [ ] { } < > = : , . + - * & | ! ~".split()
IDL_OPERATORS = "** << >> ( ) { } < > = : , ; + - * / % & | ^ ~".split()

_SKIPPED = r"(?:[ \t\r\n\f]+|//[^\n]*|/\*[\s\S]*?\*/)+"
_KINDS = (
    (NAME, r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"),
    (INT, r"(?:0[xX][0-9A-Fa-f]+|0[oO][0-7]+|[0-9]+)(?!\w)"),
    (TEXT, r'"(?:\\.|[^"\\\n])*"'),
    (REGEX, r"```regex[ \t]*\n[\s\S]*?```"),
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a text: kind, text and index of the first character of each; the last is END,
    behind the last token proper."""

    kinds: list[str]
    texts: list[str]
    starts: list[int]


@cache
def _pattern(operators: tuple[str, ...]) -> re.Pattern[str]:
    kinds = "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS)
    listed = "|".join(re.escape(operator) for operator in operators)
    bad = r'/\*[\s\S]*|"[^\n]*|```[^\n]*|[\s\S]'
    parts = f"(?P<SKIPPED>{_SKIPPED})|{kinds}|(?P<OPERATOR>{listed})|(?P<{BAD}>{bad})"
    return re.compile(parts, re.ASCII)


def tokenize(text: str, operators: list[str]) -> Tokens:
    """Splits a text; `operators` with the longer before their beginnings."""
    kinds: list[str] = []
    texts: list[str] = []
    starts: list[int] = []
    for match in _pattern(tuple(operators)).finditer(text):
        kind = match.lastgroup
        if kind == "SKIPPED":
            continue
        found = match[0]
        kinds.append(found if kind == "OPERATOR" else kind or BAD)
        texts.append(found)
        starts.append(match.start())
    end = starts[-1] + len(texts[-1]) if starts else 0
    return Tokens([*kinds, END], [*texts, ""], [*starts, end])
