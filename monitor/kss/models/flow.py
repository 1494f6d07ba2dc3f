"""Flow: a finite state machine for each resource."""

from __future__ import annotations

from dataclasses import dataclass

# A policy decision point that allocates nothing needs a bound: contexts one object holds at most.
# `init` beyond it is denied. SID 0 is never valid.
POOL_SIZE = 1024


@dataclass(frozen=True, slots=True)
class FlowConfig:
    """States are named in the order of `config.states`; `transitions[i]` holds the indices of the
    states reachable in one step from state `i`, ascending."""

    states: tuple[str, ...]
    initial: int
    transitions: tuple[tuple[int, ...], ...]
