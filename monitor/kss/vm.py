"""The policy VM (vm/kss.h) as a Python class, bound with ctypes.

The library is `kss/_lib/libkss.so`, or the file that the environment variable KSS_LIBRARY names.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from kss import dictionary
from kss.binary import Image, ObjectRecord, read
from kss.errors import KssError
from kss.events import Decision, Event, Kind, Reason, Recorded, Result, Shown
from kss.models import MODELS

NO_CLASS = 0xFFFFFFFF
_STATE_ALIGNMENT = 16
_STATUS = (
    "ok",
    "bad magic number",
    "bad version",
    "bad size",
    "bad table",
    "bad program",
    "bad message type",
    "bad model object",
    "no memory",
    "bad checksum, so it was damaged",
)
_REASONS = (Reason.RULES, Reason.DEFAULT, Reason.ERROR, Reason.MALFORMED)
_RESULTS = (Result.DENIED, Result.GRANTED, Result.FAILED)


class _Policy(ctypes.Structure):
    _fields_ = [
        ("image", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("state", ctypes.c_void_p),
    ]


class _Event(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_uint32),
        ("src_class", ctypes.c_uint32),
        ("dst_class", ctypes.c_uint32),
        ("src_sid", ctypes.c_uint32),
        ("dst_sid", ctypes.c_uint32),
        ("released_sid", ctypes.c_uint32),
        ("message", ctypes.c_char_p),
        ("message_size", ctypes.c_uint32),
        ("trial", ctypes.c_uint32),
    ]


class _Verdict(ctypes.Structure):
    _fields_ = [
        ("granted", ctypes.c_bool),
        ("reason", ctypes.c_uint8),
        ("calls", ctypes.c_uint16),
        ("rule", ctypes.c_uint32),
    ]


class _Call(ctypes.Structure):
    _fields_ = [("rule", ctypes.c_uint32), ("result", ctypes.c_uint32)]


class _Audited(ctypes.Structure):
    _fields_ = [("rule", ctypes.c_uint32), ("result", ctypes.c_uint32), ("value", ctypes.c_uint32)]


class _Record(ctypes.Structure):
    _fields_ = [
        ("level", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("calls", ctypes.POINTER(_Audited)),
    ]


class PolicyRefusedError(KssError):
    """A binary policy does not verify. `status` is enum kss_status, `where` the offset."""

    def __init__(self, status: int, where: int) -> None:
        self.status = status
        self.where = where
        name = _STATUS[status] if status < len(_STATUS) else f"status {status}"
        super().__init__(f"the binary policy does not verify: {name} at offset {where:#x}")


class LibraryMissingError(KssError):
    """The VM's library is not built or cannot be loaded."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(
            f"the policy VM's library {path} cannot be loaded ({cause}): build it, or name another"
            " in the environment variable KSS_LIBRARY"
        )


def library_path() -> Path:
    """Where the VM's shared library is looked for."""
    if named := os.environ.get("KSS_LIBRARY"):
        return Path(named)
    return Path(str(files("kss"))) / "_lib" / "libkss.so"


