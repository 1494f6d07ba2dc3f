"""khs debug: a stock gdb on an emulated board, driven by command files."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from khs import runs
from khs.debug import session, tell
from khs.debug.gdb import find_gdb
from khs.errors import EngineError, KhsError
from khs.trace import Names, decode, split
from khs.trace.events import HEAD_SIZE, Verdict
from khs.trace.text import describe
from tests.debug.conftest import trying

from .conftest import BOARDS, ROOT, archive, need_emulator

ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'monitor'}"}
GATEWAY = ROOT / "images/iot-gateway/system.toml"


@pytest.fixture
def debugged(board: str, tmp_path: Path) -> Callable[..., tuple[str, session.Session]]:
    """Runs commands in gdb; returns what gdb printed and what came of the session."""
    need_gdb(board)

    def run(
        commands: str, *overlays: str, frames: int = 6, live: bool = False
    ) -> tuple[str, session.Session]:
        file, output = tmp_path / "commands", tmp_path / "output"
        file.write_text(commands, encoding="utf-8")
        plan = runs.plan(archive("iot-gateway", board, *overlays), frames=frames, engine="qemu")
        with output.open("wb") as stream:
            asked = session.Options([file], live=live, output=stream)
            done = session.debug(plan, GATEWAY, asked, lambda text: None, lambda line: None)
        text = output.read_text(encoding="utf-8")
        assert done.status == 0, text
        return text, done

    return run


Debugged = Callable[..., tuple[str, session.Session]]


def need_gdb(board: str) -> None:
    try:
        find_gdb(BOARDS[board])
    except KhsError as error:
        pytest.skip(str(error))


def test_a_hypercall_of_a_named_partition(debugged: Debugged) -> None:
    text, done = debugged(
        "hc sensor port_write\ncontinue\nbacktrace\nwhere-am-i\ndelete\ncontinue\np code\n"
    )
    called = re.search(r"sensor calls (.*)", text)
    assert called is not None, text
    shape = r"khs_port_write\(port=temperature, message=0x47ff[0-9a-f]{4}, length=16\)"
    assert re.fullmatch(shape, called[1])
    entered = re.search(r"#0 .*khs_enter \(.*partition=0\) at \S*khs/core/dispatch\.c:(\d+)", text)
    assert entered is not None, text
    assert re.search(r"firmware_main \(\) at \S*boards/firmware/common/main\.c:\d+", text)
    source = (ROOT / "khs/core/dispatch.c").read_text(encoding="utf-8").splitlines()
    assert f"\n{entered[1]}\t{source[int(entered[1]) - 1]}\n" in text, "source"
    assert re.search(r"^20\.0\d{5} ms  frame 1  window of sensor, in the kernel$", text, re.M)
    assert "khs: the run is over" in text, "it stops there even if all breakpoints were deleted"
    assert done.same


#: Commands with a wrong word, and what is said.
NEITHER = "'{}' is neither a partition nor a hypercall; there are\n  sensor, controller, actuator, "
WRONG = {
    "hc sensor nonsense": NEITHER.format("nonsense"),
    "hc metr port_write": NEITHER.format("metr"),
    "hc nosuch": NEITHER.format("nosuch"),
    "hc port_write sensor": "hc [PARTITION] [NAME]: hc sensor nop\n",
    "hc sensor port_write x": "hc [PARTITION] [NAME]: hc sensor nop\n",
    "denied gatway": "a partition is wanted: sensor, controller, actuator, gateway, logger\n",
    "denied gateway x": "denied gateway takes no arguments\n",
    "partition nobody": "a partition is wanted: sensor, controller, actuator, gateway, logger\n",
    "break-in nobody main": "a partition is wanted: sensor, controller, ",
    "break-in logger": "break-in logger PLACE: a function or FILE:LINE is wanted\n",
    "break-in logger khs_emit": "the kernel has such a place, the program has none\n",
}


def test_every_hypercall_is_found_by_name(debugged: Debugged) -> None:
    text, _ = debugged("hc partition_mode_set\ncontinue\ncontinue\nhc\n", live=True)
    calls = re.findall(r"(\w+) calls (khs_partition_mode_set\(mode=3\))", text)
    assert [name for name, _ in calls] == ["sensor", "controller"]


def test_a_wrong_word_is_refused_and_sets_nothing(debugged: Debugged) -> None:
    text, _ = debugged(trying(*WRONG) + "info breakpoints\n", live=True)
    assert re.findall(r"^FAILED (.*?): ", text, re.MULTILINE) == list(WRONG)
    for words in WRONG.values():
        assert f"khs: {words}" in text
    assert re.findall(r"^\d+ +breakpoint .* in (\w+)", text, re.MULTILINE) == ["board_exit"]


def test_a_breakpoint_in_a_program_is_that_of_its_partition(debugged: Debugged) -> None:
    """Every program starts at the same address; the logger's is the last to run."""
    text, done = debugged(
        "break-in logger _start\ncontinue\np $partition\nwhere-am-i\ndelete\n"
        "break-in logger khs_port\ninfo breakpoints\ncontinue\nup\ninfo symbol $pc\n"
        "continue\np $partition\n"
        "delete\ncontinue\n"
    )
    assert re.findall(r"^\$\d+ = (-?\d+)$", text, re.M) == ["4", "4"]
    assert "frame 0  window of logger, running its program" in text
    assert re.search(r"Breakpoint \d+, _start \(\) at \S*sdk/src/\w+/start\.S:\d+", text)
    names = re.findall(r'khs_port \(channel=0x[0-9a-f]+ "(\w+)"\) at \S+:\d+', text)
    assert names == ["alarms", "journal"], "arguments, from the partition's memory"
    assert text.count(" in board_exit at") == 1, "the end's breakpoint came back once"
    assert re.search(r"#1 .*main \(\) at \S*partitions/logger/main\.c:\d+", text)
    assert re.search(r"^main \+ \d+ in section \.text of \S+logger\.elf$", text, re.M)
    assert done.same, "a run that is only looked at leaves the trace of the undebugged one"


