"""A card for the SABRE Lite, as far as QEMU goes: Debian's U-Boot finds its script by itself and
starts the system. QEMU's card controller does not answer that U-Boot, so that the card is in a USB
reader here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from khs import sdcard
from khs.engine.qemu.guest import Guest, board_named
from khs.engine.qemu.session import Session
from khs.image import open_system

READER = "usb-storage,drive=card,bus=usb-bus.1"


def test_u_boot_starts_a_system_from_its_card(
    fetched: Callable[[str], Path],
    emulator: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loader = fetched("u-boot-sabrelite") / "u-boot.imx"
    emulator("sabrelite")
    card = tmp_path / "card.img"
    sdcard.write(card, sdcard.card(open_system("iot-gateway", board="sabrelite")))
    plain = Guest.command
    drive = ("-drive", f"if=none,id=card,file={card},format=raw", "-device", READER)
    monkeypatch.setattr(Guest, "command", lambda self, qemu: [*plain(self, qemu), *drive])
    said = bytearray()
    guest = Guest(board_named("sabrelite"), bios=loader)
    outcome = Session(guest, said.extend, [], b"reading 26:", 120).run()
    text = said.decode(errors="replace")
    assert outcome.ended == "text", text
    assert "Found U-Boot script /boot.scr" in text
    assert "KHS: iot-gateway" in text
    assert "gateway: setpoint 450" in text
