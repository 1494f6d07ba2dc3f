"""Lines: what stands on one, and where one is broken.

A bracket stays on its line if it fits. It is broken, with a line for each part, if it does not fit,
if a comment within wants a line, or if the author broke it: in `{ }` behind the bracket or between
parts, in `[ ]` behind the bracket. In interface descriptions `{ }` always is. Broken lists of plain
values are filled. Selectors and alternatives of a type wrap; conditions in `( )` are broken behind
their loosest operator.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

from kss.format.gaps import Gaps
from kss.format.lines import WIDTH, Lines
from kss.format.roles import FILE, Roles
from kss.format.spacing import spaced
from kss.grammar.tokens import REGEX

_STEP = 4
_WRAPPED = 8  # further in than what is within a bracket
_LOOSEST = ("==>", "||", "&&")


class Layout:
    def __init__(self, gaps: Gaps, roles: Roles) -> None:
        self.gaps, self.roles = gaps, roles
        self.kinds, self.texts = gaps.kinds, gaps.texts
        self.lines = Lines()
        self.end = len(self.kinds) - 1
        # tokens that begin a line, or may
        self.breaks = {*roles.parts[FILE], self.end}
        self.space = [False, *(spaced(index, roles) for index in range(1, self.end + 1))]
        # sums over the tokens before each: characters on one line, and what forces a second
        self.width = [0, *accumulate(map(self._wide, range(self.end + 1)))]
        self.hard = [0, *accumulate(map(self._hard, range(self.end + 1)))]

    def _wide(self, index: int) -> int:
        """Characters of a token and of what stands before it on its line."""
        comments = self.gaps.comments[index]
        inline = sum(len(c.text) + 1 for c in comments if not c.breaks)
        text = "" if self.kinds[index] == REGEX else self.texts[index]
        return len(text) + inline + (self.space[index] or bool(comments))

    def _hard(self, index: int) -> bool:
        """Whether the token cannot stand on the line of the one before it."""
        if any(comment.breaks for comment in self.gaps.comments[index]):
            return True
        return index - 1 in self.roles.pairs and self._broken_by_author(index - 1)

    def _broken_by_author(self, opener: int) -> bool:
        broken, parts = self.gaps.broken, self.roles.parts[opener]
        if self.kinds[opener] == "{":
            return bool(parts) and (self.roles.apart or any(broken[part] for part in parts))
        return self.kinds[opener] == "[" and bool(parts) and broken[opener + 1]

    def run(self) -> str:
        parts = [*(part for part in self.roles.parts[FILE] if part < self.end), self.end]
        for start, end in pairwise(parts):
            self._break(start, 0, 0, blank=True)
            self._put(start)
            self._tokens(start + 1, end, 0, _WRAPPED)
        self._break(self.end, 0, 0, blank=True)
        return str(self.lines)

    # ---- tokens

    def _put(self, index: int) -> None:
        """The token itself, behind whatever is on the line."""
        if self.kinds[index] == "<" and index in self.roles.arrows and not self.lines.line.arrow:
            self.lines.line.arrow = len(self.lines.line.text)
        behind_comment = bool(self.gaps.comments[index])
        self.lines.add(self.texts[index], self.space[index] or behind_comment)

    def _tokens(self, start: int, end: int, base: int, wrapped: int) -> None:
        """Tokens of a part that was begun. `base` is its indentation, `wrapped` that of its further
        lines."""
        index = start
        while index < end:
            self._continue(index, base, wrapped)
            close = self.roles.pairs.get(index, index)
            if close != index and not self._flat(index, close):
                self._open(index, close, base, wrapped)
                index = close
            index += 1

    def _continue(self, index: int, base: int, wrapped: int) -> None:
        """A token in the middle of a part."""
        if self.gaps.comments[index]:
            self._comments(index, wrapped, False)
            if self.gaps.newlines[index]:
                self.lines.end(wrapped)
        elif self.kinds[index] == REGEX:
            self.lines.end(0)
        elif self.kinds[index - 1] == REGEX and self.kinds[index] != ",":
            self.lines.end(base)
        elif index in self.roles.wraps and self._too_long(index):
            self.lines.end(wrapped)
        self._put(index)

    def _too_long(self, index: int) -> bool:
        return self.lines.column + self._unbroken(index) > WIDTH

    def _unbroken(self, index: int) -> int:
        """Characters up to where the line may next be broken."""
        stop = index + 1
        while not (
            stop > self.end
            or stop in self.breaks
            or stop in self.roles.wraps
            or self.hard[stop + 1] > self.hard[stop]
        ):
            stop += 1
            if self.kinds[stop - 1] in ("{", "["):
                break
        return self.width[stop] - self.width[index]

    # ---- brackets

    def _flat(self, index: int, close: int) -> bool:
        """Whether a bracket, which was written, goes on the line as it is."""
        if self.hard[close + 1] > self.hard[index + 1]:
            return False
        inside = self.width[close] - self.width[index + 1]
        return self.lines.column + inside + self._unbroken(close) <= WIDTH

    def _open(self, index: int, close: int, base: int, wrapped: int) -> None:
        """What stands in a bracket that does not fit on the line, and its end."""
        if index in self.roles.methods:
            self._parameters(index, close)
        elif self.kinds[index] in ("{", "["):
            self._broken(index, close, base)
        else:
            self._condition(index, close, base, wrapped)

    def _broken(self, index: int, close: int, base: int) -> None:
        parts = self.roles.parts[index]
        self.breaks.update((*parts, close))
        inner, filled = base + _STEP, self._is_filled(index, close)
        for number, (start, end) in enumerate(pairwise([*parts, close])):
            if filled and number and not self.gaps.comments[start] and not self._too_long(start):
                self._put(start)
            else:
                self._break(start, inner, inner, blank=number > 0)
                self._put(start)
            self._within(start, end, inner)
        self._break(close, base, inner, blank=False)
        self._put(close)

    def _within(self, start: int, end: int, inner: int) -> None:
        """The rest of a part whose first token was written, which may itself be a bracket."""
        close = self.roles.pairs.get(start, start)
        if close != start and not self._flat(start, close):
            self._open(start, close, inner, inner + _WRAPPED)
            start = close
        self._tokens(start + 1, end, inner, inner + _WRAPPED)

    def _is_filled(self, index: int, close: int) -> bool:
        """A list of values without brackets of their own."""
        plain = not any(i in self.roles.pairs for i in range(index + 1, close))
        return self.kinds[index] == "[" and plain

    def _parameters(self, index: int, close: int) -> None:
        """The author's lines, and as many on each as fit."""
        parts, column = self.roles.parts[index], self.lines.column
        self.breaks.update(parts)
        for number, (start, end) in enumerate(pairwise([*parts, close])):
            if number and (self.gaps.broken[start] or self._too_long(start)):
                self._break(start, column, column, blank=False)
                self._put(start)
            else:
                self._continue(start, column, column)
            self._tokens(start + 1, end, column, column + _STEP)
        self._continue(close, column, column)

    def _condition(self, index: int, close: int, base: int, wrapped: int) -> None:
        column = self.lines.column
        cuts = self._cuts(index, close)
        if cuts:
            base = wrapped = column
        self.breaks.update(cuts)
        for start, end in zip([index + 1, *cuts], [*cuts, close + 1], strict=True):
            if start in cuts:
                self._break(start, column, column, blank=False)
                self._put(start)
                self._within(start, end, column)
            else:
                self._tokens(start, end, base, wrapped)

    def _cuts(self, index: int, close: int) -> list[int]:
        """Where the operands begin that the loosest operator joins, without the first."""
        found: dict[str, list[int]] = {}
        at = index + 1
        while at < close:
            found.setdefault(self.kinds[at], []).append(at + 1)
            at = self.roles.pairs.get(at, at) + 1
        return next((found[sign] for sign in _LOOSEST if sign in found), [])

    # ---- line ends and comments

    def _break(self, index: int, column: int, comments: int, blank: bool) -> None:
        """Ends the line before a token that stands at `column`; `comments` is the column of those
        on lines before it."""
        here, gaps = self.gaps.comments[index], self.gaps
        self._comments(index, comments, blank, moved=bool(here) and not gaps.broken[index])
        beside = here and not gaps.newlines[index] and index != self.end
        if not beside or column != comments:
            spread = blank or any(comment.before for comment in here)
            last = index in self.roles.closers or index == self.end
            self.lines.end(column, spread and not last and gaps.newlines[index] > 1)

    def _comments(self, index: int, column: int, blank: bool, moved: bool = False) -> None:
        """Those before a token; `moved`: to the line of that token, from that of the one before."""
        for number, comment in enumerate(self.gaps.comments[index]):
            behind = not comment.before and (number > 0 or not moved)
            if not behind:
                self.lines.end(column, comment.before > 1 and (blank or number > 0))
            written = bool(self.lines.line.text)
            last = comment.after or index == self.end
            if behind and written and last and "\n" not in comment.text:
                self.lines.line.comment = comment.text
            else:
                self.lines.add(comment.at(self.lines.column + (behind and written)), True)
