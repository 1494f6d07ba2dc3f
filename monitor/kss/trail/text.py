"""Records of an audit trail for people, a line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_REASONS = {
    "default": "no rule matches",
    "malformed": "the message does not conform to its interface",
    "error": "a rule could not be evaluated",
}


def line(record: Mapping[str, Any]) -> str:
    """One record as text: number, tick, and what it says."""
    seq, tick = record.get("seq", "?"), record.get("tick", "")
    write = _WRITERS.get(str(record.get("record")), _other)
    return f"{seq:>6} {tick:>12}  {write(record)}"


def _decision(record: Mapping[str, Any]) -> str:
    calls = [_call(call) for call in record.get("calls", ())]
    reason = _REASONS.get(str(record.get("reason")))
    why = "; ".join([*([reason] if reason else []), *calls])
    word = str(record.get("decision", "?"))
    return f"{word:<7}  {_event(record.get('event', {}))}" + (f": {why}" if why else "")


def _event(event: Mapping[str, Any]) -> str:
    parts = [str(event.get("kind", "?")), _party(event, "src")]
    if event.get("dst"):
        parts += ["->", _party(event, "dst")]
    method = [str(event[key]) for key in ("endpoint", "method") if event.get(key)]
    return " ".join([*parts, ".".join(method)]).strip()


def _party(event: Mapping[str, Any], key: str) -> str:
    name = event.get(f"{key}_name")
    return f"{event.get(key)}" + (f" ({name})" if name else f"#{event.get(f'{key}_sid', '?')}")


def _call(call: Mapping[str, Any]) -> str:
    name = ".".join(str(call[key]) for key in ("object", "method") if call.get(key))
    return f"{name} {call.get('result')} at {call.get('file')}:{call.get('line')}"


def _other(record: Mapping[str, Any]) -> str:
    hidden = {"audit", "hash", "prev", "record", "run", "seq", "tick"}
    told = {**record, **run} if isinstance(run := record.get("run"), Mapping) else record
    shown = [f"{key}={value}" for key, value in sorted(told.items()) if key not in hidden]
    return " ".join([str(record.get("record", "?")), *shown])


def _lost(record: Mapping[str, Any]) -> str:
    return f"{record.get('lost')} records are missing here: the trail was full or slow"


def _recovered(record: Mapping[str, Any]) -> str:
    return f"recovered after a crash: a torn line of {record.get('torn')} bytes was taken off"


_WRITERS = {"decision": _decision, "lost": _lost, "recovered": _recovered}
