"""Tables that commands print with rich."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from khs.trace import Names, format
from khs.trace.summary import Group, Summary

if TYPE_CHECKING:
    from khs.bench import Figure
    from khs.doctor import Item

BAR = 10
LOG_WIDTH = 120


def console() -> Console:
    """Standard output: as wide as the terminal, or as a log likes it."""
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=LOG_WIDTH)


def new_table(*headings: str, right: Iterable[str] = ()) -> Table:
    """A table without lines, narrow enough for 80 columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading)
    for heading in right:
        table.add_column(heading, justify="right")
    return table


_MORE_OF_FAULTS = (
    "    khs explain SYSTEM --fault N, with this run's options: access, backtrace, registers"
)


def run_table(result: dict[str, Any], summary: Summary) -> None:
    """A run: a row for each partition, then each distinct denial and fault with its reason."""
    screen = console()
    counts = ("deadlines", "hypercalls", "denied", "faults", "restarts")
    table = new_table("partition", "mode", "share of time", right=counts)
    for name, row in result["partitions"].items():
        mode = Text("halted", "red") if row["halted"] else row["mode"]
        table.add_row(name, mode, _share(row, result["ticks"]), *_counts(row))
    screen.print(table)
    if result["partitions"]:
        screen.print(_legend())
    for heading, groups in (
        ("denied", summary.denials.values()),
        ("refused", summary.refusals.values()),
        ("fault", summary.faults.values()),
        ("health", summary.health.values()),
        ("policy", summary.policies.values()),
    ):
        if groups:
            screen.print()
        for group in groups:
            _group(screen, heading, group, summary.names)
        if groups and heading == "fault" and result["engine"] == "unicorn":
            screen.print(_MORE_OF_FAULTS, style="dim", soft_wrap=True)
    for event in summary.notes:
        screen.print(Text(f"\n{format(event, summary.names).strip()}"), soft_wrap=True)
    for heading, count in summary.untold.items():
        screen.print(f"\n{heading}: {count} more events of further kinds; --trace keeps them all")
    for line in _foot(result, summary.names):
        screen.print(line, soft_wrap=True)


def _share(row: dict[str, Any], total: int) -> Text:
    """Ticks charged, then ticks left idle in its own windows, of all ticks of the run."""
    ticks, idle = row["ticks"] / max(total, 1), row["idle_ticks"] / max(total, 1)
    used = round(ticks * BAR)
    own = max(round((ticks + idle) * BAR), used)
    bar = Text("█" * used, "green")
    bar.append("░" * (own - used), "green")
    bar.append(" " * max(BAR - own, 0))
    percent = f"{ticks:.1%}" if ticks >= 0.001 or not ticks else "<0.1%"
    return bar.append(f" {percent:>6}", "default")


def _legend() -> Text:
    """What the bars mean."""
    key = Text("share of time: ", "dim").append("█", "green").append(" used, ", "dim")
    key.append("░", "green").append(" left idle of its own windows; ", "dim")
    return key.append(f"{BAR} marks are the whole run", "dim")


def _counts(row: dict[str, Any]) -> list[Text]:
    met, missed = row["deadline_met"], row["deadline_missed"]
    deadlines = f"{missed} of {met + missed} missed" if missed else f"{met} met" if met else "-"
    return [
        Text(deadlines, "red" if missed else "default"),
        Text(str(row["hypercalls"])),
        Text(str(row["denied"]), "yellow" if row["denied"] else "default"),
        Text(str(row["faults"]), "red" if row["faults"] else "default"),
        Text(str(row["restarts"]), "yellow" if row["restarts"] else "default"),
    ]