def test_stepping_changes_nothing(debugged: Debugged, board: str) -> None:
    text, done = debugged(
        "break-in controller main\ncontinue\nnext\nstep\nstepi\nstepi\ndelete\ncontinue\n"
    )
    assert re.search(r"^\d+\s+port\.temperature = khs_port\(\"temperature\"\);$", text, re.M)
    with runs.open_machine(runs.plan(archive("iot-gateway", board), engine="qemu")) as machine:
        plain = machine.run(6)
    assert done.ran.result.trace_sha256 == plain.trace_sha256, "and that was not recorded"
    hashes = {name: about.trace_sha256 for name, about in plain.partitions.items()}
    assert hashes == {n: each.trace_sha256 for n, each in done.ran.result.partitions.items()}


def test_symbols_are_those_of_one_partition(debugged: Debugged) -> None:
    text, _ = debugged(
        "partition sensor\ninfo line main\npartition logger\ninfo line main\n", live=True
    )
    lines = re.findall(r'Line \d+ of "\S*partitions/(\w+)/main\.c" starts at', text)
    assert lines == ["sensor", "logger"]


def test_a_denial_is_explained(debugged: Debugged, tmp_path: Path) -> None:
    early = tmp_path / "early.toml"
    attack = GATEWAY.parent / "attack-hypercalls.bin"
    early.write_text(f'[input.uplink]\nmessages = [{{ at = "20ms", file = "{attack}" }}]\n')
    commands = "denied gateway\ncontinue\nbacktrace\ndelete\ncontinue\n"
    text, done = debugged(commands, str(early))
    told = re.search(r"^\d\d\.\d{6} ms  gateway  denied +(.*)$", text, re.M)
    assert told is not None, text
    asked = "request gateway.Gateway -> gateway.Controller setpoint.Set {temperature: 9999}"
    assert told[1].startswith(asked)
    assert re.search(r"security\.psl:\d+: assert \(message\.temperature >= 50", told[1])
    assert re.search(r"judge \(.*\) at \S*khs/core/policy\.c:\d+", text)
    assert done.ran.result.verdicts["denied"] > 0
    assert done.same


