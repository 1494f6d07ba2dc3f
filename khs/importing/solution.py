"""What a solution says: the processes it starts, its policy with everything that includes, and the
descriptions of classes, components and interfaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from khs.importing.notes import Notes
from khs.importing.rules import wrong
from khs.importing.survey import Survey, nearest, suffix
from khs.importing.texts import Copies, Text, read_text
from khs.monitor import EINIT_CLASS, KERNEL_CLASS
from khs.monitor.files import Connection, Location, Process, is_ours, load_init

POLICY, INTERFACES = PurePosixPath("policy"), PurePosixPath("interfaces")
#: In KasperskyOS' templates: the processes of the SDK that the build adds.
EXTERNAL = "INIT_EXTERNAL_ENTITIES"
_OURS = (KERNEL_CLASS, EINIT_CLASS)


@dataclass(frozen=True)
class Solution:
    """`init` and `policy` are files of the solution, `copy` is the policy's place in the system,
    `processes` are in their order of starting, `added` those that connections alone name."""

    init: Path
    policy: Path
    copy: PurePosixPath
    copies: Copies
    processes: tuple[Process, ...]
    added: tuple[Process, ...]
    described: frozenset[str]  # names of the classes that have an EDL


def read(
    found: Survey, notes: Notes, defines: Mapping[str, str], init: Path | None, policy: Path | None
) -> Solution:
    """Reads everything; ConfigError with what is wrong."""
    init = _inside(found, init) if init else _only_init(found)
    policy = _inside(found, policy) if policy else _nearest_policy(found, init)
    descriptions = dict(_descriptions(found, notes, policy, defines))
    described = frozenset(
        text.declares or "" for place, text in descriptions.items() if place.suffix == ".edl"
    )
    entries = _processes(init, notes, defines)
    added = tuple(_named_alone(entries, notes))
    processes = (*entries, *added)
    copies = descriptions | _policies(found, notes, policy, defines, processes, described)
    copy = POLICY / _plain_name(policy)
    _tell_unused(found, notes, copies, init)
    return Solution(init, policy, copy, Copies(copies), processes, added, described)


# ---- which files


def _inside(found: Survey, path: Path) -> Path:
    """A file that was named, as the survey has it: below the folder."""
    known = [*found.inits, *found.policies]
    wanted = [(base / path).resolve() for base in (found.root, Path.cwd())]
    same = next((each for each in known if each in wanted), None)
    if same is None:
        listed = ", ".join(str(each.relative_to(found.root)) for each in known) or "none"
        raise wrong(
            "IMP-006", path, f"this is no such file of {found.root}", f"there are: {listed}"
        )
    return same


def _only_init(found: Survey) -> Path:
    if not found.inits:
        help = "a solution has an init.yaml or init.yaml.in: name the folder that it is below"
        raise wrong("IMP-001", found.root, "there is no init description below", help)
    if len(found.inits) > 1:
        listed = ", ".join(str(path.relative_to(found.root)) for path in found.inits)
        message = f"there are {len(found.inits)} init descriptions below"
        raise wrong("IMP-001", found.root, message, f"choose one with --init: {listed}")
    return found.inits[0]


def _nearest_policy(found: Survey, init: Path) -> Path:
    names = ("security.psl", "security.psl.in")
    known = [path for path in found.policies if path.name in names]
    if not known:
        help = "a solution has a security.psl; another file is chosen with --policy"
        raise wrong("IMP-002", found.root, "there is no security.psl below", help)
    near = nearest(known, init)
    if len(near) > 1:
        listed = ", ".join(str(path.relative_to(found.root)) for path in near)
        message = f"{len(near)} policies are equally near to {init.relative_to(found.root)}"
        raise wrong("IMP-002", found.root, message, f"choose one with --policy: {listed}")
    return near[0]


def _plain_name(path: Path) -> str:
    return path.name.removesuffix(".in")


# ---- descriptions


def _descriptions(
    found: Survey, notes: Notes, policy: Path, defines: Mapping[str, str]
) -> Iterator[tuple[PurePosixPath, Text]]:
    """Each to its place by the name it declares; of several, the one nearest to the policy."""
    groups: dict[PurePosixPath, list[Text]] = {}
    for path in found.descriptions:
        text = read_text(path, defines)
        name = text.declares
        if name is None:
            notes.lose(path, "declares no class, component or package: it is not used")
        elif is_ours(name, suffix(path)):
            notes.lose(path, f"KHS has a {name} of its own, which describes its kernel")
        else:
            place = INTERFACES / PurePosixPath(*name.split(".")).with_suffix(suffix(path))
            groups.setdefault(place, []).append(text)
    for place, texts in groups.items():
        origin = nearest([text.origin for text in texts], policy)[0]
        yield place, next(text for text in texts if text.origin == origin)
        for text in texts:
            if text.origin != origin:
                said = f"describes {text.declares} as {notes.place(origin)} does, which is nearer"
                notes.lose(text.origin, f"{said} to the policy")


# ---- processes


def _processes(init: Path, notes: Notes, defines: Mapping[str, str]) -> tuple[Process, ...]:
    read = load_init(init, defines)
    for finding in read.notes:
        if finding.rule == "STUB-003":
            at = Location(finding.file, finding.line, finding.column)
            said = "what the build would put here is not known"
            notes.lose(at, f"{finding.text}: {said} ({finding.help})")
    kept = tuple(process for process in read.processes if process.name not in _OURS)
    for process in read.processes:
        if process.name in _OURS:
            notes.lose(process.location, f"{process.name} is KHS's own: no partition is made")
    if not kept:
        help = "entities:\n- name: bank.Vault"
        raise wrong("IMP-005", init, "the init description starts no process", help)
    return kept


def _named_alone(entries: Sequence[Process], notes: Notes) -> Iterator[Process]:
    """Processes that nothing describes but the connections to them: those of the SDK, which the
    solution's build would add."""
    known = {name for process in entries for name in (process.task, process.name)}
    for process in entries:
        for connection in connections(process):
            name = connection.target
            if name in known:
                continue
            known.add(name)
            notes.decide(connection.location, f"{name} is no entry: a process of that class")
            yield Process(name, name, name, (), {}, (), connection.location)


