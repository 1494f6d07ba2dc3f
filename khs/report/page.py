"""The page: its sections, out of what was collected."""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from khs.report import tables
from khs.report.collect import Collected
from khs.report.graph import graph
from khs.report.html import Content, Html, data, join, tag
from khs.report.timeline import Drawn
from khs.trace import text
from khs.trace.names import Names


def page(found: Collected) -> str:
    """The whole page. It may load nothing and run nothing but its own script: its first line
    forbids that to the browser."""
    style, script = _shipped("page.css"), _shipped("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = f"{tables.about(found, 'system')}: a run of {_seconds(found)}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(style)),
    )
    sections = list(_sections(found))
    links = join(tag("li", tag("a", name, href=f"#{anchor}")) for anchor, name, _ in sections)
    body = tag(
        "body",
        tag("header", tag("h1", title), tables.facts(found)),
        tag("nav", tag("ul", links), aria_label="Sections"),
        tag("main", join(_section(*each) for each in sections)),
        tag("script", data(_drawing(found.drawn, found.names)), type="application/json", id="run"),
        tag("script", Html(script)),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _sections(found: Collected) -> Iterator[tuple[str, str, Html]]:
    yield "timeline", "Timeline", _timeline(found)
    yield "partitions", "Partitions", tables.partitions(found)
    yield "talks", "Who talks to whom", _talks(found)
    yield "denials", "Denials", tables.denials(found)
    yield "refusals", "Refused hypercalls", tables.refusals(found)
    yield "faults", "Faults", tables.faults(found)
    yield "health", "Health, restarts, policies, schedules", tables.noted(found)
    yield "coverage", "Policy coverage", tables.coverage(found)
    yield "console", "Console", tables.console(found)


def _section(anchor: str, name: str, content: Html) -> Html:
    heading = tag("h2", name, id=f"{anchor}-name")
    return tag("section", heading, content, id=anchor, aria_labelledby=f"{anchor}-name")


def _seconds(found: Collected) -> str:
    ms, _, ns = found.names.ms(found.drawn.end).partition(".")
    return f"{ms}.{ns.rstrip('0')} ms".replace(". ", " ")


# ---- the timeline

_WAITS = -1
_BUTTONS = (
    ("in", "Zoom in", "+"),
    ("out", "Zoom out", "-"),
    ("left", "Earlier", "Left"),
    ("right", "Later", "Right"),
    ("all", "Whole run", "0"),
    ("previous", "Previous event", "p"),
    ("next", "Next event", "n"),
)


def _timeline(found: Collected) -> Html:
    buttons = join(
        tag("button", name, type="button", data_do=do, title=f"Key {key}", aria_keyshortcuts=key)
        for do, name, key in _BUTTONS
    )
    legend = join(
        (
            tag("span", tag("i", class_=kind), words, class_="key")
            for kind, words in (
                ("window", "window"),
                ("call", "hypercall"),
                ("denied", "denied"),
                ("fault", "fault or health event"),
                ("other", "restart, policy, schedule"),
            )
        )
    )
    label = "Timeline of partitions; the keys of the buttons work here"
    # the height follows from the number of partitions, and no script may set a style
    height = 34 * len(found.partitions) + 40
    canvas = tag("canvas", id="drawing", tabindex=0, role="img", aria_label=label, height=height)
    return join(
        (
            tag("p", "Drawn by a script, which does not run here. The tables say the rest.",
                id="no-script"),
            tag("div", tag("div", buttons, class_="buttons"), canvas,
                tag("output", id="told", aria_live="polite"), tag("p", legend, class_="legend"),
                id="with-script", hidden="hidden"),
            *(tag("p", line, class_="hint") for line in _limits(found)),
        )
    )  # fmt: skip


def _limits(found: Collected) -> Iterator[str]:
    drawn = found.drawn
    if not found.outlined:
        yield "The trace has no schedule in its header, so windows are not drawn."
    if drawn.windows_end is not None:
        yield f"The run is long: windows are drawn up to {found.names.ms(drawn.windows_end)} ms."
    if drawn.calls_end is not None:
        yield (
            f"Hypercalls are drawn one by one up to {found.names.ms(drawn.calls_end)} ms, behind "
            f"that by how many there are in each {found.names.ms(drawn.calls_of.width)} ms."
        )
    if drawn.room.left_out:
        yield f"{drawn.room.left_out} more denials, faults and other events are not marked."


def _drawing(drawn: Drawn, names: Names) -> dict[str, object]:
    """What the script draws; nanoseconds."""

    def ns(tick: int) -> int:
        return tick * 1_000_000_000 // names.clock_hz

    numbers = sorted({number for _, _, _, number, _, _ in drawn.calls})
    codes = sorted({_or_waits(code) for _, _, _, _, code, _ in drawn.calls})
    name_of = {number: at for at, number in enumerate(numbers)}
    code_of = {code: at for at, code in enumerate(codes)}
    return {
        "end": ns(drawn.end),
        "exact": None if drawn.calls_end is None else ns(drawn.calls_end),
        "partitions": [names.partition(n) for n in range(len(drawn.calls_of.rows))],
        "windows": [[who, ns(start), ns(end)] for who, start, end in drawn.windows],
        "names": [text.hypercall_name(number) for number in numbers],
        "codes": ["waits" if code == _WAITS else text.code(code) for code in codes],
        "calls": [
            [who, ns(start), ns(end), name_of[number], code_of[_or_waits(code)], int(denied)]
            for who, start, end, number, code, denied in drawn.calls
        ],
        "marks": [[ns(tick), who, kind, words] for tick, who, kind, words in drawn.marks],
        "stretch": ns(drawn.calls_of.width),
        "counts": drawn.calls_of.rows,
        "denied": drawn.denied_of.rows,
    }


def _or_waits(code: int | None) -> int:
    return _WAITS if code is None else code


# ---- who talks to whom


def _talks(found: Collected) -> Html:
    edges: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for (source, target, kind, _), (granted, denied) in found.interactions.items():
        if kind != "execute":
            edges[source, target][0] += granted
            edges[source, target][1] += denied
    drawing, whole = graph({edge: (each[0], each[1]) for edge, each in edges.items()})
    hints: list[Content] = [] if whole else [tag("p", "Those with most verdicts.", class_="hint")]
    return join((drawing if edges else "", *hints, tables.interactions(found)))


@cache
def _shipped(name: str) -> str:
    return files("khs.report").joinpath(name).read_text("utf-8")


def _hash(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
