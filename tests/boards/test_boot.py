"""Other people's images on boards: their console, their end, and what is wrong with them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from khs.engine.qemu import session
from khs.engine.qemu.guest import Guest, board_named
from khs.engine.qemu.pipe import Pipe
from khs.engine.qemu.session import Answer, Console, Outcome, Session
from khs.errors import EngineError

from . import images
from .conftest import need_emulator


@pytest.fixture
def guest(board: str, tmp_path: Path) -> Guest:
    """An image that says TEXT and goes off at Enter."""
    if board == "sabrelite":
        pytest.importorskip("ziglang")
        return Guest(board_named(board), kernel=images.elf(tmp_path))
    return Guest(board_named(board), bios=images.rom(tmp_path))


def boot(
    guest: Guest,
    answers: list[Answer] | None = None,
    until: bytes | None = None,
    seconds: float = 20.0,
) -> tuple[Outcome, bytes]:
    said = bytearray()
    outcome = Session(guest, said.extend, answers or [], until, seconds).run()
    return outcome, bytes(said)


def test_it_runs_up_to_a_text_and_is_the_same_each_time(guest: Guest) -> None:
    outcome, said = boot(guest, until=b"board")
    assert said == b"hello, board"
    assert (outcome.ended, outcome.reproducible) == ("text", True)
    assert outcome.console_sha256 == hashlib.sha256(said).hexdigest()
    assert outcome.first_byte_s is not None
    assert 0 < outcome.first_byte_s <= outcome.wall_s
    assert boot(guest, until=b"board")[0].console_sha256 == outcome.console_sha256


def test_it_is_answered_and_its_own_end_is_the_end(guest: Guest) -> None:
    outcome, said = boot(guest, [(b"board\r\n", b"ab\r")])
    assert said == images.TEXT + b"ab\r"
    assert outcome.ended == "guest"
    assert outcome.reason == "guest-reset"
    assert not outcome.reproducible


def test_time_is_a_bound(guest: Guest) -> None:
    outcome, said = boot(guest, until=b"never", seconds=1.0)
    assert said == images.TEXT
    assert (outcome.ended, outcome.reproducible) == ("time", False)
    assert outcome.wall_s < 10


def test_without_counting_it_runs_too(guest: Guest) -> None:
    outcome, _ = boot(replace(guest, accel="tcg"), until=b"board")
    assert (outcome.ended, outcome.reproducible) == ("text", False)


def test_the_command(guest: Guest) -> None:
    """Exit codes, both streams, and nothing of QEMU afterwards."""
    file = ["--kernel", guest.kernel] if guest.kernel else ["--bios", guest.bios]
    command = [sys.executable, "-m", "khs", "boot", "--board", guest.board.name, *map(str, file)]
    done = subprocess.run(
        [*command, "--answer", "board=x", "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ended"] == "guest"
    assert "hello, board" in done.stderr
    late = subprocess.run(
        [*command, "--until", "never", "--for", "0.5"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert late.returncode == 1
    assert late.stdout.startswith("hello, board")
    assert "time is up after" in late.stderr


# ---- what can be wrong --------------------------------------------------------------------


def test_what_cannot_be_booted_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"no image")
    sabrelite, q35 = board_named("sabrelite"), board_named("q35")
    for guest, words in (
        (Guest(q35), "nothing to boot\n  help: --kernel FILE or --bios FILE"),
        (Guest(q35, bios=file, append="quiet"), "--append is for a kernel"),
        (Guest(q35, kernel=tmp_path / "nothing"), "there is no file"),
        (Guest(q35, kernel=file, dtb=file), "q35 has no device tree"),
        (Guest(sabrelite, kernel=file, bios=file), "a kernel or a boot loader, not both"),
        (Guest(sabrelite, bios=file), "file is no boot image of an i.MX"),
    ):
        with pytest.raises(EngineError) as caught:
            guest.check()
            guest.command("qemu")
        assert words in str(caught.value)
    with pytest.raises(EngineError, match="there is no board 'q36'\n  help: one of pc, q35"):
        board_named("q36")


def elf_head(bits: int, machine: int) -> bytes:
    return b"\x7fELF" + bytes([bits]) + bytes(13) + struct.pack("<H", machine) + bytes(99)


KERNELS = {
    "ELF": (elf_head(1, 40), ""),
    "zImage": (bytes(0x24) + struct.pack("<I", 0x016F2818) + bytes(99), ""),
    "uImage": (struct.pack(">I", 0x27051956) + bytes(99), ""),
    "text": (b"root:x:0:0", "no ELF file, zImage or U-Boot image: it is started as raw code"),
    "empty": (b"", "started as raw code"),
}


@pytest.mark.parametrize("name", KERNELS)
def test_raw_code_is_doubted(name: str, tmp_path: Path) -> None:
    file = tmp_path / "kernel"
    head, words = KERNELS[name]
    file.write_bytes(head)
    guest = Guest(board_named("sabrelite"), kernel=file)
    guest.check()
    assert words in guest.doubt
    assert bool(words) == bool(guest.doubt)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (elf_head(2, 62), "its machine is 62, and 32-bit ARM is 40"),
        (elf_head(2, 40), "no ELF file for sabrelite"),
        (b"\x7fELF", "no ELF file for sabrelite"),
        (bytes(0x202) + b"HdrS" + bytes(99), "is a Linux for PCs"),
    ],
)
def test_a_kernel_of_another_architecture_is_told(head: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "kernel"
    file.write_bytes(head)
    with pytest.raises(EngineError, match=words):
        Guest(board_named("sabrelite"), kernel=file).check()


def test_kvm_is_for_pcs(tmp_path: Path) -> None:
    file = tmp_path / "kernel"
    file.write_bytes(elf_head(1, 40))
    for accel in ("kvm", "kvm,kernel-irqchip=off"):
        with pytest.raises(EngineError, match="KVM is for PCs alone: sabrelite is emulated"):
            Guest(board_named("sabrelite"), kernel=file, accel=accel).check()
    Guest(board_named("q35"), kernel=file, accel="kvm").check()


def test_a_rom_of_a_wrong_size_is_told(tmp_path: Path) -> None:
    need_emulator("q35")
    file = tmp_path / "rom"
    file.write_bytes(bytes(1000))
    with pytest.raises(EngineError, match=r"could not load PC BIOS(.|\n)*a multiple of 64 KiB"):
        boot(Guest(board_named("q35"), bios=file))


def test_a_missing_qemu_is_told_without_options_that_there_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rom"
    file.write_bytes(bytes(1000))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineError) as caught:
        boot(Guest(board_named("q35"), bios=file))
    assert str(caught.value).endswith("help: apt-get install qemu-system-x86")


def test_a_boot_loader_is_loaded_where_its_vector_table_says(tmp_path: Path) -> None:
    file = tmp_path / "a,b.imx"
    file.write_bytes(
        struct.pack("<IIIIII", 0x402000D1, 0x17800000, 0, 0, 0x177FF420, 0x177FF400) + bytes(99)
    )
    command = Guest(board_named("sabrelite"), bios=file).command("qemu")
    name = str(file).replace(",", ",,")
    assert f"loader,file={name},addr=0x177ff400,force-raw=on" in command
    assert "loader,addr=0x17800000,cpu-num=0" in command


def test_strangers_get_no_way_out(tmp_path: Path) -> None:
    """No semihosting, no network, no default devices; QEMU itself is confined."""
    for name in ("sabrelite", "q35", "pc"):
        command = Guest(board_named(name), kernel=tmp_path).command("qemu")
        assert not [word for word in command if "semihosting" in word or "debug-exit" in word]
        assert {"-nodefaults", "-no-user-config", "-no-reboot", "-sandbox"} <= {*command}
        assert command[command.index("-nic") + 1] == "none"


def test_a_qemu_that_dies_is_told_with_its_words(
    guest: Guest, fake_qemu: Callable[[str], None]
) -> None:
    fake_qemu("echo 'no such machine' >&2; exit 1")
    with pytest.raises(EngineError, match="QEMU refuses to start: no such machine"):
        boot(guest)


def test_a_qemu_that_is_killed_is_told(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_PULSE", 0.1)

    async def kill(process: session.Process) -> None:
        assert process._process is not None
        process._process.kill()
        await process.wait()

    monkeypatch.setattr(session, "_watch", kill)
    with pytest.raises(EngineError, match=r"died with the guest in it \(killed by signal 9\)"):
        boot(guest)


@pytest.mark.parametrize("board", ["q35"], indirect=True)
def test_a_qemu_that_hangs_is_given_up(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    from khs.engine.qemu import process as module

    monkeypatch.setattr(session, "_PULSE", 0.1)
    monkeypatch.setattr(module, "ANSWER", 0.5)
    began = session.Session._listen

    def freeze(self: Session, send: Callable[[bytes], None]) -> None:
        began(self, send)
        loop = asyncio.get_running_loop()
        loop.call_later(0.3, running[0].send_signal, signal.SIGSTOP)

    running = []
    start = module.Process._start

    async def remember(self: module.Process) -> None:
        await start(self)
        running.append(self._process)

    monkeypatch.setattr(module.Process, "_start", remember)
    monkeypatch.setattr(Session, "_listen", freeze)
    with pytest.raises(EngineError, match="QEMU refuses query-status"):
        boot(guest, seconds=30.0)
    assert running[0].returncode == -signal.SIGKILL


# ---- the console --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_texts_are_found_wherever_they_are_cut(size: int) -> None:
    said, typed = bytearray(), []

    async def run() -> bool:
        stream = asyncio.StreamReader()
        text = b"name: name: password: $ uname $ more"
        for at in range(0, len(text), size):
            stream.feed_data(text[at : at + size])
        stream.feed_eof()
        console = Console(said.extend, typed.append, [(b"name: ", b"me"), (b"word: ", b"x")], b"$ ")
        return await console.follow(stream)

    assert asyncio.run(run())
    assert typed == [b"me", b"x"]
    assert said == b"name: name: password: $ "


def test_a_guest_does_not_notice_that_nobody_reads(tmp_path: Path) -> None:
    """QEMU writes a console byte by byte; a socket takes 280 of them."""

    async def run() -> bytes:
        pipe = Pipe(tmp_path / "line")
        reader, writer = await pipe.open()
        theirs = os.open(f"{pipe.path}.out", os.O_WRONLY | os.O_NONBLOCK)
        for _ in range(60_000):
            os.write(theirs, b"x")
        pipe.settle()
        os.close(theirs)
        writer.close()
        return await reader.read()

    assert asyncio.run(run()) == b"x" * 60_000
