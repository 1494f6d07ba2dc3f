"""KHS in labgrid, and the fixtures over a target of labgrid. labgrid replaces pyserial by its own,
so that it is in an environment of its own, made once in build/."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.pytest_plugin.project import ROOT, Project, documented

pytestmark = pytest.mark.xdist_group("labgrid")  # one makes the environment

LABGRID = "labgrid>=26.0"
OPTIONS = ("-p", "labgrid.pytestplugin", "-W", "default", "--lg-env", "env.yaml")


@pytest.fixture(scope="session")
def python() -> str:
    """Of an environment with labgrid, and behind it all that KHS needs."""
    version = "{}.{}".format(*sys.version_info)
    folder = ROOT / "build" / f"labgrid-{version}"
    if not (folder / "made").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        _make(folder)
    return str(folder / "bin" / "python")


def _make(folder: Path) -> None:
    """With the pip that is here, which leaves out what is behind it."""
    here = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", here, "install", "--quiet", "--no-compile"]
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "khs-needs.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    _run([*pip, "--retries", "1", LABGRID])
    (folder / "made").write_text(LABGRID)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        pytest.skip(f"labgrid cannot be had here: {lines[-1] if lines else command}")


def environment(project: Project, system: str, drivers: str) -> None:
    (project.folder / "env.yaml").write_text(
        "imports: [khs.hil.labgrid]\n"
        "targets:\n"
        "  main:\n"
        "    resources:\n"
        f"      KhsSystem: {system}\n"
        "    drivers:\n" + "".join(f"      - {driver}\n" for driver in drivers.splitlines())
    )


PORTS = """\
KhsDriver: {name: driver.uart3, console: driver.uart3}
KhsPort: {name: bystander, console: bystander}"""
#: Of labgrid alone.
POWER = """
    import pytest
    from pexpect import TIMEOUT

    def test_power(target):
        power = target.get_driver("PowerProtocol")
        port = target.get_driver("ConsoleProtocol", name="driver.uart3")
        power.on()
        port.expect("ready", timeout=2)
        port.sendline("hello")
        port.expect("HELLO", timeout=2)
        assert power.time_ns > 0
        other = target.get_driver("ConsoleProtocol", name="bystander")
        _, _, found, _ = other.expect(r"period (\\d+) at", timeout=2)
        assert found[1] == b"0"
        power.cycle()
        port.expect("ready", timeout=2)
        with pytest.raises(TIMEOUT):
            port.expect("never", timeout=0.1)
        power.off()
        with pytest.raises(TIMEOUT):
            port.expect("ready", timeout=0.1)
"""
#: The same as on the engines.
SAME = """
    import pytest

    def test_echo(console, khs_system):
        port = console("driver.uart3")
        port.expect("ready", timeout="2s")
        port.sendline("hello there")
        assert port.expect("HELLO (.*)\\n", timeout="2s")[1] == "THERE"
        console("bystander").expect("period 0 at", timeout="2s")
        khs_system.run_for("10ms")

    def test_is_switched_on_again(console):
        console("driver.uart3").expect("^ready", timeout="2s")

    @pytest.mark.khs_requires("memory")
    def test_memory(khs_system):
        raise AssertionError("never runs")

    def test_modes(partition):
        partition("driver")

    def test_fails(console):
        console("driver.uart3").expect("never", timeout="50ms")
"""


def test_a_driver_in_an_environment(project: Project, python: str) -> None:
    project.write("env.yaml", documented("yaml"))
    project.write("test_power.py", POWER)
    project.write("test_same.py", SAME)
    done = project.pytest(*OPTIONS, "--khs-engine", "labgrid", python=python)
    assert done.outcomes == {
        "test_power": "passed",
        "test_echo": "passed",
        "test_is_switched_on_again": "passed",
        "test_memory": "skipped",
        "test_modes": "skipped",
        "test_fails": "failure",
    }, done.output
    assert "main (labgrid) has not got memory" in done.output
    assert "khs console driver.uart3" in done.output


def test_a_board_in_qemu(project: Project, python: str) -> None:
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed")
    environment(project, "{system: uart, engine: qemu}", PORTS)
    project.write("test_power.py", POWER)
    done = project.pytest(*OPTIONS, python=python)
    assert done.outcomes == {"test_power": "passed"}, done.output


def test_one_console_needs_no_name(project: Project, python: str) -> None:
    environment(project, "{system: iot-gateway}", "KhsDriver: {console: logger}")
    project.write(
        "test_logger.py",
        """
        def test_logger(console):
            console("logger").expect(r"reading 1: 20.0 degrees", timeout="200ms")
            console("logger").expect("setpoint 450 instead of 400", timeout="600ms")
        """,
    )
    done = project.pytest(*OPTIONS, "--khs-engine", "labgrid", python=python)
    assert done.outcomes == {"test_logger": "passed"}, done.output


def test_a_console_that_the_system_has_not(project: Project, python: str) -> None:
    ports = "KhsDriver: {name: driver.uart3, console: driver.uart3}\n"
    environment(project, "{system: uart}", ports + "KhsPort: {name: it, console: nobody}")
    project.write("test_it.py", 'def test_it(console):\n    assert console("it").text == ""\n')
    done = project.pytest(*OPTIONS, "--khs-engine", "labgrid", python=python)
    assert done.outcomes == {"test_it": "error"}, done.output
    assert "has no console nobody" in done.output and "bystander" in done.output


def test_labgrid_is_missing(project: Project) -> None:
    project.write("test_it.py", "def test_it(khs_system): ...")
    done = project.pytest("--khs-engine", "labgrid")
    assert (done.code, done.outcomes) == (4, {})
    assert "labgrid is missing, or --lg-env is" in done.output
