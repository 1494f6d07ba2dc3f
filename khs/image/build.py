"""From a checked system to its archive: compile, check, lay out, write."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import khs
from khs import monitor, toolchain
from khs.config.checks import releasable
from khs.config.model import Partition, Right, System
from khs.config.salvage import Salvaged
from khs.errors import ConfigError, Finding, ImageError, shown
from khs.image import archive, configbin, devices, elf, machines, report, startinfo
from khs.image.archive import Archive
from khs.image.elf import Program
from khs.image.layout import heap_address, plan
from khs.image.lines import lines_for
from khs.image.parts import Parts
from khs.image.scan import scan
from khs.image.wiring import Wiring, left_out, wire
from khs.monitor import MonitorPolicy
from khs.monitor.services import never_normal
from khs.resources import shipped
from khs.toolchain import Progress

#: Room kept for a policy that a partition passes at run time, at least.
_POLICY_IMAGE = 64 << 10
#: A file in a compiler's words: an absolute path before a line number.
_PATH = re.compile(r"(?<![^\s'\"(])/[^\s:]+(?=:\d)")


def build(system: System, *, release: bool = False, progress: Progress | None = None) -> Archive:
    """The archive of `system`; the same bytes for the same inputs.

    `release` demands that every program is pinned by `sha256`. ConfigError with every finding;
    what the compiler says is one.
    """
    parts = prepare(system, release=release, progress=progress)
    reserve = configbin.Reserve(*_policy_reserve(parts.policies))
    programs = [parts.programs[partition.name] for partition in system.partitions]
    config = configbin.write(system, programs, parts.wiring, parts.layout, reserve)
    members = _members(parts, config)
    manifest = _manifest(parts, release)
    described = archive.describe_members(members)
    members["report.md"] = report.write(parts, described).encode()
    described = archive.describe_members(members)
    manifest |= {"members": described, "sha256": archive.hash_all(described)}
    return Archive(manifest, members)


def check(system: System) -> list[Finding]:
    """What building would find in policies, interfaces, channels and given ELF files, warnings
    included; nothing is compiled. Made to be passed to `khs.config.check` as `also`."""
    policies, wiring, findings = _policies(system)
    findings += [warning for policy in policies for warning in policy.warnings(system)]
    findings += [warning for policy in policies for warning in never_normal(policy, system)]
    findings += left_out(system, wiring) if wiring else []
    return list(dict.fromkeys([*findings, *_without_compiling(system)]))


def check_policies(salvaged: Salvaged) -> list[Finding]:
    """What is wrong with the policies and interfaces of a system whose description has errors. Made
    to be passed to `khs.config.check` as `anyway`."""
    _, findings = monitor.survey(salvaged.system)
    return [each for each in findings if salvaged.whole or each.rule not in monitor.HANGING]


def prepare(system: System, *, release: bool, progress: Progress | None = None) -> Parts:
    """Everything up to the layout, checked."""
    policies, wiring, findings = _policies(system)
    findings += releasable(system) if release else []
    if wiring is None:
        raise ConfigError(dict.fromkeys([*findings, *_without_compiling(system)]))
    elfs, programs, found = _programs(system, policies[0], progress)
    _raise(findings + found)
    infos = {
        partition.name: startinfo.write(
            system, partition, wiring, heap_address(programs[partition.name])
        )
        for partition in system.partitions
    }
    layout, findings = plan(system, programs, infos)
    for partition in system.partitions:
        for address, code in layout.code(partition.number):
            found = scan(programs[partition.name], address, code)
            findings += _at_program(system, partition, found)
    _raise(findings)
    return Parts(system, policies, wiring, elfs, programs, layout)


def _raise(findings: list[Finding]) -> None:
    if any(finding.severity == "error" for finding in findings):
        raise ConfigError(dict.fromkeys(findings))


def _policies(
    system: System,
) -> tuple[tuple[MonitorPolicy, ...], Wiring | None, list[Finding]]:
    """The policies and what the channels come to with them; no wiring if no policy can be read."""
    policies, findings = monitor.survey(system)
    if not policies:
        return (), None, findings
    wiring, found = wire(system, policies[0])
    for policy in policies[1:]:
        found += _same_wiring(system, wiring, policy)
    return policies, wiring, findings + found


def _same_wiring(system: System, wiring: Wiring, policy: MonitorPolicy) -> list[Finding]:
    """config.bin holds one set of endpoint and method ids, so every policy has to agree."""
    other, findings = wire(system, policy)
    if findings or other == wiring:
        return findings
    message = f"with policy {policy.name} channels have other endpoints or message sizes"
    place = ("system", "policies", policy.name)
    return [system.finding("POL-002", place, message, _SAME_INTERFACES)]


_SAME_INTERFACES = "use the same interface descriptions for every policy"


def load_policy(system: System, path: Path, name: str) -> MonitorPolicy:
    """A policy from outside of `system`, which is sound itself, checked as if it were one of its
    `system.policies`. ConfigError with every finding: those of channels are where these stand."""
    wiring, _ = wire(system, monitor.load(system))
    policy = monitor.load_file(system, path, name)
    other, found = wire(system, policy)
    if not found and other == wiring:
        return policy
    findings = [dataclasses.replace(f, message=f"with {path.name}: {f.message}") for f in found]
    if not found:
        message = "channels of the system have other endpoints or message sizes with this policy"
        findings = [Finding("POL-002", "error", shown(path), 1, 1, message, _SAME_INTERFACES)]
    raise ConfigError(findings)


# ---- programs --------------------------------------------------------------


def _programs(
    system: System, policy: MonitorPolicy, progress: Progress | None
) -> tuple[dict[str, bytes], dict[str, Program], list[Finding]]:
    elfs: dict[str, bytes] = {}
    programs: dict[str, Program] = {}
    findings: list[Finding] = []
    for partition in system.partitions:
        try:
            file, data = _elf(system, partition, policy.headers, progress)
            programs[partition.name] = _read_elf(system, partition, file, data)
            elfs[partition.name] = data
        except toolchain.NoCompilerError as error:  # which all the others need as well
            findings += _no_program(system, partition, *_split(error)).findings
            break
        except ConfigError as error:
            findings += error.findings
    return elfs, programs, findings


def _without_compiling(system: System) -> list[Finding]:
    """What is wrong with given ELF files, and which programs there are not."""
    findings: list[Finding] = []
    for partition in system.partitions:
        try:
            if partition.image is None:
                _program_folder(system, partition)
                continue
            program = _read_elf(system, partition, *_elf(system, partition, {}, None))
            for segment in program.segments:
                if segment.rights & Right.X:
                    found = scan(program, segment.address, segment.data)
                    findings += _at_program(system, partition, found)
        except ConfigError as error:
            findings += error.findings
    return findings


def _read_elf(system: System, partition: Partition, file: str, data: bytes) -> Program:
    try:
        return elf.read(data, system.board.arch, file, partition.sha256)
    except ConfigError as error:
        raise ConfigError(_at_program(system, partition, error.findings)) from error


def _at_program(
    system: System, partition: Partition, findings: Iterable[Finding]
) -> Iterator[Finding]:
    """Findings about a program, placed where the document names it."""
    for each in findings:
        key = "sha256" if each.rule == elf.PIN else _program_key(partition)
        path = ("partition", partition.name, key)
        yield system.finding(each.rule, path, f"{each.file}: {each.message}", each.help)


def _program_key(partition: Partition) -> str:
    return "program" if partition.image is None else "image"


def _elf(
    system: System, partition: Partition, stubs: Mapping[str, str], progress: Progress | None
) -> tuple[str, bytes]:
    """The partition's ELF and how to call it; ConfigError if there is none."""
    arch = system.board.arch
    if partition.image is not None:
        try:
            return shown(partition.image), partition.image.read_bytes()
        except OSError as error:
            message = f"{shown(partition.image)} cannot be read: {error.strerror}"
            raise _no_program(system, partition, message, "") from error
    folder = _program_folder(system, partition)
    sdk = shipped("partitions") / "sdk"
    try:
        data = toolchain.build_program(folder, arch, sdk, stubs, progress=progress)
    except toolchain.NoCompilerError:
        raise
    except ImageError as error:
        raise _no_program(system, partition, *_split(error)) from error
    return f"{shown(folder)} for {arch.name.lower()}", data


