"""Rules about channels."""

from __future__ import annotations

import re
from collections.abc import Iterable

from khs.config.checks.partition import CLASS, repeated
from khs.config.document import ChannelTable, Document
from khs.config.rules import Context, Problem, Problems, at, readable, rule, suggest

READERS_MAX = 32
DEPTH_MAX = 4096

#: Keys that go with each kind of channel: mandatory, allowed.
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sampling": (("message",), ("message", "refresh")),
    "queuing": (("message", "depth"), ("message", "depth")),
    "call": (("endpoint",), ("endpoint",)),
}
METHOD = re.compile(rf"{CLASS.pattern}\.[A-Za-z_][A-Za-z0-9_]*")


@rule("CHAN-001", Context.channels)
def known_ends(c: Context, channel: ChannelTable) -> Problems:
    """Both ends of a channel are partitions of the system."""
    known = c.document.partition
    ends = [(at(channel, "from"), channel.from_)]
    ends += [(at(channel, "to", i), name) for i, name in enumerate(channel.to)]
    for path, name in ends:
        if name not in known:
            help = suggest(name, known, "partitions")
            yield Problem(path, f'there is no partition "{name}"', help)


@rule("CHAN-002", Context.channels)
def two_ends(c: Context, channel: ChannelTable) -> Problems:
    """A channel does not lead back to where it comes from."""
    for index, name in enumerate(channel.to):
        if name == channel.from_:
            message = f"channel {channel.label} leads from {name} to {name}"
            yield Problem(at(channel, "to", index), message, "name another partition")


@rule("CHAN-003", Context.channels)
def reader_once(c: Context, channel: ChannelTable) -> Problems:
    """A partition stands once in `to`."""
    for index, name in repeated(channel.to):
        message = f"{name} stands twice in channel {channel.label}"
        yield Problem(at(channel, "to", index), message, "take one out")


@rule("CHAN-004", Context.channels)
def some_reader(c: Context, channel: ChannelTable) -> Problems:
    """A channel leads somewhere."""
    if not channel.to:
        message = f"channel {channel.label} leads nowhere"
        yield Problem(at(channel, "to"), message, "name the partitions at its other end")


@rule("CHAN-005", Context.channels)
def one_server(c: Context, channel: ChannelTable) -> Problems:
    """A call has one server."""
    if channel.kind == "call" and len(channel.to) > 1:
        yield Problem(
            at(channel, "to"),
            f"a call to {len(channel.to)} servers",
            "one channel for each server",
        )


@rule("CHAN-006", Context.channels)
def fan_out(c: Context, channel: ChannelTable) -> Problems:
    """A channel has at most 32 readers."""
    if channel.kind != "call" and len(channel.to) > READERS_MAX:
        yield Problem(
            at(channel, "to"),
            f"{len(channel.to)} readers",
            f"at most {READERS_MAX}; a second channel serves the others",
        )


@rule("CHAN-007", Context.channels)
def keys_there(c: Context, channel: ChannelTable) -> Problems:
    """A channel has the keys of its kind: sampling and queuing `message`, queuing `depth`, call
    `endpoint`."""
    for key in KINDS[channel.kind][0]:
        if not c.written(*at(channel, key)):
            yield Problem(
                channel.path,
                f"{channel.kind} channel {channel.label} has no {key}",
                f"add {key} = {_EXAMPLES[key]}",
                at_key=True,
            )


_EXAMPLES = {
    "message": '"package.Interface.Method"',
    "depth": "8",
    "endpoint": '"[component.]endpoint" of the server\'s EDL',
}


@rule("CHAN-008", Context.channels)
def no_other_keys(c: Context, channel: ChannelTable) -> Problems:
    """A channel has no keys of another kind."""
    allowed = KINDS[channel.kind][1]
    for key in ("message", "endpoint", "depth", "refresh"):
        if key not in allowed and c.written(*at(channel, key)):
            kinds = [kind for kind, (_, keys) in KINDS.items() if key in keys]
            yield Problem(
                at(channel, key),
                f"a {channel.kind} channel has no {key}",
                f"take it out; {key} goes with {' and '.join(kinds)} channels",
                at_key=True,
            )


@rule("CHAN-009", Context.channels)
def depth(c: Context, channel: ChannelTable) -> Problems:
    """A queue holds 1 to 4096 messages."""
    if channel.kind != "queuing" or channel.depth is None:
        return
    if not 1 <= channel.depth <= DEPTH_MAX:
        message = f"a queue of depth {channel.depth}"
        yield Problem(at(channel, "depth"), message, f"1 to {DEPTH_MAX}")


