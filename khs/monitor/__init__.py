"""The one place where KHS meets KSS, the security monitor.

`load` compiles the policies of a system. What KSS finds wrong in policies and interface
descriptions comes back as `ConfigError`, with the places KSS gives.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from kss import cgen
from kss.api import Policy, load_class, load_policy
from kss.compiler import class_hash, compile_policy
from kss.errors import Finding as KssFinding
from kss.errors import KssError
from kss.excerpt import Files
from kss.layout import (
    Direction,
    Endpoint,
    EntityClass,
    Field,
    Interface,
    Method,
)
from kss.names import placed, policy_map
from kss.nearest import Section, advice, nearest
from kss.source import Search
from kss.trail import PATIENCE, OnFull, Trail, TrailError, TrailFullError
from kss.vm import PolicyRefusedError
from kss.vm import state_size as vm_state_size

from khs.config.model import ChannelKind, System
from khs.errors import ConfigError, Finding, KhsError, shown
from khs.monitor.handles import refusing_handles

__all__ = [
    "EINIT_CLASS",
    "KERNEL_CLASS",
    "PATIENCE",
    "Endpoint",
    "EntityClass",
    "Field",
    "Files",
    "Interface",
    "Method",
    "MonitorPolicy",
    "OnFull",
    "Section",
    "Trail",
    "TrailError",
    "TrailFullError",
    "advice",
    "class_hash",
    "finding",
    "load",
    "nearest",
    "state_size",
]

KERNEL_CLASS = "kl.core.Core"
EINIT_CLASS = "Einit"
#: Findings that a partition or channel may settle: its class is known then, and a port channel
#: gives its readers an endpoint.
HANGING = frozenset(
    f"PSL-{number:03}" for number in (12, 13, 14, 15, 16, 18, 19, 34)
) | {"PAL-002", "PAL-004", "POL-001"}  # fmt: skip
_REBUILD = "libkss.so may be older than khs: make setup builds it again, or reinstall khs"

#: class -> endpoint -> interface
_Endpoints = dict[str, dict[str, str]]

_REASONS = {
    1: "no rule matches",
    2: "a rule could not be evaluated",
    3: "the message does not conform to its interface",
}


@dataclass(frozen=True)
class MonitorPolicy:
    """One compiled policy. `binary` is policy.bin, `state_size` the bytes of state it needs."""

    name: str
    policy: Policy
    binary: bytes
    state_size: int
    root: Path  # places in `map` are relative to it
    implicit: _Endpoints  # endpoints that port channels gave to classes

    def layout(self, class_name: str) -> EntityClass:
        """A class with its endpoints and message layouts; KeyError if the policy has no such."""
        return self.policy.layout(class_name)

    def knows(self, class_name: str) -> bool:
        """Has the policy this class?"""
        return class_name in self.policy.classes

    @property
    def objects(self) -> tuple[tuple[str, str], ...]:
        """Name and model of every policy object."""
        return tuple((each.name, each.model) for each in self.policy.tree.objects)

    def warnings(self, system: System) -> list[Finding]:
        """What KSS warns of, and which parts of `system` the policy lets nobody start."""
        if not any(section.kind == "execute" for section in self.policy.sections):
            return [finding(warning) for warning in self.policy.warnings]  # one of them says so
        others = (each for each in self.policy.warnings if each.rule != "PSL-082")
        return [*map(finding, others), *self._not_started(system)]

    def _not_started(self, system: System) -> Iterator[Finding]:
        for who, (name, place) in _users(system).items():
            src = KERNEL_CLASS if name in (KERNEL_CLASS, EINIT_CLASS) else EINIT_CLASS
            if not self.policy.starts(src, name):
                message = f"the policy {self.name} has no rule for the start of {who}: it is denied"
                help = f"add to the policy: execute src={src}, dst={name} {{ grant () }}"
                yield system.finding("POL-003", place, message, help, warning=True)

    @cached_property
    def interfaces(self) -> Mapping[str, Interface]:
        """Every interface of every class, by name."""
        return {
            endpoint.interface.name: endpoint.interface
            for entity in self.policy.tree.classes
            for endpoint in (*entity.endpoints, *entity.security)
        }

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """C headers for guest programs, by the name they are included with."""
        classes = [
            _declared(entity, self.implicit.get(entity.name, {}))
            for entity in sorted(self.policy.tree.classes, key=lambda entity: entity.name)
        ]
        return cgen.headers(self.interfaces.values(), classes)

    def interface(self, name: str) -> Interface | None:
        """An interface by name, if a class offers it."""
        return self.interfaces.get(name)

    def max_message(self, class_name: str, endpoint: str) -> int:
        """Bytes of the largest message of an endpoint, requests and replies; KeyError if the
        class or the endpoint is unknown."""
        found = self.layout(class_name).endpoint(endpoint)
        if found is None:
            raise KeyError(endpoint)
        kinds = [m.message(direction) for m in found.interface.methods for direction in Direction]
        return max((kind.size + kind.arena for kind in kinds), default=8)

    def describe(self, granted: bool, reason: int, rule: int) -> str:
        """A verdict in words: `denied by security.psl:12: heater.enter {...}`.

        `reason` is enum kss_reason, `rule` the rule that decided.
        """
        word = "granted" if granted else "denied"
        why = _REASONS.get(reason, "")
        if rule >= len(self.policy.tree.sites):
            return f"{word}: {why}" if why else word
        site = self.policy.tree.sites[rule]
        place = f"{placed(site.location.file, self.root)}:{site.location.line}"
        text = " ".join(site.text.split())
        return f"{word} by {place}: {text}" + (f" ({why})" if why else "")

    @cached_property
    def map(self) -> dict[str, Any]:
        """Names behind the numbers of policy.bin, as JSON: classes, rules, bindings, objects (the
        shape is that of `khs.trace.policy`)."""
        return policy_map(self.name, self.policy, self.binary, self.root)


def load(system: System) -> MonitorPolicy:
    """The policy of `system`, compiled; ConfigError with every finding."""
    return load_file(system, system.policy, system.policy.stem)


def survey(system: System) -> tuple[tuple[MonitorPolicy, ...], list[Finding]]:
    """Every policy of `system` that can be read, by number, 0 the one in force first, and what is
    wrong with all of them.

    A policy that does not know a class of the system is given it, so that one run tells the rest
    of what is wrong with a new partition.
    """
    loaded: list[MonitorPolicy] = []
    findings: list[Finding] = []
    for name, path in ((system.policy.stem, system.policy), *system.policies.items()):
        policy = _load(system, path, name, findings)
        loaded += [policy] if policy else []
    return tuple(loaded), list(dict.fromkeys(findings))


def state_size(binary: bytes) -> int:
    """Bytes of state that a compiled policy needs; 0 if it does not verify, which the kernel tells
    when it is to come into force."""
    try:
        return vm_state_size(binary)
    except PolicyRefusedError:
        return 0


def load_file(system: System, path: Path, name: str) -> MonitorPolicy:
    """The policy in file `path`, called `name`, for the classes and channels of `system`."""
    findings: list[Finding] = []
    policy = _load(system, path, name, findings)
    if policy is None or findings:
        raise ConfigError(findings)
    return policy


def _load(system: System, path: Path, name: str, findings: list[Finding]) -> MonitorPolicy | None:
    try:
        policy, implicit = _read(system, path, findings)
        binary = compile_policy(refusing_handles(policy.tree), max_sids=_max_sids(system))
        needed = vm_state_size(binary)
    except KssError as error:
        if not error.findings:  # nothing is wrong with the policy, but with libkss
            raise KhsError(f"policy {path.name}: {error}\n  help: {_REBUILD}") from error
        findings += map(finding, error.findings)
        return None
    return MonitorPolicy(name, policy, binary, needed, system.root, implicit)


def _max_sids(system: System) -> int:
    """Kernel, Einit and each partition, and as much again."""
    return max(64, 2 * (len(system.partitions) + 2))


def _read(system: System, path: Path, findings: list[Finding]) -> tuple[Policy, _Endpoints]:
    """The policy, with an endpoint for every port channel, and those that it did not declare.

    It is read as it stands first: that tells which classes it knows and what they declare. It may
    fail at that because it names the endpoints that are still missing; then the classes' own
    descriptions tell.
    """
    extra: _Endpoints = {}

    def described(name: str) -> EntityClass | None:
        return load_class(name, system.include)

    try:
        policy = load_policy(path, system.include, stub=system.stub)
    except KssError:
        extra = _implicit_endpoints(system, described)
        policy = load_policy(path, system.include, extra_endpoints=extra, stub=system.stub)
    unknown = _unknown_classes(system, path, policy, findings)
    missing = _implicit_endpoints(
        system, lambda name: policy.layout(name) if name in policy.classes else described(name)
    )
    if not missing and not unknown:
        return policy, extra
    for name, endpoints in missing.items():
        extra[name] = {**extra.get(name, {}), **endpoints}
    policy = load_policy(
        path,
        system.include,
        extra_endpoints=extra,
        extra_classes=unknown,
        stub=system.stub,
    )
    return policy, extra


def _implicit_endpoints(
    system: System, describe: Callable[[str], EntityClass | None]
) -> _Endpoints:
    """What is missing for the port channels: a reader whose class declares no endpoint for a
    channel's message gets one with the name of the channel."""
    extra: _Endpoints = {}
    for channel in system.channels:
        if channel.kind is ChannelKind.CALL or channel.message is None:
            continue
        interface = channel.message.rpartition(".")[0]
        for name in {system.partition(reader).class_name: None for reader in channel.readers}:
            entity = describe(name)
            if entity is None:
                continue
            known = {each.interface.name for each in entity.endpoints}
            if interface not in known | set(extra.get(name, {}).values()):
                extra.setdefault(name, {})[channel.name] = interface
    return extra


