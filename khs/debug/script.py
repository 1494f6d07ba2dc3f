"""The command file that makes a stock gdb know partitions, hypercalls and verdicts.

Everything is gdb's own command language, which every gdb has; Python in gdb is not needed.
Programs of all partitions lie at the same addresses: gdb has the symbols of one of them at a time,
and breakpoints in them have an address space as their condition.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from khs.abi.hypercalls import HYPERCALLS
from khs.abi.table import Hypercall
from khs.config.model import Arch
from khs.debug.define import REFUSE, known_words, no_place, refusal, taking
from khs.trace.kinds import EventType

FIRMWARE, VERDICT, MESSAGE, NAMES = "firmware.elf", "verdict.bin", "message.bin", "names.json"
_NO_WRITES = "set may-write-memory off\nset may-write-registers off"
_REPLAYED = "the run is replayed: looking changes nothing, writing takes khs debug --live."
_LIVE = "the run is live: a stop inside a partition ends its window."


@dataclass(frozen=True)
class Target:
    """What differs between processors: the register that names the address space in force, and
    where a trapped guest's context has the arguments of its hypercall."""

    root: str
    arguments: tuple[str, ...]


TARGETS = {
    Arch.ARMV7: Target("$TTBR0_EL1_S", tuple(f"r[{number}]" for number in range(6))),
    Arch.X64: Target("$cr3", ("rdi", "rsi", "rdx", "r10", "r8", "r9")),
    Arch.X86: Target("$cr3", ("ebx", "ecx", "edx", "esi", "edi", "ebp")),
}


@dataclass(frozen=True)
class Script:
    """A session: `folder` holds the firmware and `NAME.elf` of each partition; `place` is where
    QEMU listens; `sources`: folders that the names in debug information are relative to. `live`:
    what gdb writes counts; a replayed run would hang, so that gdb is kept from it there."""

    system: str
    board: str
    arch: Arch
    partitions: Sequence[str]
    ports: Sequence[Sequence[str]]
    folder: Path
    place: str
    sources: Sequence[Path]
    live: bool = False

    @classmethod
    def of(
        cls,
        manifest: Mapping[str, Any],
        folder: Path,
        place: str,
        sources: Sequence[Path],
        live: bool = False,
    ) -> Script:
        """For a system, as its archive's manifest describes it."""
        names = manifest["names"]
        return cls(
            str(manifest["system"]),
            str(manifest["board"]),
            Arch[str(manifest["arch"]).upper()],
            [str(name) for name in names["partitions"]],
            [[str(name) for name in ports] for ports in names["ports"]],
            folder,
            place,
            sources,
            live,
        )

    def text(self) -> str:
        """The file for `gdb -x`."""
        values = {
            "@SYSTEM@": self.system,
            "@BOARD@": self.board,
            "@FOLDER@": str(self.folder),
            "@PLACE@": self.place,
            "@WRITES@": "" if self.live else _NO_WRITES,
            "@ABOUT@": _LIVE if self.live else _REPLAYED,
            "@ROOT@": f"(unsigned long){TARGETS[self.arch].root}",
            "@SOURCES@": " ".join(f'"{path}"' for path in self.sources),
            "@HYPERCALL_COUNT@": str(len(HYPERCALLS)),
            "@VERDICT@": str(int(EventType.VERDICT)),
            "@VERDICT_FILE@": str(self.folder / VERDICT),
            "@MESSAGE_FILE@": str(self.folder / MESSAGE),
            "@TELL@": self._tell(),
            "@SPACES@": "\n".join(self._spaces()),
            "@WHERE@": "\n".join(self._where()),
            "@TABLES@": "\n".join(self._tables()),
            "@REFUSALS@": "\n".join(self._refusals()),
            "@CALLS@": "\n".join(map(self._call, HYPERCALLS)),
            "@PARTITIONS@": "\n".join(self._partition_commands()),
        }
        text = files(__package__).joinpath("commands.gdb").read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(key, value)
        return text

    def _tell(self) -> str:
        """The shell's command that puts a verdict into words."""
        specs = [find_spec(name) for name in ("khs", "kss")]
        path = os.pathsep.join(str(Path(each.origin or "").parents[1]) for each in specs if each)
        command = [sys.executable, "-m", "khs.debug.tell", str(self.folder)]
        return f"PYTHONPATH={shlex.quote(path)} {shlex.join(command)}"

    def _spaces(self) -> Iterator[str]:
        for number in range(len(self.partitions)):
            yield f"set $khs_space_{number} = (unsigned long)$board->cpus[{number}].space"

    def _where(self) -> Iterator[str]:
        for number in range(len(self.partitions)):
            yield f"  if $khs_space == $khs_space_{number}"
            yield f"    set $partition = {number}"
            yield "  end"

    def _tables(self) -> Iterator[str]:
        for number, name in enumerate(self.partitions):
            yield f'set $khs_name_{number} = "{name}"'
        for number, ports in enumerate(self.ports):
            for port, name in enumerate(ports):
                yield f'set $khs_port_{number}_{port} = "{name}"'
        for row in HYPERCALLS:
            yield f"set $khs_hc_{row.name.removeprefix('khs_')} = {row.number}"

    def _call(self, row: Hypercall) -> str:
        """Prints a hypercall of partition $arg0 with its arguments."""
        registers = TARGETS[self.arch].arguments
        lines = [f"define khs-call-{row.number}", f"  printf {_quoted(row.name + '(')}"]
        for at, argument in enumerate(row.arguments):
            value = f"$board->cpus[$arg0].context.{registers[at]}"
            comma = ", " if at else ""
            if argument.name == "port":
                lines.append(f"  printf {_quoted(comma + 'port=')}")
                lines.append(f"  khs-port $arg0 {value}")
            else:
                form = "%u" if argument.kind == "u32" else "%#lx"
                kind = "unsigned int" if argument.kind == "u32" else "unsigned long"
                shown = _quoted(f"{comma}{argument.name}={form}")
                lines.append(f"  printf {shown}, ({kind}){value}")
        return "\n".join([*lines, r'  printf ")\n"', "end"])

    def _partition_commands(self) -> Iterator[str]:
        calls = [row.name.removeprefix("khs_") for row in HYPERCALLS]
        order = f"hc [PARTITION] [NAME]: hc {self.partitions[0]} {calls[0]}"
        for name in calls:
            yield _define(f"hc {name}", taking(0, (f"khs-hc -1 {name}",), order))
        for number, name in enumerate(self.partitions):
            one = taking(1, (f"khs-hc {number} $arg0",), order)
            any_hc = ("if $argc == 0", f"  khs-hc {number} any", "else", *one, "end")
            yield _define(f"hc {name}", any_hc)
            for command, line in (
                ("partition", f"khs-symbols {number}"),
                ("denied", f"khs-denied {number}"),
            ):
                wrong = f"{command} {name} takes no arguments"
                yield _define(f"{command} {name}", taking(0, (line,), wrong))
            break_in = taking(1, (f"khs-break {number} $arg0",), no_place(name))
            yield _define(f"break-in {name}", break_in)

    def _refusals(self) -> Iterator[str]:
        yield REFUSE
        told = "'$arg0' is neither a partition nor a hypercall; there are"
        yield _define("khs-no-hc", refusal(told, *known_words(self.partitions)))
        wanted = f"a partition is wanted: {', '.join(self.partitions)}"
        yield _define("khs-no-partition", refusal(wanted))


def _define(name: str, lines: Sequence[str]) -> str:
    return "\n".join((f"define {name}", *(f"  {line}" for line in lines), "end"))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
