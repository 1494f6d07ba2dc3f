"""Patterns: from text to syntax.

    pattern  = ["^"] union ["$"]                  without meaning: the whole text is matched
    union    = both { "|" both }
    both     = sequence { "&" sequence }
    sequence = { prefix }
    prefix   = { "!" } atom [ "*" | "+" | "?" | "{n}" | "{n,m}" | "{n,}" ]
    atom     = character | "." | set | "(" union ")" | "()"
    set      = "[" ["^"] { character | character "-" character } "]"

White space that no backslash precedes counts for nothing. A backslash takes the meaning from the
punctuation (or blank) after it; `\\t \\n \\r \\f \\v` are the white-space characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from kss.regex.syntax import (
    ALL_BYTES,
    Complement,
    Concatenation,
    Expression,
    Intersection,
    Pattern,
    PatternError,
    Remark,
    Repetition,
    Set,
    Union,
)

MAX_LENGTH = 4096
MAX_NESTING = 50
MAX_COUNT = 10_000

_WHITE = " \t\n\r\f\v"
_NAMED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_CLASSES = {"d": "[0-9]", "w": "[A-Za-z0-9_]", "s": r"[\ \t\n\r\f\v]"}
_OPERATORS = ".()*&|!?+[]"
_BOUNDS = {"*": (0, None), "+": (1, None), "?": (0, 1)}


@dataclass(frozen=True, slots=True)
class Token:
    """A character and where it stands. An escaped one stands for itself."""

    index: int
    char: str
    escaped: bool
    spaced: bool  # blanks stand before it, on the same line

    def is_operator(self, chars: str = _OPERATORS) -> bool:
        return not self.escaped and self.char in chars


@lru_cache(maxsize=1024)
def parse(text: str) -> Pattern:
    """Raises PatternError, which says where and what would be right."""
    if len(text) > MAX_LENGTH:
        message = f"the pattern has {len(text)} characters"
        raise PatternError(MAX_LENGTH, message, f"at most {MAX_LENGTH}")
    parser = _Parser(text)
    return Pattern(parser.pattern(), tuple(parser.remarks))


def quote(text: str) -> str | None:
    """A pattern that matches exactly this text; None if there is none."""
    names = {char: f"\\{name}" for name, char in _NAMED.items()}
    if any(not " " <= char <= "~" and char not in names for char in text):
        return None
    special = _OPERATORS + "^$ {}\\"
    return "".join(names.get(c, f"\\{c}" if c in special else c) for c in text)


def _tokens(text: str) -> Iterator[Token]:
    index, start = 0, 0
    while index < len(text):
        char = text[index]
        if char in _WHITE:
            index += 1
            continue
        gap = text[start:index]
        spaced = bool(gap) and "\n" not in gap
        if char == "\\":
            yield Token(index, _escaped(text, index), True, spaced)
            index += 2
        else:
            _must_be_plain(index, char)
            yield Token(index, char, False, spaced)
            index += 1
        start = index


def _escaped(text: str, index: int) -> str:
    """The character that the backslash at `index` and the next one stand for."""
    if index + 1 == len(text) or text[index + 1] == "\n":
        raise PatternError(index, "a backslash escapes nothing", r"\\ is a backslash")
    char = text[index + 1]
    if char in _NAMED:
        return _NAMED[char]
    if char in _CLASSES:
        raise PatternError(index, f"\\{char} is not of this language", f"write {_CLASSES[char]}")
    if char.isalnum() or not " " <= char <= "~":
        known = (
            "an escape is a backslash before punctuation or a blank, or one of \\t \\n \\r \\f \\v"
        )
        raise PatternError(index, f"unknown escape \\{char}", known)
    return char


def _must_be_plain(index: int, char: str) -> None:
    if char > "~":
        help = "patterns are ASCII; texts are matched byte by byte, so that . or [^...] is one byte"
        raise PatternError(index, f"{char!r} is not an ASCII character", help)
    if char < " ":
        help = "of the control characters there are \\t \\n \\r \\f \\v"
        raise PatternError(index, f"a control character {char!r}", help)


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self.at = 0
        self.depth = 0
        self.length = len(text)
        self.remarks: list[Remark] = []

    # ---- tokens

    def peek(self, ahead: int = 0) -> Token | None:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else None

    def sees(self, chars: str, ahead: int = 0) -> bool:
        """Whether one of these operators comes."""
        token = self.peek(ahead)
        return token is not None and token.is_operator(chars)

    def next(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def index(self) -> int:
        token = self.peek()
        return token.index if token else self.length

    def remark(self, index: int, message: str, help: str) -> None:
        self.remarks.append(Remark(index, message, help))

    # ---- expressions

    def pattern(self) -> Expression:
        if self.sees("^"):
            self.next()
        if self.tokens[self.at :] and self.tokens[-1].is_operator("$"):
            self.length = self.tokens.pop().index
        if self.peek() is None:
            return Concatenation(())
        found = self.union()
        if token := self.peek():
            assert token.char == ")"
            raise PatternError(
                token.index, "this parenthesis closes nothing", r"\) is the character"
            )
        return found

    def union(self) -> Expression:
        return self.chain("|", lambda: self.chain("&", self.sequence, Intersection), Union)

    def chain(
        self,
        operator: str,
        part: Callable[[], Expression],
        make: Callable[[tuple[Expression, ...]], Expression],
    ) -> Expression:
        parts = [part()]
        while self.sees(operator):
            self.next()
            parts.append(part())
        return parts[0] if len(parts) == 1 else make(tuple(parts))

    def sequence(self) -> Expression:
        parts: list[Expression] = []
        while self.peek() and not self.sees("|&)"):
            parts.append(self.prefix())
        if not parts:
            help = "() matches the empty text; before an operator a backslash stands: \\| \\& \\)"
            raise PatternError(self.index(), "an expression is missing here", help)
        return parts[0] if len(parts) == 1 else Concatenation(tuple(parts))

    def prefix(self) -> Expression:
        negated = False
        start = self.index()
        while self.sees("!"):
            self.next()
            negated = not negated
        if self.peek() is None or self.sees("|&)"):
            raise PatternError(start, "'!' stands before nothing", r"\! is the character")
        bare = not self.sees("([")
        found = self.repeated()
        if negated and bare and self.peek() and not self.sees("|&)"):
            help = "parentheses extend it: !( ... )"
            self.remark(start, "'!' is about one character here", help)
        return Complement(found) if negated else found

    def repeated(self) -> Expression:
        found = self.atom()
        if bounds := self.bounds():
            found = Repetition(found, *bounds)
            start = self.index()
            if self.bounds():
                help = "put parentheses; every repetition is tried, so none is lazy or possessive"
                raise PatternError(start, "a repetition of a repetition", help)
        return found

    # ---- repetition

    def bounds(self) -> tuple[int, int | None] | None:
        """How often the expression before is repeated, if that comes now."""
        if self.sees("*+?"):
            return _BOUNDS[self.next().char]
        if not self.sees("{") or not self.counts(1):
            return None
        start = self.next().index
        low = self.number(start)
        high: int | None = low
        if self.sees(","):
            self.next()
            high = None if self.sees("}") else self.number(start)
        if not self.sees("}"):
            raise self.no_count(start)
        self.next()
        if high is not None and high < low:
            raise PatternError(
                start, f"from {low} to {high} times is never", "the lower count first"
            )
        if max(low, high or 0) > MAX_COUNT:
            raise PatternError(start, "the count is too large", f"at most {MAX_COUNT}")
        return low, high

    def counts(self, ahead: int) -> bool:
        """Whether a digit or a comma comes: else a brace stands for itself."""
        token = self.peek(ahead)
        return token is not None and not token.escaped and token.char in "0123456789,"

    def number(self, start: int) -> int:
        digits = ""
        while self.sees("0123456789"):
            digits += self.next().char
        if not digits:
            raise self.no_count(start)
        return int(digits)

    def no_count(self, start: int) -> PatternError:
        help = r"a count is {2}, {2,} or {2,5}; \{ is the character"
        return PatternError(start, "an unclear count", help)

    # ---- atoms

    def atom(self) -> Expression:
        if self.sees("("):
            return self.group()
        if self.sees("["):
            return self.set()
        token = self.next()
        if token.is_operator("."):
            return Set(ALL_BYTES)
        if token.is_operator("*+?"):
            message = f"'{token.char}' repeats nothing"
            raise PatternError(token.index, message, f"\\{token.char} is the character")
        if token.is_operator("]"):
            raise PatternError(token.index, "this bracket closes no set", r"\] is the character")
        if token.is_operator("{") and self.counts(0):
            raise self.no_count(token.index)
        self.may_mislead(token)
        return Set(1 << ord(token.char))

    def may_mislead(self, token: Token) -> None:
        """Remarks on a character that is read otherwise than it looks."""
        if token.is_operator("^$"):
            help = f"the whole text is matched anyway; \\{token.char} is the character"
            self.remark(token.index, f"'{token.char}' stands for itself here", help)
        before = self.tokens[self.at - 2] if self.at > 1 else None
        if token.spaced and before and not before.is_operator():
            help = "a backslash makes the blank count: '\\ '"
            message = "the blank before this character counts for nothing"
            self.remark(token.index, message, help)

    def group(self) -> Expression:
        start = self.next().index
        if self.sees("?"):
            message = "groups have no options, names or look-around"
            raise PatternError(self.index(), message, "( ... ) is a group; \\? is the character")
        self.depth += 1
        if self.depth > MAX_NESTING:
            message = f"groups are nested more than {MAX_NESTING} deep"
            raise PatternError(start, message, "take some parentheses out")
        found = Concatenation(()) if self.sees(")") else self.union()
        if not self.sees(")"):
            raise PatternError(start, "the group is not closed", r"\( is the character")
        self.next()
        self.depth -= 1
        return found

    # ---- sets

    def set(self) -> Expression:
        start = self.next().index
        negated = self.sees("^")
        if negated:
            self.next()
        if self.sees("]"):
            raise PatternError(start, "an empty set", r"\] is a bracket within it")
        members = 0
        while not self.sees("]"):
            members |= self.range(start)
        self.may_miss_blank(self.next())
        return Set(ALL_BYTES & ~members if negated else members)

    def range(self, start: int) -> int:
        low = self.member(start)
        if not self.sees("-") or self.sees("]", 1):
            return 1 << ord(low.char)
        self.next()
        high = self.member(start)
        if self.sees("-") and not self.sees("]", 1):
            message = "a range goes on from a range"
            raise PatternError(self.index(), message, r"\- is the character")
        if high.char < low.char:
            message = f"the range from {low.char!r} to {high.char!r} is empty"
            raise PatternError(low.index, message, "the lower character first")
        return (2 << ord(high.char)) - (1 << ord(low.char))

    def member(self, start: int) -> Token:
        if self.peek() is None:
            raise PatternError(start, "the set is not closed", r"\[ is the character")
        token = self.next()
        if token.is_operator("["):
            help = r"\[ is the character; there are no named classes such as [:digit:]"
            raise PatternError(token.index, "a set within a set", help)
        self.may_miss_blank(token)
        return token

    def may_miss_blank(self, token: Token) -> None:
        if token.spaced:
            help = "a backslash makes the blank a member: '\\ '"
            self.remark(token.index, "the blank before this character counts for nothing", help)
