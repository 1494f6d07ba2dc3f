"""--gpio: files of timed changes, and lines of a chip at the boundary of the package gpiod."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from khs import record, replay, runs
from khs.attached import attached
from khs.engine.unicorn import Machine
from khs.errors import KhsError
from khs.hil import bench as benches
from khs.hil.around import Around
from khs.hil.gpio import read_changes
from khs.trace.summary import Summary
from tests.hil import fake_gpiod
from tests.hil.fake_gpiod import Chip
from tests.hil.test_again import take
from tests.hil.test_devices import MS, archive

NAME = "pins.gpio1"
FIRST = " ".join(f"{pin}=1" for pin in (*range(8, 16), *range(24, 32)))


def ran(folder: Path, spec: str, frames: int = 6) -> tuple[runs.Ran, list[str]]:
    """A recorded run, which is the same again without what is outside."""
    told: list[str] = []
    plan = runs.plan(
        archive("sabrelite"),
        frames=frames,
        record=folder / "kept",
        attached=attached(gpio=[f"{NAME}={spec}"]),
    )
    found = runs.run(plan, say=told.append)
    assert found.result.frames == frames
    again = record.read(folder / "kept")
    assert replay.replay(again, replay.plan(again)).equal
    return found, told


def text(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_files_have_their_ticks(tmp_path: Path) -> None:
    """Changes come at their ticks, however they are written; what is driven is told with its own."""
    given = text(
        tmp_path / "in", "# both\n34ms 0=1 7=1\n\n4300001 0=0  # later\n4300001 1=1\n44ms 16=1\n"
    )
    assert read_changes(given, 1000 * MS) == [
        (34 * MS, 0x81, 0x81), (4_300_001, 1, 0), (4_300_001, 2, 2),
        (44 * MS, 1 << 16, 1 << 16),
    ]  # fmt: skip
    kept = tmp_path / "out"
    ran(tmp_path, f"file:{given},{kept}")
    rows = [line.split(" ", 1) for line in kept.read_text().splitlines()]
    assert [pins for _, pins in rows] == [FIRST, "8=0 15=0", "8=1 9=0", "24=0"]
    ticks = [int(tick) for tick, _ in rows]
    # the driver has its windows 3 ms to 5 ms of each frame of 10 ms; it drives within 30 ticks
    assert ticks[0] // MS == 3
    assert 0 < ticks[1] - 34 * MS < 30
    assert 0 < ticks[2] - 4_300_001 < 100 * MS
    assert read_changes(kept, 1000 * MS)[1] == (ticks[1], 0x8100, 0)


def test_files_go_back_with_a_snapshot(tmp_path: Path) -> None:
    given = text(tmp_path / "in", "14ms 0=1\n34ms 1=1\n")
    kept, image = tmp_path / "out", archive("sabrelite")
    around = Around.opened(attached(gpio=[f"{NAME}=file:{given},{kept}"]), image.manifest)
    with around as outside, Machine(image, outside=outside.meet) as machine:
        machine.advance(take, until=20 * MS)
        snapshot, outcomes = machine.snapshot(take), []
        for _ in range(2):
            machine.advance(take, until=50 * MS)
            outcomes.append(list(machine.inputs))
            machine.restore(snapshot)
        machine.advance(take, until=50 * MS)
        machine.forget(snapshot)
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0]) == 2
    assert [line.split(" ", 1)[1] for line in kept.read_text().splitlines()] == [
        FIRST, "8=0", "9=0"
    ]  # fmt: skip


def test_one_of_the_files_is_enough(tmp_path: Path) -> None:
    kept = tmp_path / "out"
    ran(tmp_path, f"file:,{kept}", 1)
    assert kept.read_text().split(" ", 1)[1] == f"{FIRST}\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("12ms", r":1: no pin changes\n  help: a time and pins"),
        ("\n\n12 32=1", r':3: "32=1" is no pin of 0 to 31'),
        ("12 3=2", r':1: "3=2" is no pin'),
        ("12 3", r':1: "3" is no pin'),
        ("12 3=1 03=0", r":1: pin 3 has a level already"),
        ("12h 3=1", r":1: .*12h.*"),
        ("-1 3=1", r":1: "),
        ("12ms 3=1\n11ms 3=0", r":2: 11ms is before the change above it"),
        (f"{1 << 64} 3=1", r":1: .* is never"),
    ],
)
def test_what_is_no_change_is_told_with_its_line(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(KhsError, match=told):
        read_changes(text(tmp_path / "in", content), 1000 * MS)


@pytest.mark.parametrize(
    ("gpio", "told"),
    [
        ("pins.gpio1=file:/nowhere", r"/nowhere: No such file"),
        ("pins.gpio1=file:,/no/where", r"/no/where: No such file"),
        ("pins.gpio1=file:", r"no file\n  help: file:IN,OUT"),
        ("pins.gpio1=file:/dev/zero/x", r"Not a directory"),
        ("pins.gpio1=gpiochip0", r"no chip with its lines\n  help: file:IN,OUT, or lines"),
        ("pins.gpio1=gpiochip0:3", r'"3" is no PIN=LINE'),
        ("pins.gpio1=gpiochip0:32=1", r'"32=1" is no PIN=LINE'),
        ("pins.gpio1=gpiochip0:1=2,1=3", r"joined already"),
        ("pins.gpio1=gpiochip0:1=2,3=2", r"joined already"),
        ("timer.epit1=file:,x", r"that device has no pins\n  help: .*pins\.gpio1"),
    ],
)
def test_what_cannot_be_joined(gpio: str, told: str) -> None:
    with pytest.raises(KhsError, match=told):
        runs.run(runs.plan(archive("sabrelite"), frames=1, attached=attached(gpio=[gpio])))


def test_who_has_no_pins_is_told_before_the_run(khs) -> None:  # type: ignore[no-untyped-def]
    told = "pins.gpio1=file:,x"
    for options in (["--isolate"], ["--engine", "qemu"]):
        done = khs("run", "devices", "--gpio", told, *options)
        assert (done.code, "--gpio is" in done.err) == (2, True), done.err


def test_a_bench_says_it(tmp_path: Path) -> None:
    """Its files lie beside it."""
    file = text(tmp_path / "bench.toml", f'format = 1\n[gpio]\n"{NAME}" = "file:in,out"\n')
    text(tmp_path / "in", "34ms 3=1\n")
    made = attached(bench=benches.read(file))
    assert made.gpio == {NAME: f"file:{tmp_path / 'in'},{tmp_path / 'out'}"}
    runs.run(runs.plan(archive("sabrelite"), frames=4, attached=made))
    assert "11=0" in (tmp_path / "out").read_text()


# ---- lines of a chip ----------------------------------------------------------------------


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    """gpiochip0 with lines 17, 27 and 22."""
    made = Chip({17: 1, 27: 0, 22: 0})
    monkeypatch.setitem(sys.modules, "gpiod", fake_gpiod.module({"/dev/gpiochip0": made}))
    return made


def test_lines_go_with_pins(tmp_path: Path, chip: Chip) -> None:
    """Pin 0 is line 17, which is high; pin 8 follows it, inverted, at line 27."""
    found, told = ran(tmp_path, "gpiochip0:0=17,8=27,1=22", 50)
    assert chip.outputs == [(27, 1), (27, 0)]
    assert (told, chip.released) == ([], True)
    assert not found.result.reproducible


def test_edges_come_in(tmp_path: Path, chip: Chip, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as the guest has answered the first level, somebody changes it."""
    put = Chip._put

    def answered(self: Chip, line: int, value: fake_gpiod.Value) -> None:
        put(self, line, value)
        if len(self.outputs) == 2:
            self.drive(17, 0)

    monkeypatch.setattr(Chip, "_put", answered)
    ran(tmp_path, "gpiochip0:0=17,8=27", 50)
    assert chip.outputs == [(27, 1), (27, 0), (27, 1)]