# ---- policies


def _policies(
    found: Survey,
    notes: Notes,
    policy: Path,
    defines: Mapping[str, str],
    processes: tuple[Process, ...],
    described: frozenset[str],
) -> dict[PurePosixPath, Text]:
    """The policy and what it includes, in one folder: names are paths below it."""
    defines = _with_external(notes, policy, defines, processes, described)
    copies = {POLICY / _plain_name(policy): read_text(policy, defines)}
    waiting = list(copies.values())
    while waiting:
        for name in waiting.pop().includes:
            relative = PurePosixPath(*name.split(".")).with_suffix(".psl")
            if POLICY / relative in copies or name.startswith("nk."):
                continue
            known = [path for path in found.policies if _is_named(path, relative)]
            if known:
                text = read_text(nearest(known, policy)[0], defines)
                copies[POLICY / relative] = text
                waiting.append(text)
    return copies


def _is_named(path: Path, relative: PurePosixPath) -> bool:
    parts = (*path.parent.parts, _plain_name(path))
    return parts[-len(relative.parts) :] == relative.parts


def _with_external(
    notes: Notes,
    policy: Path,
    defines: Mapping[str, str],
    processes: tuple[Process, ...],
    described: frozenset[str],
) -> Mapping[str, str]:
    """What KasperskyOS' build puts into a policy: the classes of the SDK's processes. In the init
    description the same name stands for their entries, so that --define is for that alone."""
    others = {name: text for name, text in defines.items() if name != EXTERNAL}
    if f"@{EXTERNAL}@" not in read_text(policy, others).source.text:
        return defines
    names = dict.fromkeys(each.name for each in processes if each.name not in described)
    notes.decide(policy, f"@{EXTERNAL}@ stands for use EDL {', '.join(names) or '(none)'}")
    return {**defines, EXTERNAL: "\n".join(f"use EDL {name}" for name in names)}


def _tell_unused(
    found: Survey, notes: Notes, copies: Mapping[PurePosixPath, Text], init: Path
) -> None:
    used = {text.origin for text in copies.values()} | {init}
    for path in [*found.inits, *found.policies]:
        if path not in used:
            notes.lose(path, "is not part of what this init description and policy name")
    for path, why in found.skipped:
        notes.lose(path, why)


def connections(process: Process) -> tuple[Connection, ...]:
    """Those that lead to another process than the kernel's own, which hypercalls serve."""
    return tuple(each for each in process.connections if each.target not in _OURS)
