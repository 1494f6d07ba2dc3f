"""What is kept of a failed test, and that it runs again from there."""

from __future__ import annotations

import re
import socket
import subprocess

import pytest

from khs import record, replay
from tests.pytest_plugin.project import Project, again, environment

FAILS = """
    def test_fails(khs_system, console, partition):
        console("driver.uart3").send("abc")
        console("driver.uart3").expect("ABC")
        partition("driver").write_int("khs_start", 0x1234)
        khs_system.run_for("7ms")
        partition("bystander").restart()
        khs_system.run_for("33ms")
        partition("driver").stop()
        console("driver.uart3").send("nobody takes this")
        console("driver.uart3").expect("never", timeout="20ms")
"""


@pytest.mark.parametrize("board", ["sabrelite", "pc"])
def test_it_runs_again(project: Project, board: str) -> None:
    project.write("test_it.py", FAILS)
    folder = project.folder / "kept" / "test_it.py-test_fails"
    folder.mkdir(parents=True)
    (folder / "old").write_text("of the run before")
    options = ("--khs-system", "uart", "--khs-board", board)
    done = project.pytest(*options, "--khs-artifacts", "kept")
    assert done.outcomes == {"test_fails": "failure"}
    assert not (folder / "old").exists()
    assert (folder / "console-driver.uart3.txt").read_text() == "ready\nABC"
    assert "khs_period_wait()" in (folder / "hypercalls.txt").read_text()
    for told in ("khs console bystander", "khs last 16 hypercalls", "unread is ''"):
        assert told in done.output or "nothing came" in done.output
    command = done.properties["khs_replay"]
    assert f"again:   {command}\n" in done.output
    assert (folder / "replay.txt").read_text() == command + "\n"
    assert "equal: the trace is the recorded one" in again(command)
    trace = re.search(r"trace:   (khs trace .*)", done.output)
    assert trace is not None
    told = again(trace[1])
    assert "period 0 at" in told
    assert re.search(r"driver +mode +normal -> idle", told)
    assert re.search(r"bystander +start +cold-start \(hm-restart\)", told)


def test_of_other_tests_nothing_is_kept(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        import pytest

        def test_passes(khs_system): khs_system.run_for("20ms")

        @pytest.mark.xfail
        def test_is_to_fail(khs_system): raise AssertionError

        @pytest.fixture
        def broken(khs_system): raise ValueError

        def test_no_setup(broken): ...

        def test_nothing_of_ours(): raise AssertionError
        """,
    )
    done = project.pytest("--khs-system", "uart", "--khs-artifacts", "kept")
    assert done.code == 1
    assert [path.name for path in (project.folder / "kept").iterdir()] == [
        "test_it.py-test_no_setup"
    ]


def test_workers_are_apart(project: Project) -> None:
    project.write("test_one.py", FAILS)
    project.write("test_two.py", FAILS)
    options = ("--khs-system", "uart", "--khs-artifacts", "kept", "-p", "xdist", "-n", "2")
    done = project.pytest(*options, "--dist", "loadfile")
    assert done.outcomes == {"test_fails": "failure"}
    found = sorted(
        path.parent.parent.name for path in (project.folder / "kept").glob("*/*/recording")
    )
    assert found == ["gw0", "gw1"]
    done = project.pytest(*options, "--khs-gdb")  # nobody to hold for
    assert (done.code, "not with -n" in done.output) == (4, True)


def test_repeat_check(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        RUNS = {"same": 0, "other": 0}

        def test_same(khs_system, console, tmp_path):
            RUNS["same"] += 1
            (tmp_path / "new").mkdir()
            console("driver.uart3").send("abc")
            console("driver.uart3").expect("ABC")

        def test_other(khs_system, console):
            RUNS["other"] += 1
            console("driver.uart3").send("ab" if RUNS["other"] == 3 else "a")
            khs_system.run_for("40ms")

        def test_runs():
            assert RUNS == {"same": 3, "other": 3}
        """,
    )
    options = ("--khs-system", "uart", "--khs-artifacts", "kept", "--khs-repeat-check", "3")
    done = project.pytest(*options)
    assert done.outcomes == {"test_same": "passed", "test_other": "failure", "test_runs": "passed"}
    assert "run 3 (+) of the test is not run 1 (-):" in done.output
    assert re.search(r"^- .*\n\+ ", done.output, re.MULTILINE), done.output
    (folder,) = (project.folder / "kept").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["run-1", "run-3"]
    for run in folder.iterdir():
        assert f"again:   khs replay {run}" in done.output
        kept = record.read(run)
        assert replay.replay(kept, replay.plan(kept)).equal


