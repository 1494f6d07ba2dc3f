"""Events as lines people read: time, partition, what happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

from khs.abi.hypercalls import CODES, HYPERCALLS
from khs.abi.table import Argument
from khs.trace import events, structs, swap
from khs.trace.events import Event
from khs.trace.kinds import FaultKind, HealthError, Mode, Word
from khs.trace.message import escape, show, show_bytes
from khs.trace.names import Names

IRQS = ("timer", "input", "error")


def format(event: Event, names: Names) -> str:
    """One line for one event, without a line end.

    `names.observe` must have seen the events before it.
    """
    time = names.ms(event.tick)
    return f"{time:>13} ms  {names.partition(event.partition):<12}  {describe(event, names)}"


def describe(event: Event, names: Names) -> str:
    """What happened, without time and partition."""
    match event:
        case events.Hypercall() | events.Resume():
            return _hypercall(event, names)
        case events.Verdict():
            return verdict(event, names)
        case events.Fault():
            return fault(event, names)
        case events.Health():
            return health(event)
        case events.Console():
            return f"console   {printable(event.text)}"
        case events.Input():
            lost = "  LOST: the queue is full, the message too long or the partition idle"
            size = f"{len(event.data)} bytes: {show_bytes(event.data)}"
            return f"input     {names.input(event.input)}  {size}{lost if event.overflow else ''}"
        case _:
            return _state(event, names)


def _state(event: Event, names: Names) -> str:
    match event:
        case events.Boot():
            return f"boot      {event.partitions} partitions, {event.clock_hz} ticks a second"
        case events.Start():
            return f"start     {event.mode.word} ({event.condition.word})"
        case events.ModeChange():
            return f"mode      {event.old.word} -> {event.mode.word}"
        case events.Interrupt():
            name = IRQS[event.irq] if event.irq < len(IRQS) else str(event.irq)
            return f"interrupt {name}"
        case events.ScheduleSwitch():
            old, new = names.schedule(event.old), names.schedule(event.schedule)
            return f"schedule  {old} -> {new}"
        case events.PolicySwap():
            return _swap(event, names)
        case events.Stop():
            causes = ("a partition asked for it", "health monitor", "the policy denied the boot")
            return f"stop      the module stops: {causes[event.cause - 1]}"
        case events.Audit():
            return _audit(event, names)
        case _:
            return "wait      idle instruction"


def _audit(event: events.Audit, names: Names) -> str:
    calls = "; ".join(audited(call) for call in names.audited(event))
    more = f"; {event.count - len(event.calls)} more" if event.count > len(event.calls) else ""
    return f"audit     level {event.level}" + (f": {calls}{more}" if calls else "")


def audited(call: Mapping[str, object]) -> str:
    """One call of an audit record (see `PolicyNames.audited`)."""
    name = ".".join(str(call[key]) for key in ("object", "method") if call[key])
    place = f" at {call['file']}:{call['line']}" if call.get("file") else ""
    return f"{name} {call['result']}{place}"


def _swap(event: events.PolicySwap, names: Names) -> str:
    if event.refusal is not None:
        why = event.refusal.reason
        if event.needed:
            why += f" ({event.needed} bytes, {event.reserved} are)"
        return f"policy    {names.policy(event.policy)}: refused, the old one stays: {why}"
    told = swap.words(names.swapped(event)) or "no objects"
    untold = event.count - len(event.objects)
    more = f"; of {untold} more nothing is told" if untold else ""
    name = ("one " if event.policy is None else "") + names.policy(event.policy)
    return f"policy    swapped to {name}: {told}{more}"


def hypercall_name(number: int) -> str:
    """`khs_call`; by number if there is no such."""
    return HYPERCALLS[number].name if number < len(HYPERCALLS) else f"hypercall {number:#x}"


def _hypercall(event: events.Hypercall | events.Resume, names: Names) -> str:
    if event.number is None:
        return "resume"
    row = HYPERCALLS[event.number] if event.number < len(HYPERCALLS) else None
    name = hypercall_name(event.number)
    if isinstance(event, events.Hypercall):
        known = row.arguments if row and len(row.arguments) == len(event.arguments) else ()
        shown = [
            argument(each, value, event, names)
            for each, value in zip(known, event.arguments, strict=False)
        ]
        name += f"({', '.join(shown)})"
    else:
        name = f"{name} resumes"
    if event.code is None:
        return f"{name} waits"
    value = f", {event.value}" if row and row.value and event.code in (0, 8) else ""
    data = f"  {show_bytes(event.data)}" if event.data else ""
    info = structs.fields(event.number, event.info)
    told = f"  {show(info)}" if info else ""
    return f"{name} -> {code(event.code)}{value}{data}{told}"


def called(event: events.Hypercall, names: Names) -> str:
    """The hypercall with its arguments."""
    return _hypercall(event, names).partition(" -> ")[0]


def refusal(event: events.Hypercall) -> str:
    """Why the kernel refused a hypercall before anybody was asked."""
    row = HYPERCALLS[event.number] if event.number < len(HYPERCALLS) else None
    if event.code is None or event.code >= len(CODES):
        return ""
    answer = CODES[event.code]
    needs = f" (it needs the privilege {row.privilege})" if row and row.privilege else ""
    return f"{answer.name}: {answer.doc}{needs if answer.name == 'INVALID_CONFIG' else ''}"


def argument(argument: Argument, value: int, event: events.Hypercall, names: Names) -> str:
    """An argument of a hypercall: `port=temperature`."""
    if argument.kind != "u32":
        return f"{argument.name}={value:#x}"
    value &= events.NONE
    shown = {
        "port": lambda: names.port(event.partition, value),
        "mode": lambda: Mode(value).word if value <= max(Mode) else str(value),
        "target": lambda: names.partition(value),
        "schedule": lambda: names.schedule(value),
        "policy": lambda: names.policy(value),
    }
    return f"{argument.name}={shown.get(argument.name, lambda: str(value))()}"


def code(number: int) -> str:
    """Name of a return code."""
    return CODES[number].name if number < len(CODES) else f"code {number}"


def verdict(event: events.Verdict, names: Names) -> str:
    """`denied    request A -> B endpoint.Method {..}  because ...`."""
    answer = "granted" if event.granted else "denied"
    reason = why(event, names)
    undelivered = "  (could not be delivered)" if event.trial else ""
    return f"{answer:<9} {judged(event, names)}{undelivered}" + (f"  {reason}" if reason else "")


def judged(event: events.Verdict, names: Names) -> str:
    """What was judged: kind, from, to, endpoint, method and message."""
    policy = names.policy_of(event)
    source = _party(event.source_class, event.source, names, event)
    what = f"{event.event.word} {source}"
    if event.destination_class is not None:
        what += f" -> {_party(event.destination_class, event.destination, names, event)}"
    message = policy.message(event)
    return f"{what} {message}" if message else what


def _party(class_number: int, partition: int | None, names: Names, event: events.Verdict) -> str:
    name = names.policy_of(event).class_name(class_number)
    return name or names.partition(partition)


def why(event: events.Verdict, names: Names) -> str:
    """Why it was granted or denied: the rule and its place, or what is missing."""
    return names.policy_of(event).why(event)


def fault(event: events.Fault, names: Names) -> str:
    """A machine event: what, where, and the function if the program's symbols are known."""
    symbol = names.symbol(event.partition, event.pc)
    where = f"pc {event.pc:#x}" + (f" ({symbol})" if symbol else "")
    return f"fault     {_FAULTS[event.fault](event)} at {where}"


