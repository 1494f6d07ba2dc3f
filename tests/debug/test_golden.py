"""What Debian's gdb 13 says to the server, kept in golden/gdb-13.txt: kinds of packets in order. A
server that answers otherwise than gdb expects would be asked otherwise."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from khs.debug.rsp.session import Session

from .conftest import Debugged, debuggee, gdbs

GOLDEN = Path(__file__).with_name("golden") / "gdb-13.txt"
COMMANDS = """\
break-in sensor khs_ready
hc sensor period_wait
continue
stepi
reverse-stepi
catch syscall khs_port_write
watch *(int *)$sp
info os schedule
detach inferiors 1 2 3 4 5
"""
#: How much is read, and of what, depends on the programs.
_READS = re.compile(rb"(m|vFile:\w+|qXfer:\w[\w-]*:read|qRcmd|[zZ]\d|Hgp|D;|vKill;)")


def kind(packet: bytes) -> str:
    found = _READS.match(packet)
    return (found[0] if found else packet).decode("ascii", "replace")


def test_gdb_says_what_it_said(debugged: Debugged, monkeypatch: pytest.MonkeyPatch) -> None:
    gdb = gdbs()["debian"]
    assert gdb is not None
    version = subprocess.run([gdb, "--version"], capture_output=True, text=True, check=True).stdout
    if not re.search(r"\b13\.\d", version):
        pytest.skip("gdb-multiarch is not gdb 13")
    said: list[str] = []
    handle = Session.handle

    def listened(session: Session, packet: bytes) -> bytes:
        if not said or said[-1] != kind(packet):
            said.append(kind(packet))
        return handle(session, packet)

    monkeypatch.setattr(Session, "handle", listened)
    debugged(COMMANDS, debuggee(frames=2))
    assert said == GOLDEN.read_text(encoding="utf-8").splitlines()
