"""Boot loaders come to their prompt and Linux to a shell, on boards with nothing of ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from khs.engine.qemu.guest import Guest, board_named
from khs.engine.qemu.session import Answer, Outcome, Session

Fetched = Callable[[str], Path]
Emulator = Callable[[str], None]


def boot(
    guest: Guest, answers: list[Answer], until: str | None, seconds: float
) -> tuple[Outcome, str]:
    said = bytearray()
    wanted = until.encode() if until else None
    outcome = Session(guest, said.extend, answers, wanted, seconds).run()
    return outcome, said.decode(errors="replace")


@pytest.mark.parametrize("board", ["pc", "q35"])
def test_u_boot_as_firmware_of_a_pc(board: str, fetched: Fetched, emulator: Emulator) -> None:
    emulator(board)
    guest = Guest(board_named(board), bios=fetched("u-boot-x86") / f"{board}.rom")
    answers = [(b"Hit any key", b" "), (b"=> ", b"echo $arch$stdin\r")]
    outcome, said = boot(guest, answers, "x86serial", 60)
    assert outcome.ended == "text", said
    assert "U-Boot" in said


def test_the_same_each_time(fetched: Fetched, emulator: Emulator) -> None:
    emulator("q35")
    guest = Guest(board_named("q35"), bios=fetched("u-boot-x86") / "q35.rom")
    runs = [boot(guest, [], "Hit any key", 60) for _ in range(2)]
    assert runs[0][1] == runs[1][1]
    assert runs[0][0].reproducible


def test_u_boot_on_the_sabre_lite(fetched: Fetched, emulator: Emulator) -> None:
    guest = Guest(board_named("sabrelite"), bios=fetched("u-boot-sabrelite") / "u-boot.imx")
    emulator("sabrelite")
    outcome, said = boot(guest, [(b"Hit any key", b" ")], "=> ", 120)
    assert outcome.ended == "text", said
    assert "Model: Freescale i.MX6 Quad SABRE Lite Board" in said


def linux(board: str, folder: Path) -> Guest:
    serial = "ttymxc1,115200" if board == "sabrelite" else "ttyS0"
    return Guest(
        board_named(board),
        kernel=folder / "vmlinuz",
        initrd=folder / "initrd.gz",
        dtb=folder / "board.dtb" if board == "sabrelite" else None,
        append=f"console={serial} rdinit=/init quiet",
    )


@pytest.mark.parametrize(("board", "machine"), [("sabrelite", "armv7l"), ("q35", "x86_64")])
def test_linux_comes_to_a_shell(
    board: str, machine: str, fetched: Fetched, emulator: Emulator
) -> None:
    guest = linux(board, fetched(f"linux-{board}"))
    emulator(board)
    outcome, said = boot(guest, [(b"# ", b"echo $(uname -m)-$((6*7))\r")], f"{machine}-42", 120)
    assert outcome.ended == "text", said
    assert "BusyBox" in said


def test_linux_says_the_same_each_time(fetched: Fetched, emulator: Emulator) -> None:
    guest = linux("q35", fetched("linux-q35"))
    emulator("q35")
    guest = replace(guest, append=f"{guest.append}".removesuffix(" quiet"))
    one, other = (boot(guest, [], "# ", 120) for _ in range(2))
    assert len(one[1]) > 10_000
    assert one[1] == other[1]
    assert one[0].reproducible


def test_linux_that_powers_off_ends_the_boot(fetched: Fetched, emulator: Emulator) -> None:
    guest = linux("q35", fetched("linux-q35"))
    emulator("q35")
    outcome, said = boot(guest, [(b"# ", b"poweroff -f\r")], None, 120)
    assert (outcome.ended, outcome.reason) == ("guest", "guest-shutdown"), said
