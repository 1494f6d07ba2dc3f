"""Source files: reading, searching in include directories, parsing with a grammar."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.lexer import PatternStr

from kss.errors import Findings, Location, did_you_mean

PACKAGE = Path(__file__).parent
SDK = PACKAGE / "sdk"
MAX_NESTING = 100

_SPOKEN = {
    "IDENT": "a name",
    "NAME": "a name",
    "KEY": "a selector",
    "FIELD": "a field",
    "TEXT": "a text literal",
    "REGEX": "a regex block",
    "INT": "an integer",
    "RELATION": "a comparison",
    "PREFIX": "'!'",
    "DIRECTION": "'in', 'out' or 'error'",
    "SHIFT": "'<<'",
    "PRODUCT": "'*'",
    "_PAL_ASSERT": "'assert'",
    "$END": "the end of the file",
    "_OPEN_DICT": "'{'",
}
_BITS = {"AMPERSAND", "VBAR"}
_PARENTHESES = "& and | have no precedence beside other operators: put parentheses"
_ADVICE: list[tuple[Callable[[str, set[str]], bool], str]] = [
    (lambda found, _: found in ("&", "|"), _PARENTHESES),
    (
        lambda found, ok: found in ("+", "-", "*", "&&", "||", "==>") and bool(ok & _BITS),
        _PARENTHESES,
    ),
    (
        lambda found, ok: found in ("<", ">", "<=", ">=", "==", "!=") and "RPAR" in ok,
        "comparisons do not chain: put parentheses, or use &&",
    ),
    (lambda found, ok: found == "=" and "RPAR" in ok, "== compares"),
    (lambda found, _: found == ";", "nothing separates items: leave ';' out"),
    (lambda found, ok: ok == {"INT"}, "'-' is no operator on one value: use math.neg"),
    (
        lambda found, ok: (
            {"LPAR", "LSQB", "TRUE"} <= ok and "NAME" not in ok and found in ("}", "{")
        ),
        "a method takes exactly one argument, such as ()",
    ),
]
_SCAN = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|[(\[{]|[)\]}]"
    r"|\b(?:[Aa]rray|[Ss]equence|Set|List|Map)\s*<|>",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A file's text. `name` is how findings call the file."""

    name: str
    text: str

    def at(self, token: Token) -> Location:
        return Location(self.name, token.line or 1, token.column or 1)

    def position(self, index: int) -> Location:
        line = self.text.count("\n", 0, index) + 1
        return Location(self.name, line, index - (self.text.rfind("\n", 0, index) + 1) + 1)


def read_source(path: Path, findings: Findings) -> Source | None:
    """The file's text, None (and a finding) if it cannot be read as UTF-8."""
    start = Location(str(path), 1, 1)
    try:
        data = path.read_bytes()
    except OSError as error:
        findings.error("SRC-001", start, f"cannot read {path}: {error.strerror or error}")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        findings.error(
            "SRC-002",
            Location(str(path), line, 1),
            f"byte 0x{data[error.start]:02x} is not UTF-8",
            "save the file as UTF-8",
        )
        return None
    return Source(str(path), text.replace("\r\n", "\n"))


class Search:
    """Include directories. A dotted name is a path below one; the SDK is searched last.

    Where no directory has `a/b/C.edl`, a file `C.edl` directly in one may stand in for it: the
    caller checks that it declares the name.
    """

    def __init__(self, include: Iterable[Path]) -> None:
        self.directories = (*dict.fromkeys(Path(item) for item in include), SDK)

    def exact(self, name: str, suffix: str) -> Path | None:
        relative = Path(*name.split(".")).with_suffix(suffix)
        return next((d / relative for d in self.directories if (d / relative).is_file()), None)

    def flat(self, name: str, suffix: str) -> Iterator[Path]:
        base = Path(name.split(".")[-1]).with_suffix(suffix)
        return (d / base for d in self.directories[:-1] if (d / base).is_file())

    def names(self, suffix: str) -> list[str]:
        """Dotted names of the files with this suffix, for suggestions."""
        return sorted(
            {
                ".".join(path.relative_to(directory).with_suffix("").parts)
                for directory in self.directories
                for pattern in (f"*{suffix}", f"*/*{suffix}", f"*/*/*{suffix}")
                for path in directory.glob(pattern)
            }
        )