def test_gdb(project: Project) -> None:
    """The test is held until gdb has ended it."""
    project.write("test_it.py", FAILS)
    command = project.command("--khs-system", "uart", "--khs-gdb")
    with subprocess.Popen(
        command, cwd=project.folder, env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        found = next(filter(None, (re.search(r"127\.0\.0\.1:(\d+)", line) for line in run.stdout)))
        with socket.create_connection(("127.0.0.1", int(found[1])), 20) as gdb:
            gdb.sendall(b"+$?#3f")
            assert gdb.recv(100)
            gdb.sendall(b"+$vKill;1#6e")
            gdb.recv(100)
            gdb.sendall(b"+$k#6b")
        rest = run.stdout.read()
        assert run.wait(30) == 1
    assert "1 failed" in rest


def test_it_costs_other_projects_nothing(project: Project) -> None:
    project.write(
        "test_other.py",
        """
        import sys

        def test_nothing_is_loaded():
            loaded = {name for name in sys.modules if name.split(".")[0] in ("khs", "kss")}
            assert loaded <= {"khs", "khs.pytest_plugin"}
            assert "unicorn" not in sys.modules
        """,
    )
    done = project.pytest()
    assert done.outcomes == {"test_nothing_is_loaded": "passed"}, done.output
    helped = subprocess.run(
        project.command("--markers", "--fixtures"), cwd=project.folder, env=environment(),
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in ("khs_requires(FEATURE, ...)", "khs_vtimeout(TIME)", "khs_policy(FILE)"):
        assert f"@pytest.mark.{name}" in helped


RAISES = """
    from khs.hil import Plant

    class Vessel(Plant):
        heat = 0.0
        steps = 0

        def step(self, dt):
            self.steps += 1
            if self.steps > 5:
                raise ValueError("bang")
"""
BENCH = """
    format = 1
    [bench]
    system = "iot-gateway"
    [plant.vessel]
    python = "vessel.py"
    [plant.vessel.outputs]
    heat = { region = "plant", offset = 0, type = "u32", scale = 0.001 }
"""


def test_a_plant_that_fails(project: Project) -> None:
    """The recording has what the test did up to there; the next test has a plant that works."""
    project.write("vessel.py", RAISES)
    project.write("bench.toml", BENCH)
    project.write(
        "test_it.py",
        """
        def test_fails(khs_system): khs_system.run_for("200ms")

        def test_ends_before(khs_system): khs_system.run_for("20ms")
        """,
    )
    options = ("--khs-bench", "bench.toml", "--khs-artifacts", "kept", "--khs-boot", "0ms")
    done = project.pytest(*options)
    assert done.outcomes == {"test_fails": "failure", "test_ends_before": "passed"}, done.output
    recording = project.folder / "kept" / "test_it.py-test_fails" / "recording"
    assert f"again:   khs replay {recording}" in done.output
    kept = record.read(recording)
    assert replay.replay(kept, replay.plan(kept)).equal


def test_a_wrong_call_ends_at_the_line_of_the_test(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        def test_time(khs_system): khs_system.run_for(1.5)

        def test_name(console): console("nobody")

        def helper(partition): partition.write(0x40000000, b"abc")

        def test_write(partition): helper(partition("driver"))
        """,
    )
    done = project.pytest("--khs-system", "uart")
    assert set(done.outcomes.values()) == {"failure"}
    assert '"1.5" is a time without a unit\nE     help: units are ns, us' in done.output
    assert "test_it.py:6: KhsError" in done.output
    assert "khs/hil/testing" not in done.output and "khs/config" not in done.output
