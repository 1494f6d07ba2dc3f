"""Template text: `@NAME@` and `{% if X == "text" %} ... {% elif ... %} ... {% else %} ...
{% endif %}`.

A name stands for the text that `--define NAME=TEXT` gives it, wherever it is, within names and
comments too; what it stands for is not looked through again. Places in the expanded text are still
told as places of the file (`Source.position`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kss.errors import Finding, Findings, Location, did_you_mean
from kss.source import MAX_FILE, Piece, Source

_MARK = re.compile(r"@(?P<name>\w+\+?)@|\{%-?(?P<tag>[^\n]*?)-?%\}|(?P<open>\{%)", re.ASCII)
_WORD = re.compile(r'\s*(?:(?P<text>"[^"\n]*"|\'[^\'\n]*\')|(?P<word>\w+|==|!=|[()])|(?P<bad>\S))')
_EXAMPLE = '{% if NAME == "text" %}'
MAX_DEPTH = 50


class ConditionError(Exception):
    """A tag's condition has no value."""


@dataclass(frozen=True)
class Template:
    """What names stand for. `lenient`: a placeholder that stands for nothing is left out if it is
    alone on its line, with a note; `left_out` lists them."""

    defines: Mapping[str, str] = field(default_factory=dict)
    lenient: bool = False

    def expand(self, source: Source, findings: Findings) -> Source:
        """The text with everything expanded; the same source if nothing is to be."""
        if "{%" not in source.text and not ("@" in source.text and (self.defines or self.lenient)):
            return source
        return _Expansion(self, source, findings).run()


def left_out(findings: Findings) -> dict[str, Finding]:
    """The names of placeholders that were left out, with the note of each."""
    notes = [item for item in findings.items if item.rule == "STUB-003"]
    return {item.text.strip("@"): item for item in notes if item.text.startswith("@")}


@dataclass
class _Section:
    """An `if` that is not closed yet. `taken`: one of its branches was; `live`: this one is."""

    at: Location
    live: bool
    taken: bool
    last: bool = False  # after `else`


class _Expansion:
    def __init__(self, template: Template, source: Source, findings: Findings) -> None:
        self.template = template
        self.source = source
        self.findings = findings
        self.texts: list[str] = []
        self.pieces: list[Piece] = []
        self.size = 0
        self.open: list[_Section] = []

    def run(self) -> Source:
        text, at = self.source.text, 0
        for mark in _MARK.finditer(text):
            self._add(text[at : mark.start()], at, verbatim=True)
            at = mark.end()
            if mark["name"] is not None:
                self._placeholder(mark)
            else:
                self._tag(mark)
        self._add(text[at:], at, verbatim=True)
        for section in self.open:
            message = "{% if %} is not closed"
            self.findings.error("SRC-008", section.at, message, "{% endif %} is missing", "{%")
        if self.size > MAX_FILE:
            message = f"the expanded text has more than {MAX_FILE >> 20} MiB"
            self.findings.error("SRC-006", self.source.position(0), message, "define less")
            return Source(self.source.name, "")
        return Source(self.source.name, "".join(self.texts), text, tuple(self.pieces))

    @property
    def _live(self) -> bool:
        return all(section.live for section in self.open[-1:])

    def _add(self, text: str, origin: int, verbatim: bool) -> None:
        if self._live and text:
            self.pieces.append(Piece(self.size, origin, verbatim))
            self.size += len(text)
            if self.size <= MAX_FILE:
                self.texts.append(text)

    # ---- placeholders

    def _placeholder(self, mark: re.Match[str]) -> None:
        name, known = mark["name"], self.template.defines
        if name in known:
            self._add(known[name], mark.start(), verbatim=False)
        elif self.template.lenient and self._live and _alone(mark):
            message = f"nothing is defined for {mark[0]}: it is left out"
            at = self.source.position(mark.start())
            self.findings.note("STUB-003", at, message, f"--define {name}=...", mark[0])
        else:
            self._add(mark[0], mark.start(), verbatim=True)

    # ---- conditions

    def _tag(self, mark: re.Match[str]) -> None:
        at = self.source.position(mark.start())
        word, _, rest = (mark["tag"] or "").strip().partition(" ")
        try:
            if mark["open"]:
                raise ConditionError("the tag is not closed on its line")
            self._step(word, rest, at)
        except ConditionError as error:
            help = f"write {_EXAMPLE}, {{% elif %}}, {{% else %}}, {{% endif %}}"
            self.findings.error("SRC-008", at, str(error), help, mark[0])

    def _step(self, word: str, rest: str, at: Location) -> None:
        if word == "if":
            around = self._live
            if len(self.open) >= MAX_DEPTH:
                raise ConditionError(f"conditions are nested more than {MAX_DEPTH} deep")
            self.open.append(_Section(at, False, not around))
            self._decide(rest)
            return
        if word not in ("elif", "else", "endif"):
            help = did_you_mean(word, ("if", "elif", "else", "endif"))
            raise ConditionError(f"unknown tag '{word}'; {help}")
        if not self.open:
            raise ConditionError(f"{{% {word} %}} without {{% if %}}")
        section = self.open[-1]
        if word == "endif":
            self.open.pop()
            return
        if section.last:
            raise ConditionError(f"{{% {word} %}} after {{% else %}}")
        section.live = False
        if word == "elif":
            self._decide(rest)
        else:
            section.last = True
            section.live, section.taken = not section.taken, True

    def _decide(self, condition: str) -> None:
        """Takes the branch if no earlier one was and its condition holds."""
        section = self.open[-1]
        if not section.taken:
            section.live = section.taken = Condition(condition, self.template.defines).holds()


