"""Channels as the kernel needs them: endpoint and method ids, message sizes, ports by partition.

Here the configuration meets the interfaces that the policy knows.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from khs.config.model import Channel, ChannelKind, System
from khs.errors import Finding
from khs.monitor import KERNEL_CLASS, Endpoint, Interface, Method, MonitorPolicy
from khs.monitor.handles import carried, carries_handle

_NO_HANDLES = "handles are not transferred between partitions: pass a number or a text"
#: Records of the event ring carry messages whole.
MAX_MESSAGE = 60 * 1024
#: What khs/core/check.c asks for.
MIN_MAX_MESSAGE = 512


@dataclass(frozen=True, slots=True)
class Reader:
    """A destination of a channel; `number` counts over the whole system."""

    number: int
    channel: int
    partition: int
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Link:
    """A channel with its ids and sizes. `mid` is None for calls."""

    channel: Channel
    mid: int | None
    message_size: int
    readers: tuple[Reader, ...]


@dataclass(frozen=True, slots=True)
class Port:
    """One end of a channel in a partition; `reader` is None for the source."""

    link: Link
    reader: Reader | None

    @property
    def riid(self) -> int:
        """The own endpoint of a destination, the server's of a client, else 0."""
        if self.reader:
            return self.reader.endpoint.riid
        is_call = self.link.channel.kind is ChannelKind.CALL
        return self.link.readers[0].endpoint.riid if is_call else 0


@dataclass(frozen=True, slots=True)
class Wiring:
    """`ports` are by partition number; a port's number is its place there. `max_message` is the
    largest of any channel, input, kernel service and security interface."""

    links: tuple[Link, ...]
    readers: tuple[Reader, ...]
    ports: tuple[tuple[Port, ...], ...]
    max_message: int


def wire(system: System, policy: MonitorPolicy) -> tuple[Wiring, list[Finding]]:
    """Resolves every channel; one with findings is left out, and one that leads to a class which
    `policy` does not know (`khs.monitor.survey` says so)."""
    findings: list[Finding] = []
    links: list[Link] = []
    readers: list[Reader] = []
    for channel in system.channels:
        classes = [system.partition(reader).class_name for reader in channel.readers]
        if not all(map(policy.knows, classes)):
            continue
        resolver = _Resolver(system, policy, channel)
        if link := resolver.link(len(readers)):
            links.append(link)
            readers += link.readers
        findings += resolver.findings
    ports = tuple(tuple(_ports(partition.name, links)) for partition in system.partitions)
    largest = _largest(system, policy, links)
    return Wiring(tuple(links), tuple(readers), ports, largest), findings


class _Resolver:
    """Resolves one channel."""

    def __init__(self, system: System, policy: MonitorPolicy, channel: Channel) -> None:
        self.system, self.policy, self.channel = system, policy, channel
        self.findings: list[Finding] = []

    def error(self, rule: str, key: str, message: str, help: str) -> None:
        path = ("channel", self.channel.name, key)
        self.findings.append(self.system.finding(rule, path, message, help))

    def link(self, first_reader: int) -> Link | None:
        if self.channel.kind is ChannelKind.CALL:
            endpoints, methods = self._call()
            size = self._size("endpoint", methods, replies=True)
            mid = None
        else:
            endpoints, methods = self._port()
            size = self._size("message", methods, replies=False)
            mid = methods[0].mid if methods else None
        if self.findings:
            return None
        readers = tuple(
            Reader(first_reader + n, self.channel.number, self.system.number(name), endpoint)
            for n, (name, endpoint) in enumerate(zip(self.channel.readers, endpoints, strict=True))
        )
        return Link(self.channel, mid, size, readers)

    def _call(self) -> tuple[list[Endpoint], Sequence[Method]]:
        """The server's endpoint and its methods; those with handles only if there are no others."""
        server = self.system.partition(self.channel.readers[0])
        offered = self.policy.layout(server.class_name).endpoints
        name = self.channel.endpoint or ""
        for endpoint in offered:
            if endpoint.name == name:
                methods = endpoint.interface.methods
                return [endpoint], carried(methods) or methods
        self.error(
            "MSG-002",
            "endpoint",
            f"{server.class_name}, the class of '{server.name}', has no endpoint '{name}'",
            _suggest(name, [endpoint.name for endpoint in offered]),
        )
        return [], []

    def _port(self) -> tuple[list[Endpoint], Sequence[Method]]:
        """Each reader's endpoint for the message, and its method."""
        interface_name, _, method_name = (self.channel.message or "").rpartition(".")
        interface = self.policy.interface(interface_name)
        if interface is None:
            help = _suggest(interface_name, self.policy.interfaces)
            self.error("MSG-001", "message", f"there is no interface '{interface_name}'", help)
            return [], []
        method = interface.method(method_name)
        if method is None:
            self.error(
                "MSG-001",
                "message",
                f"interface {interface_name} has no method '{method_name}'",
                _suggest(method_name, [method.name for method in interface.methods]),
            )
            return [], []
        found = [self._reader_endpoint(reader, interface) for reader in self.channel.readers]
        return [endpoint for endpoint in found if endpoint], [method]

    def _reader_endpoint(self, reader: str, interface: Interface) -> Endpoint | None:
        """The reader's only endpoint of the interface; of several the one that the channel's
        `endpoint`, else its name, says."""
        class_name = self.system.partition(reader).class_name
        offered = [
            endpoint
            for endpoint in self.policy.layout(class_name).endpoints
            if endpoint.interface.name == interface.name
        ]
        if len(offered) == 1:
            return offered[0]
        wanted = self.channel.endpoint or self.channel.name
        for endpoint in offered:
            if endpoint.name == wanted:
                return endpoint
        names = ", ".join(endpoint.name for endpoint in offered)
        self.error(
            "MSG-002",
            "message",
            f"{class_name}, the class of '{reader}', has {len(offered)} endpoints of "
            f"{interface.name}: {names or 'none'}",
            f"call the channel like the one it leads to: {names}",
        )
        return None

    def _size(self, key: str, methods: Sequence[Method], *, replies: bool) -> int:
        """Largest message in bytes; findings if the kernel cannot carry one."""
        for rule, message, help in obstacles(methods, replies=replies):
            self.error(rule, key, message, help)
        return message_size(methods, replies=replies)


