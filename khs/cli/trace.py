"""khs trace"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from khs.cli import common

if TYPE_CHECKING:
    from khs.trace import Event, Names, Reader


def trace(
    file: Annotated[
        Path | None, typer.Argument(help="What khs run --trace wrote, or the folder of --record.")
    ] = None,
    diff: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--diff", metavar="A B", help="The first difference of two traces."),
    ] = None,
    partition: Annotated[
        str | None, typer.Option(help="Only this partition; with --diff, what it could observe.")
    ] = None,
    kinds: Annotated[
        list[str] | None, typer.Option("--type", help="Only this type of event; repeatable.")
    ] = None,
    denied: Annotated[bool, typer.Option("--denied", help="Only denials.")] = False,
    events: Annotated[
        bool, typer.Option("--events", help="What was judged, as lines for kss eval.")
    ] = False,
    perfetto: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write it as a picture, for ui.perfetto.dev."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Events as JSON lines.")] = False,
) -> int:
    """Print a trace, a line an event: when, who, what, and for verdicts why.

    With --diff, the first event in which two traces differ, and what came before it; exits 1 if
    there is one. Of a recorded run it is the trace file that was written with it; if there is none,
    the run is made again.

        khs trace run.trace --denied
        khs trace run.trace --partition sensor --type hypercall --type fault
        khs trace run.trace --json | jq .type
        khs trace run.trace --events | kss coverage security.psl --events -
        khs trace --diff before.trace after.trace
        khs trace run.trace --perfetto run.pftrace
    """
    if perfetto is not None:
        if file is None or diff or kinds or denied or events or partition:
            common.usage("--perfetto takes a trace file, and shows all events of it")
        return _picture(file, perfetto, as_json)
    if diff is not None:
        if kinds or denied or events:
            common.usage("--diff compares all events; only --partition narrows it")
        return _diff(*diff, partition, as_json)
    if file is None:
        common.usage("give a trace file, or two with --diff")
    if events:
        if kinds or denied or partition:
            common.usage(
                "--events prints all events that were judged: each may hang on those before"
            )
        return _event_lines(file, as_json)
    return _print(file, partition, kinds or [], denied, as_json)


def _print(file: Path, partition: str | None, kinds: list[str], denied: bool, as_json: bool) -> int:
    from khs.cli.recorded import trace_of
    from khs.trace import Names, Reader, format, to_json

    with trace_of(file, quiet=as_json) as path, Reader(path) as reader:
        names = Names.from_header(reader.header)
        for event in _selected(reader, names, partition, kinds, denied):
            print(json.dumps(to_json(event, names)) if as_json else format(event, names))
    return common.OK


def _picture(file: Path, out: Path, as_json: bool) -> int:
    from khs.cli.recorded import trace_of
    from khs.trace import Reader, perfetto

    common.not_the_same(file, out)
    with trace_of(file, quiet=as_json) as trace, Reader(trace) as reader:
        count = perfetto.write(reader, out)
    if as_json:
        common.print_json({"perfetto": str(out), "events": count})
    else:
        print(f"{out} shows {count} events; open it in https://ui.perfetto.dev")
    return common.OK


def _event_lines(file: Path, quiet: bool) -> int:
    from khs.cli.recorded import trace_of
    from khs.trace import Names, Reader
    from khs.trace.events import Verdict
    from khs.trace.lines import EventLines

    lines = EventLines()
    with trace_of(file, quiet=quiet) as path, Reader(path) as reader:
        names = Names.from_header(reader.header)
        for event in reader.events():
            if isinstance(event, Verdict) and (line := lines.line(event, names)) is not None:
                print(json.dumps(line))
            names.observe(event)
    return common.OK


def _selected(
    reader: Reader, names: Names, partition: str | None, kinds: list[str], denied: bool
) -> Iterator[Event]:
    from khs.trace.events import Verdict
    from khs.trace.kinds import EventType

    known = [kind.word for kind in EventType]
    for kind in kinds:
        if kind not in known:
            common.usage(f"there is no event type '{kind}'\n  help: one of {', '.join(known)}")
    if partition is not None and partition not in names.partitions:
        parts = ", ".join(names.partitions)
        common.usage(f"the trace has no partition '{partition}'\n  help: one of {parts}")
    for event in reader.events():
        own = partition is None or (
            event.partition is not None and names.partition(event.partition) == partition
        )
        refused = not denied or (isinstance(event, Verdict) and not event.granted)
        if own and refused and (not kinds or event.kind.word in kinds):
            yield event
        names.observe(event)


def _diff(a: Path, b: Path, partition: str | None, as_json: bool) -> int:
    from khs.cli.recorded import trace_of
    from khs.trace import diff

    with trace_of(a, quiet=as_json) as one, trace_of(b, quiet=as_json) as other:
        found = diff(one, other, partition=partition)
    if as_json:
        difference = None if found is None else found.to_json()
        common.print_json({"equal": found is None, "first_difference": difference})
    elif found is None:
        print("equal")
    else:
        print(f"event {found.index} is the first that differs; before it:")
        for line in found.before:
            print(f"    {line}")
        print(f"  a {found.a or 'has ended'}")
        print(f"  b {found.b or 'has ended'}")
    return common.OK if found is None else common.FINDINGS
