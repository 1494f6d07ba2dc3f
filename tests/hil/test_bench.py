"""Benches: bench.toml, plants in Python and FMUs, wired to regions."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from khs import record, replay, runs
from khs.attached import attached
from khs.engine import unicorn
from khs.engine.lines import Exchange
from khs.errors import ConfigError, KhsError
from khs.hil import bench, checked, plants
from khs.image import Archive, open_system
from khs.runs import Ran
from tests.cli.conftest import Khs

HEADER = """\
format = 1
[bench]
system = "iot-gateway"
"""
#: The region's first word is the heat that the sensor feels.
WIRED = """
[plant.vessel.inputs]
duty = { region = "plant", offset = 4, type = "u32", scale = 0.001 }
[plant.vessel.outputs]
heat = { region = "plant", offset = 0, type = "u32", scale = 0.001 }
seen = { region = "plant", offset = 8, type = "i16" }
"""
VESSEL = """
from khs.hil import Plant


class Vessel(Plant):
    def __init__(self):
        self.duty = 0.0
        self.heat = 0.0
        self.seen = 0
        self.gain = 0.5

    def step(self, dt):
        assert abs(dt - DT) < 1e-12
        self.seen += 1
        self.heat = min(1.0, self.heat + self.gain * dt)
"""
FRAMES = 20
PYTHON = '[plant.vessel]\npython = "vessel.py"\n'


@cache
def archive() -> Archive:
    return open_system("iot-gateway")


def write(folder: Path, text: str, dt: float = 0.02) -> bench.Bench:
    (folder / "vessel.py").write_text(VESSEL.replace("DT", repr(dt)))
    (folder / "bench.toml").write_text(HEADER + text)
    return bench.read(folder / "bench.toml")


def play(made: bench.Bench, kept: Path | None = None) -> Ran:
    joined = attached(bench=made)
    return runs.run(runs.plan(archive(), frames=FRAMES, record=kept, attached=joined))


def test_a_plant_in_python(tmp_path: Path) -> None:
    """Changes the run, the same way each time; a replay needs no plant."""
    alone = runs.run(runs.plan(archive(), frames=FRAMES))
    made = write(tmp_path, PYTHON + WIRED)
    ran = play(made, tmp_path / "kept")
    assert ran.plants is not None
    assert ran.plants["vessel"]["steps"] == FRAMES and ran.plants["vessel"]["outputs"]
    assert ran.result.trace_sha256 != alone.result.trace_sha256
    assert play(made).result.trace_sha256 == ran.result.trace_sha256
    (tmp_path / "vessel.py").unlink()
    again = record.read(tmp_path / "kept")
    for isolate in (False, True):
        assert replay.replay(again, replay.plan(again, isolate=isolate)).equal
    written = [row for row in again.inputs if row[1] & 1 << 31]
    assert [row[0] for row in written[::2]] == [2_500_000 * n for n in range(FRAMES + 1)]
    assert written[2 * FRAMES][2] == bytes(8) + (200).to_bytes(4, "little")  # 0.5 * 0.4 s
    assert written[2 * FRAMES + 1][2] == b"\x08" + bytes(7) + FRAMES.to_bytes(2, "little")


DRIVE = """
[plant.drive]
fmu = "FILE"
start = { limit = 0.5, inertia = 0.04 }
[plant.drive.inputs]
setpoint = { region = "plant", offset = 0, type = "u32", scale = 0.001 }
[plant.drive.outputs]
speed = { region = "plant", offset = 16, type = "f64" }
alarm = { region = "plant", offset = 24, type = "u8" }
steps = { region = "plant", offset = 28, type = "u16" }
"""


def driven(
    folder: Path, drive: Path, change: Callable[[str], str] = lambda text: text
) -> bench.Bench:
    return write(folder, change(DRIVE.replace("FILE", str(drive))))


def test_an_fmu(drive: Path, tmp_path: Path) -> None:
    """Sees what the guest writes, and is seen; a replay needs neither the file nor FMPy."""
    ran = play(driven(tmp_path, drive), tmp_path / "kept")
    assert ran.plants is not None and ran.plants["drive"]["steps"] == FRAMES and ran.healthy
    again = record.read(tmp_path / "kept")
    speeds = [struct.unpack("<d", row[2][8:])[0] for row in again.inputs if row[2][0] == 16]
    alarms = [row[2][8] for row in again.inputs if row[2][0] == 24]
    assert len(speeds) == FRAMES + 1 and speeds[0] == 0.0
    assert max(speeds) == 0.5 and 0 < min(speed for speed in speeds if speed) < 0.5
    assert {speed for speed, alarm in zip(speeds, alarms, strict=True) if alarm} == {0.5}
    program = (
        "import sys\nsys.modules['fmpy'] = None\nfrom khs import record, replay\n"
        f"again = record.read(__import__('pathlib').Path({str(tmp_path / 'kept')!r}))\n"
        "assert replay.replay(again, replay.plan(again)).equal\n"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'monitor'}"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=60)


def test_an_fmu_goes_back(drive: Path, tmp_path: Path) -> None:
    """By its steps, done again."""
    made = driven(tmp_path, drive)
    with plants.opened(made) as wired:
        loops: list[plants.PlantLoop] = []

        def meet(exchange: Exchange) -> list[plants.PlantLoop]:
            loops.extend(wired(exchange, archive().manifest))
            return loops

        with unicorn.Machine(archive(), outside=meet) as machine:
            machine.run(5)
            kept = machine.keep()
            outcomes = []
            for _ in range(2):
                result = machine.run(10)
                outcomes.append((result.trace_sha256, list(machine.inputs)))
                machine.restore(kept)
            machine.forget(kept)
        assert outcomes[0] == outcomes[1]
        assert loops[0].steps == 5


def test_a_step_that_fails_ends_the_run(drive: Path, tmp_path: Path) -> None:
    """Cleanly: what was until then is told, and kept."""
    made = driven(tmp_path, drive, lambda text: text.replace("inertia = 0.04", "inertia = -1"))
    ran = play(made, tmp_path / "kept")
    assert "Drive.fmu: the plant drive failed: doStep at 0 s: fmi2DoStep failed" in ran.stopped
    assert not ran.healthy
    assert ran.result.frames == 1
    again = record.read(tmp_path / "kept")
    assert again.frames == 1
    replay.replay(again, replay.plan(again))


def test_a_plant_in_python_that_fails(tmp_path: Path) -> None:
    made = write(tmp_path, PYTHON + WIRED, dt=1.0)
    ran = play(made)
    assert f"{tmp_path}/vessel.py:13: the plant vessel failed: AssertionError" in ran.stopped
    text = WIRED.replace(
        "[plant.vessel.outputs]", '[plant.vessel.outputs]\ngain = { region = "plant", offset = 16 }'
    )
    nan = text.replace("start", "start").replace(
        "[plant.vessel.inputs]", "[plant.vessel.start]\ngain = nan\n[plant.vessel.inputs]"
    )
    ran = play(write(tmp_path, PYTHON + nan))
    assert "gain is nan: it is not a number, and memory is to hold an integer" in ran.stopped
    assert ran.stopped.startswith(f"{tmp_path}/bench.toml:")


WORTHLESS = [
    ("'hello'", "seen is 'hello': it is no number"),
    ("None", "seen is None: it is no number"),
    ("1j", "seen is 1j: it is no number"),
    ("10**400", "0: it is greater than any number of 64 bits"),
    ("10**5000", "it is greater than any number of 64 bits"),
    ("b'7'", "seen is b'7': it is no number"),
]


@pytest.mark.parametrize(("value", "told"), WORTHLESS)
def test_a_variable_that_becomes_no_number(value: str, told: str, tmp_path: Path) -> None:
    """Ends the run as any failure of a plant; what was until then is kept whole."""
    made = write(tmp_path, PYTHON + WIRED)
    source = tmp_path / "vessel.py"
    source.write_text(
        f"{VESSEL.replace('DT', '0.02')}        if self.seen == 3: self.seen = {value}\n"
    )
    kept, trace = tmp_path / "kept", tmp_path / "run.trace"
    joined = attached(bench=made)
    plan = runs.plan(archive(), frames=FRAMES, record=kept, trace=trace, attached=joined)
    ran = runs.run(plan)
    assert ran.stopped.startswith(f"{tmp_path}/bench.toml:11:") and told in ran.stopped
    assert ran.plants is not None and ran.plants["vessel"]["outputs"]["seen"] == 2
    again = record.read(kept)
    assert ran.result.frames == again.frames == 3
    replay.replay(again, replay.plan(again))


def test_a_plant_that_exits(tmp_path: Path) -> None:
    made = write(tmp_path, PYTHON + WIRED)
    (tmp_path / "vessel.py").write_text(
        VESSEL.replace("assert abs(dt - DT) < 1e-12", "raise SystemExit(7)")
    )
    assert "vessel.py:13: the plant vessel failed: SystemExit: 7" in play(made).stopped


STEPLESS = [
    ("def step(self, dt)", "def _step(self, dt)", "vessel.py:5: Vessel has no step()"),
    ("def step(self, dt)", "def step(self)", "vessel.py:12: Vessel.step cannot be called"),
    (
        "def step(self, dt)",
        "def step(self, dt, more)",
        "vessel.py:12: Vessel.step cannot be called",
    ),
    ("def step(self, dt)", "def step(self, *, dt)", "vessel.py:12: Vessel.step cannot be called"),
]


@pytest.mark.parametrize(("old", "new", "told"), STEPLESS)
def test_a_plant_without_steps(old: str, new: str, told: str, tmp_path: Path) -> None:
    """A check that reads the text tells the same as a run that makes one."""
    made = write(tmp_path, PYTHON + WIRED)
    (tmp_path / "vessel.py").write_text(VESSEL.replace("DT", "0.02").replace(old, new))
    with pytest.raises(KhsError) as caught:
        play(made)
    assert told in str(caught.value) and str(caught.value).endswith("help: def step(self, dt)")
    (finding,) = checked.check(made, archive())
    assert told in finding.message and finding.help == "def step(self, dt)"


@pytest.mark.parametrize(
    "step", ["step(self, dt, more=1)", "step(self, *all)", "step(self, dt, **k)"]
)
def test_a_step_that_takes_more(step: str, tmp_path: Path) -> None:
    made = write(tmp_path, PYTHON + WIRED)
    source = VESSEL.replace("DT", "0.02").replace("step(self, dt)", step)
    (tmp_path / "vessel.py").write_text(source.replace("*all)", "*all, dt=0.02)"))
    assert not checked.check(made, archive()) and play(made).healthy


WRONG = [
    ("format = 1", "format = 2", "format 2 is not known"),
    ('region = "plant", offset = 4', 'region = "plnat", offset = 4', 'no region "plnat"\n|did you mean "plant"'),
    ('region = "plant", offset = 4', 'region = "sensor/code", offset = 4', "holds code"),
    ("offset = 8", "offset = 4095", "ends before offset 4095"),
    ("offset = 8", "offset = -1", "offset -1 is none"),
    ("offset = 8", "offset = 2", "seen is written where plant.vessel.outputs.heat is"),
    ('"vessel.py"', '"vessel.py:Vesel"', 'no class Vesel derived|did you mean "Vessel"'),
    ('"vessel.py"', '"vesel.py"', "vesel.py: there is no such file"),
    ("offset = 4", "offset = 9", "duty is read where plant.vessel.outputs.seen is written"),
    ("scale = 0.001", "scale = nan", "scale nan is none"),
    ("scale = 0.001", "scale = 0", "scale 0 is none"),
    ("scale = 0.001", "bias = inf", "bias inf is none"),
    ('type = "i16"', 'type = "i17"', 'unknown type "i17"'),
    ('type = "i16"', "pin = 3", "pin is not for a wire to region"),
    ("duty =", "dutty =", 'no input "dutty"|did you mean "duty"'),
    ("seen =", "sean =", 'no output "sean"'),
    ("[plant.vessel]", '[plant.vessel]\nfmu = "x"', "has both of fmu and python"),
    ("[plant.vessel]", '[plant.vessel]\nstep = "often"', '"often" is not a time'),
    ("[plant.vessel]", '[plant.vessel]\nstep = "0ms"', "a step takes time"),
    ("[plant.vessel]", '[plant.vessel]\nstep = "1ns"', "no whole number of ticks"),
    ("[plant.vessel]", "[plant.vessel]\nstart = { gian = 1 }", 'no parameter "gian"'),
    ("[plant.vessel]", "[plant.vessel]\nstart = { gain = true }", "gain is a number"),
    ("[plant.vessel]", "[plant.vessel]\nstrat = 1", 'unknown key "strat"'),
    ("[bench]", '[bench]\npace = "slow"', "there is no pace slow"),
    ("[plant.vessel]", '[serial]\n"foo.uart3" = "-"\n[plant.vessel]', '"foo.uart3": there is no such device'),
    ("[plant.vessel]", '[device]\n"a.b" = "vessel.py"\n[plant.vessel]', '"a.b": there is no such device'),
    ("[plant.vessel]", '[gpio]\n"a.b" = "file:x"\n[plant.vessel]', '"a.b": there is no such device'),
    ("[plant.vessel]", '[can.x]\nnodes = ["a.b"]\n[plant.vessel]', '"a.b": there is no such device'),
    ('{ region = "plant", offset = 8, type = "i16" }', '{ gpio = "sensor.gpio1" }', 'device "sensor.gpio1"'),
    ('{ region = "plant", offset = 8, type = "i16" }', "{ offset = 8 }", "wired to nothing"),
    ('{ region = "plant", offset = 8, type = "i16" }', '{ can = "field" }', 'no bus "field"'),
    ('{ region = "plant", offset = 8, type = "i16" }', '{ serial = "a.b" }', "has no format"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "told"), WRONG, ids=[row[1][:40] for row in WRONG])
def test_what_is_wrong_is_told_with_its_line(old: str, new: str, told: str, tmp_path: Path) -> None:
    text = HEADER + PYTHON + WIRED
    assert old in text
    (tmp_path / "vessel.py").write_text(VESSEL.replace("DT", "0.02"))
    file = tmp_path / "bench.toml"
    file.write_text(text.replace(old, new))
    with pytest.raises(KhsError) as caught:
        play(bench.read(file))
    for part in told.split("|"):
        assert part.strip() in str(caught.value)
    assert "\n  help: " in str(caught.value)
    assert re.match(rf"{file}:\d+", str(caught.value))
    check(file, told)


def check(file: Path, told: str) -> None:
    """A check tells the same as a run, and runs nothing of the plant."""
    source = file.parent / "vessel.py"
    source.write_text(source.read_text() + "\nopen(__file__ + '.ran', 'w')\n")
    try:
        found = checked.check(bench.read(file), archive())
    except ConfigError as error:  # of the file itself
        found = list(error.findings)
    if "gain is a number" in told:  # so are its values
        assert not found
    else:
        words = "\n".join(str(finding) for finding in found)
        assert all(part.strip() in words for part in told.split("|")), words
        assert all(finding.file == str(file) and finding.line for finding in found)
    assert not list(file.parent.glob("*.ran"))


@pytest.mark.parametrize(
    ("system", "text", "told"),
    [
        (
            "uart",
            '[serial]\n"driver.uart4" = "-"\n',
            ':5:1: .* help: devices of partitions: "driver.uart3"',
        ),
        ("uart", '[can.x]\nnodes = ["driver.uart3"]\n', ":5:10: .* is no CAN controller"),
        ("uart", '[gpio]\n"driver.uart3" = "file:x"\n', ":5:1: .* has no pins"),
    ],
)
def test_a_wrong_device_has_its_place(system: str, text: str, told: str, tmp_path: Path) -> None:
    """No option is named that nobody gave; what an option replaces is none of the bench's."""
    file = tmp_path / "bench.toml"
    file.write_text(HEADER.replace("iot-gateway", system) + text)
    with pytest.raises(ConfigError) as caught:
        runs.plan(open_system(system), attached=attached(bench=bench.read(file)))
    words = str(caught.value)
    assert re.search(told, words.replace("\n", " ")) and "--" not in words
    option = attached(serial=["driver.uart4=-"], bench=bench.read(file))
    if "serial" in text:
        with pytest.raises(KhsError, match=r"^--serial driver\.uart4: "):
            runs.plan(open_system(system), attached=option)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = WIRED.replace("duty", "dutty").replace("seen", "sean")
    with pytest.raises(ConfigError) as caught:
        play(write(tmp_path, PYTHON + text))
    assert len(caught.value.findings) == 2