def test_words_about_a_verdict_are_those_of_the_trace() -> None:
    built = archive("iot-gateway", "q35", "attack.toml")
    plan = runs.plan(built, frames=80)
    names, compared = Names.from_header(plan.header), 0

    def compare(records: memoryview) -> None:
        nonlocal compared
        for record in split(records):
            event = decode(record)
            if not isinstance(event, Verdict) or event.granted:
                continue
            body = bytes(record[HEAD_SIZE:])
            message = body[40 : 40 + len(event.message)]
            found = tell.verdict(body[:40], message, event.reason)
            told = f"{names.partition(event.source)}  {describe(event, names)}"
            assert tell.words(plan.header, 0, found) == told
            compared += 1

    with runs.open_machine(plan) as machine:
        machine.run(plan.frames, sink=compare)
    assert compared > 2


def test_only_a_live_run_can_be_changed(debugged: Debugged, board: str) -> None:
    change = "set var $core->state->entered.number = 0\n"
    stop = "hc sensor port_write\ncontinue\n"
    text, done = debugged(stop + change + "delete\ncontinue\n", live=True)
    assert "live: a stop inside a partition ends its window" in text
    with runs.open_machine(runs.plan(archive("iot-gateway", board), engine="qemu")) as machine:
        plain = machine.run(6)
    result = done.ran.result
    assert (done.same, result.frames) == (None, 6)
    assert result.verdicts["granted"] < plain.verdicts["granted"], "a call became another"
    with pytest.raises(AssertionError, match="Writing to memory is not allowed"):
        debugged(stop + change)


def test_a_qemu_that_dies_is_told_and_leaves_nothing(debugged: Debugged) -> None:
    kill = "shell kill -9 $(pgrep -P $(ps -o ppid= -p $PPID) qemu-system)\ncontinue\n"
    with pytest.raises(EngineError, match=r"QEMU ended after frame 0.*killed by signal 9"):
        debugged(kill, live=True)
    assert children() == []


def test_the_end_of_gdb_is_the_end_of_qemu(debugged: Debugged) -> None:
    _, done = debugged("where-am-i\n", frames=1, live=True)
    assert done.ran.result.interrupted
    assert done.ran.result.frames == 0, "it does not run on without gdb"
    assert children() == []


def children() -> list[str]:
    """Names of this process's children that live."""
    done = subprocess.run(
        ["ps", "-o", "comm=", "--ppid", str(os.getpid())],
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.split() if line.startswith(("qemu", "gdb"))]


@pytest.mark.parametrize("port", [None, 0])
def test_another_gdb_is_served(board: str, port: int | None) -> None:
    need_gdb(board)
    said: list[str] = []
    started: list[subprocess.Popen[str]] = []

    def say(text: str) -> None:
        said.append(text)
        if connect := re.search(r"gdb-multiarch -x (\S+)", text):
            command = [find_gdb(BOARDS[board]), "-nx", "-batch", "-x", connect[1], "-ex", "kill"]
            started.append(subprocess.Popen(command, stdout=-1, stderr=-2, text=True))

    plan = runs.plan(archive("iot-gateway", board), frames=6, engine="qemu")
    asked = session.Options(serve=True, port=port, live=True)
    done = session.debug(plan, GATEWAY, asked, say, lambda line: None)
    (gdb,) = started
    text, _ = gdb.communicate(timeout=20)
    assert "the kernel is about to boot the system" in text
    assert done.ran.result.interrupted and done.status is None
    assert (re.search(r"awaited at 127\.0\.0\.1:\d+;", said[0]) is None) == (port is None)
    assert children() == []


# ---- what does not depend on the board


