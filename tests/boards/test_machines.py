"""Partitions that are whole machines: judged like any other, stopped outside of their windows, and
replayed without them."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from khs import record, replay, runs
from khs.config.model import Arch
from khs.engine.qemu import peer
from khs.engine.qemu.board import PROFILES
from khs.errors import ConfigError, EngineError, KhsError
from khs.image import Archive, open_system
from khs.new.scaffold import scaffold

from . import images

PORT, STATUS, WRITE, READ, SEND, RECEIVE, CALL = range(1, 8)
OK, INVALID_PARAM, INVALID_CONFIG, DENIED = 0, 3, 4, 7


def request(number: int, operation: int, port: int = 0, data: bytes = b"") -> bytes:
    return peer.REQUEST + struct.pack("<HHIII", number, operation, port, 200_000, len(data)) + data


def reset(value: int) -> bytes:
    """tank.IControl.Reset, which the policy grants from 0 to 1000."""
    return struct.pack("<IHHi4x", 0, 0, 0, value)


#: Requests, and the bytes of their answers.
TALK = [
    (b"noise" + request(1, PORT, data=b"control"), 20),
    (request(2, PORT, data=b"nothing"), 20),
    (request(3, CALL, 1, reset(100)), 20 + 16),
    (request(4, CALL, 1, reset(5000)), 20),
    (request(5, READ, 0), 20 + 16 + 16),
    (request(6, WRITE, 0, bytes(16)), 20),
    (request(7, 99), 20),
]

MACHINE = """
[partition.display]
kind = "board"
class = "tank.Display"
board = "{board}"
bios = "talker.rom"
"""


@pytest.fixture(params=["pc", "q35"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A system whose display is a machine."""
    pytest.importorskip("ziglang")
    board = request.param
    profile = PROFILES[{"pc": Arch.X86, "q35": Arch.X64}[board]]
    if shutil.which(profile.binary) is None:
        pytest.skip(f"{profile.binary} is not installed: apt-get install {profile.package}")
    return system(tmp_path / "tank", board)


def system(place: Path, board: str) -> Path:
    scaffold(place.name, place)
    text = (place / "system.toml").read_text(encoding="utf-8")
    head, _, rest = text.partition("[partition.display]")
    rest = rest[rest.index("[channel.reading]") :]
    head = head.replace('"20ms"', '"50ms"').replace(
        'start = "5ms", length = "5ms"', 'start = "10ms", length = "30ms"'
    )
    (place / "system.toml").write_text(head + MACHINE.format(board=board) + rest, encoding="utf-8")
    return place


def build(folder: Path, talk: list[tuple[bytes, int]], *, goes_off: bool = False) -> Archive:
    images.talker(folder, talk, goes_off=goes_off)
    return open_system(str(folder), [])


def run(
    built: Archive, frames: int = 40, record: Path | None = None
) -> tuple[runs.Ran, list[bytes]]:
    """What came of it, and the answers that the machine has read."""
    lines: list[str] = []
    ran = runs.run(runs.plan(built, frames=frames, record=record), console=lines.append)
    words = [line.removeprefix("display: ") for line in lines if line.startswith("display: ")]
    hexed = [word.translate({65 + n: "0123456789abcdef"[n] for n in range(16)}) for word in words]
    return ran, [bytes.fromhex(word) for word in hexed]


def replayed(kept: Path) -> replay.Replayed:
    recording = record.read(kept)
    return replay.replay(recording, replay.plan(recording))


def test_calls_are_judged_and_answered(folder: Path) -> None:
    ran, answers = run(build(folder, TALK))
    heads = [struct.unpack_from("<IHHIII", answer) for answer in answers]
    assert [head[1] for head in heads] == [1, 2, 3, 4, 5, 6, 7]
    assert [head[3] for head in heads] == [
        *(OK, INVALID_CONFIG, OK, DENIED, OK, INVALID_CONFIG, INVALID_PARAM)
    ]
    assert heads[0][4] == 1  # the port
    assert struct.unpack_from("<i", answers[2], 28)[0] > 0  # what the meter showed before
    assert struct.unpack_from("<II", answers[4], 20) == (16, 1)  # length, valid
    assert ran.result.partitions["display"].denied == 1
    assert not ran.result.reproducible
    document = ran.to_json()
    assert document["reproducible"] is False
    about = document["machines"]["display"]
    assert about["requests"] == 7
    assert about["skipped_bytes"] == 5
    assert about["windows"] == 40
    assert about["slip_median_s"] <= about["slip_max_s"]
    assert about["ran_s"] > 0.5


def test_the_report_says_that_it_is_a_machine(folder: Path) -> None:
    built = build(folder, TALK)
    board = built.machines["display"]["board"]
    assert f"| machine: {board}, talker.rom |" in built.report
    assert Archive.from_bytes(built.data).machines == built.machines
    assert built.members["machine/display/bios"] == (folder / "talker.rom").read_bytes()


