"""system.toml of an imported solution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from khs.config.render import quoted
from khs.importing.program import stack
from khs.importing.solution import INTERFACES, Solution
from khs.importing.wiring import Link, Partition, Wiring, environment

WINDOW_MS = 2


def document(name: str, board: str, solution: Solution, wiring: Wiring, stub: bool) -> str:
    """The text; each partition has a window of the same length, in the order of starting."""
    frame = WINDOW_MS * len(wiring.partitions)
    lines = [
        f"# {name}: made by khs import; import.md tells what became of what.",
        "format = 1\n",
        "[system]",
        f"name = {quoted(name)}",
        f"board = {quoted(board)}",
        f"policy = {quoted(str(solution.copy))}",
        f"include = [{quoted(str(INTERFACES))}]",
        *([_STUB] if stub else []),
        "\n[run]\nframes = 100\nseed = 1\n",
        "[schedule.normal]",
        f'major_frame = "{frame}ms"',
        "windows = [",
        *_windows(wiring),
        "]",
    ]
    stacks = {
        entity.name: stack(entity, wiring.asked_by(entity))
        for entity in {each.entity.name: each.entity for each in wiring.partitions}.values()
    }
    for partition in wiring.partitions:
        lines += _partition(partition, stacks[partition.entity.name], frame)
    for link in wiring.links:
        lines += _channel(link)
    lines += _HEALTH
    return "\n".join(lines) + "\n"


_STUB = "stub = true # some classes have no descriptions here: take it out when they have"
_HEALTH = (
    "\n[health]",
    'default = { level = "partition", action = "cold_restart" }',
    "[health.errors]",
    'deadline-missed = { level = "partition", action = "log" }',
    'start-denied = { level = "partition", action = "idle" } # the policy does not start it',
)


def _windows(wiring: Wiring) -> Iterator[str]:
    for number, partition in enumerate(wiring.partitions):
        start = f"{number * WINDOW_MS}ms"
        yield (
            f'  {{ partition = {quoted(partition.name)}, start = "{start}", '
            f'length = "{WINDOW_MS}ms" }},'
        )


def _partition(partition: Partition, stack_bytes: int, frame: int) -> Iterator[str]:
    process = partition.process
    yield f"\n[partition.{partition.name}]"
    yield f"class = {quoted(partition.entity.name)}"
    yield f"program = {quoted(partition.program)}"
    yield f'stack = "{stack_bytes >> 10}KiB"'
    yield f'period = "{frame}ms"'
    if process.args:
        yield f"args = [{', '.join(map(quoted, process.args))}]"
    if environment(process):
        yield f"env = {{ {_pairs(environment(process))} }}"


def _pairs(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {quoted(value)}" for name, value in values.items())


def _channel(link: Link) -> Iterator[str]:
    yield f"\n[channel.{link.channel}]"
    yield 'kind = "call"'
    yield f"from = {quoted(link.client.name)}"
    yield f"to = {quoted(link.server.name)}"
    yield f"endpoint = {quoted(link.endpoint.name)}"
