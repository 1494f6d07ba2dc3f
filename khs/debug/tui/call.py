"""One row of the stream explained: arguments, messages by their IDL, verdicts, the rule that
decided with its text, and the state that it saw and left."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from khs.abi.hypercalls import BY_NAME
from khs.debug.tui.lines import Line, Role, line, wrap
from khs.debug.tui.stream import Row
from khs.debug.why import Reason
from khs.trace import events, structs, text
from khs.trace.events import Event, Hypercall, Resume, Verdict
from khs.trace.kinds import Reason as Basis
from khs.trace.kinds import SecurityEvent
from khs.trace.message import show, show_bytes
from khs.trace.names import Names
from khs.trace.outline import Outline
from khs.trace.policy import PolicyNames

_CALL, _RECV = BY_NAME["khs_call"].number, BY_NAME["khs_recv"].number
_READS = {BY_NAME[f"khs_port_{name}"].number for name in ("read", "receive")}
_OK = 0
_INFO = struct.Struct("<II")

#: Lines of a policy around one, with their numbers.
Excerpt = Sequence[tuple[int, str]]


class Calls:
    """Explains rows of a run of a system, known by the header of its traces."""

    def __init__(self, header: Mapping[str, Any], names: Names) -> None:
        self.names = names
        self._outline = Outline.from_header(header)
        rows = header.get("manifest", {}).get("partitions", {})
        self._classes = [str(rows.get(name, {}).get("class")) for name in names.partitions]

    def lines(
        self,
        row: Row,
        asked: Event | None,
        reason: Reason | str | None,
        excerpt: Excerpt,
        width: int,
    ) -> list[Line]:
        """`asked`: the hypercall that the row resumes; `reason` explains the row's verdict, or
        tells why nothing is known of it, None if it is being looked for."""
        event = row.event
        told = list(self._head(row, width))
        message = self._delivered(event, asked)
        if message is not None:
            told += self._message("received", message, width)
        elif isinstance(event, Hypercall | Resume) and event.data:
            told.append(line(("received  ", "dim"), show_bytes(event.data)))
        if isinstance(event, Hypercall | Resume):
            told += _fields(structs.fields(event.number, event.info), width)
        for _, verdict in row.verdicts:
            told += self._verdict(verdict, width)
        decided = decisive(row)
        if decided is not None:
            told += self._message("message", self._named(decided), width)
            told += self._reason(decided, reason, excerpt, width)
        for note in row.notes:
            told += [line((each, "dim")) for each in wrap(note, width, " " * 10)]
        return told

    def _head(self, row: Row, width: int) -> Iterator[Line]:
        event, names = row.event, self.names
        if isinstance(event, Verdict):
            return
        if isinstance(event, Hypercall | Resume) and event.number is not None:
            told = text.describe(event, names)
            called, _, _ = told.partition(" -> ")
            code = "waits" if event.code is None else text.code(event.code)
            called = called.removesuffix(" waits")
            role: Role = "good" if event.code in (None, _OK) else "bad"
            first, *more = wrap(called, width - len(code) - 4, "    ")
            yield line((first, "heading"), ("  = ", "dim"), (code, role))
            yield from (line((each, "heading")) for each in more)
            if isinstance(event, Hypercall) and (why := _refused(row, event)):
                yield from (line((each, "warn")) for each in wrap(why, width, "  "))
            return
        bad = row.mark == "fault"
        for each in wrap(text.describe(event, names), width, "          "):
            yield line((each, "bad" if bad else "plain"))

    def _verdict(self, verdict: Verdict, width: int) -> Iterator[Line]:
        word, role = ("granted", "good") if verdict.granted else ("denied", "bad")
        judged = text.judged(verdict, self.names).partition(" {")[0]
        trial = "  (could not be delivered)" if verdict.trial else ""
        head, *more = wrap(f"{word:<9} {judged}{trial}", width, " " * 10)
        yield line((head[:9], role), head[9:])  # type: ignore[arg-type]
        yield from (line(each) for each in more)

    def _reason(
        self, verdict: Verdict, reason: Reason | str | None, excerpt: Excerpt, width: int
    ) -> Iterator[Line]:
        rule = self.names.policy_of(verdict).rule(verdict.rule)
        if verdict.reason is Basis.DEFAULT or rule is None:
            why = reason.sentence if isinstance(reason, Reason) else text.why(verdict, self.names)
            yield from (line((each, "bad")) for each in wrap(why, width, "  "))
        else:
            yield from _rule(verdict, rule, excerpt, width)
        if reason is None:
            yield line(("judging again what came before …", "dim"))
        elif isinstance(reason, str):
            yield from (line((each, "dim")) for each in wrap(f"no states: {reason}", width, "  "))
        else:
            yield from _seen(reason, width)

    def _message(
        self, title: str, message: tuple[str, Mapping[str, Any]] | None, width: int
    ) -> Iterator[Line]:
        if message is None:
            return
        name, values = message
        yield line((f"{title:<9} ", "dim"), (name, "name"))
        yield from _fields(values, width)

    def _named(self, verdict: Verdict) -> tuple[str, Mapping[str, Any]] | None:
        about = self.names.policy_of(verdict).to_json(verdict)
        if "method" not in about:
            return None
        values = about.get("values")
        interface = f"  ({about['interface']})" if about.get("interface") else ""
        name = ".".join(str(about[key]) for key in ("endpoint", "method") if about[key])
        return name + interface, values if isinstance(values, Mapping) else {}

    # ---- messages that nobody judged where they arrive

    def _delivered(self, event: Event, asked: Event | None) -> tuple[str, Mapping[str, Any]] | None:
        """What a guest was given: it has the layout of the request or response that was judged
        when it was sent."""
        if not isinstance(event, Hypercall | Resume) or event.code != _OK or not event.data:
            return None
        began = event if isinstance(event, Hypercall) else asked
        if not isinstance(began, Hypercall) or not began.arguments:
            return None
        me, peer = event.partition, None
        port = self._outline.port(me, began.arguments[0])
        if event.number in _READS and port is not None:
            peer = self._outline.channels[port[0]].source
        elif event.number == _CALL and port is not None:
            peer = self._outline.channels[port[0]].readers[0]
            return self._decoded(SecurityEvent.RESPONSE, peer, me, event.data)
        elif event.number == _RECV:
            _, number = _INFO.unpack_from(event.info) if len(event.info) >= 8 else (0, 0)
            port = self._outline.port(me, number)
            peer = self._outline.channels[port[0]].source if port else None
        if peer is None:
            return None
        return self._decoded(SecurityEvent.REQUEST, peer, me, event.data)

    def _decoded(
        self, kind: SecurityEvent, source: int | None, destination: int | None, data: bytes
    ) -> tuple[str, Mapping[str, Any]] | None:
        policy = self.names.maps[0] if self.names.maps else PolicyNames({})
        fields = dict(tick=0, partition=None, visible=False, local=0, trial=False, granted=True)
        about = Verdict(
            **fields,  # type: ignore[arg-type]
            event=kind,
            reason=Basis.RULES,
            sequence=0,
            source_class=self._class(policy, source),
            destination_class=self._class(policy, destination),
            source_sid=0,
            destination_sid=0,
            source=source,
            destination=destination,
            rule=None,
            calls=0,
            message=data,
        )
        told = policy.to_json(about)
        if "method" not in told:
            return None
        values = told.get("values")
        name = ".".join(str(told[key]) for key in ("endpoint", "method") if told[key])
        return name, values if isinstance(values, Mapping) else {}

    def _class(self, policy: PolicyNames, partition: int | None) -> int:
        if partition is None or partition >= len(self._classes):
            return events.NONE
        return policy.class_number(self._classes[partition])


def decisive(row: Row) -> Verdict | None:
    """The verdict of a row that is explained: the first denial, or the first."""
    verdicts = [verdict for _, verdict in row.verdicts]
    return next((each for each in verdicts if not each.granted), next(iter(verdicts), None))


def _refused(row: Row, event: Hypercall) -> str:
    """Why the kernel said no, without a verdict."""
    return text.refusal(event) if row.mark == "refused" else ""


def _rule(
    verdict: Verdict, rule: Mapping[str, Any], excerpt: Excerpt, width: int
) -> Iterator[Line]:
    word = "granted" if verdict.granted else "denied"
    if verdict.reason is Basis.ERROR:
        word = "could not be evaluated"
    role: Role = "good" if verdict.granted else "bad"
    yield line((f"{word} by ", role), (f"{rule.get('file')}:{rule.get('line')}", "name"))
    if not excerpt:
        words = " ".join(str(rule.get("text", "")).split())
        yield from (line("    " + each) for each in wrap(words, width - 4, "  "))
    for number, content in excerpt:
        content = content.expandtabs(4).rstrip()
        if number != rule.get("line"):
            yield line((f"{number:>6} {content}"[:width], "dim"))
            continue
        indent = " " * (len(content) - len(content.lstrip()) + 4)
        first, *more = wrap(content, width - 7, indent)
        yield line((f"▸{number:>5} ", "here"), first)
        yield from (line(" " * 7 + each) for each in more)


def _seen(reason: Reason, width: int) -> Iterator[Line]:
    """Values that the rules looked at, and states before and after."""
    rules = [rule for binding in reason.told["bindings"] for rule in binding["rules"]]
    shown: set[str] = set()
    for rule in rules:
        for words, value in rule["values"].items():
            if words not in shown:
                shown.add(words)
                yield _pair(words, _words(value), width)
        if rule["why"]:
            yield from (line((each, "warn")) for each in wrap(f"  {rule['why']}", width, "    "))
    before: dict[tuple[str, str], Any] = {}
    after: dict[tuple[str, str], Any] = {}
    for told in (*rules, reason.told):
        for states, kept in ((told["state_before"], before), (told["state_after"], after)):
            for name, contexts in states.items():
                for who, value in contexts.items():
                    if kept is after or (name, who) not in before:
                        kept[name, who] = value
    for (name, who), value in before.items():
        now = after.get((name, who), value)
        change = _words(value) if now == value else f"{_words(value)} → {_words(now)}"
        yield _pair(f"state {name} of {who}", change, width, changed=now != value)


def _pair(name: str, value: str, width: int, changed: bool = False) -> Line:
    room = max(width - len(name) - 5, 8)
    value = value if len(value) <= room else value[: room - 1] + "…"
    return line("  ", (name, "dim"), " = ", (value, "changed" if changed else "value"))


def _fields(values: Mapping[str, Any], width: int) -> Iterator[Line]:
    """Short ones side by side, others on a line each."""
    pairs = [(key, show(value)) for key, value in values.items()]
    row: list[tuple[str, Role]] = []
    used = 0
    for key, value in pairs:
        size = len(key) + len(value) + 5
        if row and used + size > width:
            yield tuple(row)
            row, used = [], 0
        value = value if size <= width else value[: max(width - len(key) - 6, 8)] + "…"
        row += [("  ", "plain"), (key, "dim"), (" = ", "plain"), (value, "value")]
        used += size
    if row:
        yield tuple(row)


def _words(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
