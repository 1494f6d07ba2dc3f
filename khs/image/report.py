"""report.md: what a reviewer of a system reads, made from what was built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from khs.config.model import ChannelKind, Error, Partition, Privilege, Right, State, System
from khs.config.units import Duration, Size
from khs.image.lines import lines_for
from khs.image.parts import Parts
from khs.image.wiring import Link


def write(parts: Parts, members: Mapping[str, Mapping[str, Any]]) -> str:
    """The report; `members` are the archive's other members as the manifest describes them."""
    system = parts.system
    board = system.board
    arch = board.arch.name.lower()
    clock = f"{board.clock_hz / 1e6:g} MHz"
    sections = [
        f"# {system.name}",
        f"Board {board.name}: {board.title}; {arch}, {clock}, one tick is "
        f"{1e9 / board.clock_hz:g} ns.",
        *_section("Partitions", _partitions(parts)),
        *_section("Time", *(_schedule(system, n) for n in range(len(system.schedules)))),
        *_section("Memory", _totals(parts), *(_memory(parts, each) for each in system.partitions)),
        *_section("Named regions", _regions(system)),
        *_section("Channels", _channels(parts)),
        *_section("Outside inputs", _inputs(system)),
        *_section("Health monitor", _health(system)),
        *_section("Policies", _policies(parts)),
        *_section("Lines to trust", _trusted(arch)),
        *_section("Hashes (SHA-256)", _hashes(parts, members)),
    ]
    return "\n\n".join(sections) + "\n"


def _section(title: str, *blocks: str) -> list[str]:
    return [f"## {title}", *(block or "None." for block in blocks or ("",))]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; "" without rows."""
    lines = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    if not lines:
        return ""
    return "\n".join(["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *lines])


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ") or "-"


def _time(system: System, ticks: int) -> str:
    return str(Duration(system.board.ns(ticks)))


def _rights(rights: Right) -> str:
    """`r-x`, as in a file's mode."""
    bits = ((Right.R, "r"), (Right.W, "w"), (Right.X, "x"))
    return "".join(letter if right in rights else "-" for right, letter in bits)


def _flags(privileges: Privilege) -> str:
    found = (each for each in Privilege if each in privileges)
    return ", ".join((each.name or "").lower().replace("_", "-") for each in found)


def _program(partition: Partition) -> str:
    if partition.machine is not None:
        files = ", ".join(path.name for _, path in sorted(partition.machine.files.items()))
        return f"machine: {partition.machine.board}, {files}"
    return partition.program or "ELF"


def _partitions(parts: Parts) -> str:
    system = parts.system
    return _table(
        ("no", "partition", "class", "program", "period", "deadline", "privileges", "devices"),
        (
            (
                each.number,
                each.name,
                each.class_name,
                _program(each),
                _time(system, each.period) if each.period else "",
                _time(system, each.deadline) if each.deadline else "",
                _flags(each.privileges),
                ", ".join(each.devices),
            )
            for each in system.partitions
        ),
    )


def _schedule(system: System, number: int) -> str:
    schedule = system.schedules[number]
    used = schedule.major_frame - schedule.slack()
    share = 100 * used / schedule.major_frame
    head = (
        f"Schedule `{schedule.name}`{' (initial)' if number == 0 else ''}: major frame "
        f"{_time(system, schedule.major_frame)}, {share:.1f} % in windows, "
        f"slack {_time(system, schedule.slack())}."
    )
    rows = []
    end = 0
    for window in schedule.windows:
        gap = window.start - end
        end = window.start + window.length
        times = (window.start, window.length, end, gap)
        rows.append((window.partition, *(_time(system, ticks) for ticks in times)))
    rows.append(("(end of frame)", "", "", "", _time(system, schedule.major_frame - end)))
    table = _table(("partition", "start", "length", "end", "unused before"), rows)
    return f"{head}\n\n{table}"


def _totals(parts: Parts) -> str:
    total, board = parts.layout.total, parts.system.board
    return (
        f"{Size(total)} of the board's {Size(board.memory_size)} belong to partitions "
        f"({100 * total / board.memory_size:.2f} %)."
    )


