"""khs:// for pyserial: other tools come to a partition's serial port, and go."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from khs import record, replay, runs
from khs.attached import attached
from khs.errors import KhsError
from khs.hil import served
from khs.hil.served import ServedLine, connect, place
from tests.hil.test_faults import said
from tests.hil.test_uart import PORT_NAME, ROOT, archive

serial = pytest.importorskip("serial")
URL = "khs://bench/driver/uart3"
#: pyserial in a process of its own, as another tool has it.
TOOL = """
import sys
import khs.hil.handlers, serial
with serial.serial_for_url(sys.argv[1], timeout=20) as port:
    print(port.read_until(b"ready\\n"))
    port.write(b"a tool")
    print(port.read(6), port.in_waiting)
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def lines() -> Iterator[dict[str, ServedLine]]:
    told: list[str] = []
    with served.served("bench", ["driver.uart3", "driver.uart4"], told.append) as made:
        assert told[0] == f"served: {URL}"
        yield made  # type: ignore[misc]


def tool(url: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'monitor'}"}
    return subprocess.run(
        [sys.executable, "-c", TOOL, url],
        capture_output=True, text=True, env=environment, timeout=60,
    )  # fmt: skip


def test_a_tool_comes_and_goes() -> None:
    """And another after it."""
    seen: list[subprocess.CompletedProcess[str]] = []
    came: list[threading.Thread] = []
    told: list[str] = []
    plan = runs.plan(archive("sabrelite"), frames=100_000, attached=attached(serve="bench"))

    def come() -> None:
        seen.append(tool(URL))
        with connect(URL) as line:
            line.sendall(b"second")
            heard = b""
            while len(heard) < 6:
                heard += line.recv(64)
        seen.append(subprocess.CompletedProcess([], 0, heard.decode()))

    def progress(done: int, wanted: int) -> None:
        """Ends the run when both have been."""
        if not came[0].is_alive() and len(told) >= 3:
            raise KeyboardInterrupt

    def say(line: str) -> None:
        told.append(line)
        if line.startswith("served"):
            came.append(threading.Thread(target=come))
            came[0].start()

    with pytest.raises(KeyboardInterrupt):
        runs.run(plan, progress=progress, say=say)
    came[0].join(10)
    assert seen[0].stdout == "b'ready\\n'\nb'A TOOL' 0\n", seen[0].stderr
    assert seen[1].stdout == "SECOND"
    left = "driver.uart3: the line is gone, another peer may come: the peer has left"
    assert left in told


def test_a_peer_that_leaves_is_an_event(tmp_path: Path) -> None:
    done = threading.Event()

    def come() -> None:
        line = connect(URL)
        heard = b""
        while b"ready\n" not in heard:
            heard += line.recv(64)
        line.sendall(b"bye")
        while b"BYE" not in heard:
            heard += line.recv(64)
        line.close()
        done.set()

    def say(line: str) -> None:
        if line.startswith("served"):
            threading.Thread(target=come, daemon=True).start()

    plan = runs.plan(
        archive("sabrelite"), frames=40, record=tmp_path / "kept", attached=attached(serve="bench")
    )
    ran = runs.run(plan, say=say)
    assert done.wait(10)
    assert said(ran.summary) == [("uart3: line lost", "log", 1)]
    again = record.read(tmp_path / "kept")
    assert replay.replay(again, replay.plan(again)).equal


def test_one_peer_at_a_time(lines: dict[str, ServedLine]) -> None:
    """What is sent while there is none waits for the next."""
    port = lines["driver.uart3"]
    port.put(b"early ")
    with connect(URL) as line:
        with pytest.raises(KhsError, match=r"somebody has driver.uart3 already"):
            connect(URL)
        port.put(b"late")
        heard = b""
        while len(heard) < 10:
            heard += line.recv(64)
        assert heard == b"early late"
        line.sendall(b"last words")
    fault, told = None, b""
    while fault is None:
        fault = port.fault()
        told += port.take()
    assert told == b"last words"
    with connect(URL):
        pass


def test_what_cannot_be_reached(lines: dict[str, ServedLine], tmp_path: Path) -> None:
    for url, words in (
        ("khs://bench/driver/uart9", "there is no port driver.uart9; there are driver.uart3, "),
        ("khs://other/driver/uart3", "no system other is served here"),
        ("khs://bench/driver", "not of the form khs://SYSTEM/PARTITION/DEVICE"),
        ("khs://../driver/uart3", "no name of a served system"),
    ):
        with pytest.raises(KhsError, match=re.escape(words)):
            connect(url)
    with (
        pytest.raises(KhsError, match="served under this name already"),
        served.served("bench", [], print),
    ):
        pass
    (tmp_path / "khs").chmod(0o755)
    with pytest.raises(KhsError, match="not this user's alone"):
        connect(URL)


def test_a_socket_that_a_killed_run_left(tmp_path: Path) -> None:
    place("bench").touch()
    with served.served("bench", ["a.b"], lambda line: None):
        connect("khs://bench/a/b").close()
    assert not place("bench").exists()


def test_as_the_error_of_pyserial(tmp_path: Path) -> None:
    from khs.hil import handlers

    assert handlers
    with pytest.raises(serial.SerialException, match="khs run SYSTEM --serve bench"):
        serial.serial_for_url(URL)


def test_systems_without_ports() -> None:
    with pytest.raises(KhsError, match="no partition has a serial port without a line"):
        runs.plan(archive("sabrelite"), attached=attached([f"{PORT_NAME}=loop://"], serve="x"))
