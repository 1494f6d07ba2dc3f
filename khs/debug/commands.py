"""The command file that makes a stock gdb ready for partitions on Unicorn, and gdb's data: names of
hypercalls for `catch syscall`.

It is in gdb's own command language, as the one for boards is (`khs.debug.script`), and has commands
of the same names.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from khs.abi.emit_gdb import FILES
from khs.abi.hypercalls import HYPERCALLS
from khs.debug.rsp.world import Process

DATA = "data"
_ABOUT = "looking changes nothing; what gdb writes counts from there on."


@dataclass(frozen=True)
class Commands:
    """`folder` holds the programs, as `Systems.path` says, and gdb's data; `place`: where the
    server listens; `sources`: folders that names in debug information are relative to. `ends`: the
    run ends with gdb."""

    title: str
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
            "@CATCH@": "\n".join(self._catch()),
            "@PARTITIONS@": "\n".join(self._partition_commands()),
            "@ABOUT@": _ABOUT,
        }
        text = files(__package__).joinpath("partitions.gdb").read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(key, value)
        return text

    def _catch(self) -> Iterator[str]:
        for process in self.processes:
            yield f"  pipe inferior {process.pid} | cat > /dev/null\n  catch syscall $arg0"

    def _partition_commands(self) -> Iterator[str]:
        for row in HYPERCALLS:
            name = row.name.removeprefix("khs_")
            yield f"define hc {name}\n  monitor hc break {name}\nend"
        for process in self.processes:
            name, pid = process.label, process.pid
            yield f"define hc {name}"
            yield f"  if $argc\n    monitor hc break {name} $arg0"
            yield f"  else\n    monitor hc break {name}\n  end\nend"
            yield f"define partition {name}\n  inferior {pid}\nend"
            yield f"define break-in {name}\n  break $arg0 if $_inferior == {pid}\nend"
            yield f"define denied {name}\n  monitor break denied {name}\nend"


def write_data(gdb: str, folder: Path) -> None:
    """A data directory for gdb: its own, but with the system calls that partitions have."""
    done = subprocess.run(
        [gdb, "-nx", "-batch", "-ex", "show data-directory"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r'"(.*)"', done.stdout)
    real = Path(found[1]) if found else Path("/usr/share/gdb")
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
