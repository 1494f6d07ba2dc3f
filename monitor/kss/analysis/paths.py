"""Shortest paths without a circle in a directed graph, one after the other (Yen 1971)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import TypeAlias

Graph: TypeAlias = Mapping[str, Sequence[str]]  # node -> where an edge leads from there
Path: TypeAlias = tuple[str, ...]
# The successors of a node.
Edges: TypeAlias = Callable[[str], Sequence[str]]


def paths(graph: Graph, start: str, end: str) -> Iterator[Path]:
    """Every path, shortest first; of equally long ones those by edges that stand first."""
    first = _shortest(lambda node: graph.get(node, ()), start, end)
    found: list[Path] = []
    waiting: list[tuple[int, int, Path]] = [(len(first), 0, first)] if first else []
    seen = {first}
    while waiting:
        _, _, path = heappop(waiting)
        yield path
        found.append(path)
        for at in range(len(path) - 1):
            known = [other[at + 1] for other in found if other[: at + 1] == path[: at + 1]]
            detour = _shortest(_without(graph, path[:at], path[at], known), path[at], end)
            branch = (*path[:at], *detour)
            if detour and branch not in seen:
                seen.add(branch)
                heappush(waiting, (len(branch), len(seen), branch))


def reached(graph: Graph, start: str) -> list[str]:
    """Every node that a path leads to, nearest first."""
    found = {start: None}
    for node in (queue := [start]):  # grows on the way
        for target in graph.get(node, ()):
            if target not in found:
                found[target] = None
                queue.append(target)
    return list(found)[1:]


def _without(graph: Graph, nodes: Collection[str], at: str, targets: Collection[str]) -> Edges:
    """The graph without some nodes, and without the edges from `at` to `targets`."""

    def edges(node: str) -> Sequence[str]:
        barred = targets if node == at else ()
        return [each for each in graph.get(node, ()) if each not in nodes and each not in barred]

    return edges


def _shortest(edges: Edges, start: str, end: str) -> Path:
    """The shortest path, () if there is none."""
    before: dict[str, str] = {start: start}
    for node in (queue := [start]):  # grows on the way
        if node == end:
            found = [end]
            while found[-1] != start:
                found.append(before[found[-1]])
            return tuple(reversed(found))
        for target in edges(node):
            if target not in before:
                before[target] = node
                queue.append(target)
    return ()