def _memory(parts: Parts, partition: Partition) -> str:
    rows = []
    for each in parts.layout.maps[partition.number]:
        region = parts.layout.regions[each.region]
        name = region.name.rpartition("/")[2]
        kind = "shared" if region.shared else "private"
        kept = " keep" if region.keep else ""
        end = each.address + region.size
        size = Size(region.size)
        rows.append(
            (f"{each.address:#010x}", f"{end:#010x}", size, _rights(each.rights), name, kind + kept)
        )
    head = ("from", "to", "size", "rights", "what", "kind")
    return f"Partition `{partition.name}`:\n\n{_table(head, rows)}"


def _regions(system: System) -> str:
    head = ("region", "address", "size", *(each.name for each in system.partitions), "keep")
    return _table(
        head,
        (
            (
                region.name,
                f"{region.address:#010x}",
                Size(region.size),
                *(
                    _rights(region.rights[each.name]) if each.name in region.rights else ""
                    for each in system.partitions
                ),
                "yes" if region.keep else "",
            )
            for region in system.regions
        ),
    )


def _channels(parts: Parts) -> str:
    return _table(
        ("channel", "kind", "from", "to", "what", "largest message", "depth", "refresh"),
        (_channel(parts.system, link) for link in parts.wiring.links),
    )


def _channel(system: System, link: Link) -> tuple[object, ...]:
    channel = link.channel
    ends = (
        f"{name} ({reader.endpoint.name}, riid {reader.endpoint.riid})"
        for name, reader in zip(channel.readers, link.readers, strict=True)
    )
    what = channel.endpoint if channel.kind is ChannelKind.CALL else channel.message
    return (
        channel.name,
        channel.kind.name.lower(),
        channel.source,
        ", ".join(ends),
        what,
        Size(link.message_size),
        channel.depth or "",
        _time(system, channel.refresh) if channel.refresh else "",
    )


def _inputs(system: System) -> str:
    return _table(
        ("input", "partition", "largest message", "depth", "declared messages"),
        (
            (each.name, each.partition, Size(each.capacity), each.depth, len(each.messages))
            for each in system.inputs
        ),
    )


def _health(system: System) -> str:
    head = ("error", "state", *(each.name for each in system.partitions))
    rows = []
    for error in Error:
        cells = {
            state: [_response(each, error, state) for each in system.partitions] for state in State
        }
        same = len({tuple(each) for each in cells.values()}) == 1
        for state in (State.RUNNING,) if same else State:
            rows.append((_word(error.name), "any" if same else _word(state.name), *cells[state]))
    limits = [
        f"`{each.name}`: more than {each.limit.restarts} restarts within "
        f"{_time(system, each.limit.within)}: {_word(each.limit.then.name)}."
        for each in system.partitions
        if each.limit
    ]
    return "\n\n".join([_table(head, rows), *limits])


def _response(partition: Partition, error: Error, state: State) -> str:
    response = partition.response(error, state)
    return f"{_word(response.action.name)} ({_word(response.level.name)})"


def _word(name: str) -> str:
    return name.lower().replace("_", "-")


def _policies(parts: Parts) -> str:
    return _table(
        ("no", "policy", "rules", "bindings", "classes", "objects", "state"),
        (
            (
                number,
                policy.name,
                len(policy.map["rules"]),
                len(policy.map["bindings"]),
                len(policy.map["classes"]),
                ", ".join(f"{name} ({model})" for name, model in policy.objects),
                Size(policy.state_size),
            )
            for number, policy in enumerate(parts.policies)
        ),
    )


def _trusted(arch: str) -> str:
    lines = lines_for(arch)
    rows = [
        ("kernel core (khs/core)", lines.core),
        ("policy VM (monitor/vm)", lines.vm),
        (f"board port (boards/firmware, {arch})", lines.board),
        ("**trusted base**", f"**{sum(lines.trusted().values())}**"),
        ("host on the CPU emulator (khs/host), apart", lines.host),
    ]
    note = "Lines that are neither blank nor comment."
    return f"{note}\n\n{_table(('part', 'lines'), rows)}"


def _hashes(parts: Parts, members: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [(name, row["size"], f"`{row['sha256']}`") for name, row in sorted(members.items())]
    return _table(("member", "bytes", "sha256"), rows)
