"""The init description (init.yaml): which processes Einit starts and which channels it makes.

    init = load_init(Path("init.yaml"))
    for process in init.processes: process.task, process.name, process.connections

The whole set of keys is that of KasperskyOS CE: `entities`, and in each entry `name`, `task`,
`path`, `args`, `env`, `connections` with `target` and `id`. Entries are started in their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from kss.errors import Finding, Findings, Location, did_you_mean
from kss.source import Source, read_source
from kss.template import Template, left_out

MAX_SIZE = 256 << 10  # characters; of a file some thousand processes long
_ENTRY = ("name", "task", "path", "args", "env", "connections")
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_PLACEHOLDER = re.compile(r"@\w+\+?@", re.ASCII)
_TEXT = "write a word, or a text in quotes"
_SAMPLE = "entities:\n- name: bank.Vault"


@dataclass(frozen=True, slots=True)
class Constant:
    """`{ var: NAME, include: header.h }`: a channel is called what a C header says."""

    var: str
    include: str

    def __str__(self) -> str:
        return f"{self.var} of {self.include}"


@dataclass(frozen=True, slots=True)
class Connection:
    """A channel from the process of the entry to process `target`, named `id`."""

    target: str
    id: str | Constant
    location: Location


@dataclass(frozen=True, slots=True)
class Process:
    """One entry: process `task` of class `name`, from the program `path`."""

    name: str
    task: str
    path: str
    args: tuple[str, ...]
    env: Mapping[str, str]
    connections: tuple[Connection, ...]
    location: Location


@dataclass(frozen=True, slots=True)
class Init:
    """The processes in the order in which they start. `left_out`: placeholders that stand for
    nothing, so that processes may lack (stub mode only). `notes`: warnings and notes."""

    processes: tuple[Process, ...]
    left_out: tuple[str, ...] = ()
    notes: tuple[Finding, ...] = ()

    def process(self, task: str) -> Process | None:
        return next((process for process in self.processes if process.task == task), None)


def load_init(path: Path, defines: Mapping[str, str] | None = None, *, stub: bool = False) -> Init:
    """Reads and checks an init description, or a template of one (`init.yaml.in`).

    `defines` is what placeholders stand for. With `stub` one that is alone on its line may stand
    for nothing, and a target may be a process that is not there. Raises DescriptionError with
    every finding.
    """
    findings = Findings()
    template = Template(defines or {}, lenient=stub)
    source = read_source(path, findings)
    source = template.expand(source, findings) if source else None
    processes: tuple[Process, ...] = ()
    if source is not None and not findings.failed:
        processes = _Reader(source, findings, stub).read()
    findings.raise_if_failed()
    return Init(processes, tuple(left_out(findings)), tuple(findings.items))


class _Loader(yaml.SafeLoader):
    """YAML without aliases, by which a small file could stand for a huge one."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            problem = "an init description has no aliases"
            raise yaml.MarkedYAMLError(None, None, problem, mark, "write what it stands for")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


