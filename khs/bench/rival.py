"""Qiling, the framework people use otherwise, beside us: only with the extra `bench`.

It runs a bare loop of two instructions, in windows cut with Unicorn's own instruction count, or
one trap after the other, each answered by a Python function. Beside it, our kernel runs the same
work as a partition's program.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from typing import Any

from khs.bench.figures import Figure
from khs.bench.load import Load, booted, under_kernel

TRAPS = 50_000
TICKS = 3_000_000
WINDOWS = (100_000, 1_000)

# Qiling's name of the architecture, a loop around a trap, a loop that counts.
_GUESTS = {
    "armv7": ("ARM", bytes.fromhex("000000effdffffea"), bytes.fromhex("010050e2fdffffea")),
    "x64": ("X8664", bytes.fromhex("0f05ebfc"), bytes.fromhex("ffc8ebfc")),
    "x86": ("X86", bytes.fromhex("cd80ebfc"), bytes.fromhex("48ebfd")),
}


def missing() -> str:
    """What this section needs and is not here; "" if it can be measured."""
    if importlib.util.find_spec("qiling") is not None:
        return ""
    return "needs Qiling, which is not installed\n  help: pip install 'khs[bench]'"


def qiling() -> Iterator[Figure]:
    """Our figures with Qiling's as baseline."""
    for arch, (name, trap, spin) in _GUESTS.items():
        with booted(Load(arch, "null", WINDOWS[0])) as machine:
            ours = under_kernel(machine, TICKS, WINDOWS[0]).ns_per_call
        theirs = _trap_ns(name, trap)
        yield Figure("qiling", "null hypercall", arch, ours, "ns", theirs, ours / theirs)
        for window in WINDOWS:
            with booted(Load(arch, "rate", window)) as machine:
                speed = 1e3 / under_kernel(machine, TICKS, window).ns_per_tick
            other = 1e3 / _spin_ns(name, spin, window)
            title = f"loop, windows of {window} ticks"
            yield Figure("qiling", title, arch, speed, "MIPS", other, speed / other)


def _guest(arch: str, code: bytes) -> Any:
    from qiling import Qiling
    from qiling.const import QL_ARCH, QL_OS, QL_VERBOSE

    return Qiling(
        code=code, archtype=QL_ARCH[arch], ostype=QL_OS.LINUX, verbose=QL_VERBOSE.DISABLED
    )


def _trap_ns(arch: str, code: bytes) -> float:
    """Host time of one trap and its Python function."""
    guest = _guest(arch, code)
    left = TRAPS

    def answer(*_: object, **__: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            guest.emu_stop()

    guest.os.load_syscall = answer
    began = time.perf_counter()
    guest.run()
    return (time.perf_counter() - began) * 1e9 / TRAPS


def _spin_ns(arch: str, code: bytes, window: int) -> float:
    """Host time of an instruction, in windows of so many."""
    guest = _guest(arch, code)
    begin, windows = guest.os.entry_point, max(1, TICKS // window)
    guest.emu_start(begin, 0, 0, window)
    began = time.perf_counter()
    for _ in range(windows):
        guest.emu_start(begin, 0, 0, window)
    return (time.perf_counter() - began) * 1e9 / (windows * window)
