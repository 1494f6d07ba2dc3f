"""Which message came from where: the queues of ports, inputs and calls, followed event by event.

The kernel's records do not number messages. Queues are first in, first out, a sampling port holds
the last message, a partition has one call under way: so who wrote what is read follows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from khs.abi.hypercalls import BY_NAME, CODES
from khs.trace.events import Event, Hypercall, Input, ModeChange, Resume, Start
from khs.trace.kinds import Mode
from khs.trace.outline import Outline

_CODES = {code.name: code.number for code in CODES}
_OK, _PARTIAL = _CODES["OK"], _CODES["PARTIAL"]
#: Answers to khs_reply after which the call is over.
_REPLIED = frozenset((_OK, _CODES["DENIED"], _CODES["PEER_BUFFER"]))
_CLIENT = (1 << 12) - 1  # of a token, see KHS_TOKEN_CLIENT_BITS
_HELD = 4096
_DEEPEST = 1 << 16

_CALL, _RECV, _REPLY = (BY_NAME[f"khs_{name}"].number for name in ("call", "recv", "reply"))
_INPUT = BY_NAME["khs_input_receive"].number
_WRITE, _READ, _SEND, _RECEIVE = (
    BY_NAME[f"khs_port_{name}"].number for name in ("write", "read", "send", "receive")
)

Queue = tuple[str, int, int]  # ("port", channel, reader) or ("input", its number, 0)


def causal(events: Iterable[Event]) -> Iterator[Event]:
    """The events, but causes come first: the kernel records who was woken by a hypercall before
    the hypercall, at the same tick."""
    held: list[Event] = []
    for event in events:
        if held and (event.tick != held[0].tick or len(held) == _HELD):
            yield from held
            held.clear()
        if isinstance(event, Resume):
            held.append(event)
            continue
        yield event
        if isinstance(event, Hypercall):
            yield from held
            held.clear()
    yield from held


@dataclass(frozen=True, slots=True)
class Moved:
    """What an event did to messages: `begun`, `passed on` and `ended` are numbers of messages,
    `depths` the queues that changed and how many messages are in them now."""

    begun: tuple[int, ...] = ()
    passed: tuple[int, ...] = ()
    ended: tuple[int, ...] = ()
    depths: tuple[tuple[Queue, int], ...] = ()


_NOTHING = Moved()


class Messages:
    """Feed it every event, in the order of `causal`."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._count = 0
        self._queues: dict[Queue, deque[int]] = {}
        self._latest: dict[Queue, int] = {}  # of sampling ports, until it was read
        self._calls: dict[int, int] = {}  # by client
        self._waiting: dict[int, Hypercall] = {}

    def moved(self, event: Event) -> Moved:
        """What `event` moved."""
        match event:
            case Hypercall(partition=int(partition)):
                if event.code is None:
                    self._waiting[partition] = event
                    return self._called(partition) if event.number == _CALL else _NOTHING
                return self._hypercall(event, event, event.code)
            case Resume(partition=int(partition)):
                asked = self._waiting.pop(partition, None)
                if event.number is None or asked is None or asked.number != event.number:
                    return _NOTHING
                return self._hypercall(asked, event, event.code)
            case Input(overflow=False) if event.input < len(self._outline.inputs):
                return self._push([("input", event.input, 0)])
            case Start() | ModeChange(mode=Mode.IDLE):
                return self._empty(event.partition)
            case _:
                return _NOTHING

    def _hypercall(self, asked: Hypercall, answer: Hypercall | Resume, code: int) -> Moved:
        """A hypercall that ended; `answer` is `asked` itself unless it had waited."""
        sends = asked.number in (_WRITE, _SEND)
        if sends and code in (_OK, _PARTIAL):
            return self._sent(asked, answer.value)
        if asked.number == _REPLY and code in _REPLIED and asked.arguments:
            return self._call(asked.arguments[0])
        if asked.number == _CALL:
            known = self._calls.pop(asked.partition or 0, None)
            return Moved(ended=(known,)) if known is not None and code == _OK else _NOTHING
        if code != _OK:
            return _NOTHING
        if asked.number == _RECV:
            return self._call(int.from_bytes(answer.info[:4], "little"))
        if asked.number == _READ:
            queue = self._port(asked)
            known = self._latest.pop(queue, None) if queue else None
            return _NOTHING if known is None else Moved(ended=(known,))
        if asked.number in (_RECEIVE, _INPUT):
            return self._pop(self._port(asked) if asked.number == _RECEIVE else self._input(asked))
        return _NOTHING

    def _called(self, client: int) -> Moved:
        self._count += 1
        self._calls[client] = self._count
        return Moved(begun=(self._count,))

    def _call(self, token: int) -> Moved:
        known = self._calls.get(token & _CLIENT)
        return _NOTHING if known is None else Moved(passed=(known,))

    def _sent(self, asked: Hypercall, mask: int) -> Moved:
        port = self._outline.port(asked.partition, asked.arguments[0]) if asked.arguments else None
        if port is None:
            return _NOTHING
        channel = self._outline.channels[port[0]]
        got = [("port", port[0], n) for n in range(min(len(channel.readers), 32)) if mask >> n & 1]
        if asked.number == _SEND:
            return self._push(got)
        first = self._count + 1
        self._count += len(got)
        self._latest.update(zip(got, range(first, self._count + 1), strict=True))
        return Moved(begun=tuple(range(first, self._count + 1)))

    def _push(self, queues: list[Queue]) -> Moved:
        """A message to each."""
        begun, depths = [], []
        for queue in queues:
            self._count += 1
            begun.append(self._count)
            held = self._queues.setdefault(queue, deque(maxlen=self._depth(queue)))
            held.append(self._count)
            depths.append((queue, len(held)))
        return Moved(begun=tuple(begun), depths=tuple(depths))

    def _pop(self, queue: Queue | None) -> Moved:
        held = self._queues.get(queue) if queue else None
        if queue is None or not held:
            return _NOTHING
        return Moved(ended=(held.popleft(),), depths=((queue, len(held)),))

    def _empty(self, partition: int | None) -> Moved:
        """A start or a stop: queues to the partition are emptied, its calls are over."""
        self._waiting.pop(partition or 0, None)
        self._calls.pop(partition or 0, None)
        depths = []
        for queue, held in self._queues.items():
            if held and self._owner(queue) == partition:
                held.clear()
                depths.append((queue, 0))
        return Moved(depths=tuple(depths))

    def _port(self, asked: Hypercall) -> Queue | None:
        port = self._outline.port(asked.partition, asked.arguments[0]) if asked.arguments else None
        return None if port is None or port[1] is None else ("port", port[0], port[1])

    def _input(self, asked: Hypercall) -> Queue | None:
        number = (
            self._outline.input(asked.partition, asked.arguments[0]) if asked.arguments else None
        )
        return None if number is None else ("input", number, 0)

    def _owner(self, queue: Queue) -> int | None:
        kind, number, reader = queue
        if kind == "port":
            return self._outline.channels[number].readers[reader]
        return self._outline.inputs[number].partition

    def _depth(self, queue: Queue) -> int:
        kind, number, _ = queue
        table = self._outline.channels if kind == "port" else self._outline.inputs
        return max(1, min(table[number].depth, _DEEPEST))
