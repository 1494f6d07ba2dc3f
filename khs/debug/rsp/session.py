"""One gdb's conversation: a packet in, its reply out. Knows no socket.

Topics are in modules of their own; each has a table of packets by how they begin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from khs.debug.rsp import access, breakpoints, files, monitor, motion, queries
from khs.debug.rsp.framing import MalformedError, failure, number, shown
from khs.debug.rsp.points import Points
from khs.debug.rsp.systems import Systems
from khs.debug.rsp.world import Process, World
from khs.errors import KhsError

Handler = Callable[["Session", bytes], bytes]

#: Sends a packet at once, before the reply: what the run has to say.
Send = Callable[[bytes], None]


@dataclass
class Session:
    """`general` and `control`: the processes of gdb's `Hg` and `Hc`; `described`: whose registers
    target.xml is about, the process that gdb named last. `features`: those of gdb's qSupported.
    `attached`: whether gdb is to let the run go on when it leaves; `left` and `killed` are pids."""

    systems: Systems
    send: Send
    attached: bool = True
    points: Points = field(init=False)
    general: Process = field(init=False)
    control: Process | None = None
    described: Process = field(init=False)
    features: frozenset[str] = frozenset()
    acknowledges: bool = True
    left: set[int] = field(default_factory=set)
    killed: set[int] = field(default_factory=set)
    files: files.Files = field(init=False)
    document: bytes = b""  # that gdb reads in parts
    plain: bool = False  # the last move was not for what gdb asked to stop at
    armed: monitor.Move | None = None  # what the next resumption does

    def __post_init__(self) -> None:
        self.points = Points(self.world)
        self.general = self.described = self.world.processes[0]
        self.files = files.Files(self.systems)
        motion.settle(self)

    @property
    def world(self) -> World:
        return self.systems.world

    @property
    def over(self) -> bool:
        """gdb has nothing more to do with any process."""
        return len(self.left | self.killed) == len(self.world.processes)

    def handle(self, packet: bytes) -> bytes:
        """The reply; empty for what is not known."""
        handler, rest = _find(packet)
        if handler is None:
            return b""
        try:
            return handler(self, rest)
        except MalformedError as error:
            return self.refusal(str(error))
        except KhsError as error:
            return self.refusal(str(error))

    def refusal(self, message: str) -> bytes:
        """In words, if gdb reads such."""
        return failure(message) if "error-message" in self.features else b"E01"

    def say(self, text: str) -> None:
        """Prints a line on gdb's console, before the reply that is under way."""
        self.send(b"O" + (text + "\n").encode().hex().encode())

    def process(self, pid: int) -> Process:
        """MalformedError if there is none of that number."""
        found = self.world.process(pid)
        if found is None:
            raise MalformedError(f"there is no process {pid}")
        return found

    def thread(self, text: bytes) -> Process | None:
        """The process of `pPID.TID` or, of the current one, `TID`; None if any will do.
        MalformedError if there is no such: every process has one thread, 1."""
        if not text.startswith(b"p"):
            if text not in (b"0", b"-1", b"", b"1"):
                raise MalformedError(f"there is no thread {shown(text)}")
            return self.general if text == b"1" else None
        pid, _, thread = text[1:].partition(b".")
        if thread not in (b"", b"0", b"-1", b"1"):
            raise MalformedError(f"there is no thread {shown(thread)}: it is 1")
        return None if pid in (b"-1", b"0") else self.process(number(pid, 1 << 31))


def _find(packet: bytes) -> tuple[Handler | None, bytes]:
    for size in _SIZES:
        name, rest = packet[:size], packet[size:]
        if name in _HANDLERS and _is_name(name, rest):
            return _HANDLERS[name], rest
    return None, b""


def _is_name(name: bytes, rest: bytes) -> bool:
    """Whether a packet that begins so is of that name: qCRC is no qC."""
    if name in _ALONE:
        return not rest
    return len(name) == 1 or not (name[-1:].isalpha() and rest[:1].isalpha())


_HANDLERS: Mapping[bytes, Handler] = {
    **queries.HANDLERS,
    **access.HANDLERS,
    **breakpoints.HANDLERS,
    **motion.HANDLERS,
    **monitor.HANDLERS,
    **files.HANDLERS,
}
#: Packets that nothing follows.
_ALONE = frozenset((b"!", b"?", b"g", b"bc", b"bs", b"qC", b"QStartNoAckMode", b"vCont?"))
_SIZES = sorted({len(name) for name in _HANDLERS}, reverse=True)
