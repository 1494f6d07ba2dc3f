"""The command file that makes a stock gdb ready for partitions on Unicorn, and gdb's data: names of
hypercalls for `catch syscall`.

It is in gdb's own command language, as the one for boards is (`khs.debug.script`), and has commands
of the same names.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from khs.abi.emit_gdb import FILES
from khs.debug.define import commands
from khs.debug.rsp.world import Process

DATA = "data"
_ABOUT = "looking changes nothing; what gdb writes counts from there on."


@dataclass(frozen=True)
class Commands:
    """`archs` are the architectures of the systems. `folder` holds the programs, as `Systems.path`
    says, descriptions of registers by architecture, and gdb's data; `place`: where the server
    listens; `sources`: folders that names in debug information are relative to. `ends`: the run
    ends with gdb."""

    title: str
    archs: Sequence[str]
    processes: Sequence[Process]
    folder: Path
    place: str
    sources: Sequence[Path]
    ends: bool = True

    def text(self) -> str:
        """The file for `gdb -x`."""
        values = {
            "@SYSTEMS@": self.title,
            "@DATA@": f"set data-directory {self.folder / DATA}",
            "@FOLDER@": str(self.folder),
            "@CONNECT@": f"target remote {self.place}",
            "@SOURCES@": " ".join(f'"{path}"' for path in self.sources),
            "@ATTACHED@": "set remote query-attached-packet off" if self.ends else "",
            "@REGISTERS@": "\n".join(self._registers()),
            "@CATCH@": "\n".join(self._catch()),
            "@COMMANDS@": "\n".join(commands(list(self._names()))),
            "@ABOUT@": _ABOUT,
        }
        text = files(__package__).joinpath("partitions.gdb").read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(key, value)
        return text

    def _catch(self) -> Iterator[str]:
        for process in self.processes:
            yield f"  {_quietly(process)}\n  catch syscall $arg0"

    def _registers(self) -> Iterator[str]:
        first, *others = self.processes
        for process in others:
            file = self.folder / description(self.archs[process.system])
            yield f"{_quietly(process)}\nset tdesc filename {file}"
        if others:
            yield _quietly(first)

    def _names(self) -> Iterator[tuple[str, Process]]:
        """What partitions may be called: with several systems, with their system's name, too."""
        several = len({process.system for process in self.processes}) > 1
        for process in self.processes:
            yield process.label, process
            if several and process.label != process.full:
                yield process.full, process


def _quietly(process: Process) -> str:
    """gdb's command to go there, without a word."""
    return f"pipe inferior {process.pid} | cat > /dev/null"


def description(arch: str) -> str:
    """The file that tells gdb of an architecture's registers."""
    return f"registers-{arch}.xml"


def write_data(gdb: str, folder: Path) -> None:
    """A data directory for gdb: its own, or that of this machine's without a name, but with the
    system calls that partitions have."""
    real = _data(gdb or shutil.which("gdb-multiarch") or shutil.which("gdb"))
    data = folder / DATA
    data.mkdir()
    for each in real.iterdir() if real.is_dir() else ():
        if each.name != "syscalls":
            (data / each.name).symlink_to(each)
    ours = files("khs.abi") / "syscalls"
    (data / "syscalls").mkdir()
    for name in FILES:
        (data / "syscalls" / name).write_bytes((ours / name).read_bytes())
    schema = real / "syscalls" / "gdb-syscalls.dtd"
    if schema.is_file():
        (data / "syscalls" / schema.name).symlink_to(schema)


def _data(gdb: str | None) -> Path:
    """Where a gdb has its data."""
    command = [gdb or "", "-nx", "-batch", "-ex", "show data-directory"]
    done = subprocess.run(command, capture_output=True, text=True, check=False) if gdb else None
    found = re.search(r'"(.*)"', done.stdout) if done else None
    return Path(found[1]) if found else Path("/usr/share/gdb")
