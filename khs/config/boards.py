"""Board files: finding and reading one."""

from __future__ import annotations

from pathlib import Path

from khs.config import rules, toml
from khs.config.document import BoardDocument
from khs.config.model import Arch, Board, Costs, Device
from khs.config.read import Reader
from khs.errors import ConfigError
from khs.resources import shipped

ARCHES = {"armv7": Arch.ARMV7, "x86": Arch.X86, "x64": Arch.X64}
#: The processor model that guests run on (khs/host/arch_*.c).
PROCESSORS = {Arch.ARMV7: "cortex-a9", Arch.X86: "qemu64", Arch.X64: "qemu64"}


def folder() -> Path:
    """Where the boards that come with KHS are."""
    return shipped("boards")


def names() -> list[str]:
    """The boards that come with KHS."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def find(name_or_path: str, root: Path | None = None) -> Path | None:
    """The file of a board, None if there is none. A path is relative to `root`, a name to
    the boards that come with KHS."""
    if "/" in name_or_path or name_or_path.endswith(".toml"):
        path = ((root or Path()) / name_or_path).absolute()
    else:
        path = folder() / f"{name_or_path}.toml"
    try:
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None


def load(path: Path) -> Board:
    """Reads and checks a board file; ConfigError with all findings."""
    return check(toml.read(path), path)


def check(source: toml.Source, path: Path) -> Board:
    """The board that `source`, read from `path`, describes; ConfigError with all findings."""
    reader = Reader(source, str(path))
    document: BoardDocument = reader.document(BoardDocument)
    context = rules.BoardContext(document, source)
    findings = reader.findings + rules.run(context, str(path))
    if findings:
        raise ConfigError(findings)
    return _freeze(document, path)


def _freeze(document: BoardDocument, path: Path) -> Board:
    board, memory, cost = document.board, document.memory, document.cost
    devices = {
        name: Device(name, d.kind, d.bus, d.address.value, d.size.bytes, d.irq)
        for name, d in document.device.items()
    }
    return Board(
        name=board.name,
        title=board.title,
        path=path,
        arch=ARCHES[board.arch],
        cpu=board.cpu,
        clock_hz=board.clock.value,
        memory_base=memory.base.value,
        memory_size=memory.size.bytes,
        costs=Costs(cost.call, cost.copy, cost.verdict),
        console=board.console,
        devices=devices,
        qemu={"machine": document.qemu.machine, "cpu": document.qemu.cpu},
    )
