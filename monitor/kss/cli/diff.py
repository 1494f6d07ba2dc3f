"""kss diff"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kss.cli import common, options

if TYPE_CHECKING:
    from kss.analysis.diff import Change, Said


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A policy, a .psl file.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The policy to compare with it.")],
    include: options.Include = None,
    stub: options.Stub = False,
    define: options.Define = None,
    engine: options.Judge = options.Engine.VM,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 1 if there is a change.")
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Which interactions two policies judge differently, each with an example.

    The example is an event on which the two verdicts differ, tried on both policies. Where it takes
    a state to see the difference, the events that lead there come before it. `unknown` stands where
    it is not certain that nothing changed and no example was found either, with the reason: looking
    is given up after a number of steps. An interaction is compared for every message and every
    state, whether any event leads to that state or not.

    Both policies search the folders of -I, each its own folder first.

        kss diff security.psl proposed.psl -I interfaces
        kss diff v1/security.psl v2/security.psl --json --exit-code
    """
    from kss.analysis.diff import Diff, to_document
    from kss.analysis.replay import Replay
    from kss.cli import inputs

    policies = [inputs.policy(file, include, define, stub) for file in (old, new)]
    replays = [Replay(policy, inputs.engine(engine, policy)) for policy in policies]
    changes = list(Diff(*replays).changes())
    if as_json:
        common.print_json(to_document(changes))
    else:
        for change in changes:
            for line in _lines(change):
                print(line)
        print(f"{len(changes)} change{'s'[: len(changes) != 1]}")
    return common.FINDINGS if changes and exit_code else common.OK


def _lines(change: Change) -> Iterator[str]:
    if change.verdicts is None:
        yield f"{change.interaction}: unknown: {change.why}"
    else:
        old, new = ("granted" if granted else "denied" for granted in change.verdicts)
        yield f"{change.interaction}: {old} -> {new}"
    yield from _said("old", change.old)
    yield from _said("new", change.new)
    for line in change.history:
        yield f"    after {json.dumps(line)}"
    if change.example is not None:
        yield f"    event {json.dumps(change.example)}"


def _said(which: str, said: Said | None) -> Iterator[str]:
    """The verdict in general, and its conditions."""
    from kss.analysis.conditions import lines

    if said is None:
        yield f"    {which}: not known, so denied"
        return
    yield f"    {which}: {said.verdict.value}"
    for indent, text, at in lines(said.conditions):
        place = f"  {at.file}:{at.line}" if at else ""
        yield f"    {'  ' * (indent + 1)}{text}{place}"
