"""import.md: what became of what, and what was not carried over, with places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from khs.importing.notes import Notes
from khs.importing.solution import Solution
from khs.importing.wiring import Wiring

_LOST = (
    "Not carried over",
    "What the solution has and this system has not; beside these its code and its build files, for "
    "the programs are scaffolds.",
)
_TRUSTED = (
    "Taken on trust",
    "Nothing is known of these: what the policy says under their names is accepted, every message "
    "of their own interfaces is denied. What a class among them asks of others, or of the kernel, "
    "is judged by the rules as ever: a rule without `src` grants it, too. Add the SDK's files to "
    "`interfaces/`, and take `stub` out of `system.toml`.",
)
_DENIED = (
    "Denied by the policy",
    "Services of the kernel that the programs ask for. A policy of KasperskyOS knows nothing of "
    "them; these rules grant them, in `{policy}`, unless a rule that is named denies them.",
)
_DONE = ("Decided", "Where the solution is silent.")


def report(name: str, solution: Solution, wiring: Wiring, notes: Notes) -> str:
    """The whole text; the same for the same solution."""
    lines = [f"# Import of {name}", ""]
    lines += [
        "Places are relative to the solution's folder: init description "
        f"`{notes.place(solution.init)}`, policy `{notes.place(solution.policy)}`.",
        "",
    ]
    lines += _table(
        "Processes",
        ("process", "class", "partition", "program", "from"),
        (
            (
                each.process.task,
                each.entity.name,
                each.name,
                f"partitions/{each.program}" + (" (does nothing)" if each.stub else ""),
                notes.place(each.process.location),
            )
            for each in wiring.partitions
        ),
    )
    lines += _table(
        "Channels",
        ("channel", "from", "to", "endpoint", "interface", "from line"),
        (
            (
                each.channel,
                each.client.name,
                each.server.name,
                each.endpoint.name,
                each.endpoint.interface.name,
                notes.place(each.at),
            )
            for each in wiring.links
        ),
    )
    lines += _list(*_LOST, notes.lost)
    lines += _list(*_TRUSTED, notes.trusted)
    title, words = _DENIED
    denied = [f"{what}: `{rule}`" for rule, what in notes.denied.items()]
    lines += _list(title, words.format(policy=solution.copy), denied)
    lines += _list(*_DONE, notes.done)
    lines += _table("Files", ("file", "from", "as"), _files(solution, notes))
    return "\n".join(lines)


def _files(solution: Solution, notes: Notes) -> Iterator[tuple[str, ...]]:
    for place, text in sorted(solution.copies.texts.items()):
        how = "templates expanded" if text.expanded else "unmodified"
        yield str(place), notes.place(text.origin), how


def _table(title: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"## {title}\n"
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"
    yield ""


def _list(title: str, words: str, items: list[str]) -> Iterator[str]:
    if items:
        yield f"## {title}\n\n{words}\n"
        yield from (f"- {_plain(item)}" for item in dict.fromkeys(items))
        yield ""


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _plain(text: str) -> str:
    """On one line, and no control characters: names come from files that anybody wrote."""
    return "".join(c if c.isprintable() else " " for c in text)
