"""Gathering a policy: its files in inclusion order, and what they declare."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from kss import syntax
from kss.errors import Findings, Location, did_you_mean
from kss.grammar.pal import KINDS
from kss.grammar.psl import parse_policy
from kss.grammar.recovery import ANYTHING, Hidden
from kss.models import FILES, MODELS
from kss.own.parse import SUFFIX, parse_model
from kss.own.shipped import shipped
from kss.own.tree import Definition
from kss.packages import find
from kss.source import Search, read_source
from kss.stubs import Stubs
from kss.syntax import Span, Word

# What opens a declaration that declares no name.
_NAMELESS = frozenset((*KINDS, "assert"))

D = TypeVar("D")


class Loader:
    """Reads a policy file and everything it uses, each file once.

    `declarations` are in order of evaluation: a file before the files it uses, these in the order
    in which it uses them. `provided` are the names of the built-in nk files in use, `models` the
    users' own models by name. `hidden` are names that declarations with syntax errors may declare,
    `hidden_classes` those of classes. Not `complete`: a file lacks, which may declare anything; or,
    with `lost_models`, one of a model only.
    """

    def __init__(self, search: Search, findings: Findings, stubs: Stubs) -> None:
        self._search = search
        self._findings = findings
        self._stubs = stubs
        self.declarations: list[syntax.Declaration] = []
        self.provided: list[str] = []
        self.models: dict[str, Definition] = {}
        self._model_files: set[Path] = set()
        self.hidden: set[str] = set()
        self.hidden_classes: set[str] = set()
        self.lost_models = False
        self.complete = True

    def load(self, path: Path) -> None:
        pending = [path]
        seen: set[Path] = set()
        while pending:
            current = pending.pop()
            if current.resolve() in seen:
                continue
            seen.add(current.resolve())
            source = self._search.read(current, self._findings)
            if source is None:
                self.complete = False
                continue
            declarations, hidden = parse_policy(source, self._findings)
            for item in hidden:
                self._hide(item)
            self.declarations += declarations
            used = [self._locate(d) for d in declarations if isinstance(d, syntax.UseFile)]
            pending += [found for found in reversed(used) if found is not None]
        if self._stubs.enabled and not set(self.provided) & {"nk.base", "nk.basic"}:
            message = "the policy does not include nk.base._: it is taken as included"
            at = Location(str(path), 1, 1)
            self._findings.note("STUB-006", at, message, "use nk.base._")
            self.provided.append("nk.base")

    def _hide(self, broken: Hidden) -> None:
        opener, names = broken.opener, broken.names
        if opener in ("EDL", "task", ""):
            self.hidden_classes |= names
        if opener in ("policy", "type", "audit", ""):
            self.hidden |= names
        if opener in ("use", ANYTHING) or not (names or opener in _NAMELESS):
            self.complete = False

    def _locate(self, use: syntax.UseFile) -> Path | None:
        if not use.path:
            return self._misspelt(use)
        if use.path.split(".")[0] == "nk":
            self._provide(use)
            return None
        found = self._search.exact(use.path, ".psl")
        if found is None and not self._is_model(use) and not self._is_class(use):
            self._missing(use)
        return found

    def _misspelt(self, use: syntax.UseFile) -> Path | None:
        """What `use X`, which names neither a file nor a class, was meant to use."""
        name = use.span.text
        if find(self._search, name, ".edl") is not None:
            self.hidden_classes.add(name)
            return None
        found = self._search.exact(name, ".psl")
        self.complete &= found is not None
        return found

    def _is_model(self, use: syntax.UseFile) -> bool:
        """Whether `use X._` names a user's own model, which is read then."""
        path = self._search.exact(use.path, SUFFIX)
        if path is None:
            return False
        if path.resolve() in self._model_files:
            return True
        self._model_files.add(path.resolve())
        source = read_source(path, self._findings)
        model = parse_model(source, self._findings) if source else None
        if model is None:
            self.lost_models = True
        elif model.name in MODELS or model.name in self.models:
            message = f"there is already a model {model.name}"
            help = f"rename the class in {path.name}"
            self._findings.error("MODEL-002", use.span.at, message, help, use.span.text)
        else:
            self.models[model.name] = model
        return True

    def _is_class(self, use: syntax.UseFile) -> bool:
        """Whether `use X._` names a class: then it means `use EDL X`."""
        if find(self._search, use.path, ".edl") is None:
            return False
        message = f"{use.path} is a process class, not a policy file"
        help = f"use EDL {use.path}"
        self._findings.warning("PSL-008", use.span.at, message, help, use.span.text)
        word = Word(use.path, Span(use.span.source, use.span.start, use.span.end - len("._")))
        self.declarations.append(syntax.UseClass(word, word))
        return True

    def _missing(self, use: syntax.UseFile) -> None:
        help = self._search.hint(use.path, ".psl")
        message = f"there is no policy file {use.path}"
        if self._stubs.enabled:
            message = f"{message}: it is left out"
            self._findings.note("STUB-003", use.span.at, message, help, use.span.text)
            return
        self.complete = False
        self._findings.error("PSL-002", use.span.at, message, help, use.span.text)

    def _provide(self, use: syntax.UseFile) -> None:
        if use.path in FILES:
            if use.path not in self.provided:
                self.provided.append(use.path)
        else:
            own = f"kss.{use.path.removeprefix('nk.')}"
            help = f"use {own}._" if own in shipped().values() else did_you_mean(use.path, FILES)
            message = f"there is no built-in file {use.path}"
            self._findings.error("PSL-003", use.span.at, message, help, use.span.text)

    def of(self, kind: type[D]) -> list[D]:
        """The declarations of one kind, in order."""
        return [item for item in self.declarations if isinstance(item, kind)]
