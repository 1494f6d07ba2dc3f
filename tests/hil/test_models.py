"""Models of devices in Python: the page's example, errors, and attaching them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import cast

import pytest

from khs.engine import unicorn
from khs.engine.device import Adapter, Device
from khs.engine.native import NEVER, Host
from khs.errors import EngineError, KhsError, shown
from khs.hil import models
from khs.image import open_system
from tests.cli.conftest import Khs
from tests.hil.test_uart import MS, PORT_NAME, archive

ROOT = Path(__file__).parents[2]
SYSTEM = """
format = 1
[system]
name = "guarded"
board = "{board}"
policy = "{uart}/security.psl"
include = ["{uart}"]
[run]
frames = 20
[schedule.normal]
major_frame = "10ms"
windows = [{{ partition = "driver", start = "0ms", length = "5ms" }}]
[partition.driver]
class = "uart.Driver"
program = "driver"
devices = ["{device}"]
[partition.bystander]
class = "uart.Bystander"
program = "bystander"
[health]
default = {{ level = "partition", action = "cold_restart" }}
"""
#: Kicks the watchdog of docs/hil.md, three times, and then no more.
DRIVER = """
#include <khs/khs.h>
#include <khs/start.h>
static volatile uint32_t *dog;
static void bark(uint32_t irq) { khs_print("bark %u\\n", (unsigned)irq); dog[1] = 0; }
void main(void)
{
    dog = (volatile uint32_t *)(uintptr_t)khs_device("i2c1")->address;
    khs_interrupts(bark, 0);
    dog[0] = 2500000; /* 20 ms */
    khs_ready();
    for (unsigned n = 0; n < 3; n++) {
        khs_wait();
        dog[1] = 1;
    }
    khs_print("left %u\\n", (unsigned)(dog[2] > 0));
    for (;;)
        khs_wait();
}
"""


def guarded(folder: Path) -> Path:
    uart = ROOT / "images" / "uart"
    text = SYSTEM.format(uart=uart, board="sabrelite", device="i2c1")
    text = text.replace(f'policy = "{uart}/security.psl"', 'policy = "security.psl"')
    text = text.replace(
        'windows = [{ partition = "driver", start = "0ms", length = "5ms" }]',
        'windows = [{ partition = "driver", start = "0ms", length = "5ms" },\n'
        ' { partition = "bystander", start = "5ms", length = "1ms" }]',
    )
    (folder / "system.toml").write_text(text)
    (folder / "security.psl").write_text((uart / "security.psl").read_text(encoding="utf-8"))
    (folder / "partitions" / "driver").mkdir(parents=True)
    (folder / "partitions" / "driver" / "main.c").write_text(DRIVER)
    return folder


def test_the_example_of_the_page(khs, tmp_path: Path, watchdog: Path) -> None:  # type: ignore[no-untyped-def]
    system = guarded(tmp_path)
    attached = f"driver.i2c1={watchdog}"
    done = khs("run", system, "--console", "--device", attached, "--record", tmp_path / "kept")
    assert done.code == 0, done.err
    # kicked last in the window that begins at 30 ms, or in the first: 20 ms later it barks
    assert [line for line in done.out.splitlines() if "driver" in line and ":" in line][:2] != []
    assert "left 1" in done.out
    assert done.out.count("bark 3") == 1
    refused = khs("run", system)
    assert refused.code == 2
    assert "no model of driver.i2c1" in refused.err
    again = khs("replay", tmp_path / "kept", "--device", attached)
    assert again.code == 0, again.err
    assert "equal: the trace is the recorded one" in again.out


class Broken(Device):
    """A UART's place, and an error in it."""

    def read(self, offset: int, size: int, now: int) -> int:
        return {}[offset]  # type: ignore[no-any-return]


def test_an_error_in_a_model_ends_the_run_and_says_where() -> None:
    where = rf"{re.escape(shown(__file__))}:\d+: the model of {PORT_NAME} failed: KeyError: "
    with (
        unicorn.Machine(archive("sabrelite"), models={PORT_NAME: Broken()}) as machine,
        pytest.raises(EngineError, match=where),
    ):
        machine.run(10)


class Echo(Device):
    """Sends back what comes from outside, ten ticks later."""

    def __init__(self) -> None:
        self.bytes = b""
        self.at: int | None = None

    def receive(self, data: bytes, now: int) -> None:
        self.bytes += data
        self.at = now + 10

    def next_event(self) -> int | None:
        return self.at

    def advance(self, now: int) -> None:
        self.at = None
        self.send(b"%d:" % now + self.bytes)

    def read(self, offset: int, size: int, now: int) -> int:
        return 0x2000 if offset == 0x94 else 0  # room to send


