"""What a partition leaves in the CPU, and when its windows end, is nothing its neighbour sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from khs.engine import qemu
from khs.engine.result import Result
from khs.image import open_system
from khs.resources import shipped
from khs.trace import events

from .conftest import firmware

SYSTEM = """
format = 1
[system]
name = "pair"
board = "sabrelite"
policy = "security.psl"
include = ["{interfaces}"]
[schedule.normal]
major_frame = "2ms"
windows = [
  {{ partition = "sender", start = "0ms", length = "1ms" }},
  {{ partition = "receiver", start = "1ms", length = "1ms" }},
]
[partition.sender]
class = "uart.Driver"
program = "sender"
period = "2ms"
[partition.receiver]
class = "uart.Bystander"
program = "receiver"
period = "2ms"
[health]
default = {{ level = "partition", action = "cold_restart" }}
"""

#: What user mode may change that no register of the ABI is.
LEAVE = r"""
#include <khs/khs.h>
void main(void)
{
    static float operand = 1.5f;
    khs_ready();
    for (uint32_t n = 1;; n++) {
#ifdef __arm__
        __asm__ volatile("mcr p15, 0, %0, c13, c0, 2" : : "r"(0x5ec00000u + n));
#else
        uint32_t data;
        __asm__ volatile("mov %%ss, %0" : "=r"(data));
        __asm__ volatile("mov %0, %%fs\n mov %0, %%gs\n mov %0, %%ds\n mov %0, %%es" : : "r"(data));
        __asm__ volatile("flds %0\n fstp %%st(0)" : : "m"(operand));
#endif
        for (volatile uint32_t busy = 0; busy < 100000; busy++) {
        }
    }
}
"""
LOOK = r"""
#include <khs/khs.h>
void main(void)
{
    khs_ready();
    for (uint32_t n = 0; n < 6; n++) {
        khs_period_wait();
#ifdef __arm__
        uint32_t seen;
        __asm__ volatile("mrc p15, 0, %0, c13, c0, 2" : "=r"(seen));
        khs_print("%x;", seen);
#else
        uint32_t fs, gs, x87[7];
        __asm__ volatile("mov %%fs, %0\n mov %%gs, %1" : "=r"(fs), "=r"(gs));
        __asm__ volatile("fnstenv %0" : "=m"(x87));
        khs_print("%x;", fs | gs | x87[3] | x87[5]);
#endif
    }
    for (;;)
        khs_period_wait();
}
"""
CLOCK = r"""
#include <khs/khs.h>
void main(void)
{
    khs_ready();
    for (;;) {
        khs_period_wait();
        for (uint32_t n = 0; n < 9; n++)
            khs_now_ns();
    }
}
"""
NEIGHBOURS = {
    "idle": "khs_period_wait();",
    "calling": "khs_now_ns();",
    "faulting": "*(volatile uint32_t *)16 = 1;",
    "computing": '__asm__ volatile("nop");',
}


def played(
    folder: Path, board: str, sender: str, receiver: str
) -> tuple[Result, list[events.Event]]:
    uart = shipped("images") / "uart"
    (folder / "system.toml").write_text(SYSTEM.format(interfaces=uart))
    (folder / "security.psl").write_text((uart / "security.psl").read_text(encoding="utf-8"))
    for name, source in (("sender", sender), ("receiver", receiver)):
        program = folder / "partitions" / name
        program.mkdir(parents=True)
        (program / "main.c").write_text(source)
    seen: list[events.Event] = []

    def take(records: memoryview) -> None:
        seen.extend(events.decode(record) for record in events.split(records))

    with qemu.Machine(open_system(str(folder), [], board), firmware(board)) as machine:
        return machine.run(20, sink=take), seen


def test_nothing_is_left_in_the_cpu(board: str, tmp_path: Path) -> None:
    _, seen = played(tmp_path, board, LEAVE, LOOK)
    console = [event for event in seen if isinstance(event, events.Console)]
    assert b"".join(event.text for event in console if event.partition == 1) == b"0;" * 6
    assert not [event for event in seen if isinstance(event, events.Fault)]


def test_the_end_of_a_window_is_no_message(board: str, tmp_path: Path) -> None:
    """A timer that runs out while the kernel is at work is not charged to who comes next."""
    hashes = set()
    for name, body in NEIGHBOURS.items():
        folder = tmp_path / name
        folder.mkdir()
        sender = f"#include <khs/khs.h>\nvoid main(void) {{ khs_ready(); for (;;) {{ {body} }} }}\n"
        result, _ = played(folder, board, sender, CLOCK)
        hashes.add(result.partitions["receiver"].trace_sha256)
    assert len(hashes) == 1


@pytest.fixture(autouse=True)
def _compiler() -> None:
    pytest.importorskip("ziglang")
