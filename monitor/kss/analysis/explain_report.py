"""Explanations as text and as JSON; processes by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kss.analysis.explain import Explanation
from kss.analysis.watch import Call, Section, Sid, State
from kss.events import Reason, Result
from kss.nearest import Section as Condition
from kss.nearest import advice

MOST_FAR = 5  # bindings that do not match, in text


class Report:
    """Of one explanation. `names` tells what processes are called, by SID; `conditions` are those
    of the policy's rules (`kss.nearest.sections`)."""

    def __init__(
        self, told: Explanation, names: Mapping[int, str], conditions: tuple[Condition, ...]
    ) -> None:
        self._told = told
        self._names = names
        self._conditions = conditions
        self._near = [each for each in told.sections if each.agreed or not each.misses]

    # ---- in one sentence

    def sentence(self) -> str:
        """Why, in plain words."""
        decision = self._told.decision
        calls = [call for section in self._told.sections for call in section.calls]
        if decision.granted:
            places = [_place(call) for call in calls if call.result is Result.GRANTED]
            return f"granted: every rule called grants: {', '.join(dict.fromkeys(places))}"
        if decision.reason is Reason.MALFORMED:
            return f"denied: the message does not conform to its interface: {self._told.defect}"
        if decision.reason is Reason.DEFAULT:
            kind = self._told.event.kind.name.lower()
            return f"denied: no rule matches; {advice(self._conditions, kind, self._told.facts)}"
        against = [call for call in calls if call.result in (Result.DENIED, Result.FAILED)]
        decisive = against[-1] if decision.reason is Reason.ERROR else against[0]
        more = len(against) - 1
        others = f"; {more} more {'denies' if more == 1 else 'deny'}" if more else ""
        return f"denied by {self._reason(decisive)}{others}"

    def _reason(self, call: Call) -> str:
        found = f"{_place(call)}: {_text(call)}"
        if call.result is Result.FAILED:
            return f"{found}, which cannot be evaluated: {self._by_name(call.why)}"
        if call.why:
            return f"{found}: {call.why}"
        if call.site.method == "choice" and not call.site.object:
            found = f"{found}, which has no branch for it"
        parts = [f"{words} is {value}" for words, value in self._leaves(call).items()]
        for name, contexts in self._state(call.before).items():
            parts += [f"{name} of {who} is {_words(value)}" for who, value in contexts.items()]
        return f"{found}, where {' and '.join(parts)}" if parts else found

    # ---- as text

    def lines(self, everything: bool = False) -> Iterator[str]:
        yield self.sentence()
        for section in self._near:
            if not section.misses:
                yield ""
                yield from self._section(section)
        far = [section for section in self._near if section.misses]
        far = sorted(far, key=lambda section: len(section.misses) - section.agreed)
        near = [section for section in far if section.agreed >= len(section.misses)][:MOST_FAR]
        shown = far if everything else near
        if shown:
            yield ""
        for section in shown:
            yield f"{_at(section)} does not match: {_misses(section)}"
        if len(far) > len(shown):
            yield f"and {len(far) - len(shown)} more that do not match (--all lists them)"
        yield from self._changes()

    def _section(self, section: Section) -> Iterator[str]:
        yield f"{_at(section)} {' '.join(section.text.split())}"
        yield from _inner(section)
        for call in section.calls:
            yield f"  {call.site.location.line}: {_text(call)}: {_outcome(call)}"
            if call.why:
                yield f"      {self._by_name(call.why)}"
            for words, value in self._leaves(call).items():
                yield f"      {words} = {value}"
            after = self._state(call.after)
            for name, contexts in self._state(call.before).items():
                for who, value in contexts.items():
                    yield f"      {name} of {who}: {_change(value, after[name][who])}"

    def _changes(self) -> Iterator[str]:
        before, after = self._state(self._told.before), self._state(self._told.after)
        for name, contexts in before.items():
            yield ""
            for who, value in contexts.items():
                yield f"{name} of {who} is now {_words(after[name][who])}, was {_words(value)}"

    def _leaves(self, call: Call) -> dict[str, str]:
        """Values but for conditions, which the rule itself spells out."""
        return {seen.words: self._spoken(seen.value) for seen in call.seen if not seen.condition}

    # ---- as JSON

    def json(self) -> dict[str, Any]:
        decision = self._told.decision
        return {
            "verdict": "granted" if decision.granted else "denied",
            "reason": decision.reason.value,
            "sentence": self.sentence(),
            "event": {"event": self._told.event.kind.name.lower(), **self._told.facts},
            "bindings": [self._binding(section) for section in self._near],
            "state_before": self._state(self._told.before),
            "state_after": self._state(self._told.after),
        }

    def _binding(self, section: Section) -> dict[str, Any]:
        return {
            **_section(section),
            "rules": [self._rule(call) for call in section.calls],
            "sections": [_section(inner) for inner in _all_inner(section)],
        }

    def _rule(self, call: Call) -> dict[str, Any]:
        site = call.site
        return {
            "file": site.location.file,
            "line": site.location.line,
            "object": site.object,
            "method": site.method,
            "text": _text(call),
            "result": call.result.value if call.result else None,
            "branch": call.branch,
            "values": {seen.words: self._value(seen.value) for seen in call.seen},
            "state_before": self._state(call.before),
            "state_after": self._state(call.after),
            "why": self._by_name(call.why) or None,
        }

    # ---- names

    def _spoken(self, value: Any) -> str:
        return self._process(value.number) if isinstance(value, Sid) else _words(value)

    def _value(self, value: Any) -> Any:
        return self._process(value.number) if isinstance(value, Sid) else value

    def _process(self, sid: int) -> str:
        return self._names.get(sid, f"SID {sid}")

    def _by_name(self, text: str) -> str:
        return re.sub(r"\bSID (\d+)", lambda found: self._process(int(found[1])), text)

    def _state(self, state: State) -> dict[str, dict[str, Any]]:
        return {
            name: {self._process(sid): value for sid, value in contexts.items()}
            for name, contexts in state.items()
            if contexts
        }


def _section(section: Section) -> dict[str, Any]:
    misses = [
        {"selector": miss.selector, "wanted": miss.wanted, "given": miss.given}
        for miss in section.misses
    ]
    return {
        "file": section.location.file,
        "line": section.location.line,
        "text": " ".join(section.text.split()),
        "matched": not section.misses,
        "misses": misses,
    }


def _all_inner(section: Section) -> Iterator[Section]:
    for inner in section.inner:
        yield inner
        yield from _all_inner(inner)


def _inner(section: Section) -> Iterator[str]:
    """The `match` sections that do not."""
    for inner in _all_inner(section):
        if inner.misses:
            yield f"  {inner.location.line}: match does not: {_misses(inner)}"


def _misses(section: Section) -> str:
    return ", ".join(
        f"{miss.selector}={miss.wanted}" + (f" (it is {miss.given})" if miss.given else "")
        for miss in section.misses
    )


def _outcome(call: Call) -> str:
    if call.result is Result.FAILED:
        return "cannot be evaluated"
    if call.branch is not None:
        return f"branch {call.branch}"
    return call.result.value if call.result else "evaluated"


def _change(before: Any, after: Any) -> str:
    return _words(before) if before == after else f"{_words(before)} -> {_words(after)}"


def _words(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def _text(call: Call) -> str:
    return " ".join(call.site.text.split())


def _place(call: Call) -> str:
    return f"{call.site.location.file}:{call.site.location.line}"


def _at(section: Section) -> str:
    return f"{section.location.file}:{section.location.line}"
