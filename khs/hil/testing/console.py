"""A console: what is written there, and what is expected of it in virtual time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from khs.engine.device import Fault
from khs.errors import KhsError
from khs.hil.testing.duration import Time, ns
from khs.hil.testing.errors import ExpiredError

#: Of what came without being what was expected: so many characters are told.
_TOLD = 400


class Clock(Protocol):
    """Who runs the system for a console."""

    @property
    def limit_ns(self) -> int: ...
    def run_until(self, condition: Callable[[], object], timeout: Time | None = None) -> object: ...


class Wire:
    """Bytes of one console or port since power-on, `read` of which the test has seen; bytes that
    are sent wait until the device takes them: it is a `khs.engine.lines.Line` of the device."""

    live = False

    def __init__(self) -> None:
        self.data, self.read = bytearray(), 0
        self._sent = bytearray()
        self._fault: Fault | None = None

    def take(self) -> bytes:
        data = bytes(self._sent)
        self._sent.clear()
        return data

    def put(self, data: bytes) -> None:
        self.data += data

    def fault(self) -> Fault | None:
        fault, self._fault = self._fault, None
        return fault

    def send(self, data: bytes) -> None:
        self._sent += data

    def unplug(self) -> None:
        """The line is gone."""
        self._fault = Fault.LINE_LOST

    @property
    def is_sending(self) -> bool:
        """Bytes wait for the device."""
        return bool(self._sent)

    def save(self) -> tuple[int, int, bytes]:
        return len(self.data), self.read, bytes(self._sent)

    def restore(self, saved: tuple[int, int, bytes]) -> None:
        size, self.read, sent = saved
        del self.data[size:]
        self._fault = None
        self._sent[:] = sent

    @property
    def text(self) -> str:
        return _text(self.data)


def _text(data: bytes | bytearray) -> str:
    """Such that it can be encoded to the same bytes again."""
    return data.decode("utf-8", "surrogateescape")


def _compiled(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    __tracebackhide__ = True
    try:
        return re.compile(pattern)
    except re.error as error:
        raise KhsError(
            f"{pattern!r} is no regular expression: {error}\n"
            "  help: re.escape(...) of a text finds that very text"
        ) from None


class Console:
    """`console("logger")` is what a partition writes to its console, `console("driver.uart3")` a
    serial port. Both are read from where the last `expect` left off."""

    def __init__(self, name: str, wire: Wire, clock: Clock, port: bool) -> None:
        self.name = name
        self._wire, self._clock, self._port = wire, clock, port

    @property
    def text(self) -> str:
        """All that was written since power-on."""
        return self._wire.text

    @property
    def unread(self) -> str:
        """What no `expect` has passed."""
        return _text(self._wire.data[self._wire.read :])

    def expect(self, pattern: str | re.Pattern[str], timeout: Time | None = None) -> re.Match[str]:
        """Runs the system until `pattern` is found in what is unread, and reads as far. `timeout`
        in virtual time; by default all that the test has left. ExpiredError if it does not come."""
        __tracebackhide__ = True
        wanted = _compiled(pattern)
        try:
            found = self._clock.run_until(self._looker(wanted), timeout)
        except ExpiredError as error:
            raise ExpiredError(
                f"{self.name}: {wanted.pattern!r} did not come {self._why(error)}"
            ) from None
        assert isinstance(found, re.Match)
        passed = self.unread[: found.end()]
        self._wire.read += len(passed.encode("utf-8", "surrogateescape"))
        return found

    def expect_nothing(self, pattern: str | re.Pattern[str], during: Time) -> None:
        """Runs the system that long. ExpiredError if `pattern` comes meanwhile, or is unread."""
        __tracebackhide__ = True
        wanted = _compiled(pattern)
        ns(during)
        try:
            found = self._clock.run_until(self._looker(wanted), during)
        except ExpiredError:
            return
        assert isinstance(found, re.Match)
        raise ExpiredError(f"{self.name}: {found[0]!r} came, which was not to come")

    def send(self, data: bytes | str) -> None:
        """To the port; its device takes it as soon as the system runs. KhsError for a partition's
        console, which nobody can write to."""
        self._check()
        self._wire.send(data.encode() if isinstance(data, str) else data)

    def unplug(self) -> None:
        """The line of the port is gone: the health monitor is told of a device fault."""
        self._check()
        self._wire.unplug()

    def sendline(self, line: str = "") -> None:
        """With a line end."""
        self.send(line + "\n")

    def _check(self) -> None:
        if not self._port:
            raise KhsError(
                f"{self.name} is a partition's console, which has no input\n"
                '  help: a serial port: console("PARTITION.DEVICE")'
            )

    def _looker(self, wanted: re.Pattern[str]) -> Callable[[], re.Match[str] | None]:
        """Searches when something has come."""
        seen = -1

        def look() -> re.Match[str] | None:
            nonlocal seen
            if seen == len(self._wire.data):
                return None
            seen = len(self._wire.data)
            return wanted.search(self.unread)

        return look

    def _why(self, error: ExpiredError) -> str:
        rest = self.unread
        told = f"...{rest[-_TOLD:]}" if len(rest) > _TOLD else rest
        return f"{error}; unread is {told!r}" if rest else f"{error}; nothing came"
