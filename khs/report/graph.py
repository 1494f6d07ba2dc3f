"""Who talks to whom, as a drawing: partitions on an ellipse, an arrow for each direction."""

from __future__ import annotations

import math
from collections.abc import Mapping

from khs.report.html import Html, join, tag

WIDTH, HEIGHT = 960, 540
#: Those with the most verdicts are drawn.
NODES, EDGES = 24, 60
_LONGEST = 18
_HALF, _HIGH = 66, 15  # of a box

Point = tuple[float, float]


def graph(edges: Mapping[tuple[str, str], tuple[int, int]]) -> tuple[Html, bool]:
    """The drawing of (from, to) -> (granted, denied), and whether it has all of them."""
    ranked = sorted(edges, key=lambda edge: (-sum(edges[edge]), edge))
    names: dict[str, None] = {}
    for edge in ranked:
        for name in edge:
            if len(names) < NODES:
                names.setdefault(name)
    shown = [edge for edge in ranked if all(name in names for name in edge)][:EDGES]
    places = _places(sorted(names))
    drawn = [_edge(places[a], places[b], *edges[a, b], f"{a} to {b}") for a, b in shown]
    nodes = [_node(name, place) for name, place in places.items()]
    heads = [_head("granted"), _head("denied")]
    label = "Who talks to whom; the table below says the same"
    drawing = tag(
        "svg",
        tag("defs", *heads),
        join(line for line, _ in drawn),
        join(nodes),
        join(words for _, words in drawn),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=label,
        class_="graph",
    )
    return drawing, len(shown) == len(edges)


def _places(names: list[str]) -> dict[str, Point]:
    across, down = WIDTH / 2 - _HALF - 40, HEIGHT / 2 - _HIGH - 30
    found = {}
    for at, name in enumerate(names):
        angle = 2 * math.pi * at / len(names) - math.pi / 2
        found[name] = (WIDTH / 2 + across * math.cos(angle), HEIGHT / 2 + down * math.sin(angle))
    return found


def _node(name: str, place: Point) -> Html:
    x, y = place
    short = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    box = tag("rect", x=_n(x - _HALF), y=_n(y - _HIGH), width=2 * _HALF, height=2 * _HIGH, rx=6)
    words = tag("text", short, x=_n(x), y=_n(y + 5))
    return tag("g", tag("title", name), box, words, class_="node")


def _edge(a: Point, b: Point, granted: int, denied: int, title: str) -> tuple[Html, Html]:
    """The line and its words; two lines between the same boxes bend apart."""
    kind = "denied" if denied and not granted else "granted"
    if a == b:
        x, y = a[0], a[1] - _HIGH
        path = f"M{_n(x - 20)} {_n(y)} C{_n(x - 40)} {_n(y - 45)} {_n(x + 40)} {_n(y - 45)} " \
               f"{_n(x + 20)} {_n(y)}"  # fmt: skip
        middle = (x, y - 36)
    else:
        away = (b[0] - a[0], b[1] - a[1])
        length = math.hypot(*away)
        bend = min(44.0, length / 6)
        over = (-away[1] / length * bend, away[0] / length * bend)
        control = ((a[0] + b[0]) / 2 + over[0], (a[1] + b[1]) / 2 + over[1])
        start, end = _border(a, control), _border(b, control)
        path = "M{} {} Q{} {} {} {}".format(*map(_n, (*start, *control, *end)))
        near = 0.42  # nearer to who asks: labels of crossing lines stand apart
        middle = tuple(  # type: ignore[assignment]
            (1 - near) ** 2 * s + 2 * near * (1 - near) * c + near**2 * e
            for s, c, e in zip(start, control, end, strict=True)
        )
    words: list[str | int | None] = []
    if granted:
        words.append(tag("tspan", f"{granted} granted, " if denied else granted, class_="granted"))
    if denied:
        words.append(tag("tspan", f"{denied} denied", class_="denied"))
    told = tag("title", f"{title}: {granted} granted, {denied} denied")
    line = tag("path", told, d=path, class_=f"edge {kind}", marker_end=f"url(#{kind})")
    return line, tag("text", *words, x=_n(middle[0]), y=_n(middle[1] + 4), class_="count")


def _border(box: Point, towards: Point) -> Point:
    """Where a line from the middle of a box leaves it."""
    dx, dy = towards[0] - box[0], towards[1] - box[1]
    part = min(_HALF / abs(dx) if dx else math.inf, _HIGH / abs(dy) if dy else math.inf)
    return box[0] + dx * part, box[1] + dy * part


def _head(kind: str) -> Html:
    return tag(
        "marker",
        tag("path", d="M0 0 L8 4 L0 8 z", class_=kind),
        id=kind, viewBox="0 0 8 8", refX=8, refY=4, markerWidth=7, markerHeight=7,
        orient="auto-start-reverse",
    )  # fmt: skip


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
