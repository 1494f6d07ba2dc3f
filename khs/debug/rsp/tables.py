"""The tables of `info os` and of `monitor`: partitions, ports, schedule, policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from khs.debug.rsp.systems import Systems
from khs.trace.kinds import Mode

Row = dict[str, str]


def partitions(systems: Systems) -> Iterator[Row]:
    for process in systems.world.processes:
        view = systems.target(process).view(process.partition)
        yield {
            "inferior": str(process.pid),
            "partition": process.label,
            "board": str(systems.plans[process.system].archive.manifest["board"]),
            "mode": Mode(view.mode).word,
            "ticks": str(view.ticks),
            "hypercalls": str(view.hypercalls),
            "denied": str(view.denied),
            "faults": str(view.faults),
            "restarts": str(view.restarts),
            "state": systems.state(process),
        }


def ports(systems: Systems) -> Iterator[Row]:
    for process in systems.world.processes:
        past = systems.pasts[process.system]
        outline, names = past.outline, past.names()
        target = systems.target(process)
        for number, (channel, reader) in enumerate(outline.ports[process.partition]):
            about = outline.channels[channel]
            writes = reader is None
            peers = about.readers if writes else (about.source,)
            depth = target.queued(channel, reader or 0)
            held = about.kind == "queuing" and not writes
            yield {
                "partition": process.label,
                "port": names.port(process.partition, number),
                "number": str(number),
                "kind": about.kind,
                "direction": _direction(about.kind, writes),
                "peers": ", ".join(names.partition(each) for each in peers),
                "queued": f"{depth} of {about.depth}" if held else "",
            }


def _direction(kind: str, writes: bool) -> str:
    words = ("client", "server") if kind == "call" else ("writes", "reads")
    return words[0] if writes else words[1]


def schedule(systems: Systems) -> Iterator[Row]:
    for number, target in enumerate(systems.world.targets):
        past, status = systems.pasts[number], target.status()
        names = past.names()
        for at, each in enumerate(past.outline.schedules):
            for start, length, partition in each.windows:
                here = at == status.schedule and target.running() == partition
                yield {
                    "system": systems.world.labels[number],
                    "schedule": names.schedule(at),
                    "in force": "yes" if at == status.schedule else "",
                    "start_ms": names.ms(start),
                    "length_ms": names.ms(length),
                    "partition": names.partition(partition),
                    "now": "<-" if here else "",
                }


def policy(systems: Systems) -> Iterator[Row]:
    for number, target in enumerate(systems.world.targets):
        past, verdicts = systems.pasts[number], target.verdicts()
        names = past.names()
        in_force = names.in_force
        for at, name in enumerate(names.policies):
            here = at == in_force
            yield {
                "system": systems.world.labels[number],
                "number": str(at),
                "policy": name,
                "in force": "yes" if here else "",
                "granted": str(verdicts["granted"]) if here else "",
                "denied": str(verdicts["denied"]) if here else "",
            }


#: Name -> the rows, and what the table tells.
TABLES: Mapping[str, tuple[Callable[[Systems], Iterator[Row]], str]] = {
    "partitions": (partitions, "Every partition: mode, counts, and what it does or waits for"),
    "ports": (ports, "Every port: who is at its other end, and how much is queued"),
    "schedule": (schedule, "Windows of every schedule"),
    "policy": (policy, "Policies, which one is in force, and its verdicts so far"),
}


def lines(rows: Sequence[Row]) -> list[str]:
    """A table for people; columns that are empty are left out."""
    if not rows:
        return ["there are none"]
    columns = [key for key in rows[0] if any(row[key] for row in rows)]
    widths = {key: max(len(key), *(len(row[key]) for row in rows)) for key in columns}
    table = [{key: key for key in columns}, *rows]
    return ["  ".join(row[key].ljust(widths[key]) for key in columns).rstrip() for row in table]
