"""khs replay"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from khs.cli import common, options
from khs.cli.joined import DeviceModels
from khs.cli.run import Isolate, ShowConsole, TraceFile

if TYPE_CHECKING:
    from khs.record import Recording
    from khs.replay import Judged, Replayed
    from khs.trace import Difference


def replay(
    recording: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of khs run --record.")
    ],
    policy: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Under this policy from the start instead of its own."),
    ] = None,
    trace: TraceFile = None,
    isolate: Isolate = False,
    console: ShowConsole = False,
    device: DeviceModels = None,
    as_json: options.Json = False,
) -> int:
    """Run a recorded run again, and check that it comes to the same trace.

    Exits 1 if it does not, with the first event that differs if the run was recorded with a trace
    file. With --policy, runs it under another policy: prints the first decision that differs and
    what follows from it, and exits 1 if there is one. FILE is a PSL file, a compiled policy, or
    one of the system by name, as with khs run --policy-at.

        khs run iot-gateway --record kept
        khs replay kept
        khs replay kept --trace again.trace
        khs replay kept --policy stricter.psl
    """
    from khs import record
    from khs import replay as replays
    from khs.attached import attached
    from khs.cli.progress import Reporter

    recorded = record.read(recording)
    other = None if policy is None else replays.read(recorded, policy)
    plan = replays.plan(
        recorded,
        isolate=isolate,
        trace=trace,
        attached=attached(devices=device or []),
        say=common.note,
    )
    show = partial(print, file=sys.stderr if as_json else sys.stdout, flush=True)
    told = show if console else None
    with Reporter(quiet=as_json, live=not console) as reporter:
        reporter.step(f"running {plan.frames} frames")
        if other is None:
            again = replays.replay(recorded, plan, reporter.frames, told)
        else:
            judged = replays.judge(recorded, other, plan, reporter.frames, told)
    return _judged(judged, as_json) if other is not None else _again(again, recorded, as_json)


def _again(again: Replayed, recorded: Recording, as_json: bool) -> int:
    if as_json:
        common.print_json(again.to_json())
    else:
        from khs.cli.tables import run_table

        run_table(again.ran.to_json(), again.ran.summary)
        _said(again, recorded)
    if again.ran.result.interrupted:
        common.note(f"interrupted: stopped after {again.ran.result.frames} frames")
        return common.interrupted()
    if again.equal is None:
        how = "was interrupted in a debugger" if recorded.interrupted else "did not end"
        common.note(f"the recorded run {how}: there is no trace to compare with")
    elif not again.equal:
        for line in recorded.other_versions():
            common.note(f"recorded with {line}")
    return common.FINDINGS if again.equal is False else common.OK


def _said(again: Replayed, recorded: Recording) -> None:
    if again.equal:
        end = f", up to tick {recorded.until} where it stopped" if recorded.interrupted else ""
        print(f"equal: the trace is the recorded one{end}")
    elif again.equal is False:
        parted = ", ".join(again.parted) or "no partition"
        print(f"NOT equal: the trace is another than the recorded one; seen by {parted}")
        if again.difference is not None:
            _difference("event", again.difference)


def _judged(judged: Judged, as_json: bool) -> int:
    if as_json:
        common.print_json(judged.to_json())
        return common.OK if judged.equal else common.FINDINGS
    if judged.difference is None:
        print(f"no decision differs under {judged.policy}")
    else:
        _difference("decision", judged.difference, judged.policy, first=1)  # as khs explain counts
    _follows(judged)
    for line in judged.ran.refused:
        common.note(line)
    return common.OK if judged.equal else common.FINDINGS


def _difference(what: str, found: Difference, other: str = "replayed", first: int = 0) -> None:
    print(f"{what} {found.index + first} is the first that differs; before it:")
    for line in found.before:
        print(f"    {line}")
    width = max(len(other), len("recorded"))
    for label, text in (("recorded", found.a), (other, found.b)):
        print(f"  {label:<{width}} {text or 'has ended'}")


def _follows(judged: Judged) -> None:
    """By partition: what it saw first, and what it did more or less of."""
    from khs.replay import COUNTS

    before, after = (ran.result.verdicts for ran in (judged.recorded, judged.ran))
    changes = [f"{key} {_change(before[key], after[key])}" for key in ("granted", "denied")]
    print(f"\nwhat follows: verdicts {', '.join(changes)}")
    if (why := judged.ran.result.stopped) != judged.recorded.result.stopped:
        print(f"the module {'goes on' if why is None else f'is stopped: {why.word}'}")
    for name, row in judged.partitions.items():
        if row.difference is None:
            print(f"{name}: the same to the last event")
            continue
        pairs = [(key, getattr(row.recorded, key), getattr(row.other, key)) for key in COUNTS]
        counts = [f"{key} {a} -> {b}" for key, a, b in pairs if a != b]
        print(f"{name}: differs from its event {row.difference.index} on; {', '.join(counts)}")
        for label, text in (("recorded", row.difference.a), (judged.policy, row.difference.b)):
            print(f"    {label}: {(text or 'has ended').strip()}")


def _change(a: int, b: int) -> str:
    return str(a) if a == b else f"{a} -> {b}"