def khs(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = ENVIRONMENT | ({} if path is None else {"PATH": path})
    command = [sys.executable, "-m", "khs", "debug", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_command(tmp_path: Path) -> None:
    need_emulator("q35")
    need_gdb("q35")
    file = tmp_path / "commands"
    file.write_text("hc logger console_write\ncontinue\n")
    where = ("iot-gateway", "--engine", "qemu", "--board", "q35")
    common = (*where, "--frames", "6", "-x", str(file))
    done = khs(*common)
    assert done.returncode == 0, done.stderr
    assert re.search(r"logger calls khs_console_write\(text=0x[0-9a-f]+, length=\d+\)", done.stdout)
    file.write_text("nonsense\n")
    done = khs(*where, "--frames", "2000", "-x", str(file), "--json")
    assert done.returncode == 1
    assert "Undefined command" in done.stderr and "gdb ended with status 1" in done.stderr
    told = json.loads(done.stdout)
    assert told["frames"] < 2000 and told["same_as_undebugged"] is None


def test_ctrl_c_is_for_gdb_and_a_hang_up_ends_everything() -> None:
    """At a terminal, where it reaches khs, gdb and whatever else is not kept from it."""
    need_emulator("q35")
    need_gdb("q35")
    ours, theirs = pty.openpty()
    options = ("--engine", "qemu", "--board", "q35", "--frames", "100000", "--live")
    process = subprocess.Popen(
        [sys.executable, "-m", "khs", "debug", "iot-gateway", *options],
        env=ENVIRONMENT | {"TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        until(ours, b"(gdb) ")
        os.write(ours, b"continue\n")
        until(ours, b"reading 1:")
        os.write(ours, b"\x03")
        assert b"SIGINT" in until(ours, b"(gdb) ")
        os.write(ours, b"where-am-i\n")
        assert b" window of " in until(ours, b"(gdb) ")
        below = descendants(process.pid)
        process.send_signal(signal.SIGHUP)
        until(ours, b"switched off after")
        process.wait(20)
        assert [pid for pid in below if Path(f"/proc/{pid}/cmdline").exists()] == []
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def until(terminal: int, text: bytes) -> bytes:
    """What the terminal shows up to a text."""
    seen = b""
    while text not in seen:
        assert select.select([terminal], [], [], 30)[0], seen
        seen += os.read(terminal, 4096)
    return seen


def descendants(pid: int) -> list[int]:
    found = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [more for each in found for more in descendants(each)]


def test_what_cannot_be_debugged_is_told() -> None:
    done = khs("iot-gateway", "traffic-light", "--engine", "qemu")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a board in QEMU is debugged alone" in done.stderr
    done = khs("iot-gateway", "--engine", "qemu", "-x", "/nowhere/commands")
    assert done.returncode == 2
    assert "/nowhere/commands: there is no such file of gdb commands" in done.stderr
    done = khs("iot-gateway", "--engine", "qemu", "--tui")
    assert done.returncode == 2
    assert "--tui is for the unicorn engine" in done.stderr
    done = khs("iot-gateway", "--engine", "qemu", "--print-only", "--json")
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (2, False)
    assert "--print-only prints gdb's commands, and there is no JSON of them" in done.stderr
    done = khs("iot-gateway", "--engine", "qemu", path="/nowhere")
    assert done.returncode == 2
    assert "gdb is not installed\n  help: apt-get install gdb-multiarch" in done.stderr


def test_print_only_runs_nothing() -> None:
    done = khs("iot-gateway", "--engine", "qemu", "--print-only", path="/nowhere")
    assert done.returncode == 0, done.stderr
    assert "target remote FOLDER/gdb\n" in done.stdout
    assert "define break-in sensor\n" in done.stdout
    in_python = r"^\s*(python|py|pi)\b|\$_(streq|regex|strlen|memeq|as_string)\b"
    assert not re.search(in_python, done.stdout, re.M), "not every gdb has it"
    assert "@" not in done.stdout.replace("@entry", ""), "every part was filled in"


def test_an_address_that_is_taken_is_told() -> None:
    from khs.engine.qemu.control import Listener

    first = Listener(0)
    with pytest.raises(
        EngineError, match=r"gdb cannot be served at \d+: Address already in use\n  help"
    ):
        Listener(int(first.place.rpartition(":")[2]))
    first.close()