def _group(screen: Console, heading: str, group: Group, names: Names) -> None:
    who = names.partition(group.first.partition)
    when = f"{names.ms(group.first.tick)} ms"
    times = f"{group.count} times from {when}" if group.count > 1 else f"at {when}"
    what = group.what.removeprefix(heading).strip()
    line = Text(heading, "bold").append(f"  {who}, {times}: {what}", "not bold")
    screen.print(line, soft_wrap=True)
    if group.why:
        screen.print(Text(f"    {group.why}"), soft_wrap=True)
    if group.more:
        screen.print(
            Text(f"    and {group.more} more of its kind, with other values"), soft_wrap=True
        )


def _plant(name: str, row: dict[str, Any]) -> str:
    """`plant drive: 10000 steps; encoder 1064.0, vibration 0.21`."""
    outputs = [
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in row["outputs"].items()
    ]
    return f"plant {name}: {row['steps']} steps" + (f"; {', '.join(outputs)}" if outputs else "")


def _foot(result: dict[str, Any], names: Names) -> list[str]:
    seconds = result["ticks"] / names.clock_hz
    verdicts = result["verdicts"]
    return [
        "",
        f"{result['system']} on {result['board']}: {result['frames']} frames, {seconds:.3f} s of "
        f"virtual time in {result['wall_s']:.2f} s",
        f"{verdicts['granted']} verdicts granted, {verdicts['denied']} denied; "
        f"trace sha256 {result['trace_sha256'][:16]}",
        *_machines(result.get("machines")),
        *(_plant(name, row) for name, row in result.get("plants", {}).items()),
        *_pace(result.get("pace")),
        *_audit(result.get("audit")),
    ]


def _machines(machines: dict[str, Any] | None) -> list[str]:
    """How machines beside the native partitions ran."""
    return [
        f"machine of {name} ({row['board']}): {row['windows']} windows, {row['ran_s']:.2f} s, "
        f"{row['requests']} requests; windows exceeded by {1000 * row['slip_median_s']:.1f} ms "
        f"(median), {1000 * row['slip_max_s']:.1f} ms (most)"
        + (f"; went off: {row['ended']}" if row["ended"] else "")
        for name, row in (machines or {}).items()
    ] + (["not reproducible without its inputs: --record keeps them"] if machines else [])


def _pace(slip: dict[str, Any] | None) -> list[str]:
    """How late frames ended in real time."""
    if slip is None:
        return []
    can = "" if slip["ratio"] is None else f" (it could be {slip['ratio']:.1f} times as fast)"
    late = f"{slip['late_frames']} of {slip['frames']} frames more than 1 ms late"
    return [
        f"pace real{can}: {late}; slip {slip['p50_us']} us (median), {slip['p99_us']} us (99 %), "
        f"{slip['worst_us']} us (most)"
    ]


def _audit(audit: dict[str, Any] | None) -> list[str]:
    """What became of the audit trail."""
    if audit is None:
        return []
    since = f"from tick {audit['tick']} on"
    lost = f", {audit['lost']} LOST {since}: {audit['problem']}" if audit["lost"] else ""
    slow = f" ({audit['problem']}, {since})" if audit["problem"] and not lost else ""
    return [f"{audit['records']} audit records{lost}{slow}; head {audit['head']}"]


def bench_table(figures: Iterable[Figure]) -> None:
    """Measured figures beside their baselines."""
    right = ("value", "baseline", "ratio", "asked")
    table = new_table("section", "name", "arch", right=right)
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        baseline = "" if figure.baseline is None else _number(figure.baseline)
        value = f"{_number(figure.value)} {figure.unit}"
        asked = Text(figure.asked or "", "default" if figure.ok else "red")
        table.add_row(figure.section, figure.name, figure.arch, value, baseline, ratio, asked)
    console().print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def doctor_table(items: Iterable[Item]) -> None:
    """What was found on this machine."""
    table = new_table("", "what", "found", "wanted", "help")
    for item in items:
        mark = ("ok", "green") if item.ok else ("--", "yellow") if item.optional else ("NO", "red")
        cells = (item.name, item.found, item.wanted, item.help)
        table.add_row(Text(*mark), *map(Text, cells))
    console().print(table)
