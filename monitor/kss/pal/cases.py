"""Policy tests after their names are looked up: frozen, typed, ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from kss.errors import Location
from kss.events import Kind
from kss.layout import Endpoint, MessageType, Method

Expected = Literal["grant", "deny", "any"]


@dataclass(frozen=True, slots=True)
class Process:
    """Who takes part in an event: the process that a variable holds, or else (`variable` is None)
    the one process of a class. `class_index` is None for the kernel of a policy without one."""

    variable: str | None
    class_name: str
    class_index: int | None

    def __str__(self) -> str:
        return self.variable or self.class_name


@dataclass(frozen=True, slots=True)
class SidOf:
    """In a message: the SID of a process."""

    process: Process


@dataclass(frozen=True, slots=True)
class Message:
    """Values as `kss.message.encode` takes them, with `SidOf` in place of SIDs."""

    endpoint: Endpoint
    method: Method
    type: MessageType
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One event and the decision that is expected. Of an execute event, `dst` is what is started,
    `variable` the name that it gets, and there is no message.

    `obstacle` says why the case cannot be carried out, "" if it can: it hangs on a stub.
    """

    variable: str | None
    expected: Expected
    title: str
    kind: Kind
    src: Process
    dst: Process | None
    message: Message | None
    location: Location
    text: str
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Test:
    """The cases of setup, of the test's own sequence, and of finally."""

    __test__ = False  # for pytest, which takes it for one of its own

    title: str
    cases: tuple[Case, ...]
    location: Location


@dataclass(frozen=True, slots=True)
class TestSet:
    __test__ = False

    title: str
    tests: tuple[Test, ...]
    location: Location
