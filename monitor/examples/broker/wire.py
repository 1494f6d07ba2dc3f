"""What broker and programs say to each other over a socket of packets: a frame, then a message.

    u32 kind    what it is
    u32 token   of a call: chosen by the client, echoed in its answer; of a call delivered and its
                answer: chosen by the broker
    u32 peer    of a call: the number of the program that is called
    message     in KSS's layout, header first; none in a refusal, whose `peer` is the reason

BROKER tells a program the file descriptor of its end of the socket, PROGRAMS the numbers of all.
"""

from __future__ import annotations

import os
import socket
import struct
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

from kss import message
from kss.api import load_class
from kss.layout import Direction, Endpoint, Method

FRAME = struct.Struct("<III")
MAX_PACKET = 1 << 16


class Kind(IntEnum):
    CALL = 1
    REPLY = 2
    REFUSED = 3


class Reason(IntEnum):
    """Why a call or a reply was refused."""

    DENIED = 1  # by the policy
    GONE = 2  # the other program has ended
    BUSY = 3  # it does not take what is sent to it
    BAD = 4  # there is no such program, call or frame


class RefusedError(Exception):
    """The broker did not deliver a message."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name.lower())
        self.reason = reason


class Call(NamedTuple):
    """A call as its server receives it."""

    token: int
    method: Method
    values: dict[str, Any]


class Port:
    """A program's way to the broker. `server` is the class whose methods are called."""

    def __init__(self, server: str, include: Path) -> None:
        entity = load_class(server, [include])
        assert entity is not None, f"no class {server} below {include}"
        self._socket = socket.socket(fileno=int(os.environ["BROKER"]))
        self._programs = dict(pair.split("=") for pair in os.environ["PROGRAMS"].split(","))
        self._methods: dict[str, tuple[Endpoint, Method]] = {
            method.name: (endpoint, method)
            for endpoint in entity.endpoints
            for method in endpoint.interface.methods
        }
        self._by_number = {(e.riid, m.mid): m for e, m in self._methods.values()}
        self._token = 0

    def call(self, program: str, name: str, **values: Any) -> dict[str, Any]:
        """Calls a method and waits for its answer. Raises RefusedError if the broker refuses the
        call or the answer, ValueError with the error parameters if the server answers with them."""
        self._token += 1
        endpoint, method = self._methods[name]
        data = message.encode(method.request, values, riid=endpoint.riid, mid=method.mid)
        self.send(Kind.CALL, self._token, int(self._programs[program]), data)
        kind, token, reason, answer = self.receive()
        assert token == self._token
        if kind is Kind.REFUSED:
            raise RefusedError(Reason(reason))
        direction = Direction(message.header(answer)[2])
        found = message.decode(method.message(direction), answer)
        if direction is Direction.ERROR:
            raise ValueError(found)
        return found

    def next_call(self) -> Call:
        """Waits for a call. Raises EOFError when the broker has gone."""
        while True:
            kind, token, _, data = self.receive()
            if kind is Kind.CALL:
                riid, mid, _ = message.header(data)
                method = self._by_number[riid, mid]
                return Call(token, method, message.decode(method.request, data))

    def answer(self, call: Call, *, error: bool = False, **values: Any) -> None:
        """Answers a call."""
        endpoint, method = self._methods[call.method.name]
        kind = method.error if error else method.response
        data = message.encode(kind, values, riid=endpoint.riid, mid=method.mid)
        self.send(Kind.REPLY, call.token, 0, data)

    def send(self, kind: int, token: int, peer: int, data: bytes) -> None:
        """A packet as it is."""
        self._socket.sendall(FRAME.pack(kind, token, peer) + data)

    def receive(self) -> tuple[Kind, int, int, bytes]:
        """The next packet. Raises EOFError when the broker has gone."""
        packet = self._socket.recv(MAX_PACKET)
        if not packet:
            raise EOFError
        kind, token, peer = FRAME.unpack_from(packet)
        return Kind(kind), token, peer, packet[FRAME.size :]
