"""What gdb asks about the server, the processes and their files: q Q H T vMustReplyEmpty."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from khs.debug.rsp import documents, tables
from khs.debug.rsp.access import layout_of
from khs.debug.rsp.framing import PACKET_MOST, MalformedError, escape, number, numbers
from khs.debug.rsp.world import Process

if TYPE_CHECKING:
    from khs.debug.rsp.session import Session

#: What the server can do: nothing that it does not.
FEATURES = (
    f"PacketSize={PACKET_MOST:x}",
    "QStartNoAckMode+",
    "multiprocess+",
    "vContSupported+",
    "swbreak+",
    "hwbreak+",
    "qXfer:features:read+",
    "qXfer:threads:read+",
    "qXfer:exec-file:read+",
    "qXfer:osdata:read+",
    "qXfer:memory-map:read+",
    "QCatchSyscalls+",
    "ReverseStep+",
    "ReverseContinue+",
    "error-message+",
)


def _supported(session: Session, rest: bytes) -> bytes:
    offered = rest.decode("ascii", "replace").lstrip(":").split(";")
    session.features = frozenset(each[:-1] for each in offered if each.endswith("+"))
    return ";".join(FEATURES).encode()


def _no_ack(session: Session, rest: bytes) -> bytes:
    session.acknowledges = False
    return b"OK"


def _choose(session: Session, rest: bytes) -> bytes:
    """H: `g` and `c`, and a process, any (0) or all (-1)."""
    process = session.thread(rest[1:])
    if rest[:1] == b"c":
        session.control = process
    elif rest[:1] == b"g":
        session.general = process or session.general
        session.described = session.general
    else:
        raise MalformedError("Hg and Hc there are")
    return b"OK"


def _alive(session: Session, rest: bytes) -> bytes:
    process = session.thread(rest)
    gone = process is not None and process.pid in session.left | session.killed
    return session.refusal("it is gone") if gone else b"OK"


def _attached(session: Session, rest: bytes) -> bytes:
    """`1`: gdb leaves the run alone when it ends, `0`: it ends it."""
    if rest[:1] == b":":
        session.described = session.process(number(rest[1:], 1 << 31))
    return b"1" if session.attached else b"0"


def _current(session: Session, rest: bytes) -> bytes:
    return b"QCp%x.1" % session.general.pid


def _threads(session: Session, rest: bytes) -> bytes:
    return b"m" + b",".join(b"p%x.1" % process.pid for process in _living(session))


def _living(session: Session) -> list[Process]:
    gone = session.left | session.killed
    return [process for process in session.world.processes if process.pid not in gone]


def _extra(session: Session, rest: bytes) -> bytes:
    process = session.thread(rest.lstrip(b",")) or session.general
    return session.systems.state(process).encode().hex().encode()


# ---- qXfer


def _transfer(session: Session, rest: bytes) -> bytes:
    kind, _, rest = rest.partition(b":read:")
    annex, _, place = rest.partition(b":")
    source = _DOCUMENTS.get(kind)
    if source is None:
        return b""
    span = numbers(place)
    if len(span) != 2:
        raise MalformedError("an offset and a length are wanted")
    offset, length = span
    if offset == 0:  # of a document that changes the parts must fit
        session.document = source(session, annex.decode("utf-8", "replace")).encode()
    return _fitting(session.document, offset, min(length, PACKET_MOST - 1))


def _fitting(document: bytes, offset: int, length: int) -> bytes:
    """A part of the document that is no longer than this with its escapes."""
    while len(reply := documents.part(document, offset, length)) < len(escape(reply)) > length:
        length -= max(1, len(escape(reply)) - length)
    return escape(reply)


def _features(session: Session, annex: str) -> str:
    if annex != "target.xml":
        raise MalformedError(f"there is no {annex!r}")
    return layout_of(session.world, session.described).description()


def _thread_list(session: Session, annex: str) -> str:
    rows = [(process, session.systems.state(process)) for process in _living(session)]
    return documents.threads(rows)


def _program(session: Session, annex: str) -> str:
    if annex:
        session.described = session.process(number(annex.encode(), 1 << 31))
    return session.systems.path(session.described)


def _memory_map(session: Session, annex: str) -> str:
    return documents.memory_map([plan.archive.config for plan in session.systems.plans])


def _table(session: Session, annex: str) -> str:
    if annex == "":
        rows = [
            {"Type": name, "Description": about, "Title": name.capitalize()}
            for name, (_, about) in tables.TABLES.items()
        ]
        return documents.osdata("types", rows)
    if annex == "processes":  # what gdb asks for by itself
        processes = [
            {"pid": str(each.pid), "user": "", "command": each.label} for each in _living(session)
        ]
        return documents.osdata(annex, processes)
    if annex not in tables.TABLES:
        names = [{f"There is no table {annex!r}, but:": name} for name in tables.TABLES]
        return documents.osdata("types", names)
    return documents.osdata(annex, list(tables.TABLES[annex][0](session.systems)))


_DOCUMENTS: dict[bytes, Callable[[Session, str], str]] = {
    b"features": _features,
    b"threads": _thread_list,
    b"exec-file": _program,
    b"memory-map": _memory_map,
    b"osdata": _table,
}

HANDLERS = {
    b"qSupported": _supported,
    b"QStartNoAckMode": _no_ack,
    b"H": _choose,
    b"T": _alive,
    b"!": lambda session, rest: b"OK",
    b"qAttached": _attached,
    b"qC": _current,
    b"qfThreadInfo": _threads,
    b"qsThreadInfo": lambda session, rest: b"l",
    b"qThreadExtraInfo": _extra,
    b"qSymbol:": lambda session, rest: b"OK",
    b"qXfer:": _transfer,
    b"vMustReplyEmpty": lambda session, rest: b"",
}