@rule("CHAN-010", Context.channels)
def message_syntax(c: Context, channel: ChannelTable) -> Problems:
    """`message` is package.Interface.Method."""
    text = channel.message
    if text is not None and not METHOD.fullmatch(text):
        yield Problem(
            at(channel, "message"),
            f'"{text}" is not the name of a method',
            'package.Interface.Method, as in "gateway.ITelemetry.Report"',
        )


@rule("CHAN-011", Context.channels)
def endpoint_syntax(c: Context, channel: ChannelTable) -> Problems:
    """`endpoint` is [component.]endpoint."""
    text = channel.endpoint
    if text is not None and not CLASS.fullmatch(text):
        yield Problem(
            at(channel, "endpoint"),
            f'"{text}" is not the name of an endpoint',
            '[component.]endpoint as in the server\'s EDL, e.g. "setpoint"',
        )


@rule("CHAN-012", Context.channels)
def some_refresh(c: Context, channel: ChannelTable) -> Problems:
    """A refresh period is longer than 0."""
    if channel.refresh is not None and channel.refresh.ns == 0:
        help = "leave refresh out if values never grow old"
        yield Problem(at(channel, "refresh"), "no value would ever be valid", help)


@rule("CHAN-013", Context.channels, "warning")
def refreshed_in_time(c: Context, channel: ChannelTable) -> Problems:
    """A refresh period is not shorter than the period of the writer; else values grow old between
    two writes."""
    writer = c.document.partition.get(channel.from_)
    if writer is None or writer.period is None or channel.refresh is None:
        return
    if 0 < channel.refresh.ns < writer.period.ns:
        yield Problem(
            at(channel, "refresh"),
            f"values are valid for {channel.refresh}, but {writer.label} writes every "
            f"{writer.period}",
            f"at least {writer.period}",
        )


@rule("CHAN-014", Context.channels, "warning")
def one_way_to_call(c: Context, channel: ChannelTable) -> Problems:
    """Two channels do not lead from the same client to the same endpoint."""
    if channel.kind != "call":
        return
    first = c.calls.get((channel.from_, channel.to, channel.endpoint), channel)
    if first is not channel:
        yield Problem(
            channel.path,
            f"channel {channel.label} leads where channel {first.label} leads",
            "take one out",
            at_key=True,
        )


@rule("CHAN-015", Context.whole, "warning")
def no_cycle_of_calls(c: Context, document: Document) -> Problems:
    """Calls form no cycle: the call that would close it is refused at run time."""
    calls: dict[str, list[str]] = {}
    channels = [
        channel
        for channel in c.channels()
        if readable(channel, "kind", "from_", "to") and channel.kind == "call"
    ]
    inside = _in_cycles([(each.from_, server) for each in channels for server in each.to])
    for channel in channels:
        for server in channel.to:
            if not {channel.from_, server} <= inside:
                continue
            back = _path(calls, server, channel.from_)
            if len(back) > 1:
                yield Problem(
                    channel.path,
                    f"calls form a cycle: {' -> '.join([channel.from_, *back])}",
                    "a call that closes a cycle of waits is refused; answer through a queuing "
                    "channel instead",
                    at_key=True,
                )
            elif not back:
                calls.setdefault(channel.from_, []).append(server)


def _in_cycles(edges: Iterable[tuple[str, str]]) -> set[str]:
    """The nodes that are left when those without a way in or without a way out are taken away,
    until each has both: all nodes of cycles, and those between two."""
    ahead: dict[str, set[str]] = {}
    back: dict[str, set[str]] = {}
    for start, end in edges:
        ahead.setdefault(start, set()).add(end)
        back.setdefault(end, set()).add(start)
    left = {*ahead, *back}
    for there, here in ((ahead, back), (back, ahead)):
        bare = [node for node in left if not here.get(node)]
        for node in bare:
            left.discard(node)
            for neighbour in there.pop(node, ()):
                here[neighbour].discard(node)
                if not here[neighbour]:
                    bare.append(neighbour)
    return left


def _path(graph: dict[str, list[str]], start: str, end: str) -> list[str]:
    """A shortest path from start to end, both included; empty if there is none."""
    before: dict[str, str | None] = {start: None}
    queue = [start]
    for node in queue:
        if node == end:
            path = [node]
            while (step := before[path[-1]]) is not None:
                path.append(step)
            return path[::-1]
        for following in graph.get(node, []):
            if following not in before:
                before[following] = node
                queue.append(following)
    return []
