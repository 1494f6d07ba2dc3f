"""khs boot"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, TypeAlias

import typer

from khs.cli import common, options

if TYPE_CHECKING:
    from khs.engine.qemu.session import Outcome

File: TypeAlias = Path | None


def boot(
    board: Annotated[str, typer.Option(help="sabrelite, q35, pc, or a board file.")],
    kernel: Annotated[File, typer.Option(help="A kernel as QEMU boots it: Linux, ELF.")] = None,
    initrd: Annotated[File, typer.Option(help="Initial RAM file system.")] = None,
    dtb: Annotated[File, typer.Option(help="Device tree, for sabrelite.")] = None,
    append: Annotated[str | None, typer.Option(help="The kernel's command line.")] = None,
    bios: Annotated[
        File, typer.Option(help="Firmware or boot loader: a ROM; for sabrelite an .imx file.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TEXT", help="End when the console says so.")
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(metavar="WAIT=TEXT", help="At WAIT type TEXT and Enter; repeatable."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--for", min=0.1, help="End after that many seconds.")
    ] = None,
    accel: Annotated[
        str | None, typer.Option(help="QEMU's accelerator: tcg, kvm; default: counted, exact.")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Boot any image on an emulated board, with no system around it.

    Its console is this terminal; Ctrl-C ends it, so does its power-off or reset. Without a keyboard
    QEMU counts instructions and skips idle time: the same image says the same each time. Exits 1 if
    the text of --until did not come.

        khs boot --board q35 --bios u-boot.rom
        khs boot --board q35 --bios u-boot.rom --answer "Hit any key=" --until "=> "
        khs boot --board q35 --kernel vmlinuz --initrd rd.gz --append console=ttyS0
        khs boot --board sabrelite --kernel vmlinuz --dtb board.dtb --for 60
    """
    from khs.engine.qemu.guest import Guest, board_named
    from khs.engine.qemu.session import Session

    answers = [_answer(text) for text in answer or ()]
    keyboard = sys.stdin.fileno() if sys.stdin.isatty() else None
    guest = Guest(
        board_named(board),
        kernel=kernel,
        initrd=initrd,
        dtb=dtb,
        append=append,
        bios=bios,
        accel=accel,
        live=keyboard is not None,
    )
    guest.check()
    if guest.doubt:
        common.note(f"warning: {guest.doubt}")
    show = partial(_show, sys.stderr.buffer if as_json else sys.stdout.buffer)
    session = Session(guest, show, answers, until.encode() if until else None, seconds, keyboard)
    with _typing(keyboard):
        outcome = session.run()
    return _report(outcome, until, as_json)


def _show(stream: BinaryIO, data: bytes) -> None:
    stream.write(data)
    stream.flush()


def _answer(text: str) -> tuple[bytes, bytes]:
    wait, equals, reply = text.partition("=")
    if not wait or not equals:
        common.usage(f"--answer {text!r}: WAIT=TEXT is wanted, what to wait for and what to type")
    return wait.encode(), reply.encode() + b"\r"


@contextmanager
def _typing(keyboard: int | None) -> Iterator[None]:
    """Every key goes to the guest at once and unseen, but for those of signals."""
    if keyboard is None:
        yield
        return
    import termios

    before = termios.tcgetattr(keyboard)
    mode = termios.tcgetattr(keyboard)
    mode[0] &= ~(termios.ICRNL | termios.IXON)
    mode[3] &= ~(termios.ICANON | termios.ECHO)
    mode[6][termios.VSUSP] = mode[6][termios.VQUIT] = os.fpathconf(keyboard, "PC_VDISABLE")
    termios.tcsetattr(keyboard, termios.TCSADRAIN, mode)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _report(outcome: Outcome, until: str | None, as_json: bool) -> int:
    if as_json:
        common.print_json(outcome.to_json())
    else:
        ends = {
            "text": f"{until!r} came",
            "time": "time is up",
            "guest": f"the board went off ({outcome.reason})",
            "interrupted": "interrupted",
        }
        first = outcome.first_byte_s
        began = "nothing on the console" if first is None else f"first byte after {first:.2f} s"
        print(file=sys.stderr)
        common.note(f"{ends[outcome.ended]} after {outcome.wall_s:.2f} s, {began}")
    if outcome.ended == "interrupted":
        return common.interrupted()
    return common.FINDINGS if until and outcome.ended != "text" else common.OK
