"""The patterns of one policy: read, and small enough, each and together."""

from __future__ import annotations

from collections.abc import Sequence

from kss import syntax
from kss.models.model import Typing
from kss.regex.automaton import MAX_STEPS, MAX_TRANSITIONS, Automaton, build
from kss.regex.parser import parse
from kss.regex.syntax import Expression, PatternError
from kss.regex.terms import TooLargeError
from kss.syntax import Span

# Work that the patterns of one policy may cause, as many steps as this many of the largest.
LARGEST = 8
BLANKS = {"\n": "\\\\n", "\t": "\\\\t", "\r": "\\\\r"}


class Patterns:
    """Reads patterns with findings that point into them, and counts the work they cause.

    Every method may raise what `typing.fail` returns.
    """

    def __init__(self) -> None:
        self._left = LARGEST * MAX_STEPS

    def read(self, typing: Typing, node: syntax.Literal) -> Expression:
        """A pattern written as a text literal or as a regex block."""
        text = node.value
        if not isinstance(text, str):
            help = 'a text such as "[a-z]+"'
            raise typing.fail("PSL-054", node.span, "a pattern is a text", help)
        try:
            found = parse(text)
        except PatternError as error:
            span = place(node, error.index)
            raise typing.fail("PSL-054", span, str(error), error.help) from None
        for remark in found.remarks:
            typing.warn("PSL-057", place(node, remark.index), remark.message, remark.help)
        if not node.is_block:
            _must_escape_twice(typing, node, text)
        return found.expression

    def match(self, typing: Typing, node: syntax.Literal) -> None:
        """Checks the pattern of a `match`."""
        automaton = self._automaton(typing, node.span, (self.read(typing, node),))
        if 0 not in automaton.answers:
            typing.warn("PSL-058", node.span, "no text matches this pattern", _NEVER)

    def select(self, typing: Typing, labels: Sequence[syntax.Literal]) -> str:
        """Checks the patterns of a `choice` together. Returns in words which texts match none, ""
        if every text matches one."""
        patterns = tuple(self.read(typing, label) for label in labels)
        together = self._together(patterns)
        if together is None:  # then the compiler makes several of it
            for label, pattern in zip(labels, patterns, strict=True):
                self._automaton(typing, label.span, (pattern,))
            return "other texts"
        for number, label in enumerate(labels):
            if number not in together.answers:
                alone = self._automaton(typing, label.span, (patterns[number],))
                self._is_never_taken(typing, label, alone.example(0), labels, together)
        rest = together.example(len(labels))
        return "" if rest is None else f"texts such as {_shown(rest)}"

    def _together(self, patterns: tuple[Expression, ...]) -> Automaton | None:
        """One automaton, if it is small enough."""
        try:
            found = build(patterns) if self._left > 0 else None
        except TooLargeError:
            self._left -= MAX_STEPS
            return None
        self._left -= found.steps if found else 0
        return found

    def _is_never_taken(
        self,
        typing: Typing,
        label: syntax.Literal,
        example: bytes | None,
        labels: Sequence[syntax.Literal],
        together: Automaton,
    ) -> None:
        if example is None:
            typing.warn("PSL-058", label.span, "no text matches this pattern", _NEVER)
            return
        before = labels[together.answer(example)].span.text
        message = "earlier patterns match all that this one does"
        help = f"{_shown(example)} is taken by {before}: put the special case first"
        typing.warn("PSL-052", label.span, message, help)

    def _automaton(self, typing: Typing, span: Span, patterns: tuple[Expression, ...]) -> Automaton:
        help = "shorten counts such as {1,100}, above all behind .*, or split the pattern"
        if self._left <= 0:
            message = "with this one the patterns of the policy are too complex together"
            raise typing.fail("PSL-055", span, message, help)
        if found := self._together(patterns):
            return found
        limit = f"more than {MAX_TRANSITIONS} transitions"
        message = f"the pattern is too complex: its automaton would need {limit}"
        raise typing.fail("PSL-055", span, message, help)


_NEVER = "what & joins must be possible at once"


def place(node: syntax.Literal, index: int) -> Span:
    """Where the character of a text stands that has this index."""
    written = node.span.text
    if node.is_block:
        at = written.index("\n") + 1 + index
    else:
        at = 1
        for _ in range(index):
            at += 2 if written[at] == "\\" else 1
    width = 2 if written[at : at + 1] == "\\" and not node.is_block else 1
    return Span(node.span.source, node.span.start + at, node.span.start + at + width)


def _must_escape_twice(typing: Typing, node: syntax.Literal, text: str) -> None:
    """A blank that the text has by an escape is meant to count."""
    for index, char in enumerate(text):
        if char in BLANKS and text[max(index - 1, 0)] != "\\":
            message = "this blank counts for nothing in a pattern"
            typing.warn("PSL-057", place(node, index), message, f"{BLANKS[char]} is matched")


def _shown(text: bytes) -> str:
    return '"' + text.decode("ascii", "backslashreplace").encode("unicode_escape").decode() + '"'