def _alone(mark: re.Match[str]) -> bool:
    text = mark.string
    start = text.rfind("\n", 0, mark.start()) + 1
    end = text.find("\n", mark.end())
    line = text[start : mark.start()] + text[mark.end() : end if end >= 0 else len(text)]
    return not line.strip()


class Condition:
    """`X == "a" and (not Y or Z != "b")`; a name alone holds if it is defined and not empty."""

    def __init__(self, text: str, defines: Mapping[str, str]) -> None:
        self.words = [match for match in _WORD.finditer(text) if match[0].strip()]
        self.defines = defines
        self.index = self.depth = 0

    def holds(self) -> bool:
        """Whether it holds. Raises ConditionError."""
        value = self._or()
        if self.index < len(self.words):
            raise ConditionError(f"unexpected {self.words[self.index][0].strip()} in the condition")
        return value

    def _accept(self, *words: str) -> str:
        if self.index < len(self.words) and self.words[self.index]["word"] in words:
            self.index += 1
            return self.words[self.index - 1]["word"]
        return ""

    def _or(self) -> bool:
        value = self._and()
        while self._accept("or"):
            value = self._and() or value
        return value

    def _and(self) -> bool:
        value = self._not()
        while self._accept("and"):
            value = self._not() and value
        return value

    def _not(self) -> bool:
        negative = False
        while self._accept("not"):
            negative = not negative
        if self._accept("("):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise ConditionError(f"parentheses are nested more than {MAX_DEPTH} deep")
            value = self._or()
            if not self._accept(")"):
                raise ConditionError("')' is missing in the condition")
            self.depth -= 1
            return value != negative
        return self._comparison() != negative

    def _comparison(self) -> bool:
        left, name = self._operand()
        sign = self._accept("==", "!=")
        if not sign:
            if name is None:
                raise ConditionError("a text is no condition: compare it with a name")
            return bool(left)
        right, other = self._operand()
        for word, value in ((name, left), (other, right)):
            if value is None:
                help = f"give it with --define {word}=TEXT"
                raise ConditionError(f"{word} is not defined; {help}")
        return (left == right) == (sign == "==")

    def _operand(self) -> tuple[str | None, str | None]:
        """The text, None if the name is not defined, and the name if it is one."""
        if self.index == len(self.words):
            raise ConditionError("the condition is missing or ends too early")
        match = self.words[self.index]
        self.index += 1
        if match["text"] is not None:
            return match["text"][1:-1], None
        word = match["word"]
        if word is None or not word.isidentifier() or word in ("and", "or", "not"):
            raise ConditionError(f"unexpected {match[0].strip()} in the condition")
        return self.defines.get(word), word