@cache
def _load(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise LibraryMissingError(path, str(error)) from None
    pointer, u32, size = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_size_t
    policy = ctypes.POINTER(_Policy)
    prototypes: dict[str, tuple[object, list[object]]] = {
        "kss_verify": (ctypes.c_int, [pointer, size, ctypes.POINTER(size)]),
        "kss_state_size": (size, [pointer]),
        "kss_init": (ctypes.c_int, [policy, pointer, size, pointer, size]),
        "kss_migrate": (u32, [policy, policy]),
        "kss_migrate_object": (ctypes.c_bool, [policy, u32, policy]),
        "kss_find_class": (u32, [policy, ctypes.c_uint64]),
        "kss_judge": (_Verdict, [policy, ctypes.POINTER(_Event)]),
        "kss_calls": (ctypes.POINTER(_Call), [policy]),
        "kss_audit": (ctypes.c_bool, [policy, _Verdict, ctypes.POINTER(_Record)]),
        "kss_audit_level": (u32, [policy]),
        "kss_release": (None, [policy, u32]),
        "kss_conforms": (ctypes.c_bool, [policy, u32, u32, ctypes.c_char_p, u32]),
    }
    for name, (result, arguments) in prototypes.items():
        function = getattr(library, name, None)
        if function is None:
            raise LibraryMissingError(path, f"it is older than this program and has no {name}")
        function.restype, function.argtypes = result, arguments
    return library


def _verified(library: ctypes.CDLL, policy_binary: bytes) -> ctypes.Array[ctypes.c_uint64]:
    """The policy, aligned; PolicyRefusedError if it does not verify."""
    size = len(policy_binary)
    image = (ctypes.c_uint64 * (size // 8 + 1))()
    ctypes.memmove(image, policy_binary, size)
    where = ctypes.c_size_t(0)
    status = library.kss_verify(ctypes.addressof(image), size, ctypes.byref(where))
    if status:
        raise PolicyRefusedError(status, where.value)
    return image


def state_size(policy_binary: bytes, library: Path | None = None) -> int:
    """Bytes of state that a policy needs; raises as `Vm` does."""
    loaded = _load(library or library_path())
    image = _verified(loaded, policy_binary)
    return int(loaded.kss_state_size(ctypes.addressof(image)))


def _asked(event: Event) -> _Event:
    message = None if event.kind is Kind.EXECUTE else event.message
    return _Event(
        event.kind,
        NO_CLASS if event.src_class is None else event.src_class,
        NO_CLASS if event.dst_class is None else event.dst_class,
        event.src_sid,
        event.dst_sid,
        event.released_sid,
        message,
        len(message or b""),
        event.trial,
    )


def measuring_loop(name: str) -> Any:
    """`kss_bench_<name>` of the library, which returns nanoseconds. Raises LibraryMissingError."""
    return _bench(_load(library_path()), name)


def _bench(library: ctypes.CDLL, name: str) -> Any:
    """A measuring loop, which a library of the VM alone does not have (monitor/bench/bench.c)."""
    function = getattr(library, f"kss_bench_{name}", None)
    if function is None:
        raise LibraryMissingError(library_path(), f"it has no kss_bench_{name}")
    function.restype = ctypes.c_double
    return function


class Vm:
    """A loaded policy with its state; the same interface as the reference interpreter.

    Raises PolicyRefusedError if the binary does not verify, LibraryMissingError if there is no
    library.
    """

    def __init__(self, policy_binary: bytes, library: Path | None = None) -> None:
        self._library = _load(library or library_path())
        self._size = len(policy_binary)
        self._image_block = _verified(self._library, policy_binary)
        self._image = ctypes.addressof(self._image_block)
        self.image: Image = read(policy_binary)
        self._state_size = int(self._library.kss_state_size(self._image))
        self._state_block = ctypes.create_string_buffer(self._state_size + _STATE_ALIGNMENT)
        start = ctypes.addressof(self._state_block)
        self._state = start + -start % _STATE_ALIGNMENT
        self._policy = _Policy()
        self._verdict = _Verdict(reason=_REASONS.index(Reason.ERROR))  # nothing is recorded of it
        self.reset()

    def reset(self) -> None:
        """Back to the state before the first event."""
        status = self._library.kss_init(
            self._policy, self._image, self._size, self._state, self._state_size
        )
        if status:
            raise PolicyRefusedError(status, 0)

    def judge(self, event: Event) -> Decision:
        """Judges one event; state changes last only if it is granted and no trial."""
        self._verdict = verdict = self._library.kss_judge(self._policy, _asked(event))
        calls = self._library.kss_calls(self._policy)
        called = tuple((calls[i].rule, _RESULTS[calls[i].result]) for i in range(verdict.calls))
        return Decision(verdict.granted, _REASONS[verdict.reason], called)

    def measure(self, events: Sequence[Event], repeats: int) -> tuple[float, int]:
        """Judges the events in turn, `repeats` times in all, in a loop of the library's. Their
        messages lie one behind the other, not scattered over Python's memory.

        Returns nanoseconds a verdict, and how many were granted.
        """
        asked = (_Event * len(events))(*map(_asked, events))
        messages = ctypes.create_string_buffer(b"".join(event.message or b"" for event in events))
        at = ctypes.addressof(messages)
        for each in asked:
            if each.message is not None:
                each.message = at
            at += each.message_size
        granted, policy = ctypes.c_uint32(), ctypes.byref(self._policy)
        loop = _bench(self._library, "judge")
        took = loop(policy, asked, len(events), repeats, ctypes.byref(granted))
        return float(took), granted.value

    @property
    def recorded(self) -> Recorded | None:
        """What the audit profiles have recorded of the last event judged; None if nothing."""
        record = _Record()
        if not self._library.kss_audit(self._policy, self._verdict, ctypes.byref(record)):
            return None
        calls = (record.calls[i] for i in range(record.count))
        return Recorded(record.level, tuple((call.rule, self._shown(call)) for call in calls))

    def _shown(self, call: _Audited) -> Result | Shown:
        if call.result < len(_RESULTS):
            return _RESULTS[call.result]
        values: Any = self.image.symbols.get("values", {})
        names = values.get(str(call.rule)) if isinstance(values, dict) else None
        if not isinstance(names, list):
            return int(call.value)
        shown: Shown = names[call.value] if call.value < len(names) else None
        return shown

    def release(self, sid: int) -> None:
        """Drops every context of a SID."""
        self._library.kss_release(self._policy, sid)

    def conforms(self, server_class: int, kind: Kind, message: bytes) -> bool:
        """Checks a message alone, as `judge` does first."""
        return bool(
            self._library.kss_conforms(self._policy, server_class, kind, message, len(message))
        )

    def find_class(self, name_hash: int) -> int | None:
        """Index of the class with this hash of its name (see `kss.compiler.class_hash`)."""
        index = int(self._library.kss_find_class(self._policy, name_hash))
        return None if index == NO_CLASS else index

    def migrate(self, old: Vm) -> int:
        """Takes over the contexts of equal objects of another policy; returns how many objects
        kept theirs. To be called before the first event."""
        return int(self._library.kss_migrate(self._policy, old._policy))

    def take_over(self, old: Vm) -> tuple[str, ...]:
        """`migrate`, and which of the objects with state kept theirs, by name."""
        kept = [
            (symbol["name"], MODELS[symbol["model"]].stateful)
            for number, (_, symbol) in enumerate(self._objects())
            if self._library.kss_migrate_object(self._policy, number, old._policy)
        ]
        return tuple(sorted(name for name, stateful in kept if stateful))

    # ---- state -----------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The whole state block."""
        return ctypes.string_at(self._state, self._state_size)

    def restore(self, block: bytes) -> None:
        """Puts a snapshot of this policy back."""
        if len(block) != self._state_size:
            raise ValueError(f"a snapshot of this policy has {self._state_size} bytes")
        ctypes.memmove(self._state, block, self._state_size)

    def state(self) -> dict[str, dict[int, Any]]:
        """Object name -> SID -> context (for Flow, the state's name), both ascending."""
        found: dict[str, dict[int, Any]] = {}
        for thing, symbol in self._objects():
            model = MODELS[symbol["model"]]
            if model.stateful and model.code:
                contexts = sorted(self._contexts(thing))
                shown = {sid: model.code.show(symbol, context) for sid, context in contexts}
                found[symbol["name"]] = shown
        return dict(sorted(found.items()))

    @property
    def audit_level(self) -> int:
        """The audit run-time level, which `base.set_level` changes."""
        return int(self._library.kss_audit_level(self._policy))

    def _objects(self) -> Iterator[tuple[ObjectRecord, dict[str, Any]]]:
        named = self.image.symbols.get("objects")
        yield from zip(self.image.objects, named if isinstance(named, list) else [], strict=False)

    def _contexts(self, thing: ObjectRecord) -> Iterator[tuple[int, tuple[int, ...]]]:
        """SID and context of every entry of the object's table."""
        words = self._words()[thing.state :]
        for (sid,), context in dictionary.items(words, thing.capacity, 1, thing.context_words):
            yield sid, context

    def _words(self) -> memoryview[int]:
        head = 24 + 8 * self.image.max_calls + 8 * self.image.max_writes
        return memoryview(self.snapshot())[head:].cast("I")
