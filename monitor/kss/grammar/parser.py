"""What the parsers of all the languages share."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import ClassVar, TypeVar

from kss.errors import Findings, did_you_mean
from kss.grammar.recovery import Hidden, Recovery
from kss.grammar.tokens import BAD, END, INT, NAME, OPERATOR, REGEX, TEXT, tokenize
from kss.integers import IntegerError, parse_integer
from kss.source import Source
from kss.syntax import Span, Word

MAX_NESTING = 100
MAX_NAME = 255  # characters, with the dots
MAX_ERRORS = 50  # syntax errors told of one file
_SPOKEN = {
    NAME: "a name",
    INT: "an integer",
    TEXT: "a text literal",
    REGEX: "a regex block",
    END: "the end of the file",
    OPERATOR: "an operator",
}

# What is out of place may be a part of a name with a placeholder in it, such as `a.@NAME@`.
_PLACEHOLDER = re.compile(r"[\w.]*?(@\w+\+?@)", re.ASCII)

T = TypeVar("T")


class SyntaxStop(Exception):  # noqa: N818
    """The declaration does not follow the grammar; the finding is reported by then."""


class Parser:
    """A position in the tokens of one file, and what was looked for there.

    `kind` and `text` are those of the current token. Every test for a token that fails is noted
    in `_tried`, which is what an error message lists.
    """

    operators: ClassVar[list[str]]
    # words that open a declaration: where parsing goes on after a syntax error
    starters: ClassVar[frozenset[str]] = frozenset()
    inner: ClassVar[frozenset[str]] = frozenset()  # those of them that stand within others, too
    integer_rule: ClassVar[str] = "PSL-031"  # of a number that is none

    def __init__(self, source: Source, findings: Findings) -> None:
        self.source = source
        self.findings = findings
        self._tokens = tokenize(source.text, self.operators)
        self._kinds, self._texts = self._tokens.kinds, self._tokens.texts
        self._recovery = Recovery(source.text, self._tokens, self.starters, self.inner)
        self._tried: list[str] = []
        self._depth = 0
        self.index = 0
        self.kind = self._kinds[0]
        self.text = self._texts[0]
        self.sound = True
        self.hidden: list[Hidden] = []  # declarations with syntax errors

    # ---- the current token

    def advance(self) -> None:
        self.go(self.index + 1)

    def go(self, index: int) -> None:
        """Makes another token the current one."""
        self.index = index
        self.kind = self._kinds[index]
        self.text = self._texts[index]
        self._tried.clear()

    def accept_arrow(self, arrow: str) -> bool:
        """Steps over `<-` or `~>`: two tokens, for elsewhere they are two operators."""
        starts, here = self._tokens.starts, self.index
        found = self.kind == arrow[0] and self._kinds[here + 1] == arrow[1]
        if found and starts[here + 1] == starts[here] + 1:
            self.go(here + 2)
            return True
        self._tried.append(arrow)
        return False

    def ahead(self, count: int = 1) -> tuple[str, str]:
        """Kind and text of a token further on."""
        index = min(self.index + count, len(self._kinds) - 1)
        return self._kinds[index], self._texts[index]

    def see(self, kind: str) -> bool:
        """Whether the current token is of a kind."""
        if self.kind == kind:
            return True
        self._tried.append(kind)
        return False

    def see_word(self, *words: str) -> bool:
        """Whether the current token is one of these words."""
        if self.kind == NAME and self.text in words:
            return True
        self._tried += words
        return False

    def accept(self, kind: str) -> bool:
        """Steps over a token of a kind, if it is there."""
        found = self.see(kind)
        if found:
            self.advance()
        return found

    def accept_word(self, word: str) -> bool:
        found = self.see_word(word)
        if found:
            self.advance()
        return found

    def need(self, kind: str) -> None:
        """Steps over a token of a kind; an error if another is there."""
        if not self.see(kind):
            raise self.unexpected()
        self.advance()

    def need_word(self, word: str) -> None:
        if not self.accept_word(word):
            raise self.unexpected()

    def word(self) -> Word:
        """A name, dotted or not."""
        if not self.see(NAME):
            raise self.unexpected()
        if len(self.text) > MAX_NAME:
            raise self.unexpected(f"a name has at most {MAX_NAME} characters")
        word = Word(self.text, self.token_span())
        self.advance()
        return word

    def plain_word(self) -> Word:
        """A name without dots."""
        if self.kind == NAME and "." in self.text:
            raise self.unexpected("a name without dots is needed here")
        return self.word()

    def integer(self) -> int:
        """The value of an integer token."""
        if not self.see(INT):
            raise self.unexpected()
        try:
            value = parse_integer(self.text)
        except IntegerError as error:
            at = self.token_span().at
            self.findings.error(self.integer_rule, at, str(error), error.help, self.text)
            value = 0
        self.advance()
        return value

    # ---- brackets and lists

    def open(self, bracket: str) -> None:
        """Steps over an opening bracket that `close` must follow."""
        if not self.see(bracket):
            raise self.unexpected()
        self._depth += 1
        if self._depth > MAX_NESTING:
            message = f"brackets are nested more than {MAX_NESTING} deep"
            span = self.token_span()
            self.findings.error("SRC-004", span.at, message, "split the declaration", self.text)
            raise SyntaxStop
        self.advance()

    def close(self, bracket: str) -> None:
        self.need(bracket)
        self._depth -= 1

    def until(self, bracket: str, part: Callable[[], T]) -> tuple[T, ...]:
        """Parts that nothing separates, up to the closing bracket."""
        parts: list[T] = []
        while not self.see(bracket):
            parts.append(part())
        self.close(bracket)
        return tuple(parts)

    def listed(self, bracket: str, part: Callable[[], T]) -> tuple[T, ...]:
        """Parts with commas between them (one may follow the last), up to the closing bracket."""
        parts: list[T] = []
        while not self.see(bracket):
            parts.append(part())
            if not self.accept(","):
                break
        self.close(bracket)
        return tuple(parts)

    # ---- places

    def token_span(self) -> Span:
        start = self._tokens.starts[self.index]
        return Span(self.source, start, start + len(self.text))

    def start(self) -> int:
        """Index of the current token's first character."""
        return self._tokens.starts[self.index]

    def end(self) -> int:
        """Index behind the last character of the token before."""
        last = self.index - 1
        return self._tokens.starts[last] + len(self._texts[last]) if last >= 0 else 0

    def since(self, start: int) -> Span:
        """From a character's index to the last token stepped over."""
        return Span(self.source, start, self.end())

    # ---- declarations

    def declarations(self, parse: Callable[[], T]) -> Iterator[T]:
        """All that `parse` finds up to the end of the file. What follows a syntax error is looked
        for where the next declaration seems to begin."""
        errors = 0
        while not self.see(END):
            start = self.index
            self._depth = 0
            try:
                yield parse()
            except SyntaxStop:
                errors += 1
                if errors == MAX_ERRORS:
                    self._give_up(start)
                else:
                    self._recover(start, start + 1)

    def heading(self, parse: Callable[[], T]) -> T | None:
        """What `parse` finds before the declarations; None after a syntax error."""
        try:
            found = parse()
            if self.kind == BAD and self.start() == self.end():  # the name goes on
                raise self.unexpected()
            return found
        except SyntaxStop:
            self._recover(0, 0)
            return None

    def _recover(self, first: int, least: int) -> None:
        """Goes on with a declaration from token `least` on; what began at `first` is broken."""
        self.sound = False
        self.go(self._recovery.resume(first, least, self.index))
        self.hidden += self._recovery.hidden(first, self.index)

    def _give_up(self, first: int) -> None:
        self.sound = False
        self.go(len(self._kinds) - 1)
        self.hidden += self._recovery.hidden(first, self.index)

    # ---- findings

    def error(self, rule: str, span: Span, message: str, help: str = "") -> None:
        self.findings.error(rule, span.at, message, help, span.text)

    def unexpected(self, help: str = "") -> SyntaxStop:
        """Reports the current token as out of place; raise what it returns."""
        if placeholder := _PLACEHOLDER.match(self.source.text, self.start()):
            name = placeholder[1]
            span = Span(self.source, placeholder.start(1), placeholder.end(1))
            help = f"give its text with --define {name.strip('@')}=..."
            self.error("SRC-005", span, f"the placeholder {name} is not expanded", help)
            return SyntaxStop()
        found = self.text.split("\n")[0]
        if self.kind == BAD:
            found, help = self._describe_bad()
        help = help or self._expectation()
        message = f"unexpected '{_visible(found)}'"
        if self.kind == END:
            message = "the file ends in the middle of a declaration"
        self.findings.error("SRC-003", self.token_span().at, message, help, found)
        return SyntaxStop()

    def _describe_bad(self) -> tuple[str, str]:
        """What stands where no token begins, and what to do about it."""
        found = re.match(r"\w+|/\*|```|.", self.text, re.DOTALL)
        text = found[0] if found else ""
        if text == "/*":
            return text, "the comment is not closed: */ is missing"
        if text.startswith('"'):
            return text, 'the text is not closed: " is missing on this line'
        if text == "```":
            return text, "a block is ```regex, its lines, and ``` on a line of its own"
        if text == ";":
            return text, "nothing separates items: leave ';' out"
        if text[0].isdigit():
            return text, "a number is followed by something that is none"
        if ord(text[0]) > 127:
            name = unicodedata.name(text[0], "unnamed character")
            return text, f"names have the letters A to Z, digits and _; this is {name}"
        return text, ""

    def _expectation(self) -> str:
        keywords = sorted({word for word in self._tried if word.isalpha() and word not in _SPOKEN})
        if self.kind == NAME and self.text not in keywords:
            close = did_you_mean(self.text, keywords, " ")
            if close != " ":
                return close
        words = sorted({_SPOKEN.get(word, f"'{word}'") for word in self._tried})
        shown = ", ".join(words[:10]) + (", ..." if len(words) > 10 else "")
        return f"expected {shown}" if words else ""


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[:80])
