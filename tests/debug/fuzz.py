"""Broken packets and broken streams for the gdb server; scripts/fuzz.py and a test run it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from khs.debug.rsp.framing import Framer, Packet, escape, frame
from khs.debug.rsp.monitor import COMMANDS
from khs.debug.rsp.session import Session
from khs.debug.rsp.systems import Systems
from khs.debug.rsp.world import World
from khs.debug.target import Target

from .conftest import debuggee
from .toy import MEMORY, Toy, systems

#: Packets of a conversation.
PACKETS = 60
#: As gdb sends them; numbers in them are replaced by others.
SEEDS = (
    b"qSupported:multiprocess+;swbreak+;hwbreak+;error-message+",
    b"?",
    b"g",
    b"p10",
    b"P3=0000000000000000",
    b"P3=00000000",
    b"G00",
    b"Hgp2.1",
    b"Hcp1.-1",
    b"Hc0",
    b"Tp1.1",
    b"m40000000,10",
    b"M40001000,4:00000000",
    b"X40001000,2:ab",
    b"Z0,40000010,4",
    b"z0,40000010,4",
    b"Z1,40000010,4",
    b"Z2,40001000,4",
    b"Z3,40001000,4",
    b"Z4,40001000,4",
    b"z2,40001000,4",
    b"QCatchSyscalls:1;10;d",
    b"QCatchSyscalls:0",
    b"QCatchSyscalls:1",
    b"vCont?",
    b"vCont;c",
    b"vCont;s:p1.1;c:p1.-1",
    b"vCont;r40000000,40000010:p1.1",
    b"vCont;s:p2.1",
    b"c",
    b"s",
    b"bs",
    b"bc",
    b"qC",
    b"qfThreadInfo",
    b"qThreadExtraInfo,p1.1",
    b"qAttached:1",
    b"qXfer:features:read:target.xml:0,1000",
    b"qXfer:threads:read::0,1000",
    b"qXfer:exec-file:read:1:0,1000",
    b"qXfer:osdata:read::0,1000",
    b"qXfer:osdata:read:ports:0,1000",
    b"qXfer:memory-map:read::0,1000",
    b"vFile:open:2f746f792f612e656c66,0,0",
    b"vFile:pread:0,100,0",
    b"vFile:fstat:0",
    b"vFile:close:0",
    b"vFile:setfs:0",
    b"vAttach;1",
    b"D;1",
    b"vKill;2",
    b"qRcmd,",
)
_NUMBER = re.compile(rb"[0-9a-f]+")
_WORDS = (*COMMANDS, "break", "list", "delete", "denied", "fault", "call", "window", "frame", "a",
          "sensor", "port_write", "khs_call", "-1", "0", "1", "99999999999999999999", "\u00e9", "\0",
          "instruction", "back", "step")  # fmt: skip


def packet(rng: Random) -> bytes:
    """One that may be right, may be wrong, and may be nothing."""
    chosen = rng.choice(SEEDS)
    if chosen == b"qRcmd,":
        words = " ".join(rng.choice(_WORDS) for _ in range(rng.randrange(5)))
        chosen += words.encode().hex().encode()
    if rng.random() < 0.3:
        chosen = _NUMBER.sub(lambda found: _number(rng, found[0]), chosen)
    for _ in range(rng.choice((0, 0, 0, 1, 2, 5))):
        chosen = _spoilt(rng, chosen)
    return chosen


def _number(rng: Random, old: bytes) -> bytes:
    choices = (
        old,
        b"0",
        b"1",
        b"-1",
        b"ffffffffffffffff",
        b"10000000000000000",
        b"%x" % MEMORY,
        b"",
    )
    return rng.choice(choices)


def _spoilt(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    match rng.randrange(4):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + rng.randbytes(rng.randrange(1, 5)) + data[at:]
        case 2:
            return data[:at] + data[at + 1 :]
        case _:
            return data + rng.choice(SEEDS)[rng.randrange(4) :]


def conversation(seed: int, of: Systems) -> Iterator[str]:
    """What was wrong in a conversation of PACKETS packets."""
    rng, told = Random(seed), list[bytes]()
    session, framer = Session(of, told.append), Framer()
    for _ in range(PACKETS):
        sent = packet(rng)
        stream = frame(escape(sent))
        if rng.random() < 0.1:
            stream = _spoilt(rng, stream)
        for item in framer.feed(stream):
            if not isinstance(item, Packet):
                continue
            try:
                told.append(session.handle(item.payload))
            except Exception as error:  # whatever it is, it is a defect
                yield f"{item.payload!r}: {type(error).__name__}: {error}"
        for reply in told:
            if not all(byte not in reply for byte in b"#$") or len(reply) > 25_000:
                yield f"{sent!r}: a reply that is no packet: {reply[:60]!r}"
        told.clear()
    again = Session(of, told.append)
    again.points.clear()
    again.points.apply()
    if not again.handle(b"?").startswith(b"T05thread:p"):
        yield "the next gdb is not served"


def cases(seed: int) -> list[str]:
    """One conversation: with toys, or each tenth with a system on Unicorn."""
    if seed % 10:
        toys = [
            Toy(["a", "b"], 1000 + seed % 3, 300, arch=arch) for arch in ("armv7", "x64", "x86")
        ]
        return list(conversation(seed, systems(*toys[: 1 + seed % 3])))
    board = ("sabrelite", "q35", "pc")[seed // 10 % 3]
    one = debuggee("iot-gateway", board, frames=2)
    with Target(one.plan) as target:
        return list(conversation(seed, Systems(World([target]), [one.plan], [one.explain])))