def test_a_model_has_bytes_from_and_to_the_outside() -> None:
    from khs.engine.inputs import Inputs

    image = Inputs(archive("sabrelite"), [(12 * MS, 0, b"ping")])
    with unicorn.Machine(image, models={PORT_NAME: Echo()}) as machine:
        sent = []
        fetch = machine.devices.fetch
        machine.devices.fetch = lambda: sent.append(fetch()) or {}  # type: ignore[method-assign,func-returns-value]
        machine.run(5)
        assert [each[PORT_NAME] for each in sent if each] == [b"%d:ping" % (12 * MS + 10)]
        counts = machine.devices.counts()[PORT_NAME]
        assert (counts["received"], counts["waiting"]) == (4, 0)


def test_a_model_is_saved_and_restored() -> None:
    model = Echo()
    model.receive(b"one", 5)
    saved = model.save()
    model.receive(b"two", 6)
    model.restore(saved)
    assert (model.bytes, model.at) == (b"one", 15)


class Insistent(Device):
    """Has its driver come again and again."""

    def write(self, offset: int, size: int, value: int, now: int) -> None:
        self.irq = True


def test_another_thread_does_not_hold_up_accesses() -> None:
    """Each access would wait for a turn of the other thread, 5 ms of its own accord."""
    import threading
    import time

    ended = threading.Event()

    def busy() -> None:
        while not ended.is_set():
            sum(range(1000))

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        with unicorn.Machine(archive("sabrelite"), models={PORT_NAME: Insistent()}) as machine:
            began = time.monotonic()
            machine.run(3)
            took = time.monotonic() - began
            accesses = machine.devices.counts()[PORT_NAME]["accesses"]
    finally:
        ended.set()
        thread.join()
    assert accesses >= 1000
    assert took < accesses * 0.005 or took < 1
    assert sys.getswitchinterval() == pytest.approx(0.005)
    assert NEVER > 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no class derived from khs.hil.Device"),
        ("from khs.hil import Device\nclass A(Device): ...\nclass B(Device): ...\n", "2 classes"),
        ("1 / 0\n", r"m\.py:1: ZeroDivisionError"),
        ("\nclass :\n", r"m\.py:2: SyntaxError"),
        ("from khs.hil import Device\nclass A(Device):\n def __init__(self): raise OSError(3)\n",
         r"m\.py:3: OSError: 3"),
    ],
)  # fmt: skip
def test_files_that_are_no_models(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "m.py"
    path.write_text(text)
    with pytest.raises(KhsError, match=told):
        models.load({"a.b": str(path)})


def test_a_class_is_named_among_several(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("from khs.hil import Device\nclass A(Device): ...\nclass B(A): ...\n")
    assert type(models.load({"a.b": f"{path}:B"})["a.b"]).__name__ == "B"
    with pytest.raises(KhsError, match="no class C derived"):
        models.load({"a.b": f"{path}:C"})
    with pytest.raises(KhsError, match="there is no such file"):
        models.load({"a.b": str(tmp_path / "none.py")})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--serial", "driver"], r"not of the form PARTITION\.DEVICE=URL"),
        (["--serial", "driver.uart9=-"], r'such device of a partition\n  help: .*"driver\.uart3"'),
        (["--serial", "driver.uart3=-", "--serial", "driver.uart3=-"], "has one already"),
        (["--serial", "driver.uart3=nonsense://x"], "nonsense"),
        (["--serial", "driver.uart3=file:/nowhere"], "/nowhere: No such file"),
        (["--serial", "driver.uart3=file:/dev/null", "--isolate"], "not for --isolate"),
        (
            ["--serial", "driver.uart3=socket://127.0.0.1"],
            r"no host with a port\n  help: socket://H",
        ),
        (["--serial", "driver.uart3=socket://127.0.0.1:99999"], "no host with a port"),
        (["--serial", "driver.uart3=/dev/null"], ": it is no serial port\n"),
        (["--device", "driver.uart3=/dev"], "/dev: it is a folder"),
        (["--device", "driver.uart3=x.py", "--engine", "qemu"], "for the unicorn engine"),
    ],
)
def test_what_cannot_be_attached(khs, options: list[str], told: str) -> None:  # type: ignore[no-untyped-def]
    done = khs("run", "uart", *options)
    assert done.code == 2
    assert re.search(told, done.err), done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["asker.can1", "answerer.can2"])
def test_what_is_no_serial_port(khs, name: str) -> None:  # type: ignore[no-untyped-def]
    done = khs("run", "can", "--frames", 1, "--serial", f"{name}=loop://")
    assert done.code == 2
    assert f"{name}: that device is no serial port" in done.err


