"""The system is written beside its place, checked as `khs check` does, and moved there if it is
sound: what is wrong is told of the solution's own files, and nothing is left behind."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from khs import config, image
from khs.errors import ConfigError, Finding, KhsError
from khs.importing.document import document
from khs.importing.notes import Notes
from khs.importing.program import program
from khs.importing.report import report
from khs.importing.services import tell_denied
from khs.importing.solution import INTERFACES, Solution, read
from khs.importing.survey import survey
from khs.importing.wiring import Wiring, wire
from khs.monitor import finding
from khs.monitor.files import Location, Policy, load_policy_file


@dataclass(frozen=True)
class Imported:
    """What `import_solution` wrote. `lost` and `trusted` are sentences of import.md; `denied` are
    rules that `policy` lacks -> what the programs do not get without them."""

    folder: Path
    files: tuple[Path, ...]
    lost: tuple[str, ...]
    trusted: tuple[str, ...]
    denied: Mapping[str, str]
    policy: Path


def import_solution(
    source: Path,
    folder: Path | None = None,
    *,
    init: Path | None = None,
    policy: Path | None = None,
    defines: Mapping[str, str] | None = None,
    board: str = "sabrelite",
    programs: Path | None = None,
) -> Imported:
    """Turns the solution below `source` into a system in `folder`, which must be new or empty.

    `init` and `policy` choose among several files, `defines` gives texts to template placeholders.
    A folder of `programs` that is called like a program takes its scaffold's place. ConfigError
    with every finding, in the solution's own files; KhsError if a folder is none or holds something
    that does not belong there.
    """
    if programs is not None and not programs.is_dir():
        raise KhsError(f"--programs: there is no folder {programs}")
    source = source.resolve()
    name = _name(source)
    folder = (folder or Path(f"{name}-khs")).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise KhsError(f"{folder} is not empty\n  help: choose a folder with -o")
    notes = Notes(source)
    try:
        solution = read(survey(source), notes, defines or {}, init, policy)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=folder.parent) as place:
            draft = Path(place) / "system"
            _write(draft, name, board, solution, notes, programs)
            shutil.move(draft, folder) if not folder.exists() else _fill(draft, folder)
    except OSError as error:
        raise KhsError(f"cannot write {error.filename}: {error.strerror}") from error
    files = tuple(path for path in sorted(folder.rglob("*")) if path.is_file())
    told = (tuple(notes.lost), tuple(notes.trusted), notes.denied)
    return Imported(folder, files, *told, folder / solution.copy)


def _name(source: Path) -> str:
    """The name of the system: that of the solution's folder."""
    plain = re.sub(r"[^a-z0-9]+", "-", source.name.lower()).strip("-")
    return (plain if plain[:1].isalpha() else f"solution-{plain}".strip("-"))[:40].strip("-")


def _fill(draft: Path, folder: Path) -> None:
    for path in draft.iterdir():
        shutil.move(path, folder / path.name)


def _write(
    draft: Path,
    name: str,
    board: str,
    solution: Solution,
    notes: Notes,
    programs: Path | None,
) -> None:
    """All files; ConfigError if the system is not sound."""
    solution.copies.write(draft)
    (draft / INTERFACES).mkdir(exist_ok=True)
    try:
        policy, stub = _policy(draft, solution, notes)
        wiring = wire(solution, policy, notes)
        text = document(name, board, solution, wiring, stub)
        (draft / "system.toml").write_text(text, encoding="utf-8")
        ready = _given(programs, wiring, notes)
        _programs(draft, wiring, ready)
        tell_denied(wiring, policy, draft, ready, notes)
        (draft / "import.md").write_text(report(name, solution, wiring, notes), encoding="utf-8")
        findings = image.check(config.load(draft, board=board))
        if any(each.severity == "error" for each in findings):
            raise ConfigError(findings)
    except ConfigError as error:
        raise ConfigError(_told(error, draft, solution)) from None


def _told(error: ConfigError, draft: Path, solution: Solution) -> Iterator[Finding]:
    """The errors, in the solution's own files; what was taken on trust on the way is no matter."""
    for each in error.findings:
        if each.severity == "error":
            help = each.help.replace(f"{draft}/", "")
            each = solution.copies.back(each, draft)
            if Path(each.file).is_relative_to(draft):  # of system.toml, which nobody gets to see
                each = replace(each, file=str(solution.init), line=0, column=0)
            yield replace(each, help=help)


def _policy(draft: Path, solution: Solution, notes: Notes) -> tuple[Policy, bool]:
    """The copied policy, and whether something in it was taken on trust."""
    path, include = draft / solution.copy, [draft / INTERFACES]
    try:
        return load_policy_file(path, include, stub=False), False
    except ConfigError:
        policy = load_policy_file(path, include, stub=True)
    for each in policy.warnings:
        if each.rule.startswith("STUB-"):
            found = solution.copies.back(finding(each), draft)
            at = Location(found.file, found.line, found.column)
            notes.trusted.append(f"{notes.place(at)}: {found.message}")
    return policy, True


def _given(folder: Path | None, wiring: Wiring, notes: Notes) -> dict[str, Path]:
    """The folders of programs that are given, by the name of the program."""
    if folder is None:
        return {}
    known = {partition.program for partition in wiring.partitions}
    found = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    for name in sorted(found.keys() - known):
        help = f"programs of this system: {', '.join(sorted(known))}"
        raise KhsError(f"--programs: {found[name]} is a program of no class\n  help: {help}")
    notes.done += [f"partitions/{name}: given, no scaffold" for name in found]
    return found


def _programs(draft: Path, wiring: Wiring, given: Mapping[str, Path]) -> None:
    for partition in wiring.partitions:
        folder = draft / "partitions" / partition.program
        if folder.exists():
            continue
        if partition.program in given:
            shutil.copytree(given[partition.program], folder)
            continue
        folder.mkdir(parents=True)
        text = program(partition.entity, wiring.asked_by(partition.entity))
        (folder / "main.c").write_text(text, encoding="utf-8")