def test_a_chip_that_is_unplugged(tmp_path: Path, chip: Chip) -> None:
    """Is told, to people and to the health monitor; the run goes on, and the replay is the same."""
    chip.unplug()
    found, told = ran(tmp_path, "gpiochip0:0=17,8=27", 20)
    gone, *lost = told
    assert (
        gone == f"{NAME}: the line is gone, the run goes on without it: [Errno 19] No such device"
    )
    assert all("did not get there" in line for line in lost)
    (health,) = faults(found.summary)
    assert health == "gpio1: line lost"


def faults(summary: Summary) -> list[str]:
    return [group.first.text.decode() for group in summary.health.values()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("spec", ["gpiochip1:0=17", "/dev/gpiochip0:0=99"])
def test_lines_that_are_not_there(chip: Chip, spec: str) -> None:
    plan = runs.plan(archive("sabrelite"), frames=1, attached=attached(gpio=[f"{NAME}={spec}"]))
    with pytest.raises(KhsError, match=r"cannot be had: .*\n  help: gpiodetect shows the chips"):
        runs.run(plan)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", None)
    plan = runs.plan(
        archive("sabrelite"), frames=1, attached=attached(gpio=[f"{NAME}=gpiochip0:0=17"])
    )
    with pytest.raises(KhsError, match=r"gpiod is missing\n  help: pip install"):
        runs.run(plan)


def test_the_package_has_what_is_used() -> None:
    """No chip is needed for that; with gpio-sim or hardware the options are the same."""
    gpiod = pytest.importorskip("gpiod", reason="the package gpiod is not installed")
    fake = fake_gpiod.module({})
    for name in ("Direction", "Edge", "Value"):
        wanted = {each.name for each in getattr(fake.line, name)}
        assert wanted <= {each.name for each in getattr(gpiod.line, name)}
    settings = gpiod.LineSettings(
        direction=gpiod.line.Direction.OUTPUT, output_value=gpiod.line.Value.ACTIVE
    )
    assert settings.edge_detection is gpiod.line.Edge.NONE
    assert gpiod.EdgeEvent.Type.RISING_EDGE is not gpiod.EdgeEvent.Type.FALLING_EDGE
    for name in ("get_values", "read_edge_events", "reconfigure_lines", "set_values", "release"):
        assert callable(getattr(gpiod.LineRequest, name))
    with pytest.raises(OSError, match="No such file"):
        gpiod.request_lines("/dev/gpiochip999", consumer="khs", config={(1, 2): settings})


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "pins").write_bytes(b"1ms 3=1\n\xff\xfe")
    with pytest.raises(KhsError, match=r"pins:2: this is no text\n  help: lines such as"):
        read_changes(tmp_path / "pins", 1_000_000)