@pytest.mark.parametrize(("step", "steps"), [("frame", 20), ("10ms", 40), ("window", 100)])
def test_steps(step: str, steps: int, tmp_path: Path) -> None:
    """A frame of the gateway has 5 windows."""
    text = PYTHON + f'step = "{step}"\n' + WIRED
    made = write(tmp_path, text)
    source = tmp_path / "vessel.py"
    source.write_text(source.read_text().replace("assert abs", "assert dt > 0 or abs"))
    ran = play(made)
    assert ran.plants is not None
    assert ran.plants["vessel"]["steps"] == steps, ran.stopped


def test_not_where_it_cannot_be(tmp_path: Path) -> None:
    joined = attached(bench=write(tmp_path, PYTHON + WIRED))
    with pytest.raises(KhsError, match="plants: not for --isolate"):
        runs.plan(archive(), attached=joined, isolate=True)
    with pytest.raises(KhsError, match="plants: not for QEMU"):
        runs.plan(archive(), attached=joined, engine="qemu")


def test_the_command(khs: Khs, tmp_path: Path) -> None:
    write(tmp_path, PYTHON + WIRED)
    done = khs("run", "--bench", str(tmp_path / "bench.toml"), "--frames", "3")
    assert done.code == 0, done.err
    assert "plant vessel: 3 steps" in done.out
    done = khs("check", "--bench", str(tmp_path / "bench.toml"))
    assert (done.code, done.out) == (0, f"{tmp_path / 'bench.toml'}: no findings\n")
    write(tmp_path, PYTHON + WIRED.replace("duty", "dutty").replace("offset = 8", "offset = 40000"))
    done = khs("check", "--bench", str(tmp_path / "bench.toml"))
    assert (done.code, done.out.count("error BENCH-001"), done.err) == (1, 2, "")
    (tmp_path / "bench.toml").write_text(HEADER + "[plant.vessel]\npyhton = 1\n")
    done = khs("check", "--bench", str(tmp_path / "bench.toml"))
    assert done.code == 1
    assert 'unknown key "pyhton"' in done.out
    assert khs("check").code == 2
    done = khs("run")
    assert done.code == 2
    assert "--bench" in done.err
