"""A device with two interrupts: each comes by itself, and as on the other engine."""

from __future__ import annotations

from pathlib import Path

from khs import compare, runs
from khs.engine import qemu, unicorn
from khs.image import open_system
from khs.trace import Names

from .conftest import ROOT, firmware, need_emulator

#: Nothing drives the pins of QEMU's GPIO: they are low, and low is what interrupts.
DRIVER = """
#include <khs/khs.h>
enum { LOWER = 1u << 3, UPPER = 1u << 20 };
static volatile uint32_t *gpio;
static uint32_t first;
static void low(uint32_t irq)
{
    uint32_t upper = irq == first + 1;
    gpio[5] &= ~(upper ? UPPER : LOWER); /* IMR: the level is cleared by nobody */
    khs_print("interrupt %u, %x left\\n", (unsigned)(irq - first), (unsigned)gpio[5]);
}
void main(void)
{
    const struct khs_start_device *device = khs_device("gpio1");
    gpio = (volatile uint32_t *)(uintptr_t)device->address;
    first = device->irq;
    khs_print("%u interrupts from %u\\n", (unsigned)device->irqs, (unsigned)first);
    gpio[3] = gpio[4] = 0; /* ICR1, ICR2: QEMU looks at the levels when one is written */
    khs_interrupts(low, 0);
    khs_ready();
    gpio[5] = UPPER;
    khs_wait();
    gpio[5] = LOWER;
    khs_wait();
    gpio[5] = LOWER | UPPER;
    for (;;)
        khs_wait();
}
"""
SYSTEM = """
format = 1
[system]
name = "two"
board = "sabrelite"
policy = "{uart}/security.psl"
include = ["{uart}"]
[run]
frames = 6
[schedule.normal]
major_frame = "10ms"
windows = [{{ partition = "driver", start = "0ms", length = "5ms" }},
           {{ partition = "bystander", start = "5ms", length = "5ms" }}]
[partition.driver]
class = "uart.Driver"
program = "driver"
devices = ["epit1", "gpio1"]
[partition.bystander]
class = "uart.Bystander"
program = "bystander"
period = "10ms"
[health]
default = {{ level = "partition", action = "cold_restart" }}
"""
SAID = """\
2 interrupts from 4
interrupt 1, 0 left
interrupt 0, 0 left
interrupt 0, 100000 left
interrupt 1, 0 left
"""


def said(console: bytes) -> str:
    """By the driver, line by line."""
    lines = console.decode().replace("\r", "").splitlines()
    return "".join(f"{line.split(': ')[-1]}\n" for line in lines if "interrupt" in line)


def test_each_half_of_the_pins_has_its_own(tmp_path: Path) -> None:
    need_emulator("sabrelite")
    system = SYSTEM.format(uart=ROOT / "images" / "uart")
    (tmp_path / "system.toml").write_text(system, encoding="utf-8")
    (tmp_path / "partitions" / "driver").mkdir(parents=True)
    (tmp_path / "partitions" / "driver" / "main.c").write_text(DRIVER, encoding="utf-8")
    built = open_system(str(tmp_path))
    one, other = (compare.Recorder(len(built.names["partitions"])) for _ in range(2))
    with unicorn.Machine(built) as machine:
        result = machine.run(6, sink=one)
    with qemu.Machine(built, firmware("sabrelite")) as emulated:
        emulated.run(6, sink=other)
        assert said(emulated.console) == SAID
    names = Names.from_header(runs.plan(built).header)
    last = result.ticks - result.ticks // 6
    found = compare.compare(names, one, other, left_out={}, last_frame=last)
    assert found.difference is None
