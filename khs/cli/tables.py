"""Tables that commands print with rich."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from khs.trace import Names
from khs.trace.summary import Group, Summary

if TYPE_CHECKING:
    from khs.bench import Figure

BAR = 16


def run_table(result: dict[str, Any], summary: Summary) -> None:
    """A run: a row for each partition, then each distinct denial and fault with its reason."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("partition")
    table.add_column("mode")
    table.add_column("share of time")
    for heading in ("deadlines", "hypercalls", "denied", "faults", "restarts"):
        table.add_column(heading, justify="right")
    for name, row in result["partitions"].items():
        table.add_row(name, row["mode"], _share(row, result["ticks"]), *_counts(row))
    console.print(table)
    for heading, groups in (
        ("denied", summary.denials.values()),
        ("fault", summary.faults.values()),
        ("health", summary.health.values()),
    ):
        _groups(console, heading, groups, summary.names)
    for line in _foot(result, summary.names):
        console.print(line)


def _share(row: dict[str, Any], total: int) -> Text:
    """Ticks charged, then ticks left idle in its own windows, of all ticks of the run."""
    ticks, idle = row["ticks"] / max(total, 1), row["idle_ticks"] / max(total, 1)
    used = round(ticks * BAR)
    own = max(round((ticks + idle) * BAR), used)
    bar = Text("█" * used, "green")
    bar.append("░" * (own - used), "green")
    bar.append(" " * (BAR - own))
    return bar.append(f"{ticks:6.1%}", "default")


def _counts(row: dict[str, Any]) -> list[Text]:
    met, missed = row.get("deadline_met"), row["deadline_missed"]
    deadlines = "-" if not met and not missed else f"{met} met, {missed} missed"
    return [
        Text(deadlines, "red" if missed else "default"),
        Text(str(row["hypercalls"])),
        Text(str(row["denied"]), "yellow" if row["denied"] else "default"),
        Text(str(row["faults"]), "red" if row["faults"] else "default"),
        Text(str(row["restarts"]), "yellow" if row["restarts"] else "default"),
    ]


def _groups(console: Console, heading: str, groups: Iterable[Group], names: Names) -> None:
    for group in groups:
        who = names.partition(group.first.partition)
        when = f"{names.ms(group.first.tick)} ms"
        times = f"{group.count} times from {when}" if group.count > 1 else f"at {when}"
        what = group.what.removeprefix(heading).strip()
        console.print(Text(f"\n{heading}", "bold").append(f"  {who}, {times}: {what}", "not bold"))
        if group.why:
            console.print(Text(f"    {group.why}"))


def _foot(result: dict[str, Any], names: Names) -> list[str]:
    seconds = result["ticks"] / names.clock_hz
    verdicts = result["verdicts"]
    return [
        "",
        f"{result['system']} on {result['board']}: {result['frames']} frames, {seconds:.3f} s of "
        f"virtual time in {result['wall_s']:.2f} s",
        f"{verdicts['granted']} verdicts granted, {verdicts['denied']} denied; "
        f"trace sha256 {result['trace_sha256'][:16]}",
    ]


def bench_table(figures: Iterable[Figure]) -> None:
    """Measured figures beside their baselines."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("section", "name", "arch"):
        table.add_column(heading)
    for heading in ("value", "baseline", "ratio", "asked"):
        table.add_column(heading, justify="right")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        baseline = "" if figure.baseline is None else _number(figure.baseline)
        value = f"{_number(figure.value)} {figure.unit}"
        asked = Text(figure.asked, "default" if figure.ok else "red")
        table.add_row(figure.section, figure.name, figure.arch, value, baseline, ratio, asked)
    Console(highlight=False).print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
