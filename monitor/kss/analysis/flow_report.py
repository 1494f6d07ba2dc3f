"""Paths of data as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kss.analysis.conditions import places
from kss.analysis.flow import Answer, Flows, Step, Way

MOST_WAYS = 3  # that a step is shown with
MOST_PLACES = 4  # of rules that a way is shown with


def flow_json(answer: Answer, flows: Flows) -> dict[str, Any]:
    """`ways` of a step are alternatives."""
    return {
        "paths": [[_step_json(step, flows) for step in path] for path in answer.paths],
        "more": answer.more,
        "reached": list(answer.reached),
        "stubs": flows.stubs,
    }


def _step_json(step: Step, flows: Flows) -> dict[str, Any]:
    ways = [_way_json(way, flows) for way in step.ways]
    return {"src": step.source, "dst": step.target, "ways": ways}


def _way_json(way: Way, flows: Flows) -> dict[str, Any]:
    link = way.link.name if way.link else None
    if way.row is None:
        return {"kind": "unjudged", "link": link}
    row = flows.query.json(way.row)
    kept = ("kind", "endpoint", "method", "verdict", "stub", "condition", "rules")
    return {**{key: row[key] for key in kept}, "link": link}


def flow_text(answer: Answer, flows: Flows, start: str, end: str) -> Iterator[str]:
    if not answer.paths:
        yield from _no_path(answer, start, end)
    else:
        yield from _paths(answer, flows)
    for name, unknown in flows.stubs.items():
        yield f"{name} is {unknown}"


def _paths(answer: Answer, flows: Flows) -> Iterator[str]:
    for path in answer.paths:
        yield " -> ".join([path[0].source, *(step.target for step in path)])
        for step in path:
            if len(path) > 1:
                yield f"  {step.source} -> {step.target}"
            yield from _ways(step, flows)
    if answer.more:
        yield "there are more paths: --max N shows N of them"


def _no_path(answer: Answer, start: str, end: str) -> Iterator[str]:
    yield f"no path: no data passes from {start} to {end}"
    if answer.reached:
        yield f"from {start} it gets to {', '.join(answer.reached)}, and no further"
    else:
        yield f"from {start} it gets nowhere"


def _ways(step: Step, flows: Flows) -> Iterator[str]:
    for way in step.ways[:MOST_WAYS]:
        yield f"    {_way(way, flows)}"
    more = len(step.ways) - MOST_WAYS
    if more > 0:
        yield f"    and in {more} more way{'s'[: more != 1]}"


def _way(way: Way, flows: Flows) -> str:
    over = f", over {way.link.name}" if way.link else ""
    if way.row is None:
        return f"judged by nobody{over}"
    _, _, _, endpoint, method = way.row.interaction.key
    kind, verdict = way.row.interaction.kind.name.lower(), way.row.verdict.value
    at = _places(places(way.row.rules, flows.query.describer))
    stub = f"; {way.row.stub}" if way.row.stub else ""
    what = ".".join(name for name in (endpoint, method) if name) or "anything"
    return f"{kind} {what}: {verdict}, {at}{over}{stub}"


def _places(places: list[dict[str, Any]]) -> str:
    """`a.psl:3, 7, b.psl:1`: the first few."""
    words: list[str] = []
    file = ""
    for place in places[:MOST_PLACES]:
        words.append(
            str(place["line"]) if place["file"] == file else "{file}:{line}".format(**place)
        )
        file = place["file"]
    return ", ".join([*words, "..."] if len(places) > MOST_PLACES else words)