@cache
def _grammar(name: str) -> Lark:
    path = PACKAGE / "grammar" / f"{name}.lark"
    return Lark.open(str(path), parser="lalr", lexer="contextual", propagate_positions=True)


def parse(grammar: str, source: Source, findings: Findings) -> Tree[Token] | None:
    """The syntax tree, None (and a finding) if the text does not follow the grammar."""
    if not _nesting_is_sane(source, findings):
        return None
    lark = _grammar(grammar)
    try:
        return lark.parse(source.text)
    except UnexpectedInput as error:
        _report(lark, source, error, findings)
        return None


def _nesting_is_sane(source: Source, findings: Findings) -> bool:
    depth = types = 0
    for match in _SCAN.finditer(source.text):
        if match[0] in "([{":
            depth += 1
        elif match[0] in ")]}":
            depth -= 1
        elif match[0] == ">":  # closes a type, or compares: then `types` is 0 anyway
            types = max(types - 1, 0)
        elif match[0].endswith("<"):
            types += 1
        if max(depth, types) > MAX_NESTING:
            findings.error(
                "SRC-004",
                source.position(match.start()),
                f"brackets are nested more than {MAX_NESTING} deep",
                "split the declaration",
                match[0],
            )
            return False
    return True


def _report(lark: Lark, source: Source, error: UnexpectedInput, findings: Findings) -> None:
    at = Location(source.name, max(error.line, 1), max(error.column, 1))
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        at = source.position(len(source.text.rstrip()))
        found = ""
        message = "the file ends in the middle of a declaration"
    else:
        found = _offending(source, error)
        message = f"unexpected '{found}'"
    if placeholder := re.match(r"@\w*\+?@|\{%.*?%\}", source.text[error.pos_in_stream or 0 :]):
        findings.error(
            "SRC-005",
            at,
            f"the placeholder {placeholder[0]} is not expanded",
            "expand the template before checking it",
            placeholder[0],
        )
        return
    findings.error("SRC-003", at, message, _help(lark, found, error), found)


def _offending(source: Source, error: UnexpectedInput) -> str:
    if isinstance(error, UnexpectedToken):
        return str(error.token).split("\n")[0]
    position = error.pos_in_stream or 0
    rest = source.text[position:].split("\n")[0]
    word = re.match(r"\w+|\"|/\*|.", rest)
    return word[0] if word else ""


def _help(lark: Lark, found: str, error: UnexpectedInput) -> str:
    if found == "/*":
        return "the comment is not closed: */ is missing"
    if found == '"':
        return 'the text is not closed: " is missing on this line'
    terminals = _expected(error)
    for applies, advice in _ADVICE:
        if applies(found, terminals):
            return advice
    words = _spoken(lark, terminals)
    keywords = [word.strip("'") for word in words if word.startswith("'") and word[1].isalpha()]
    close = did_you_mean(found, keywords, " ") if found[:1].isalpha() else " "
    if close != " " and found not in keywords:
        return close
    shown = ", ".join(words[:10]) + (", ..." if len(words) > 10 else "")
    return f"expected {shown}" if words else ""


def _expected(error: UnexpectedInput) -> set[str]:
    if isinstance(error, UnexpectedToken):
        return set(error.expected)
    if isinstance(error, UnexpectedCharacters):
        return set(error.allowed or ())
    return set()


def _spoken(lark: Lark, terminals: Iterable[str]) -> list[str]:
    def speak(name: str) -> str:
        if name in _SPOKEN:
            return _SPOKEN[name]
        pattern: Any = lark.get_terminal(name).pattern
        return f"'{pattern.value}'" if isinstance(pattern, PatternStr) else name.lower()

    return sorted({speak(name) for name in terminals if not name.startswith("__IGNORE")})
