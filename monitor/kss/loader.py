"""Gathering a policy: its files in inclusion order, and what they declare."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from kss import syntax
from kss.errors import Findings, did_you_mean
from kss.grammar.psl import parse_policy
from kss.models import FILES, NOT_YET
from kss.source import Search, read_source

D = TypeVar("D")


class Loader:
    """Reads a policy file and everything it uses, each file once.

    `declarations` are in order of evaluation: a file before the files it uses, these in the order
    in which it uses them. `provided` are the names of the built-in nk files in use.
    """

    def __init__(self, search: Search, findings: Findings) -> None:
        self._search = search
        self._findings = findings
        self.declarations: list[syntax.Declaration] = []
        self.provided: list[str] = []
        self.sound = True

    def load(self, path: Path) -> None:
        pending = [path]
        seen: set[Path] = set()
        while pending:
            current = pending.pop()
            if current.resolve() in seen:
                continue
            seen.add(current.resolve())
            source = read_source(current, self._findings)
            if source is None:
                self.sound = False
                continue
            declarations, sound = parse_policy(source, self._findings)
            self.sound &= sound
            self.declarations += declarations
            used = [self._locate(d) for d in declarations if isinstance(d, syntax.UseFile)]
            pending += [found for found in reversed(used) if found is not None]

    def _locate(self, use: syntax.UseFile) -> Path | None:
        if not use.path:
            self.sound = False
            return None
        if use.path.split(".")[0] == "nk":
            self._provide(use)
            return None
        found = self._search.exact(use.path, ".psl")
        if found is None:
            self.sound = False
            help = self._search.hint(use.path, ".psl")
            message = f"there is no policy file {use.path}"
            self._findings.error("PSL-002", use.span.at, message, help, use.span.text)
        return found

    def _provide(self, use: syntax.UseFile) -> None:
        if use.path in FILES:
            if use.path not in self.provided:
                self.provided.append(use.path)
        elif use.path in NOT_YET:
            message = f"model {NOT_YET[use.path]} is not supported by this version"
            help = f"there are {', '.join(sorted(FILES))}"
            self._findings.error("PSL-003", use.span.at, message, help, use.span.text)
        else:
            help = did_you_mean(use.path, FILES)
            message = f"there is no built-in file {use.path}"
            self._findings.error("PSL-003", use.span.at, message, help, use.span.text)

    def of(self, kind: type[D]) -> list[D]:
        """The declarations of one kind, in order."""
        return [item for item in self.declarations if isinstance(item, kind)]
