"""kss query"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from kss.cli import common, options

if TYPE_CHECKING:
    from kss.analysis.conditions import Describer
    from kss.analysis.query import Query, Row
    from kss.errors import Location


class Kind(StrEnum):
    EXECUTE = "execute"
    REQUEST = "request"
    RESPONSE = "response"
    ERROR = "error"
    SECURITY = "security"


def query(
    file: options.Policy,
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only such events.")] = None,
    src: Annotated[str | None, typer.Option(metavar="CLASS", help="Only from this class.")] = None,
    dst: Annotated[str | None, typer.Option(metavar="CLASS", help="Only to this class.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this endpoint, with its path.")
    ] = None,
    method: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this method.")] = None,
    granted: Annotated[bool, typer.Option("--granted", help="What is always granted.")] = False,
    conditional: Annotated[
        bool, typer.Option("--conditional", help="What depends on the message or on state.")
    ] = False,
    denied: Annotated[bool, typer.Option("--denied", help="What is never granted.")] = False,
    include: options.Include = None,
    stub: options.Stub = False,
    define: options.Define = None,
    as_json: options.Json = False,
) -> int:
    """Who may do what to whom: a row for each interaction of the classes of a policy.

    `granted` and `denied` hold for every message that conforms to its interface, and for every
    state. Below what is conditional stand the conditions, all of which must hold, each with the
    place of its rule; one that cannot be evaluated does not hold. What is never possible is denied
    in every state of a Flow that events of this policy lead to. Of what is denied because no rule
    is for it only the number is told, unless --denied asks for it. What rules say of classes that
    --stub takes on trust is not known, and always shown; what these may ask of others is granted
    like anybody's, so that rows for every class name them.

        kss query security.psl -I interfaces
        kss query security.psl --dst yard.Gate --conditional
        kss query security.psl --kind request --src yard.Panel --denied
        kss query security.psl --granted --json
    """
    from kss.analysis.decide import Verdict
    from kss.analysis.guards import Wanted
    from kss.analysis.query import Query
    from kss.cli import inputs
    from kss.events import Kind as EventKind

    policy = inputs.policy(file, include, define, stub)
    asked = EventKind[kind.name] if kind else None
    given = ((granted, Verdict.GRANTED), (conditional, Verdict.CONDITIONAL))
    verdicts = [word for flag, word in (*given, (denied, Verdict.DENIED)) if flag]
    verdicts = [*verdicts, Verdict.UNKNOWN] if verdicts else list(Verdict)
    questions = Query(policy.tree)
    rows = questions.rows(Wanted(asked, src, dst, endpoint, method), verdicts)
    if as_json:
        found = [questions.json(row) for row in rows]
        common.print_json({"rows": found, "stubs": questions.stubs})
    else:
        _print(list(rows), questions, defaults=denied)
    return common.OK


def _print(rows: list[Row], questions: Query, defaults: bool) -> None:
    from kss.analysis.conditions import lines
    from kss.analysis.decide import Verdict
    from kss.cli import columns

    shown = [row for row in rows if defaults or not row.by_default]
    merged = _merged(shown, questions.classes)
    cells = [_cells(row, peer) for row, peer in merged]
    room = columns.width()
    widths = columns.fitted([_HEAD, *cells], room)
    for line in columns.lines(_HEAD, widths) if shown else ():
        print(line)
    for (row, peer), cell in zip(merged, cells, strict=True):
        *above, last = columns.lines(cell, widths)
        for line in above:
            print(line)
        place = _place(row, questions.describer)
        for line in _placed(last, f"    {place}" if place else "", room):
            print(line)
        for line in _conditions(lines(row.conditions), room):
            print(line)
        if row.stub or row.never:
            print(f"    {row.stub or row.never}")
        if peer == ANYBODY and row.verdict is not Verdict.DENIED and questions.stub_classes:
            print(f"    stub classes among them: {', '.join(questions.stub_classes)}")
    untold = len(rows) - len(shown)
    if untold:
        print(f"{untold} more are denied: no rule is for them (--denied lists them)")
    elif not rows:
        print("none")
    for name, unknown in questions.stubs.items():
        print(f"{name} is {unknown}")


def _merged(rows: list[Row], classes: int) -> list[tuple[Row, str]]:
    """Rows that differ in the peer only, and are there for every class, become one; each with the
    name of the peer."""
    found: list[tuple[Row, str]] = []
    for _, group in groupby(rows, key=lambda row: (row.interaction.operation, id(row.conditions))):
        alike = list(group)
        if len(alike) == classes > 1:
            found.append((alike[0], ANYBODY))
        else:
            peers = (row.interaction.peer for row in alike)
            names = (peer.name if peer else "" for peer in peers)
            found += zip(alike, names, strict=True)
    return found


ANYBODY = "(every class)"
_HEAD = ("kind", "from", "to", "endpoint and method", "verdict")


def _cells(row: Row, peer: str) -> tuple[str, ...]:
    kind, _, _, endpoint, method = row.interaction.key
    server = row.interaction.operation.server.name
    ends = (server, peer) if row.interaction.kind.server_is_source else (peer, server)
    word = row.verdict.value
    if row.by_default:
        word = f"{word}: no rule"
    elif row.stub:
        word = f"{word}, of a stub"
    elif row.never:
        word = f"{word}: never possible"
    elif row.conditions.conditions and word != "conditional":
        holding = "always hold" if word == "granted" else "never hold together"
        word = f"{word}: these {holding}"
    return (kind, *ends, ".".join(name for name in (endpoint, method) if name), word)


def _place(row: Row, describer: Describer) -> str:
    """Where the rule stands that grants or denies alone, "" if there is none such."""
    if row.by_default or row.conditions.conditions:
        return ""
    at = describer.place(row.rules[0])
    return f"{at.file}:{at.line}"


def _conditions(lines: Iterable[tuple[int, str, Location | None]], room: int) -> Iterable[str]:
    for indent, text, at in lines:
        begin = "    " + "  " * indent
        place = f"{begin}  {at.file}:{at.line}" if at else ""
        yield from _placed(f"{begin}{text}", place, room)


def _placed(line: str, place: str, room: int) -> Iterable[str]:
    """A line with a place behind, or below if there is no room."""
    beside = f"{line}  {place.strip()}".rstrip()
    if len(beside) <= room:
        yield beside
    else:
        yield line
        yield place
