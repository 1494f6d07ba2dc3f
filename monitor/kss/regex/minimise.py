"""Which states of a deterministic automaton are equivalent (Hopcroft 1971)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence


def blocks(rows: Sequence[Sequence[int]], answers: Sequence[int]) -> list[int]:
    """The number of each state's block; states of one block give the same answer to every text.

    `rows[state][class]` is the next state. The time is that of the table times a logarithm.
    """
    groups: dict[int, set[int]] = defaultdict(set)
    for state, answer in enumerate(answers):
        groups[answer].add(state)
    found = list(groups.values())
    block_of = [0] * len(rows)
    for number, block in enumerate(found):
        for state in block:
            block_of[state] = number
    into = _inverse(rows)
    waiting = set(range(len(found)))
    while waiting:
        splitter = list(found[waiting.pop()])
        for sources in into:
            touched: dict[int, set[int]] = defaultdict(set)
            for target in splitter:
                for state in sources[target]:
                    touched[block_of[state]].add(state)
            for number, part in touched.items():
                if len(part) < len(found[number]):
                    _split(found, block_of, waiting, number, part)
    return block_of


def _inverse(rows: Sequence[Sequence[int]]) -> list[list[list[int]]]:
    """class -> state -> the states that lead to it."""
    found: list[list[list[int]]] = [[[] for _ in rows] for _ in rows[0]]
    for state, row in enumerate(rows):
        for sources, target in zip(found, row, strict=True):
            sources[target].append(state)
    return found


def _split(
    found: list[set[int]], block_of: list[int], waiting: set[int], number: int, part: set[int]
) -> None:
    """Takes `part` out of a block. The smaller half waits to split others."""
    rest = found[number]
    rest -= part
    if len(part) > len(rest):
        part, rest = rest, part
    found[number] = rest
    new = len(found)
    found.append(part)
    for state in part:
        block_of[state] = new
    waiting.add(new)