def _program_folder(system: System, partition: Partition) -> Path:
    try:
        return toolchain.find_program(partition.program or "", system.root, shipped("partitions"))
    except ImageError as error:
        raise _no_program(system, partition, *_split(error)) from error


def _split(error: ImageError) -> tuple[str, str]:
    """Message and help; paths as findings have them."""
    text = _PATH.sub(lambda found: shown(found[0]), str(error))
    message, _, help = text.partition("\n  help: ")
    return message, help


def _no_program(system: System, partition: Partition, message: str, help: str) -> ConfigError:
    path = ("partition", partition.name, _program_key(partition))
    return ConfigError([system.finding("PROG-002", path, message, help)])


# ---- members ---------------------------------------------------------------


def _policy_reserve(policies: tuple[MonitorPolicy, ...]) -> tuple[int, int]:
    """Bytes for the image and the state of a policy that comes later: twice the largest known."""
    image = max(_POLICY_IMAGE, *(2 * len(policy.binary) for policy in policies))
    state = 2 * max(policy.state_size for policy in policies)
    return -(-image // 4096) * 4096, -(-state // 4096) * 4096


def _members(parts: Parts, config: bytes) -> dict[str, bytes]:
    inputs_json, inputs_bin = archive.encode_inputs(_inputs(parts.system))
    members = {
        "config.bin": config,
        "memory.bin": parts.layout.memory,
        "inputs.json": inputs_json,
        "inputs.bin": inputs_bin,
        "system.toml": parts.system.document.encode(),
        "board.toml": parts.system.board.path.read_bytes(),
    }
    for number, policy in enumerate(parts.policies):
        stem = f"policy-{number}" if number else "policy"
        members[f"{stem}.bin"] = policy.binary
        members[f"{stem}.json"] = archive.encode_json(policy.map)
    for name, data in parts.elfs.items():
        members[f"elf/{name}.elf"] = data
    return members | machines.members(parts.system)


def _inputs(system: System) -> list[archive.Stamped]:
    """By tick; at one tick in the order of the inputs."""
    rows = [
        (message.at, number, message.data)
        for number, outside in enumerate(configbin.kernel_inputs(system))
        for message in outside.messages
    ]
    return sorted(rows, key=lambda row: row[:2])


def _manifest(parts: Parts, release: bool) -> dict[str, Any]:
    system = parts.system
    compiled = any(partition.program for partition in system.partitions)
    return {
        "kind": "khs-archive",
        "format": archive.FORMAT,
        "system": system.name,
        "board": system.board.name,
        "arch": system.board.arch.name.lower(),
        "clock_hz": system.board.clock_hz,
        "hardware": {**system.board.qemu, "memory": system.board.memory_size},
        "release": release,
        "run": {
            **dataclasses.asdict(system.run),
            "preemption_dependent": list(system.run.preemption_dependent),
        },
        "names": _names(parts),
        "partitions": {partition.name: _about(parts, partition) for partition in system.partitions},
        "devices": devices.describe(system),
        "machines": machines.describe(parts),
        "trusted_lines": lines_for(system.board.arch.name.lower()).trusted(),
        "tools": {"khs": khs.__version__, "compiler": toolchain.identity() if compiled else None},
    }


def _about(parts: Parts, partition: Partition) -> dict[str, Any]:
    program = parts.programs[partition.name]
    return {
        "class": partition.class_name,
        "program": partition.program,
        "sha256": program.sha256,
        "devices": list(partition.devices),
        "entry": program.entry,
    }


def _names(parts: Parts) -> dict[str, Any]:
    system = parts.system
    return {
        "clock_hz": system.board.clock_hz,
        "partitions": [each.name for each in system.partitions],
        "schedules": [each.name for each in system.schedules],
        "channels": [each.name for each in system.channels],
        "inputs": [each.name for each in configbin.kernel_inputs(system)],
        "ports": [[port.link.channel.name for port in ports] for ports in parts.wiring.ports],
        "policies": [policy.name for policy in parts.policies],
        "regions": [region.name for region in parts.layout.regions],
    }