def _declared(entity: EntityClass, implicit: Mapping[str, str]) -> EntityClass:
    """The class as its description has it."""
    kept = (endpoint for endpoint in entity.endpoints if endpoint.name not in implicit)
    return replace(entity, endpoints=tuple(kept))


def _users(system: System) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Who runs in a system, in the order of starting -> class, and where that is written."""
    users: dict[str, tuple[str, tuple[str, ...]]] = {
        "the kernel": (KERNEL_CLASS, ("system", "policy")),
        "Einit": (EINIT_CLASS, ("system", "policy")),
    }
    for each in system.partitions:
        place = ("partition", each.name, "class")
        users[f"partition {each.name}"] = (each.class_name, place)
    return users


def _unknown_classes(
    system: System, path: Path, policy: Policy, findings: list[Finding]
) -> list[str]:
    """Finds the classes of the system that the policy does not know; answers those of them that
    are described."""
    known = []
    for name, place in _users(system).values():
        if name in policy.classes:
            continue
        message = f"the policy {path.name} does not know the class {name}"
        help = f"add to the policy: use EDL {name}"
        if _is_described(system, name):
            known.append(name)
        else:
            message += ", and no EDL describes it"
            help = _describe_it(system, name, policy.classes, help)
        findings.append(system.finding("POL-001", place, message, help))
    return known


def _describe_it(system: System, name: str, known: Iterable[str], use: str) -> str:
    file = Path(*name.split(".")).with_suffix(".edl")
    where = " or ".join(shown(folder) for folder in system.include)
    write = f'write {file} ("task class {name}") in {where}, and {use}'
    last = {each.rpartition(".")[2]: each for each in sorted(known)}
    close = difflib.get_close_matches(name.rpartition(".")[2], last, n=1)
    return f"did you mean '{last[close[0]]}'? Else {write}" if close else write


def _is_described(system: System, name: str) -> bool:
    """Is there an EDL file for the class, right or wrong?"""
    search = Search(system.include)
    return search.exact(name, ".edl") is not None or any(search.flat(name, ".edl"))


def finding(found: KssFinding) -> Finding:
    """A finding of KSS as one of KHS; a note is a warning."""
    return Finding(
        found.rule,
        "warning" if found.severity == "note" else found.severity,
        found.file,
        found.line,
        found.column,
        found.message,
        found.help,
        found.text,
    )
