"""The health monitor's table: rows of the document -> one cell for each error and state.

Level and action of a cell each come from the first of these rows that gives one:
    [health.partition.P] "error.state", then error,
    [health.errors] "error.state", then error,
    [health] default.
"""

from __future__ import annotations

from collections.abc import Iterator

from khs.config.document import HealthTable, RowTable, UnreadableError
from khs.config.model import ACTIONS, ERRORS, LEVELS, STATES, Error, Response, State

_ERROR_NAMES = {error: name for name, error in ERRORS.items()}
_STATE_NAMES = {state: name for name, state in STATES.items()}


def _rows(health: HealthTable, partition: str, error: Error, state: State) -> Iterator[RowTable]:
    name = _ERROR_NAMES[error]
    keys = (f"{name}.{_STATE_NAMES[state]}", name)
    own = health.partition.get(partition)
    for rows in (own.rows if own else {}, health.errors):
        yield from (rows[key] for key in keys if key in rows)
    if health.default is not None:
        yield health.default


def cell(health: HealthTable, partition: str, error: Error, state: State) -> Response:
    """What to do about `error` of `partition` in `state`; UnreadableError if no row says it."""
    rows = list(_rows(health, partition, error, state))
    level = next((row.level for row in rows if row.level is not None), None)
    action = next((row.action for row in rows if row.action is not None), None)
    if level is None or action is None:
        raise UnreadableError("default")
    return Response(LEVELS[level], ACTIONS[action])


def table(health: HealthTable, partition: str) -> tuple[tuple[Response, ...], ...]:
    """All cells of a partition, by state and error."""
    return tuple(tuple(cell(health, partition, e, s) for e in Error) for s in State)
