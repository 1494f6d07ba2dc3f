"""Reading a system: files -> overlays -> tables -> checks -> the frozen description."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from khs.config import boards, checks, rules, toml
from khs.config.document import Document, UnreadableError
from khs.config.freeze import Freezer
from khs.config.model import Board, System
from khs.config.read import Reader
from khs.config.render import render
from khs.config.salvage import Salvaged, salvage
from khs.config.toml import Source
from khs.errors import ConfigError, Finding

#: Looks at a system that has no errors so far.
Hook = Callable[[System], Iterable[Finding]]
#: Looks at what is left of one that has.
Anyway = Callable[[Salvaged], Iterable[Finding]]


@dataclass(frozen=True)
class _Draft:
    """A document as read, with what reading it found."""

    files: tuple[Path, ...]
    root: Path
    source: Source
    document: Document
    board: Board | None
    findings: list[Finding]

    def context(self) -> rules.Context:
        return rules.Context(self.document, self.source, self.root, self.board)


def load(
    system: Path,
    *,
    overlays: Sequence[Path] = (),
    board: str | None = None,
    release: bool = False,
    also: Sequence[Hook] = (),
) -> System:
    """Reads and checks a system.

    `system` is a folder with system.toml or such a file, `overlays` are laid over it in their
    order, `board` replaces its board. `release` asks for pinned hashes and no stubs. `also` are
    the checks of later stages, run if there is no error before. Raises ConfigError with all
    findings if one of them is an error; the warnings of a good system are in `System.warnings`.
    """
    loaded, findings = _check(system, overlays, board, release, also)
    if loaded is None:
        raise ConfigError(findings)
    return loaded


def check(
    system: Path,
    *,
    overlays: Sequence[Path] = (),
    board: str | None = None,
    release: bool = False,
    also: Sequence[Hook] = (),
    anyway: Sequence[Anyway] = (),
) -> list[Finding]:
    """All findings about a system, in the order of files and lines; see `load`. `anyway` are checks
    of later stages that are run in place of `also` if there are errors."""
    return _check(system, overlays, board, release, also, anyway)[1]


def resolve(system: Path, *, overlays: Sequence[Path] = (), board: str | None = None) -> str:
    """The effective document: overlays and board applied, defaults written out.

    It may break rules of the whole; ConfigError if a key or a value is wrong in itself.
    """
    draft = _draft(system, overlays, board)
    if _has_errors(draft.findings):
        raise ConfigError(draft.findings)
    try:
        return render(draft.document)
    except UnreadableError:
        raise ConfigError(draft.findings) from None


def check_text(document: str, board: str, file: Path) -> list[Finding]:
    """All findings about a document and its board file that came without the files they name.

    Findings are placed in `file`, the archive that both are members of; the message says which.
    """
    member = "board.toml"
    try:
        model = boards.check(toml.parse(board, str(file)), file)
        member = "system.toml"
        source = toml.parse(document, str(file))
        reader = Reader(source, str(file))
        context = rules.Context(reader.document(Document), source, file, model, detached=True)
        findings = reader.findings + rules.run(context, str(file))
    except ConfigError as error:
        findings = list(error.findings)
    return [replace(each, message=f"{member}: {each.message}") for each in findings]


def _check(
    system: Path,
    overlays: Sequence[Path],
    board: str | None,
    release: bool,
    also: Sequence[Hook],
    anyway: Sequence[Anyway] = (),
) -> tuple[System | None, list[Finding]]:
    try:
        draft = _draft(system, overlays, board)
    except ConfigError as error:
        return None, list(error.findings)
    findings = draft.findings + rules.run(draft.context(), str(draft.files[0]))
    order = {str(file): number for number, file in enumerate(draft.files)}

    def by_place(finding: Finding) -> tuple[int, int, int, str]:
        number = order.get(finding.file, len(order))
        return number, finding.line, finding.column, finding.rule

    loaded = None if _has_errors(findings) else _freeze(draft, findings)
    if loaded is not None:
        for hook in (*also, checks.releasable) if release else also:
            findings += hook(loaded)
    elif anyway and (salvaged := salvage(draft.context(), draft.files)) is not None:
        findings += [found for look in anyway for found in look(salvaged)]
    findings.sort(key=by_place)
    return (None if _has_errors(findings) else loaded), findings


def _has_errors(findings: Iterable[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def _freeze(draft: _Draft, findings: list[Finding]) -> System | None:
    assert draft.board is not None, "without a board there are errors"
    freezer = Freezer(draft.document, draft.board, draft.root)
    try:
        return freezer.system(draft.files, draft.source, tuple(findings))
    except OSError as error:
        text = f"{error.filename} cannot be read: {error.strerror}"
        findings.append(Finding("FILE-001", "error", str(draft.files[0]), 1, 1, text, ""))
        return None


def _draft(system: Path, overlays: Sequence[Path], board: str | None) -> _Draft:
    main = system / "system.toml" if system.is_dir() else system
    files = (main, *overlays)
    source = _read(files)
    root = main.absolute().parent
    if board is not None:
        _override(source, board, main)
    reader = Reader(source, str(main))
    document: Document = reader.document(Document)
    model, findings = _board(document, root)
    return _Draft(files, root, source, document, model, reader.findings + findings)


def _read(files: Sequence[Path]) -> Source:
    sources: list[Source] = []
    findings: list[Finding] = []
    for file in files:
        try:
            sources.append(toml.read(file))
        except ConfigError as error:
            findings += error.findings
    if findings:
        raise ConfigError(findings)
    result = sources[0]
    for source in sources[1:]:
        result = toml.overlay(result, source)
    return result


def _override(source: Source, board: str, main: Path) -> None:
    """Writes the board of the command line, a path there relative to the working folder, into
    the document."""
    path = boards.find(board)
    if path is None:
        help = rules.suggest(board, boards.names(), "boards")
        problem = rules.Problem(("system", "board"), f'--board: there is no board "{board}"', help)
        raise ConfigError([rules.finding(source, str(main), rules.RULES["BOARD-001"], problem)])
    if isinstance(source.data.get("system"), dict):
        shipped = path.parent == boards.folder()
        source.data["system"] = {
            **source.data["system"],
            "board": path.stem if shipped else os.path.relpath(path, main.absolute().parent),
        }


def _board(document: Document, root: Path) -> tuple[Board | None, list[Finding]]:
    try:
        path = boards.find(document.system.board, root)
        return (None, []) if path is None else (boards.load(path), [])
    except UnreadableError:
        return None, []
    except ConfigError as error:
        return None, list(error.findings)
