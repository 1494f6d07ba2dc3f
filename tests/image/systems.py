"""Writes small systems: two partitions with hand-made ELF files, so that no compiler is needed."""

from __future__ import annotations

from pathlib import Path

from khs import config
from khs.config.model import Arch, System
from tests.image.elves import FUNCTION, Elf

BOARDS = {Arch.ARMV7: "sabrelite", Arch.X86: "pc", Arch.X64: "q35"}

SYSTEM = """
format = 1
[system]
name = "pair"
board = "{board}"
policy = "security.psl"
include = ["."]
[run]
frames = 3
seed = 7
[schedule.normal]
major_frame = "10ms"
windows = [
  {{ partition = "left",  start = "0ms", length = "4ms" }},
  {{ partition = "right", start = "5ms", length = "3ms" }},
]
[schedule.rescue]
major_frame = "20ms"
windows = [{{ partition = "right", start = "1ms", length = "3ms" }}]
[partition.left]
class = "demo.Left"
image = "left.elf"
stack = "16KiB"
heap = "64KiB"
period = "10ms"
deadline = "4ms"
privileges = ["schedule-switch", "partition-control"]
args = ["-v", "two words"]
env = {{ MODE = "demo" }}
[partition.right]
class = "demo.Right"
image = "right.elf"
stack = "4KiB"
[region.frames]
size = "8KiB"
map = {{ left = "rw", right = "r" }}
keep = true
[region.scratch]
size = "4KiB"
map = {{ right = "rw" }}
[channel.level]
kind = "sampling"
from = "left"
to = ["right"]
message = "demo.ILevel.Report"
refresh = "40ms"
[channel.log]
kind = "queuing"
from = "right"
to = ["left"]
message = "demo.ILog.Note"
depth = 8
[channel.control]
kind = "call"
from = "left"
to = "right"
endpoint = "panel.control"
[input.wire]
partition = "right"
capacity = "600B"
depth = 4
messages = [{{ at = "15ms", text = "late" }}, {{ at = "25ms", hex = "00ff" }}]
[input.probe]
partition = "left"
capacity = "16B"
depth = 1
messages = [{{ at = "15ms", text = "early" }}]
[health]
default = {{ level = "partition", action = "cold_restart" }}
[health.errors]
deadline-missed = {{ level = "partition", action = "log" }}
"memory-fault.initialising" = {{ level = "module", action = "module_stop" }}
[health.partition.right]
memory-fault = {{ action = "idle" }}
limit = {{ restarts = 3, within = "1s", then = "idle" }}
"""

POLICY = """
execute: kl.core.Execute
use nk.base._
use EDL Einit
use EDL kl.core.Core
use EDL demo.Left
use EDL demo.Right
execute { grant () }
request src=demo.Left, dst=demo.Right, endpoint=panel.control {
    match method=Set { assert (message.value < 100) }
}
request src=demo.Left, dst=demo.Right, endpoint=level, method=Report { grant () }
request src=demo.Right, dst=demo.Left, interface=demo.ILog { grant () }
request dst=kl.core.Core { grant () }
"""

DESCRIPTIONS = {
    "demo/Left.edl": "task class demo.Left\nendpoints { journal : demo.ILog }\n",
    # no endpoint for demo.ILevel: the channel `level` gives it one
    "demo/Right.edl": "task class demo.Right\ncomponents { panel : demo.Panel }\n",
    "demo/Panel.cdl": "component demo.Panel\nendpoints { control : demo.IControl }\n",
    "demo/ILevel.idl": "package demo.ILevel\ninterface { Reset(); Report(in UInt32 level); }\n",
    "demo/ILog.idl": "package demo.ILog\ninterface { Note(in string<31> text, in UInt64 at); }\n",
    "demo/IControl.idl": (
        "package demo.IControl\n"
        "struct Pair { UInt16 a; UInt64 b; }\n"
        "interface { Set(in UInt32 value, out bytes<100> old); Get(out Pair pair); }\n"
    ),
}


def write_system(folder: Path, arch: Arch = Arch.X86, system: str = SYSTEM) -> Path:
    """Writes the system into `folder` and returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "system.toml").write_text(system.format(board=BOARDS[arch]))
    (folder / "security.psl").write_text(POLICY)
    for name, text in DESCRIPTIONS.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for name in ("left", "right"):
        program = Elf(arch, symbols=[(f"{name}_start", 0x40000000, 4, FUNCTION)])
        (folder / f"{name}.elf").write_bytes(bytes(program))
    return folder


def load_system(folder: Path, arch: Arch = Arch.X86) -> System:
    """Writes and loads the system."""
    return config.load(write_system(folder, arch))