def _memory(event: events.Fault) -> str:
    cause = "it has no such right there" if event.detail else "nothing is mapped there"
    return f"{event.fault.word} of {event.address:#x}: {cause},"


_FAULTS: dict[FaultKind, Callable[[events.Fault], str]] = {
    FaultKind.READ: _memory,
    FaultKind.WRITE: _memory,
    FaultKind.EXECUTE: _memory,
    FaultKind.UNDEFINED: lambda _: "undefined instruction",
    FaultKind.PRIVILEGED: lambda _: "privileged instruction",
    FaultKind.DIVIDE: lambda _: "division error",
    FaultKind.BREAKPOINT: lambda _: "breakpoint that nobody set",
    FaultKind.TRAP: lambda event: f"trap {event.detail:#x}",
    FaultKind.ALIGNMENT: lambda event: f"misaligned access to {event.address:#x}",
    FaultKind.ISA: lambda _: "left the instruction set of its image",
    FaultKind.ENGINE: lambda event: f"the engine gave up (detail {event.detail:#x})",
}


def health(event: events.Health) -> str:
    """What the health monitor saw and did."""
    number = f" {event.application}" if event.error is HealthError.APPLICATION else ""
    text = f": {printable(event.text)}" if event.text else ""
    place = f"{event.level.word} level, {event.state.word}"
    return f"health    {event.error.word}{number} ({place}) -> {event.action.word}{text}"


def printable(data: bytes) -> str:
    """Guest text on one line, without its line end."""
    return escape(data.decode("utf-8", "backslashreplace").rstrip("\n"))


def to_json(event: Event, names: Names) -> dict[str, object]:
    """The event as one flat JSON object: names where there are names, bytes as hex text."""
    row: dict[str, object] = {
        "type": event.kind.word,
        "tick": event.tick,
        "ns": event.tick * 1_000_000_000 // names.clock_hz,
        "partition": None if event.partition is None else names.partition(event.partition),
    }
    for field in _fields(event):
        value = getattr(event, field)
        row[field] = value.hex() if isinstance(value, bytes) else _plain(value)
    row.update(_named(event, names))
    return row


def _fields(event: Event) -> list[str]:
    own = type(event).__dataclass_fields__
    return [name for name in own if name not in ("tick", "partition", "kind")]


def _plain(value: object) -> object:
    if isinstance(value, Word):
        return value.word
    return list(value) if isinstance(value, tuple) else value


def _named(event: Event, names: Names) -> dict[str, object]:
    row: dict[str, object] = {"text": describe(event, names)}
    match event:
        case events.Hypercall() | events.Resume():
            if event.number is not None and event.number < len(HYPERCALLS):
                row["name"] = HYPERCALLS[event.number].name
            row["code"] = None if event.code is None else code(event.code)
            row["info"] = structs.fields(event.number, event.info)
        case events.Verdict():
            policy = names.policy_of(event)
            row["source"] = names.partition(event.source)
            row["destination"] = names.partition(event.destination)
            row["source_class"] = policy.class_name(event.source_class) or event.source_class
            if event.destination_class is not None:
                name = policy.class_name(event.destination_class)
                row["destination_class"] = name or event.destination_class
            row.update(policy.to_json(event))
        case events.Fault():
            row["symbol"] = names.symbol(event.partition, event.pc)
        case events.Console():
            row["text"] = event.text.decode("utf-8", "backslashreplace")
        case events.PolicySwap():
            row["objects"] = [asdict(fate) for fate in names.swapped(event)]
        case events.Audit():
            row["calls"] = names.audited(event)
        case _:
            pass
    return row
