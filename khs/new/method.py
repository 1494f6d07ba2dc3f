"""A new method of an interface: in its description, in the policy and in the server's program.

What this writes is a beginning that builds and boots: a rule that grants the method to the clients
that have a channel, and an answer of zeros. Every file is changed as text, by insertion alone; if
the changed system has findings, all files are put back as they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from khs import config, monitor, resources
from khs.config.model import Channel, ChannelKind, System
from khs.errors import ConfigError, KhsError
from khs.toolchain import find_program

_METHOD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_INTERFACE = re.compile(r"\binterface\s*\{[^}]*\}")
FUNCTIONS_MARK = "/* khs new: a function for each method goes above this line */"
CASES_MARK = "/* khs new: a case for each method goes above this line */"


@dataclass(frozen=True, slots=True)
class Added:
    """What `add_method` did: the files it changed, and what is left to do by hand."""

    files: tuple[Path, ...]
    advice: tuple[str, ...]


def add_method(folder: Path, interface: str, method: str, parameters: str = "") -> Added:
    """Adds `method` with IDL `parameters` ("in UInt32 a, out UInt32 b") to `interface` of the
    system in `folder`.

    ConfigError if the system has findings, before or after; KhsError if there is no such
    interface in the system's own folder or the method exists.
    """
    if not _METHOD.fullmatch(method):
        raise KhsError(f"'{method}' is no name for a method\n  help: letters and digits: SetLevel")
    system = config.load(folder)
    known = monitor.load(system).interface(interface)
    path = _description(system, interface)
    if known is not None and known.method(method) is not None:
        raise KhsError(f"{interface} has a method {method} already ({path})")
    changes = {path: _describe(path, method, parameters)}
    advice: list[str] = []
    for channel in _channels(system, interface):
        _allow(system, channel, method, changes)
        if channel.kind is ChannelKind.CALL:
            advice += _answer(system, channel, interface, method, changes)
    if len(changes) == 1:
        advice.append(f"no channel carries calls of {interface}: the policy is as it was")
    _write(changes, folder)
    return Added(tuple(changes), tuple(advice))


# ---- the description


def _description(system: System, interface: str) -> Path:
    """The IDL file of `interface`, which must be in one of the system's folders."""
    place = Path(*interface.split(".")).with_suffix(".idl")
    for base in system.include:
        if (base / place).is_file():
            return base / place
    looked = ", ".join(str(base / place) for base in system.include)
    raise KhsError(f"there is no interface {interface} (looked for {looked})")


def _describe(path: Path, method: str, parameters: str) -> str:
    """The text of the description with the method at the end of its interface."""
    text = _read(path)
    masked = _COMMENT.sub(lambda found: " " * len(found.group()), text)
    block = _INTERFACE.search(masked)
    if block is None:
        raise KhsError(f"{path} describes no interface")
    end = block.end() - 1
    head = text[:end].rstrip()
    return f"{head}\n    {method}({parameters.strip()});\n{text[end:]}"


# ---- the policy


def _channels(system: System, interface: str) -> Iterator[Channel]:
    """Call channels whose endpoint has the interface."""
    policy = monitor.load(system)
    for channel in system.channels:
        if channel.kind is ChannelKind.CALL:
            server = system.partition(channel.readers[0])
            endpoint = policy.layout(server.class_name).endpoint(channel.endpoint or "")
            if endpoint is not None and endpoint.interface.name == interface:
                yield channel


def _allow(system: System, channel: Channel, method: str, changes: dict[Path, str]) -> None:
    """Rules for one client; the same clients and servers may meet in several channels."""
    client = system.partition(channel.source).class_name
    server = system.partition(channel.readers[0]).class_name
    text = changes.get(system.policy) or _read(system.policy)
    ends = f"endpoint={channel.endpoint}, method={method}"
    request = f"request src={client}, dst={server}, {ends} {{"
    if request not in text:
        text = (
            f"{text.rstrip()}\n\n/* Narrow this: what may {client} ask? */\n"
            f"{request}\n    grant ()\n}}\n"
            f"response src={server}, dst={client}, {ends} {{\n    grant ()\n}}\n"
        )
    changes[system.policy] = text


# ---- the program


def _answer(
    system: System, channel: Channel, interface: str, method: str, changes: dict[Path, str]
) -> Sequence[str]:
    """A function that answers and a case that calls it, at the marks of the template."""
    name = f"{interface.replace('.', '_')}_{method}"
    server = system.partition(channel.readers[0])
    advice = f"partition {server.name} answers requests with mid {name}_mid: struct {name}_req"
    if server.program is None:
        return [advice]
    program = find_program(server.program, system.root, resources.shipped("partitions"))
    for source in sorted(program.glob("*.c")):
        text = changes.get(source) or _read(source)
        if name in text:
            return []
        if FUNCTIONS_MARK in text and CASES_MARK in text:
            text = text.replace(FUNCTIONS_MARK, f"{answer(name, method)}\n{FUNCTIONS_MARK}", 1)
            changes[source] = text.replace(
                CASES_MARK, f"{answer_case(name, method)}{CASES_MARK}", 1
            )
            return []
    return [advice]


def answer(name: str, label: str) -> str:
    """The C function `answer_<label>`, which answers requests `struct <name>_req` with zeros."""
    return (
        f"static void answer_{label}(uint32_t token, const struct {name}_req *request)\n"
        "{\n"
        f"    struct {name}_res m = {{ .header = {name}_res_header }};\n"
        "    (void)request; /* what it asks */\n"
        f"    khs_reply(token, &m, {name}_res_size);\n"
        "}\n"
    )


def answer_case(name: str, label: str) -> str:
    """The case that calls it, in a `switch (info.mid)`; the next one may follow."""
    indent = " " * 8
    return (
        f"case {name}_mid:\n{indent}    answer_{label}(info.token, (const void *)message);\n"
        f"{indent}    break;\n{indent}"
    )


# ---- files


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KhsError(f"cannot read {path}: {error}") from error


def _write(changes: dict[Path, str], folder: Path) -> None:
    before = {path: path.read_text(encoding="utf-8") for path in changes}
    try:
        for path, text in changes.items():
            path.write_text(text, encoding="utf-8")
        monitor.load(config.load(folder))
    except (OSError, ConfigError) as error:
        for path, text in before.items():
            path.write_text(text, encoding="utf-8")
        if isinstance(error, OSError):
            raise KhsError(f"cannot write {error.filename}: {error.strerror}") from error
        raise
