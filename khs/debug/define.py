"""Commands of gdb's own language for partitions on Unicorn: every one has its help, and passes
on or refuses whatever it is given."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from khs.abi.hypercalls import HYPERCALLS

if TYPE_CHECKING:
    from khs.debug.rsp.world import Process

#: Arguments that are passed on; `monitor` says what is wrong with too many.
_MOST = 4
#: name, what `monitor` is told, help
_MONITOR = (
    ("where-am-i", "time", "Whose window it is, the major frame, and the virtual time."),
    ("running", "time", "The same as where-am-i."),
    (
        "why",
        "why",
        "why [N] [denied]: explains verdict or denial N, the last one without N: bindings, rules, "
        "values.",
    ),
    (
        "hc",
        "hc break",
        "hc [PARTITION] [NAME] [denied]: stops where a hypercall is made, and prints it.\n"
        "NAME may go without khs_: hc sensor port_write. Without arguments: every hypercall.\n"
        "hc list and hc delete [N] are for what hc, denied, break-fault have set.",
    ),
    (
        "denied",
        "break denied",
        "denied [PARTITION]: stops behind a denial; prints source, event, message and reason. See "
        "why.",
    ),
    (
        "break-fault",
        "break fault",
        "break-fault [PARTITION]: stops behind a fault and what the health monitor made of it,\n"
        "often a restart; reverse-stepi leads to the instruction that faulted.",
    ),
)
#: name, what `monitor arm` is told, help
_MOVES = (
    ("step-window", "step window", "To the begin of the next window."),
    ("step-frame", "step frame", "To the begin of the next major frame."),
    ("back-window", "back window", "Back to the begin of this window, or of the one before."),
    ("back-frame", "back frame", "Back to the begin of this major frame, or of the one before."),
    (
        "back-instruction",
        "back instruction",
        "Before the last instruction that any partition executed; reverse-stepi is for this one's.",
    ),
    ("back-call", "back call", "Back to where the last hypercall before here was made."),
    ("back-denied", "back denied", "Back to the last denial before here."),
)
#: An error behind what says why; it ends a command file. gdb's language has no word for that, and
#: "refused" is no language: Undefined item: "refused".
REFUSE = "define khs-refuse\n  set language refused\nend"
_BREAK_IN = "stops at a function or FILE:LINE of this partition's program, in no other's."


def commands(names: Sequence[tuple[str, Process]]) -> Iterator[str]:
    """Definitions. `names`: what partitions are called; one may have two names."""
    yield REFUSE
    for name, words, about in _MONITOR:
        yield _define(name, _passed(f"monitor {words}"), about)
    for name, words, about in _MOVES:
        yield _define(name, _move(name, words), about)
    known = ", ".join(name for name, _ in names)
    for name, about in (
        ("partition", "partition NAME: goes to the inferior that this partition is."),
        ("break-in", f"break-in NAME PLACE: {_BREAK_IN}"),
    ):
        yield _define(name, refusal(f"{name} is for one of {known}"), about)
    yield from (f"define-prefix {name}" for name in ("hc", "denied", "break-fault", "partition"))
    yield "define-prefix break-in"
    yield from _hypercalls()
    for verb in ("list", "delete"):
        about = f"{verb}s what hc, denied and break-fault have set; delete N for one of them."
        yield _define(f"hc {verb}", _passed(f"monitor hc {verb}"), about)
    for name, process in names:
        yield from _partition(name, process.pid)


def _hypercalls() -> Iterator[str]:
    for row in HYPERCALLS:
        name = row.name.removeprefix("khs_")
        about = f"hc {name}: stops where {row.name} is made, by anybody.\n{row.doc}"
        yield _define(f"hc {name}", _passed(f"monitor hc break {name}"), about)


def _partition(name: str, pid: int) -> Iterator[str]:
    yield _define(
        f"hc {name}",
        _passed(f"monitor hc break {name}"),
        f"hc {name} [NAME]: stops where {name} makes this hypercall, or any.",
    )
    for command, event in (("denied", "denial"), ("break-fault", "fault")):
        event_of = command.removeprefix("break-")
        yield _define(
            f"{command} {name}",
            _passed(f"monitor break {event_of} {name}"),
            f"{command} {name}: stops behind a {event} of {name}.",
        )
    yield _define(
        f"partition {name}",
        taking(0, (f"inferior {pid}",), f"partition {name} takes no arguments"),
        f"Goes to {name}, which is inferior {pid}.",
    )
    yield _define(
        f"break-in {name}",
        taking(1, (f"break $arg0 if $_inferior == {pid}",), no_place(name)),
        f"break-in {name} PLACE: {_BREAK_IN}",
    )


def _move(name: str, words: str) -> tuple[str, ...]:
    resume = "reverse-continue" if words.startswith("back") else "continue"
    return taking(0, (f"monitor arm {words}", resume), f"{name} takes no arguments")


def no_place(name: str) -> str:
    """What `break-in NAME` says without a place, or with too many."""
    return f"break-in {name} PLACE: a function or FILE:LINE is wanted"


def known_words(partitions: Iterable[str]) -> list[str]:
    """What `hc` knows, in lines."""
    calls = ", ".join(row.name.removeprefix("khs_") for row in HYPERCALLS)
    return [", ".join(partitions), *textwrap.wrap(calls, 78)]


def refusal(*lines: str) -> tuple[str, ...]:
    """Says what would be right, and fails."""
    first, *others = lines
    return (f"echo khs: {first}\\n", *(f"echo \\ \\ {line}\\n" for line in others), "khs-refuse")


def taking(count: int, lines: Sequence[str], wrong: str) -> tuple[str, ...]:
    """`lines` for so many arguments, a refusal for others."""
    body = (f"  {line}" for line in lines)
    refused = (f"  {line}" for line in refusal(wrong))
    return (f"if $argc == {count}", *body, "else", *refused, "end")


def _passed(command: str) -> tuple[str, ...]:
    """A command with all arguments: gdb's language has no word for them."""
    lines: list[str] = []
    for count in range(_MOST + 1):
        least = "==" if count < _MOST else ">="
        arguments = "".join(f" $arg{number}" for number in range(count))
        lines += [f"if $argc {least} {count}", f"  {command}{arguments}", "end"]
    return tuple(lines)


def _define(name: str, lines: Sequence[str], about: str) -> str:
    body = "".join(f"  {line}\n" for line in lines)
    return f"define {name}\n{body}end\ndocument {name}\n{about}\nend"