def test_the_native_side_replays_without_the_machine(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build(folder, TALK)
    ran, _ = run(built, record=tmp_path / "kept")
    monkeypatch.setenv("PATH", "/nowhere")
    again = replayed(tmp_path / "kept")
    assert again.equal is True
    assert again.ran.result.reproducible
    assert again.ran.result.trace_sha256 == ran.result.trace_sha256
    results = (ran.result, again.ran.result)
    hashes = [[row.trace_sha256 for row in each.partitions.values()] for each in results]
    assert hashes[0] == hashes[1]


def test_a_replay_of_other_inputs_is_found_out(folder: Path, tmp_path: Path) -> None:
    built = build(folder, TALK)
    run(built, record=tmp_path / "kept")
    kept = record.read(tmp_path / "kept")
    inputs = [(*row[:2], row[2].replace(reset(100), reset(101))) for row in kept.inputs]
    assert inputs != kept.inputs
    other = replace(kept, inputs=inputs)
    again = replay.replay(other, replay.plan(other))
    assert again.equal is False
    assert again.parted


def test_a_machine_that_goes_off_leaves_the_others_running(folder: Path) -> None:
    ran, answers = run(build(folder, TALK[:1], goes_off=True))
    assert len(answers) == 1
    assert ran.to_json()["machines"]["display"]["ended"] == "guest-reset"
    assert ran.result.frames == 40
    assert ran.result.healthy


def supervised(folder: Path, mode: str) -> None:
    """The meter restarts or stops the display in period 12."""
    main = folder / "partitions/meter/main.c"
    text = main.read_text(encoding="utf-8")
    display = 'khs_partition("display")'
    change = f"        if (number == 12)\n            khs_partition_restart({display}, {mode});\n"
    assert text.count("        khs_period_wait();\n") == 1
    text = text.replace("        khs_period_wait();\n", "        khs_period_wait();\n" + change)
    main.write_text(text, encoding="utf-8")
    document = folder / "system.toml"
    text = document.read_text(encoding="utf-8")
    words = 'class = "tank.Meter"'
    assert words in text
    privileged = f'privileges = ["partition-control"]\n{words}'
    document.write_text(text.replace(words, privileged), encoding="utf-8")
    with (folder / "security.psl").open("a", encoding="utf-8") as policy:
        policy.write(
            "request src=tank.Meter, dst=kl.core.Core, endpoint=partition.Partition, "
            "method=Restart {\n    grant ()\n}\n"
        )


def test_a_partition_that_is_restarted_restarts_its_machine(folder: Path, tmp_path: Path) -> None:
    supervised(folder, "KHS_MODE_COLD_START")
    built = build(folder, TALK[:2])
    ran, answers = run(built, record=tmp_path / "kept")
    assert [struct.unpack_from("<IH", answer)[1] for answer in answers] == [1, 2, 1, 2]
    assert ran.result.partitions["display"].restarts == 1
    again = replayed(tmp_path / "kept")
    assert again.equal is True


def test_a_partition_that_is_stopped_gives_its_machine_no_windows(folder: Path) -> None:
    supervised(folder, "KHS_MODE_IDLE")
    ran, answers = run(build(folder, TALK[:2]))
    assert len(answers) == 2
    assert ran.result.partitions["display"].mode == "idle"
    assert ran.to_json()["machines"]["display"]["windows"] in (11, 12)


def test_declared_inputs_come_between_those_of_the_machine(folder: Path, tmp_path: Path) -> None:
    text = (folder / "system.toml").read_text(encoding="utf-8")
    more = '\n[input.meter-line]\npartition = "meter"\ncapacity = "8B"\ndepth = 4\n'
    more += 'messages = [ { at = "1ms", text = "a" }, { at = "700ms", text = "b" } ]\n'
    (folder / "system.toml").write_text(text + more, encoding="utf-8")
    built = build(folder, TALK)
    ran, answers = run(built, record=tmp_path / "kept")
    assert len(answers) == 7
    kept = record.read(tmp_path / "kept").inputs
    assert [row[0] for row in kept] == sorted(row[0] for row in kept)
    assert len(kept) == 9
    again = replayed(tmp_path / "kept")
    assert again.ran.result.trace_sha256 == ran.result.trace_sha256


def test_a_qemu_that_dies_is_told(folder: Path, fake_qemu: Callable[[str], None]) -> None:
    built = build(folder, TALK)
    fake_qemu("echo 'no such machine' >&2; exit 1")
    with pytest.raises(EngineError, match="QEMU refuses to start: no such machine"):
        run(built)


def test_other_engines_refuse_machines(folder: Path) -> None:
    built = build(folder, TALK)
    for options in ({"engine": "qemu"}, {"isolate": True}):
        with pytest.raises(KhsError, match="run beside the unicorn engine alone"):
            runs.plan(built, **options)


def test_a_short_window_is_refused(folder: Path) -> None:
    text = (folder / "system.toml").read_text(encoding="utf-8")
    (folder / "system.toml").write_text(text.replace('"30ms"', '"19ms"'), encoding="utf-8")
    with pytest.raises(ConfigError, match="SCHED-016: a window of 19ms for a machine"):
        build(folder, TALK)


# ---- records ------------------------------------------------------------------------------


def test_a_folder_that_holds_something_gets_no_recording(folder: Path, tmp_path: Path) -> None:
    built = build(folder, TALK[:1])
    run(built, frames=4, record=tmp_path / "kept")
    with pytest.raises(KhsError, match="kept is not empty"):
        runs.plan(built, record=tmp_path / "kept")


# ---- packets ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 19, 1000])
def test_packets_are_found_in_noise_however_it_is_cut(size: int) -> None:
    wanted = [request(1, PORT, data=b"x"), request(2, READ), request(3, SEND, 5, bytes(4096))]
    too_large = peer.REQUEST + struct.pack("<HHIII", 9, 3, 0, 0, 4097)
    stream = b"KHS" + wanted[0] + b"\xffKH" + too_large + wanted[1] + wanted[2] + b"KHS1"
    packets, found = peer.Requests(), []
    for at in range(0, len(stream), size):
        packets.feed(stream[at : at + size])
        while (packet := packets.take()) is not None:
            found.append(packet)
    assert found == wanted
    assert packets.skipped == 3 + 3 + len(too_large)
