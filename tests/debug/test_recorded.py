"""khs debug RUN: a recorded run under the debugger, and khs trace RUN."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from khs.cli import recorded
from khs.debug import live
from khs.debug.live import Debuggee
from khs.image.archive import encode_json
from tests.cli.conftest import Done, Khs, khs, system

from .conftest import Debugged, found

__all__ = ["khs", "system"]

FRAMES = 90
#: Frame, and tenths of a percent, of the policy from outside.
FRAME, DUTY = 78, 300


@pytest.fixture
def kept(khs: Khs, system: Path, tmp_path: Path) -> Path:
    """The attacked gateway, under a policy from outside from frame 78 on."""
    text = (system / "security.psl").read_text()
    assert "message.duty <= 1000" in text
    (system / "strict.psl").write_text(text.replace("duty <= 1000", f"duty <= {DUTY}"))
    given = ("--with", "attack.toml", "--policy-at", f"{FRAME}={system / 'strict.psl'}")
    folder = tmp_path / "kept"
    done = khs("run", system, *given, "--frames", FRAMES, "--record", folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def open_why(kept: Path) -> Iterator[Any]:
    """`why` of the last verdict, as gdb is told it, of a debuggee at the run's end."""

    def why(one: Debuggee, number: int | None = None) -> str:
        with live._systems([one]) as systems:
            systems.world.targets[0].go()
            return "\n".join(systems.explain(0, number, denied=number is not None))

    yield why


def test_it_is_the_recorded_run_with_its_inputs_and_policies(
    kept: Path, debugged: Debugged
) -> None:
    one = recorded.debuggee(kept)
    text, done = debugged("denied gateway\ncontinue\nwhy\nmonitor hc delete\ncontinue\nwhy\n", one)
    assert re_denied(text)
    assert found(r"^granted: .*strict\.psl:\d+", text), "the last verdict is the other policy's"
    assert f"assert (message.duty <= {DUTY}): granted" in text
    assert done.ended and not done.changed
    about = json.loads((kept / "run.json").read_bytes())
    assert done.rans[0].result.trace_sha256 == about["result"]["trace_sha256"]


def re_denied(text: str) -> list[str]:
    return list(found(r"^denied by security\.psl:\d+: assert .*temperature is 9999$", text))


def test_where_the_texts_are_gone_the_rule_is_told_and_what_to_give(
    kept: Path, system: Path, open_why: Any
) -> None:
    one = recorded.debuggee(kept)
    assert f"message.duty <= {DUTY}): granted" in open_why(one)
    (system / "strict.psl").unlink()
    told = open_why(one)
    assert f"strict.psl:82: assert (message.duty <= {DUTY})" in told
    assert "its values are not known: " in told and "strict.psl" in told.partition("known: ")[2]
    assert "denied by security.psl:97" in open_why(one, 1), "those before it are at hand"
    shutil.rmtree(system)
    told = open_why(one, 1)
    assert "denied " in told and "security.psl:97: assert (message.temperature >= 50" in told
    assert f"{system}/system.toml: the policies' texts were there, and are gone" in told
    assert "help: khs explain FOLDER TRACE N" in told


def test_another_text_than_that_of_the_run_explains_nothing(
    kept: Path, system: Path, open_why: Any
) -> None:
    policy = system / "security.psl"
    policy.write_text(policy.read_text().replace("850", "840"))
    told = open_why(recorded.debuggee(kept), 1)
    assert (
        "security.psl:97: assert (message.temperature >= 50 && message.temperature <= 850)" in told
    )
    assert "was not recorded with the policy security" in told


def test_a_recorded_archive_says_which_folder_to_give(
    khs: Khs, kept: Path, tmp_path: Path, open_why: Any
) -> None:
    again = tmp_path / "again"
    given = ("--frames", FRAMES, "--record", again)
    assert khs("run", kept / "system.khs", *given).code == 0
    told = open_why(recorded.debuggee(again), 1)
    assert "security.psl:97: assert" in told
    assert "an archive has its policies compiled, without their text" in told
    assert "help: khs explain FOLDER TRACE N, with the folder that the system was built" in told


# ---- the command -----------------------------------------------------------

CONTINUE = "continue\n"


