"""Partitions and channels of a solution: what each process and each connection becomes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from khs.image.wiring import obstacles
from khs.importing.notes import Notes
from khs.importing.rules import wrong
from khs.importing.solution import Solution, connections
from khs.monitor.files import Connection, Endpoint, EntityClass, Location, Policy, Process
from khs.monitor.handles import carried, carries_handle

LONGEST = 48  # characters of a name of system.toml
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Partition:
    """One process. `program` is the folder of its class's program; `stub`: no EDL describes it."""

    name: str
    process: Process
    entity: EntityClass
    program: str
    stub: bool


@dataclass(frozen=True)
class Link:
    """One endpoint of a connection: a call channel."""

    channel: str
    client: Partition
    server: Partition
    endpoint: Endpoint
    at: Location


@dataclass(frozen=True)
class Wiring:
    partitions: tuple[Partition, ...]
    links: tuple[Link, ...]

    def asked_by(self, entity: EntityClass) -> list[Link]:
        """The links whose clients are processes of a class."""
        return [link for link in self.links if link.client.entity is entity]


def wire(solution: Solution, policy: Policy, notes: Notes) -> Wiring:
    """ConfigError if the policy does not know a class."""
    partitions = _partitions(solution, policy, notes)
    return Wiring(partitions, _links(partitions, notes))


# ---- partitions


def _partitions(solution: Solution, policy: Policy, notes: Notes) -> tuple[Partition, ...]:
    entries = [each for each in solution.processes if _known(solution, policy, each, notes)]
    names = _Names()
    programs: dict[str, str] = {}
    folders = _Names()
    found = []
    for process in entries:
        if process.name not in programs:
            programs[process.name] = folders.new(_last(process.name), process.name)
        stub = process.name not in solution.described
        name = names.new(_last(process.task), process.task)
        entity = policy.layout(process.name)
        found.append(Partition(name, process, entity, programs[process.name], stub))
        _tell_settings(process, notes)
    return tuple(found)


def _known(solution: Solution, policy: Policy, process: Process, notes: Notes) -> bool:
    if process.name in policy.classes:
        return True
    message = f"the policy does not know the class {process.name}"
    help = f"use EDL {process.name} in {notes.place(solution.policy)}"
    if process in solution.added:
        notes.lose(process.location, f"{message}: no partition is made of it ({help})")
        return False
    raise wrong("IMP-004", process.location, message, help)


def _tell_settings(process: Process, notes: Notes) -> None:
    if process.path != process.name:
        said = f"the program {process.path} of {process.task} is not built: its class is scaffolded"
        notes.lose(process.location, said)
    for name in process.env:
        if not _VARIABLE.fullmatch(name):
            notes.lose(process.location, f"{name} is no name of an environment variable")


def environment(process: Process) -> dict[str, str]:
    return {name: text for name, text in process.env.items() if _VARIABLE.fullmatch(name)}


# ---- channels


def _links(partitions: Sequence[Partition], notes: Notes) -> tuple[Link, ...]:
    by_task = {each.process.task: each for each in partitions}
    ids = Counter(_id(each) for part in partitions for each in connections(part.process))
    names = _Names()
    found = []
    for client in partitions:
        for connection in connections(client.process):
            server = by_task.get(connection.target)
            if server is None or not server.entity.endpoints:
                why = "has no endpoints" if server else "is no partition"
                said = f"the connection {connection.id} carries nothing: {connection.target} {why}"
                notes.lose(connection.location, said)
                continue
            for endpoint in server.entity.endpoints:
                name = _id(connection)
                parts = [client.name, name] if ids[name] > 1 else [name]
                parts += [endpoint.name] if len(server.entity.endpoints) > 1 else []
                channel = names.new("-".join(parts), "-".join([client.name, name, endpoint.name]))
                if why := no_channel(endpoint):
                    said = f"endpoint {endpoint.name} of {server.entity.name} has no channel: {why}"
                    notes.lose(connection.location, said)
                    continue
                for method in filter(carries_handle, endpoint.interface.methods):
                    said = f"method {method.name} of endpoint {endpoint.name} carries a handle"
                    notes.lose(connection.location, f"{said}: channel {channel} is without it")
                found.append(Link(channel, client, server, endpoint, connection.location))
    return tuple(found)


def no_channel(endpoint: Endpoint) -> str:
    """Why no channel can lead to an endpoint, "" if one can."""
    methods = endpoint.interface.methods
    if not methods:
        return "it has no methods"
    why = (text for _, text, _ in obstacles(carried(methods) or methods, replies=True))
    return next(why, "")


def _id(connection: Connection) -> str:
    """A constant of a header is called by its own name."""
    return connection.id if isinstance(connection.id, str) else connection.id.var


# ---- names


class _Names:
    """Names of system.toml, different in more than case and `-` or `_`."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, *wanted: str) -> str:
        """The first of the wanted ones that is free, or one with a number."""
        number = 2
        candidates = [_name(text) for text in wanted]
        for name in candidates:
            if self._take(name):
                return name
        while not self._take(name := f"{candidates[0][: LONGEST - 7]}-{number}"):
            number += 1
        return name

    def _take(self, name: str) -> bool:
        key = name.lower().replace("-", "_")
        free = key not in self._taken
        self._taken.add(key)
        return free


def _last(name: str) -> str:
    """`LightsGPIO` -> `lights-gpio`: the last word of a name of KasperskyOS, as KHS writes them."""
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name.rpartition(".")[2])
    return word.lower()


def _name(text: str) -> str:
    """The nearest name that the rules of system.toml allow."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")
    return (plain if plain[:1].isalpha() else f"n-{plain}".strip("-_"))[:LONGEST]
