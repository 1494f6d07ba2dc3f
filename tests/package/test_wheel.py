"""The wheel in an empty environment, in an empty folder: what a user gets from `pip install`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("package")]

ROOT = Path(__file__).parents[2]
SOURCES = (
    "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "boards", "docs", "images", "khs",
    "monitor", "partitions", "pyproject.toml", "scripts", "setup.py",
)  # fmt: skip
UNREACHABLE = ("No matching distribution", "Could not find a version", "Connection", "Max retries")


@dataclass(frozen=True)
class Place:
    """An empty folder with a virtual environment that KHS is installed in."""

    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command of the environment; it sees nothing of this one."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        program = str(self.folder / "venv/bin" / command[0])
        return subprocess.run(
            [program, *command[1:]],
            cwd=self.folder,
            env=kept | {"HOME": str(self.folder / "home")},
            capture_output=True,
            text=True,
            check=False,
        )


def pip(python: Path, *arguments: str) -> None:
    """Installs, with this user's pip settings and cache; skips if there is no package index."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode and any(word in done.stderr for word in UNREACHABLE):
        pytest.skip(f"no package index: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: a build must not disturb other tests."""
    pytest.importorskip("setuptools", minversion="77")
    for module in ("build", "wheel", "ziglang"):
        pytest.importorskip(module)
    source = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("__pycache__", "_data", "*.egg-info", "build", "dist")
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=ignore)
        else:
            shutil.copyfile(path, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (found,) = (source / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def place(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    pip(folder / "venv/bin/python", str(wheel))
    return Place(folder)


def test_one_wheel_for_every_python(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-linux_x86_64.whl")
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    assert {
        "khs/_lib/libkhs.so",
        "kss/_lib/libkss.so",
        "kss/grammar/psl.py",
        "kss/sdk/kl/core/Core.edl",
        "khs/_data/boards/sabrelite.toml",
        "khs/_data/partitions/sdk/link.ld",
        "khs/_data/images/iot-gateway/system.toml",
        "khs/_data/docs/README.md",
        "khs/_data/docs/sdk.md",
        "khs/_data/monitor/README.md",
        "khs/_data/monitor/examples/embed/main.c",
        "khs/_data/monitor/vm/kss.h",
        "khs/_data/khs/core/core.h",
        "khs/_data/boards/firmware/common/main.c",
        "khs/new/templates/system.toml",
        "khs/abi/syscalls/arm-linux.xml",
        "khs/report/page.css",
        "khs/report/page.js",
        "khs/debug/tui/style.tcss",
    } <= names
    assert any(name.startswith("khs/_data/cache/elf/") for name in names)
    firmware = [name for name in names if name.startswith("khs/_data/cache/firmware/")]
    assert len([name for name in firmware if name.endswith(".elf")]) == 3
    assert any(name.endswith("licenses/LICENSE") for name in names)


BOARDS = {
    "sabrelite": "qemu-system-arm",
    "q35": "qemu-system-x86_64",
    "pc": "qemu-system-i386",
}


def test_pytest_finds_its_plugin(place: Place, wheel: Path) -> None:
    pip(place.folder / "venv/bin/python", f"khs[pytest] @ {wheel.as_uri()}")
    test = "def test_it(console):\n    console('driver.uart3').expect('ready')\n"
    (place.folder / "test_it.py").write_text(test)
    done = place.run("pytest", "--strict-markers", "-W", "error", "--khs-system", "uart")
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def need_emulator(board: str) -> None:
    if shutil.which(BOARDS[board]) is None:
        pytest.skip(f"{BOARDS[board]} is not installed")


def on_board(place: Place, board: str) -> subprocess.CompletedProcess[str]:
    command = ["khs", "run", "iot-gateway", "--board", board, "--engine", "qemu"]
    return place.run(*command, "--frames", "10", "--json")


def test_boards_run_without_a_cross_compiler(place: Place, wheel: Path) -> None:
    assert place.run("python", "-c", "import ziglang").returncode != 0
    done = on_board(place, "sabrelite")
    assert done.returncode == 2
    assert "help: pip install 'khs[qemu]'" in done.stderr
    pip(place.folder / "venv/bin/python", f"khs[qemu] @ {wheel.as_uri()}")
    for board in BOARDS:
        need_emulator(board)
        done = on_board(place, board)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["board"], told["engine"], told["frames"]) == (board, "qemu", 10)
        assert told["verdicts"]["granted"] > 0


def test_the_demonstration_runs_without_a_cross_compiler(place: Place) -> None:
    assert place.run("python", "-c", "import ziglang").returncode != 0
    for board in ("sabrelite", "q35", "pc"):
        done = place.run(
            "khs", "run", "iot-gateway", "--board", board, "--with", "attack.toml", "--json"
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["board"] == board
        assert told["verdicts"]["denied"] > 0


def test_every_shipped_system_runs_without_a_cross_compiler(place: Place) -> None:
    systems = sorted(path.parent.name for path in (ROOT / "images").glob("*/system.toml"))
    assert {"iot-gateway", "traffic-light"} <= set(systems)
    for system in systems:
        done = place.run("khs", "run", system, "--frames", "2", "--json")
        assert done.returncode in (0, 1), (system, done.stderr)
        assert json.loads(done.stdout)["frames"] == 2, system


def test_the_shipped_bench_runs_with_its_plant(place: Place) -> None:
    done = place.run("khs", "run", "--bench", "plc", "--frames", "120", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["plants"]["drive"]["steps"] == 600


def test_it_runs_as_it_does_from_the_project(place: Place) -> None:
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'monitor'}"}
    command = [sys.executable, "-m", "khs", "run", "iot-gateway", "--json"]
    here = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    there = place.run("khs", "run", "iot-gateway", "--json")
    hashes = [json.loads(each)["trace_sha256"] for each in (here.stdout, there.stdout)]
    assert hashes[0] == hashes[1]


def test_what_is_missing_is_told_with_the_remedy(place: Place) -> None:
    assert place.run("khs", "new", "tank").returncode == 0
    done = place.run("khs", "run", "tank")
    assert done.returncode == 2
    assert "pip install 'khs[toolchain]'" in done.stderr
    assert place.run("khs", "doctor").returncode == 0


def test_the_manual_is_there_and_its_links_lead_somewhere(place: Place) -> None:
    folder = Path(place.run("khs", "doctor", "--where", "docs").stdout.strip())
    assert folder.is_relative_to(place.folder)
    for page in folder.glob("*.md"):
        links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        assert [link for link in links if not (page.parent / link).exists()] == [], page.name


def test_the_monitor_is_there_on_its_own(place: Place) -> None:
    done = place.run("kss", "--help")
    assert done.returncode == 0, done.stderr
    assert "check" in done.stdout


def test_a_new_system_runs_with_the_toolchain(place: Place, wheel: Path) -> None:
    pip(place.folder / "venv/bin/python", f"khs[toolchain] @ {wheel.as_uri()}")
    assert place.run("khs", "new", "plant").returncode == 0
    done = place.run("khs", "run", "plant", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdicts"]["granted"] > 0


def test_firmware_that_was_changed_is_built_with_the_toolchain(place: Place, wheel: Path) -> None:
    need_emulator("sabrelite")
    pip(place.folder / "venv/bin/python", f"khs[toolchain,qemu] @ {wheel.as_uri()}")
    boards = Path(place.run("khs", "doctor", "--where", "boards").stdout.strip())
    source = boards / "firmware/common/main.c"
    text = source.read_text(encoding="utf-8")
    old = "there is no boot image of this version at"
    assert old in text
    source.write_text(text.replace(old, "no image at"), encoding="utf-8")
    done = on_board(place, "sabrelite")
    source.write_text(text, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    built = list((place.folder / "home/.cache/khs/firmware").glob("*/firmware.elf"))
    assert len(built) == 1
    assert b"no image at" in built[0].read_bytes()


def test_every_command_line_runs(place: Place, tmp_path: Path) -> None:
    archive = str(tmp_path / "gateway.khs")
    trace = str(tmp_path / "run.trace")
    for line in (
        ["--version"],
        ["check", "iot-gateway"],
        ["resolve", "iot-gateway"],
        ["schema"],
        ["build", "iot-gateway", "-o", archive],
        ["check", archive],
        ["resolve", archive],
        ["doctor", "--where", "sdk"],
        ["run", archive, "--trace", trace],
        ["trace", trace, "--type", "start"],
        ["trace", trace, "--perfetto", str(tmp_path / "run.pftrace")],
        ["report", trace],
    ):
        arguments: Sequence[str] = line
        done = place.run("khs", *arguments)
        assert done.returncode == 0, (line, done.stderr)
        assert done.stdout