class _Reader:
    def __init__(self, source: Source, findings: Findings, stub: bool) -> None:
        self.source = source
        self.findings = findings
        self.stub = stub

    # ---- findings

    def _at(self, node: yaml.Node) -> Location:
        return self.source.position(node.start_mark.index)

    def _wrong(self, rule: str, node: yaml.Node, message: str, help: str = "") -> None:
        text = self.source.text[node.start_mark.index : node.end_mark.index].split("\n")[0]
        self.findings.error(rule, self._at(node), message, help, text)

    def _word(self, at: Location) -> str:
        """What stands at a place, up to the next space."""
        line = self.source.text.split("\n")[at.line - 1 : at.line]
        return "".join(line)[at.column - 1 :].split(" ")[0]

    # ---- the file

    def read(self) -> tuple[Process, ...]:
        """The entries; those with findings may be wrong."""
        root = self._parse()
        if root is None:
            return ()
        top = self._mapping(root, ("entities",), "the file")
        if top is None:
            return ()
        if "entities" not in top:
            self._wrong("INIT-003", root, "there is no key entities", _SAMPLE)
            return ()
        entries = self._items(top["entities"], "entities", "- name: bank.Vault")
        processes = [self._process(entry) for entry in entries]
        found = [process for process in processes if process is not None]
        self._tasks(found)
        return tuple(found)

    def _parse(self) -> yaml.Node | None:
        text = self.source.text
        start = self.source.position(0)
        if len(text) > MAX_SIZE:
            message = f"the file has more than {MAX_SIZE >> 10} KiB"
            self.findings.error("SRC-006", start, message, "is it an init description?")
            return None
        for match in _placeholders(text):
            message = f"the placeholder {match[0]} is not expanded"
            help = f"give its text with --define {match[0].strip('@')}=..."
            at = self.source.position(match.start())
            self.findings.error("SRC-005", at, message, help, match[0])
        if self.findings.failed:
            return None
        try:
            root: yaml.Node | None = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            at = self.source.position(mark.index) if mark else start
            problem = error.problem or error.context or "this is no YAML"
            help = error.note or error.context or _SAMPLE
            self.findings.error("INIT-001", at, problem, help, self._word(at))
        except yaml.reader.ReaderError as error:
            at = self.source.position(error.position)
            message = f"character U+{ord(text[error.position]):04X} does not belong here"
            self.findings.error("INIT-001", at, message, "take it out")
        except RecursionError:
            self.findings.error("INIT-001", start, "the file is nested too deeply", _SAMPLE)
        else:
            if root is None:
                self.findings.error("INIT-003", start, "the file says nothing", _SAMPLE)
            return root
        return None

    # ---- values

    def _mapping(
        self, node: yaml.Node, known: tuple[str, ...], what: str
    ) -> dict[str, yaml.Node] | None:
        """The values by key; None (and a finding) if it is no mapping."""
        if not isinstance(node, yaml.MappingNode):
            keys = ", ".join(known) or "NAME: text"
            self._wrong("INIT-004", node, f"{what} is a mapping", f"its keys are {keys}")
            return None
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if known and name not in known:
                help = did_you_mean(name, known)
                self._wrong("INIT-002", key, f"{what} has no key {name}".rstrip(), help)
            elif not isinstance(key, yaml.ScalarNode):
                self._wrong("INIT-004", key, "a key is a word", "NAME: ...")
            elif name in found:
                self._wrong("INIT-008", key, f"{name} is given twice", "take one out")
            else:
                found[name] = value
        return found

    def _items(self, node: yaml.Node, what: str, sample: str) -> list[yaml.Node]:
        """The items of a list; none if nothing is there."""
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        if not _is_null(node):
            self._wrong("INIT-004", node, f"{what} is a list", sample)
        return []

    def _text(self, node: yaml.Node | None, what: str) -> str | None:
        """A scalar as it is written; None if there is none, or after a finding."""
        if node is None:
            return None
        if not isinstance(node, yaml.ScalarNode):
            self._wrong("INIT-004", node, f"{what} is a text", _TEXT)
            return None
        value: str = node.value
        if not value or "\0" in value:
            message = f"{what} is empty" if not value else "a zero character"
            self._wrong("INIT-004", node, message, _TEXT)
            return None
        return value

    # ---- entries

    def _process(self, node: yaml.Node) -> Process | None:
        fields = self._mapping(node, _ENTRY, "an entry")
        if fields is None:
            return None
        if "name" not in fields:
            self._wrong("INIT-003", node, "an entry has no key name", "name: bank.Vault")
        name = self._text(fields.get("name"), "name")
        if name is not None and not _CLASS.fullmatch(name):
            help = "letters, digits and _, with dots between them: bank.Vault"
            self._wrong("INIT-004", fields["name"], f"{name} is no name of a class", help)
        name = name or ""
        return Process(
            name,
            self._text(fields.get("task"), "task") or name,
            self._text(fields.get("path"), "path") or name,
            self._args(fields.get("args")),
            self._env(fields.get("env")),
            self._connections(fields.get("connections")),
            self._at(node),
        )

    def _args(self, node: yaml.Node | None) -> tuple[str, ...]:
        if node is None:
            return ()
        items = self._items(node, "args", 'args: ["-v", "--mode=x"]')
        return tuple(self._scalar(item, "an argument") for item in items)

    def _env(self, node: yaml.Node | None) -> dict[str, str]:
        if node is None or _is_null(node):
            return {}
        given = self._mapping(node, (), "env") or {}
        return {name: self._scalar(value, name) for name, value in given.items()}

    def _scalar(self, node: yaml.Node, what: str) -> str:
        """As `_text`, but it may be empty."""
        empty = isinstance(node, yaml.ScalarNode) and not node.value
        return "" if empty else self._text(node, what) or ""

    # ---- connections

    def _connections(self, node: yaml.Node | None) -> tuple[Connection, ...]:
        items = self._items(node, "connections", "- target: bank.Vault") if node else []
        found: list[Connection] = []
        names: set[str | Constant] = set()
        for item in items:
            connection = self._connection(item)
            if connection is None:
                continue
            if connection.id in names:
                message = f"the process has two connections {connection.id}"
                self._wrong("INIT-007", item, message, "each connection has an id of its own")
            names.add(connection.id)
            found.append(connection)
        return tuple(found)

    def _connection(self, node: yaml.Node) -> Connection | None:
        fields = self._mapping(node, ("target", "id"), "a connection")
        if fields is None:
            return None
        for key in ("target", "id"):
            if key not in fields:
                self._wrong("INIT-003", node, f"a connection has no key {key}", f"{key}: ...")
        target = self._text(fields.get("target"), "target")
        name = self._id(fields["id"]) if "id" in fields else None
        return Connection(target, name, self._at(node)) if target and name else None

    def _id(self, node: yaml.Node) -> str | Constant | None:
        if not isinstance(node, yaml.MappingNode):
            return self._text(node, "id")
        fields = self._mapping(node, ("var", "include"), "an id") or {}
        for key in ("var", "include"):
            if key not in fields:
                help = "id: { var: CHANNEL_NAME, include: channel.h }"
                self._wrong("INIT-003", node, f"an id has no key {key}", help)
        var = self._text(fields.get("var"), "var")
        include = self._text(fields.get("include"), "include")
        return Constant(var, include) if var and include else None

    # ---- all together

    def _tasks(self, processes: list[Process]) -> None:
        """Names of processes differ, and connections lead to one of them."""
        tasks: dict[str, Process] = {}
        for process in processes:
            other = tasks.setdefault(process.task, process)
            if other is not process:
                message = f"there are two processes {process.task}"
                help = f"task: another name; the first is at line {other.location.line}"
                self.findings.error("INIT-005", process.location, message, help)
        for process in processes:
            for connection in process.connections:
                self._target(process, connection, tasks)

    def _target(
        self, process: Process, connection: Connection, tasks: Mapping[str, Process]
    ) -> None:
        target, at = connection.target, connection.location
        if target == process.task:
            message = f"{target} connects to itself"
            help = "a process that waits for itself waits for ever"
            self.findings.error("INIT-007", at, message, help, target)
        elif target not in tasks:
            message = f"there is no process {target}"
            named = [other.task for other in tasks.values() if other.name == target]
            help = f"targets are tasks: {', '.join(named)}" if named else ""
            help = help or did_you_mean(target, set(tasks) - {process.task})
            tell = self.findings.note if self.stub else self.findings.error
            tell("STUB-001" if self.stub else "INIT-006", at, message, help, target)


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.value and node.style is None


def _placeholders(text: str) -> Iterator[re.Match[str]]:
    """Those outside of comments."""
    for match in _PLACEHOLDER.finditer(text):
        line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        quoted = line.count('"') % 2 or line.count("'") % 2
        if quoted or not re.search(r"(^|\s)#", line):
            yield match
