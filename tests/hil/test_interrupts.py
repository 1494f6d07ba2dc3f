"""Signals while code of users runs: the run ends in order, and tells where that code was."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from khs import record
from khs.engine import interrupt
from khs.signals import leave
from tests.cli.conftest import Khs

MODEL = """
import signal
from khs.hil import Device
class A(Device):
    def {method}:
        signal.raise_signal(signal.{number})
        while True:
            {body}
"""
ONCE = """
import signal
from khs.hil import Device
class A(Device):
    told = False
    def write(self, offset, size, value, now):
        if not self.told:
            self.told = True
            signal.raise_signal(signal.SIGTERM)
"""
PLANT = """
import signal
from khs.hil import Plant
class A(Plant):
    speed = 0.0
    steps = 0
    def step(self, dt):
        self.steps += 1
        if self.steps == 13:
            END
"""
LOOP = """signal.raise_signal(signal.SIGINT)
            while True:
                pass"""
BENCH = """
format = 1
[bench]
system = "uart"
[plant.drive]
python = "a.py"
step = "1ms"
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As the `khs` command has it, but with little patience."""
    monkeypatch.setattr(interrupt, "GRACE_S", 0.02)
    before = signal.signal(signal.SIGTERM, leave)
    alarm = signal.getsignal(signal.SIGALRM)
    yield
    assert signal.getsignal(signal.SIGTERM) is leave
    assert signal.getsignal(signal.SIGALRM) is alarm
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("method", ["read(self, offset, size, now)", "next_event(self)"])
def test_a_model_that_loops(
    number: str,
    code: int,
    method: str,
    khs: Khs,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path, kept = tmp_path / "a.py", tmp_path / "kept"
    path.write_text(MODEL.format(number=number, method=method, body="pass"))
    option = f"driver.uart3={path}"
    done = khs("run", "uart", "--frames", 3, "--device", option, "--record", kept)
    assert done.code == code, done.err
    assert f"interrupted; the model of driver.uart3 was in {path}:" in done.err
    assert "stopped after 0 of 3 frames" in done.err
    said = capfd.readouterr()
    assert "ignored" not in said.err + done.err
    assert "Traceback" not in said.err + done.err
    assert record.read(kept).interrupted


def test_a_plant_that_loops(khs: Khs, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(PLANT.replace("END", LOOP))
    (tmp_path / "bench.toml").write_text(BENCH)
    kept = tmp_path / "kept"
    done = khs("run", "--bench", tmp_path / "bench.toml", "--record", kept)
    assert done.code == 130, done.err
    assert f"interrupted; the plant drive was in {tmp_path / 'a.py'}:1" in done.err
    assert record.read(kept).interrupted


@pytest.mark.parametrize(("end", "code"), [(LOOP, 130), ("1 / 0", 1)], ids=["signal", "error"])
def test_a_run_that_stopped_is_compared_up_to_there(
    end: str, code: int, khs: Khs, tmp_path: Path
) -> None:
    """Also in the midst of a frame, and there only."""
    (tmp_path / "a.py").write_text(PLANT.replace("END", end))
    (tmp_path / "bench.toml").write_text(BENCH)
    kept = tmp_path / "kept"
    assert khs("run", "--bench", tmp_path / "bench.toml", "--record", kept).code == code
    recording = record.read(kept)
    assert recording.until == 13 * 125_000
    for option in ([], ["--isolate"]):
        again = khs("replay", kept, *option)
        assert again.code == 0, again.err
        assert f"equal: the trace is the recorded one, up to tick {recording.until}" in again.out
    told = khs("trace", kept, "--json")
    assert told.code == 0, told.err


def test_a_second_signal_waits_for_nothing(
    khs: Khs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupt, "GRACE_S", 3600)
    path = tmp_path / "a.py"
    text = MODEL.format(
        number="SIGINT",
        method="write(self, offset, size, value, now)",
        body="signal.raise_signal(signal.SIGTERM)",
    )
    path.write_text(text)
    done = khs("run", "uart", "--frames", 3, "--device", f"driver.uart3={path}")
    assert done.code == 130
    assert f"was in {path}:8" in done.err


def test_code_that_returns_is_let_be(khs: Khs, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(ONCE)
    done = khs("run", "uart", "--frames", 10_000, "--device", f"driver.uart3={path}")
    assert done.code == 143
    assert "interrupted: stopped after 0 of 10000 frames" in done.err


WRONG = [
    ("def read(self, offset, size, now): return 'x'", "read() of A gave 'x'\n  help: an integer"),
    ("def read(self, offset, size, now): return None", "read() of A gave None"),
    ("def read(self, offset, size, now): return 1.5", "read() of A gave 1.5"),
    (
        "def read(self, offset, size, now): return -1",
        "read() of A gave -1\n  help: an integer, 0 to",
    ),
    ("def read(self, offset, size, now): return 1 << 32", "read() of A gave 4294967296"),
    (
        "def read(self, offset): return 1",
        "A.read cannot be called as it will be\n  help: def read(self, offset",
    ),
    ("def next_event(self): return 'now'", "next_event() of A gave 'now'\n  help: a tick"),
    ("def next_event(self): return 0", "next_event() of A gave tick 0, and it is 1\n"),
    ("def write(self, *_): self.irq = 'x'", "irq of A is 'x': true or false"),
]


@pytest.mark.parametrize(("method", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_models_give_wrongly(method: str, told: str, khs: Khs, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(f"from khs.hil import Device\nclass A(Device):\n    {method}\n")
    done = khs("run", "uart", "--frames", 3, "--device", f"driver.uart3={path}")
    assert done.code == 2, done.err
    assert told in done.err
    assert f"{path}:3: " in done.err or "irq" in told


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("def raed(self, offset, size, now): return 1", "A.raed is never called\n  help: read"),
        ("def on_recieve(self): ...", ""),
        ("def recieve(self, data, now): ...", "A.recieve is never called\n  help: receive"),
        ("def read(self, *_): return 0\n    def ready(self): ...", ""),
        ("def _raed(self): ...", ""),
    ],
)
def test_misspelt_methods(method: str, told: str, khs: Khs, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(f"from khs.hil import Device\nclass A(Device):\n    {method}\n")
    done = khs("run", "uart", "--frames", 1, "--device", f"driver.uart3={path}")
    assert (done.code, told in done.err) == (2 if told else 0, True), done.err
    assert not told or f"{path}:3: " in done.err