def test_controllers_that_nobody_hears(khs) -> None:  # type: ignore[no-untyped-def]
    told = "asker.can1, answerer.can2: alone on a bus, where nobody acknowledges a frame"
    joined = ["--can", "asker.can1=field", "--can", "answerer.can2=field"]
    assert told in khs("run", "can", "--frames", 1).err
    assert "alone" not in khs("run", "can", "--frames", 1, *joined).err


def test_devices_are_counted(khs) -> None:  # type: ignore[no-untyped-def]
    told = json.loads(khs("run", "uart", "--json").out)["devices"]
    assert told["driver.uart3"]["sent"] == 6
    assert khs("run", "uart", "--isolate", "--frames", 3).code == 0
    assert open_system is not None


class Toggling(Device):
    """A write raises its line, a read takes it back."""

    def write(self, offset: int, size: int, value: int, now: int) -> None:
        self.irq = True

    def read(self, offset: int, size: int, now: int) -> int:
        self.irq = False
        return 0


def test_the_line_is_what_the_last_call_made_it() -> None:
    adapter = Adapter(cast(Host, None), "a.b", Toggling())
    said = adapter.calls.said.contents
    for now in range(3):
        adapter.calls.read(0, 0, 4, now)
        assert said.lines == 0
        adapter.calls.write(0, 0, 4, 1, now)
        assert said.lines == 1


class Latch(Device):
    """A register of its lines."""

    def write(self, offset: int, size: int, value: int, now: int) -> None:
        self.irq = value


@pytest.mark.parametrize(("irqs", "lines"), [(0, [0, 1, 1]), (1, [0, 1, 1]), (2, [0, 2, 3])])
def test_a_device_with_several_interrupts_has_a_bit_for_each(irqs: int, lines: list[int]) -> None:
    adapter = Adapter(cast(Host, None), "a.b", Latch(), irqs)
    told = []
    for value in (0, 2, 3):
        adapter.calls.write(0, 0, 4, value, 0)
        told.append(adapter.calls.said.contents.lines)
    assert told == lines


UNCOPIED = """
import threading
from khs.hil import Device, Plant
class A(Device):
    def reset(self): self.fine, self.lock = [1], threading.Lock()
"""


def test_a_model_that_cannot_be_copied(khs: Khs, tmp_path: Path) -> None:
    """Is told with the attribute where a snapshot is made; a run makes none."""
    path, kept = tmp_path / "a.py", tmp_path / "kept"
    path.write_text(UNCOPIED)
    ran = khs("run", "uart", "--frames", 3, "--device", f"driver.uart3={path}", "--record", kept)
    assert ran.code == 0, ran.err
    done = khs("explain", kept, "--fault", 1)
    assert done.code == 2, done.err
    assert f"{path}: A.lock cannot be kept for a snapshot: " in done.err
    assert "\n  help: write save() and restore(saved)" in done.err


@pytest.mark.parametrize(
    ("methods", "told"),
    [
        ("def save(self): return 1 / 0", "a.py:4: the model of driver.uart3 failed: ZeroDivision"),
        (
            "def restore(self, saved): return 1 / 0",
            "a.py:4: the model of driver.uart3 failed: Zero",
        ),
    ],
)
def test_a_model_that_cannot_keep_itself(methods: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(f"from khs.hil import Device\nclass A(Device):\n    x = 1\n    {methods}\n")
    made = models.load({PORT_NAME: str(path)})

    def back(machine: unicorn.Machine) -> None:
        snapshot = machine.snapshot(lambda drained: None)
        try:
            machine.restore(snapshot)
        finally:
            machine.forget(snapshot)

    with unicorn.Machine(archive("sabrelite"), models=made) as machine:
        with pytest.raises(EngineError, match=re.escape(told)):
            back(machine)
        if "restore" in methods:  # nobody knows where it is
            with pytest.raises(EngineError, match=re.escape(told)):
                machine.advance(lambda drained: None, frames=1)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("self.send('text')", "send() takes bytes, not str"),
        ("self.send([1])", "send() takes bytes, not list"),
        ("self.send(None)", "send() takes bytes, not NoneType"),
        ("self.send(bytes(1 << 24))", "send(): there is no room for so many bytes"),
        ("self.fail('lost')", "fail() takes a khs.hil.Fault: LINE_LOST, "),
        ("self.fail(99)", "fail() takes a khs.hil.Fault: LINE_LOST, "),
    ],
)
def test_a_wrong_call_is_told_at_its_line(call: str, told: str, khs: Khs, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    text = "from khs.hil import Device\nclass A(Device):\n    def read(self, *_):\n        "
    path.write_text(f"{text}{call}; return 0\n    def write(self, *_):\n        {call}\n")
    done = khs("run", "uart", "--frames", 3, "--device", f"driver.uart3={path}")
    assert done.code == 2, done.err
    assert re.search(rf"{path}:[46]: {re.escape(told)}", done.err), done.err