def debug(*arguments: object) -> Done:
    """`khs debug` as a process of its own: gdb writes where that writes."""
    command = [sys.executable, "-m", "khs", "debug", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def forged(kept: Path, sha256: str) -> None:
    """The recording as if it had come to another trace."""
    path = kept / "run.json"
    about = json.loads(path.read_bytes())
    about["result"]["trace_sha256"] = sha256
    about["versions"]["kernel"] = "another"
    del about["sha256"]
    about["sha256"] = hashlib.sha256(encode_json(about)).hexdigest()
    path.write_bytes(encode_json(about))


def test_at_the_end_it_says_whether_it_was_that_run(
    khs: Khs, kept: Path, tmp_path: Path, debugged: Debugged
) -> None:
    commands = tmp_path / "go.gdb"
    commands.write_text(CONTINUE)
    trace = tmp_path / "run.trace"
    done = debug(kept, "-x", commands, "--json", "--trace", trace)
    told = json.loads(done.out)
    assert (done.code, told["equal"], told["changed"]) == (0, True, False), done.err
    assert f"{FRAMES} frames, the trace is that of the recorded run" in done.err
    assert khs("trace", "--diff", trace, kept).code == 0
    commands.write_text(f"hc\n{CONTINUE}set var $sp = $sp + 8\nmonitor hc delete\n{CONTINUE}")
    done = debug(kept, "-x", commands, "--json")
    assert (done.code, json.loads(done.out)["changed"]) == (0, True)
    assert "gdb has changed the system" in done.err
    commands.write_text(CONTINUE)
    forged(kept, "0" * 64)
    done = debug(kept, "-x", commands, "--json")
    assert (done.code, json.loads(done.out)["equal"]) == (1, False)
    assert "the trace is NOT that of the recorded run" in done.err
    assert "recorded with kernel another, here " in done.err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--frames", 3), "its own options, so no --frames"),
        (("--board", "q35"), "its own options, so no --board"),
        (("--with", "attack.toml"), "its own options, so no --with"),
        (("--policy-at", "3=security"), "its own options, so no --policy-at"),
        (("--tui", "--frames", 3), "its own options, so no --frames"),
        (("--engine", "qemu"), "what was recorded on Unicorn is debugged there"),
    ],
)
def test_it_comes_with_its_own_options(
    given: tuple[object, ...], words: str, khs: Khs, kept: Path
) -> None:
    done = khs("debug", kept, *given)
    assert (done.code, done.out) == (2, "")
    assert words in done.err and "help: " in done.err


def test_a_damaged_recording_is_refused(khs: Khs, kept: Path) -> None:
    (kept / "inputs.bin").write_bytes(b"")
    done = khs("debug", kept)
    assert (done.code, "inputs.bin: the recording is damaged" in done.err) == (2, True)


def test_a_system_is_debugged_under_a_policy_from_outside(
    khs: Khs, kept: Path, system: Path, tmp_path: Path, debugged: Debugged
) -> None:
    commands = tmp_path / "go.gdb"
    commands.write_text(CONTINUE)
    given = ("--with", "attack.toml", "--policy-at", f"{FRAME}={system / 'strict.psl'}")
    done = debug(system, *given, "--frames", FRAMES, "-x", commands, "--json")
    told = json.loads(done.out)
    assert [row["policy"] for row in told["policies"]] == ["strict"]
    about = json.loads((kept / "run.json").read_bytes())
    assert told["trace_sha256"] == about["result"]["trace_sha256"]
    done = khs("debug", system, system, *given)
    assert (done.code, "--policy-at is for one system" in done.err) == (2, True)


# ---- khs trace RUN ---------------------------------------------------------


def test_a_recording_is_its_trace_with_every_option(khs: Khs, kept: Path, tmp_path: Path) -> None:
    trace = tmp_path / "run.trace"
    assert khs("replay", kept, "--trace", trace).code == 0
    for given in ((), ("--denied",), ("--type", "fault", "--json"), ("--events",)):
        done = khs("trace", kept, *given)
        assert (done.code, done.out) == (0, khs("trace", trace, *given).out), given
        assert done.out
    assert khs("trace", "--diff", kept, trace).out == "equal\n"
    done = khs("trace", tmp_path)
    assert (done.code, "is no recording" in done.err) == (2, True)


def test_the_trace_in_the_folder_is_used(
    khs: Khs, system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "with-trace"
    given = ("--frames", 9, "--record", folder, "--trace", folder / "run.trace")
    assert khs("run", system, *given).code == 0
    expected = khs("trace", folder / "run.trace").out
    monkeypatch.setattr("khs.replay.replay", None)
    assert khs("trace", folder).out == expected
    assert len(expected.splitlines()) > 100
