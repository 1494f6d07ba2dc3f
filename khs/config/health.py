"""The health monitor's table: rows of the document -> one cell for each error and state.

Level and action of a cell each come from the first of these rows that gives one:
    [health.partition.P] "error.state", then error,
    [health.errors] "error.state", then error,
    [health] default; of device-fault, which is none of the code's, partition level and log.
A level is passed over if it does not go with an action that a less general row gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from khs.config.document import HealthTable, RowTable, UnreadableError
from khs.config.model import ACTIONS, ERRORS, LEVELS, STATES, Error, Response, State

_ERROR_NAMES = {error: name for name, error in ERRORS.items()}
_STATE_NAMES = {state: name for name, state in STATES.items()}
#: A line that somebody unplugs stops nothing, unless a row says so.
_LOGGED = RowTable(path=("health", "default"), level="partition", action="log")

#: The actions that go with a level.
FITTING = {
    "process": ("log", "warm_restart", "cold_restart", "idle"),
    "partition": ("ignore", "log", "warm_restart", "cold_restart", "idle"),
    "module": ("ignore", "log", "module_stop"),
}


def _rows(health: HealthTable, partition: str, error: Error, state: State) -> Iterator[RowTable]:
    name = _ERROR_NAMES[error]
    keys = (f"{name}.{_STATE_NAMES[state]}", name)
    own = health.partition.get(partition)
    for rows in (own.rows if own else {}, health.errors):
        yield from (rows[key] for key in keys if key in rows)
    if health.default is None:
        return
    yield _LOGGED if error is Error.DEVICE_FAULT else health.default


class Deciding(NamedTuple):
    """The rows that level and action of a cell come from, and which of them is less general."""

    level: RowTable
    action: RowTable
    first: RowTable


def deciding(health: HealthTable, partition: str, error: Error, state: State) -> Deciding:
    """What decides a cell; UnreadableError if no row gives its level or its action."""
    rows = list(_rows(health, partition, error, state))
    levels = [number for number, row in enumerate(rows) if row.level is not None]
    action = next((number for number, row in enumerate(rows) if row.action is not None), None)
    if action is None or not levels:
        raise UnreadableError("default")
    level = next((n for n in levels if n <= action or _fits(rows[n], rows[action])), levels[0])
    return Deciding(rows[level], rows[action], rows[min(level, action)])


def _fits(level: RowTable, action: RowTable) -> bool:
    return action.action in FITTING[level.level or ""]


def cell(health: HealthTable, partition: str, error: Error, state: State) -> Response:
    """What to do about `error` of `partition` in `state`; UnreadableError if no row says it."""
    level, action, _ = deciding(health, partition, error, state)
    return Response(LEVELS[level.level or ""], ACTIONS[action.action or ""])


def table(health: HealthTable, partition: str) -> tuple[tuple[Response, ...], ...]:
    """All cells of a partition, by state and error."""
    return tuple(tuple(cell(health, partition, e, s) for e in Error) for s in State)
