"""khs debug: stock gdbs on systems on Unicorn, driven by command files, asserting on what they say."""

from __future__ import annotations

import re

import pytest

from khs import runs
from khs.debug.stops import Cause
from khs.debug.target import Target

from .conftest import BOARDS, Debugged, archive, debuggee, found, trying

STACK = {"sabrelite": "sp", "q35": "rsp", "pc": "esp"}
#: A register of floating point, and what gdb says of one that is 1.5.
FLOAT = {"sabrelite": ("$d7", "1.5"), "q35": ("$st0", "1.5"), "pc": ("$st0", "1.5")}
LINE = r"^(\d+)\t"


@pytest.fixture(params=sorted(BOARDS))
def board(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def plain(board: str | None, frames: int = 6, *overlays: str) -> str:
    """The hash of the run that nobody looks at."""
    plan = runs.plan(archive("iot-gateway", board, *overlays), frames=frames)
    with runs.open_machine(plan) as machine:
        return machine.run(frames).trace_sha256


TOUR = """\
info inferiors
info threads
break-in logger main
continue
next
next
stepi
print $_inferior
reverse-stepi
reverse-next
delete
set $khs_stack = $sp
hc sensor port_write
continue
info frame
monitor time
monitor calls 2
monitor hc delete
catch-call khs_port_read
continue
continue
info threads
delete
continue
monitor partitions
reverse-continue
detach inferiors 1 2 3 4 5
"""


def test_a_tour_on_every_architecture_with_every_gdb(
    gdb: str, board: str, debugged: Debugged
) -> None:
    text, done = debugged(TOUR, debuggee(board=board))
    names = ["sensor", "controller", "actuator", "gateway", "logger"]
    assert found(r"^[* ] \d +process \d .*/iot-gateway/(\w+)\.elf", text) == names
    assert found(r'^[* ] \d\.1 +Thread \d\.1 "(\w+)" \(.*\) +_start \(\) at', text) == names
    assert re.search(
        r'Thread 5\.1 "logger" hit Breakpoint 1[.\d]*, main \(\) at .*logger/main\.c', text
    )
    assert "$1 = 5\n" in text
    asked = r"^khs: 20\.0\d{5} ms  sensor calls (khs_port_write\(port=temperature, .*length=16\))$"
    assert len(found(asked, text)) == 1
    assert re.search(
        r"^20\.0\d{5} ms  frame 1  window of sensor, .* before what comes of", text, re.M
    )
    assert found(r"\((call to|returned from) syscall '?khs_port_read'?\)", text) == [
        "call to",
        "returned from",
    ]
    assert re.search(r'Thread 2\.1 "controller" hit Catchpoint', text)
    assert "khs: the run is over: 120.000000 ms  frame 6" in text
    assert found(r"^1 +sensor +\S+ +normal", text)
    ends = r"No more reverse-execution history|Reached end of recorded history"
    assert len(found(ends, text)) == 2, "the end, and the beginning"
    assert (done.ended, done.changed) == (True, False)
    assert done.rans[0].result.trace_sha256 == plain(board)


def test_registers_with_floating_point_are_read_and_written(board: str, debugged: Debugged) -> None:
    name, value = FLOAT[board]
    stack = STACK[board]
    text, done = debugged(
        f"break-in sensor main\ncontinue\ninfo registers {stack} pc\nset var {name} = 1.5\n"
        f"print {name}\nflushregs\nprint {name}\nset var $pc = $pc\n"
        "info all-registers\ncontinue 99999\n",
        debuggee(board=board),
    )
    assert found(rf"^{stack} +(0x47f[0-9a-f]+) ", text)
    assert found(r"^\$\d+ = (\S+)$", text) == [value, value]
    every = {"sabrelite": ["d31", "fpscr"], "q35": ["xmm15", "mxcsr"], "pc": ["xmm7", "fctrl"]}
    for each in every[board]:
        assert found(rf"^{each} +\S", text), each
    assert done.changed


def test_every_partition_has_floating_point(gdb: str, board: str, debugged: Debugged) -> None:
    """Also with a gdb that asks for the registers of its first inferior alone."""
    name = {"sabrelite": "d31", "q35": "mxcsr", "pc": "mxcsr"}[board]
    text, _ = debugged(
        f"partition logger\ninfo all-registers {name}\ninfo float\n", debuggee(board=board)
    )
    assert found(rf"^{name} +(\S.*)$", text)
    assert "Could not fetch" not in text


def test_the_stack_is_told_from_within_a_hypercall(
    gdb: str, board: str, debugged: Debugged
) -> None:
    text, _ = debugged(
        "denied gateway\ncontinue\nbacktrace\n",
        debuggee("iot-gateway", board, "attack.toml", frames=100),
    )
    frames = found(r"^#(\d) +(?:0x\w+ in )?(\w+) \(", text)
    assert frames == [("0", "khs_hypercall"), ("1", "carry_out"), ("2", "handle"), ("3", "main")]


def test_nothing_to_go_back_to_loses_no_place(debugged: Debugged) -> None:
    text, _ = debugged(
        "step-frame\nwhere-am-i\nback-denied\nwhere-am-i\npartition sensor\nhc list\n"
        "hc sensor port_write\nhc list\nhc delete 1\nhc list\n",
    )
    first, second = found(r"^(\S+ ms  frame .*)$", text)
    assert first == second and "frame 1 " in first
    assert "khs: there is no denial before here" in text
    assert found(r"^(there are none|1: khs_port_write of sensor|deleted 1)$", text) == [
        "there are none", "1: khs_port_write of sensor", "deleted 1", "there are none"
    ]  # fmt: skip


def test_watchpoints_stop_behind_the_access(board: str, debugged: Debugged) -> None:
    text, done = debugged(
        "partition actuator\nwatch *(unsigned *)0x50010000\ncontinue\nmonitor time\n"
        "reverse-continue\nmonitor time\ndelete\npartition sensor\n"
        "rwatch *(unsigned *)0x50010000\ncontinue\nmonitor time\ndelete\n"
        "awatch *(unsigned *)0x50010000\ncontinue\nmonitor time\ndelete\ncontinue\n",
        debuggee("iot-gateway", board, frames=40),
    )
    watched = r'^Thread (\d)\.1 "\w+" hit (Hardware [^:]*watchpoint) \d'
    assert found(watched, text) == [
        ("3", "Hardware watchpoint"),
        ("3", "Hardware watchpoint"),
        ("1", "Hardware read watchpoint"),
        ("1", "Hardware access (read/write) watchpoint"),
    ]
    old, new = found(r"^Old value = (\d+)$", text), found(r"^New value = (\d+)$", text)
    assert (old[0], new[0]) == (new[1], old[1]), "backwards the change is undone"
    windows = found(r"window of (\w+), tick", text)
    assert windows[:4] == ["actuator", "actuator", "sensor", "sensor"]
    assert done.ended
    assert done.rans[0].result.trace_sha256 == plain(board, 40)


def test_looking_reads_memory_and_no_more_than_there_is(debugged: Debugged) -> None:
    text, _ = debugged(
        "partition gateway\nx/4xb _start\nx/s 0x40001000\n"
        "python print(1)\n"
        "set confirm off\n"
        "monitor schedule\ninfo mem\ninfo os\ninfo os ports\ninfo os partitions\ninfo os policy\n"
        "info os schedule\n",
    )
    assert found(r"^0x4000\w+ <_start>:\t0x", text)
    assert found(r"^\d+ +y +\t?0x40000000 0x4", text)
    assert found(r"^(partitions|ports|schedule|policy) ", text) == [
        "partitions",
        "ports",
        "schedule",
        "policy",
    ]
    assert found(r"^controller setpoint +4 +call +server +gateway", text)
    assert found(r"^iot-gateway 0 +security +yes", text)
    assert len(found(r"^iot-gateway normal +yes +\S+ +\S+ +(\w+)", text)) == 5


def test_text_is_not_written_and_data_is(debugged: Debugged) -> None:
    text, done = debugged(
        "break-in sensor main\ncontinue\nset var *(int *)$sp = 4711\nprint *(int *)$sp\n"
        "monitor time\n",
    )
    assert "$1 = 4711\n" in text
    assert done.changed
    with pytest.raises(AssertionError, match=r"[Cc]annot access memory|no memory there"):
        debugged("set var *(int *)_start = 0\n")


def test_a_changed_run_comes_to_another_trace(debugged: Debugged) -> None:
    text, done = debugged(
        "hc sensor port_write\ncontinue\nset var *(int *)($r1 + 12) = 4242\nmonitor hc delete\ncontinue\n"
    )
    assert "the run is over" in text
    assert done.changed and done.ended
    assert done.rans[0].result.trace_sha256 != plain(None)


def test_a_denial_is_explained_and_its_cause_is_found_backwards(debugged: Debugged) -> None:
    text, done = debugged(
        "denied gateway\ncontinue\nwhy\nmonitor why 1\nmonitor hc delete\n"
        "back-call\nmonitor time\nback-instruction\nmonitor time\n"
        "continue\nback-denied\nstep-window\nmonitor time\nback-window\nmonitor time\n",
        debuggee("iot-gateway", None, "attack.toml", frames=90),
    )
    denials = found(r"^khs: +([\d.]+) ms  gateway +denied +(.*)$", text)
    assert denials[0][0].startswith("1511.")
    assert "gateway.Controller setpoint.Set {temperature: 9999}" in denials[0][1]
    assert len(denials) == 2 and denials[1][0] > denials[0][0], "the last one, from the end"
    assert re.search(r"^denied by security\.psl:\d+: assert", text, re.M)
    assert re.search(r"^granted: ", text, re.M)
    assert re.search(r"^khs: 1511\.\d+ ms  gateway calls khs_call\(port=setpoint, ", text, re.M)
    times = [float(each) for each in found(r"^([\d.]+) ms  frame \d+  window of", text)]
    assert times[1] < times[0] < 1512
    assert times[3] <= times[2]
    assert not done.changed


def test_stops_at_faults_health_and_deadlines(debugged: Debugged) -> None:
    text, _ = debugged(
        "monitor break fault\ncontinue\nmonitor blocked\nmonitor break delete\n"
        "monitor break health gateway\ncontinue\nmonitor break list\n",
        debuggee("iot-gateway", None, "attack.toml", frames=100),
    )
    assert found(r"^khs: +1511\.\d+ ms  gateway +fault ", text)
    assert found(r"^khs: +1\d\d\d\.\d+ ms  gateway +health ", text)
    assert found(r"^ +2  controller +(waits for [^,]+), since", text)
    assert found(r"^2: health of gateway$", text)


REFUSED = (
    "hc nobody",
    "denied nobody",
    "hc sensor nothing",
    "step-window x",
    "where-am-i x",
    "partition nobody",
    "partition sensor x",
    "break-in nobody main",
    "break-in sensor",
    "catch-call",
    "why 999999",
    "monitor nonsense",
    "monitor hc delete 77",
)
WORDS = (
    trying(*REFUSED)
    + """\
hc iot-gateway.sensor port_write
info os foo
compare-sections .text
info mem
help hc
help break-in sensor
break-fault gateway
monitor hc delete 1
continue
reverse-stepi
x/i $pc
"""
)


def test_words_are_passed_on_or_refused_and_a_fault_is_led_to(gdb: str, debugged: Debugged) -> None:
    text, done = debugged(WORDS, debuggee("iot-gateway", None, "attack.toml", frames=100))
    assert tuple(found(r"^FAILED (.*?): ", text)) == REFUSED
    assert found(r"^'(\w+)' is neither a partition nor a hypercall", text) == [
        "nobody",
        "nobody",
        "nothing",
    ]
    assert "1: stops at khs_port_write of sensor\n" in text
    assert "khs: step-window takes no arguments\n" in text
    assert "time x: it is monitor time\n" in text
    assert found(r"^khs: (\S+) is for one of sensor, controller, ", text) == [
        "partition",
        "break-in",
    ]
    assert "khs: break-in sensor PLACE: a function or FILE:LINE is wanted\n" in text
    assert "khs: catch-call NAME: one hypercall or group is wanted" in text
    assert found(r"^(partitions|ports|schedule|policy) *$", text)[:2] == ["partitions", "ports"]
    assert re.search(r"^Section \.text, range .*: matched\.$", text, re.M)
    assert found(r"^0 +y +\t?0x40000000 \S+ (r\w)", text) == ["ro"]
    assert found(r"^hc (port_write|sensor).* -- hc .*stops where", text) == ["port_write", "sensor"]
    assert "User-defined" not in text
    fault = found(r"^khs: +1511\.\d+ ms  gateway +fault .* at pc 0x(\w+)", text)
    assert len(fault) == 1 and f"=> 0x{fault[0]} <" in text
    assert "khs: this is behind the fault and its handling; reverse-stepi leads to it\n" in text
    assert not done.changed


def test_a_refused_command_ends_the_file(gdb: str, debugged: Debugged) -> None:
    text, _ = debugged("denied gatway\ncontinue\necho went on\\n", status=1)
    assert "'gatway' is neither a partition nor a hypercall; there are\n  sensor, " in text
    assert "went on" not in text and "the run is over" not in text


def test_a_blocked_partition_says_on_what(debugged: Debugged) -> None:
    text, _ = debugged("hc logger\ncontinue\ncontinue\ninfo threads\n", debuggee(frames=3))
    assert found(
        r'Thread 4\.1 "gateway" \(waits for input uplink, since 11\.\d+ ms in khs_input', text
    )
    assert found(r'Thread 1\.1 "sensor" \(waits for its next release', text)


def test_three_architectures_in_one_gdb(gdb: str, debugged: Debugged) -> None:
    text, done = debugged(
        "info threads\ncatch-call khs_port_write\ncontinue\nx/i $pc\ncontinue\ncontinue\nx/i $pc\n"
        "delete\nhc iot-gateway.pc.sensor port_write\ncontinue\nx/i $pc\nmonitor time\n"
        "reverse-continue\nmonitor hc delete\ncontinue\n",
        *(debuggee(board=board, frames=4) for board in BOARDS),
    )
    assert (
        len(found(r'^[* ] \d+\.1 +Thread \d+\.1 "iot-gateway\.(\w+)\.\w+" .*_start \(\) at', text))
        == 15
    )
    caught = found(r'^Thread \d+\.1 "iot-gateway\.(\w+)\.sensor" hit Catchpoint', text)
    assert len(caught) == 3 and {"sabrelite", "q35"} <= set(caught)
    assert found(r"^khs: 20\.0\d+ ms  iot-gateway\.pc\.sensor calls khs_port_write", text)
    times = [float(each) for each in found(r"^iot-gateway\.\w+: ([\d.]+) ms", text)]
    assert len(times) == 3 and max(times) - min(times) < 0.001, "one virtual time"
    assert done.ended
    for ran, board in zip(done.rans, BOARDS, strict=True):
        assert ran.result.trace_sha256 == plain(board, 4)


def test_the_end_is_a_stop_from_which_one_can_go_back(debugged: Debugged) -> None:
    text, done = debugged(
        "continue\ncontinue\npartition logger\ncontinue\nback-window\nwhere-am-i\ncontinue\n",
        debuggee(frames=2),
    )
    assert len(found(r"^khs: the run is over: 40\.000000 ms  frame 2", text)) == 4
    assert found(r"^3\d\.\d+ ms  frame 1 ", text)
    assert done.ended


def test_the_end_of_several_systems_is_that_of_the_last(debugged: Debugged) -> None:
    text, _ = debugged(
        "continue\nreverse-stepi\nmonitor time\n",
        debuggee(frames=2),
        debuggee(board="q35", frames=3),
    )
    assert found(r"^khs: the run is over: 60\.000000 ms  frame 3", text)
    assert found(r"^iot-gateway\.q35: (40)\.00\d+ ms", text)
    assert found(r"^iot-gateway\.sabrelite: (40)\.000000 ms  frame 2", text), "it ended before"


def test_detached_it_goes_on_to_its_end_and_killed_it_does_not(debugged: Debugged) -> None:
    _, done = debugged("hc\ncontinue\ncontinue\ndetach inferiors 1 2 3 4 5\n")
    assert (done.ended, done.changed) == (True, False)
    assert done.rans[0].result.trace_sha256 == plain(None)
    _, done = debugged("hc\ncontinue\nkill inferiors 1 2 3 4 5\n")
    assert not done.ended and done.rans[0].result.interrupted


def test_stepping_forwards_and_back_comes_to_the_same_instructions() -> None:
    """The world as the server has it, against the target alone."""
    from khs.debug.rsp.world import World

    with Target(debuggee(frames=2).plan) as target:
        world = World([target])
        states = [target.state_hash()]
        for _ in range(40):
            assert world.ahead(0, lambda each: each.step(0)).stop.cause is Cause.STEP
            states.append(target.state_hash())
        for expected in states[-2::-1]:
            world.behind(lambda each: each.back_step(0), 0)
            assert target.state_hash() == expected