def obstacles(methods: Sequence[Method], *, replies: bool) -> Iterator[tuple[str, str, str]]:
    """Why the kernel cannot carry these methods' messages: rule, message, help."""
    for method in methods:
        kinds = (method.request, *((method.response, method.error) if replies else ()))
        if any(kind.handles for kind in kinds):
            yield "MSG-003", f"method {method.name} carries a handle", _NO_HANDLES
    size = message_size(methods, replies=replies)
    if size > MAX_MESSAGE:
        help = (
            f"at most {MAX_MESSAGE} bytes: make bytes<N>, string<N> or sequence<T, N> smaller, "
            "or share a region"
        )
        yield "MSG-004", f"its largest message has {size} bytes", help


def left_out(system: System, wiring: Wiring) -> list[Finding]:
    """Warns of the methods that call channels do not carry."""
    return [
        system.finding(
            "MSG-003",
            ("channel", link.channel.name, "endpoint"),
            f"method {method.name} carries a handle: the channel is without it",
            _NO_HANDLES,
            warning=True,
        )
        for link in wiring.links
        if link.channel.kind is ChannelKind.CALL
        for method in link.readers[0].endpoint.interface.methods
        if carries_handle(method)
    ]


def message_size(methods: Iterable[Method], *, replies: bool) -> int:
    """Bytes of the largest message of `methods`, constant part and arena; at least a header."""
    kinds = [method.request for method in methods]
    if replies:
        kinds += [kind for method in methods for kind in (method.response, method.error)]
    return max((kind.size + kind.arena for kind in kinds), default=8)


def _ports(partition: str, links: Sequence[Link]) -> Iterable[Port]:
    """In the order of the channels; a channel's source before its destinations."""
    for link in links:
        if link.channel.source == partition:
            yield Port(link, None)
        for name, reader in zip(link.channel.readers, link.readers, strict=True):
            if name == partition:
                yield Port(link, reader)


def _largest(system: System, policy: MonitorPolicy, links: Sequence[Link]) -> int:
    """Services of the kernel and security interfaces are bounded by what their IDL says."""
    services = policy.layout(KERNEL_CLASS).endpoints
    security = [
        endpoint
        for partition in system.partitions
        if policy.knows(partition.class_name)
        for endpoint in policy.layout(partition.class_name).security
    ]
    sizes = [message_size(each.interface.methods, replies=False) for each in services]
    sizes += [message_size(each.interface.methods, replies=False) for each in security]
    sizes += [link.message_size for link in links]
    sizes += [outside.capacity for outside in system.inputs]
    return -(-max(MIN_MAX_MESSAGE, *sizes) // 8) * 8


def _suggest(word: str, known: Iterable[str]) -> str:
    names = sorted(set(known))
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names[:12])}" if names else "none is declared"
