"""Rules about the health monitor's table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from khs.config.document import Document, PartitionHealthTable, RowTable, UnreadableError
from khs.config.health import FITTING, Deciding, cell, deciding
from khs.config.model import ERRORS, STATES, Action, Error, State
from khs.config.rules import Context, Problem, Problems, at, readable, rule, suggest

RESTARTS_MAX = 16
_RESTARTS = ("warm_restart", "cold_restart")

#: Errors after which the partition can go on and its own handler can deal with them.
HANDLED_INSIDE = ("deadline-missed", "application-error", "input-overflow", "device-fault")


@rule("HEALTH-001", Context.whole)
def default_row(c: Context, document: Document) -> Problems:
    """The table has a default row with level and action."""
    help = 'default = { level = "partition", action = "cold_restart" }'
    row = document.health.default
    if row is None:
        message = "[health] has no default row"
        if not c.written("health"):
            message = "the system has no [health] with a default row"
        yield Problem(("health",), message, help, at_key=True)
        return
    for key, value in (("level", row.level), ("action", row.action)):
        if value is None:
            yield Problem(row.path, f"the default row has no {key}", help)


@rule("HEALTH-002", Context.rows)
def known_error(c: Context, subject: tuple[str, RowTable]) -> Problems:
    """A row names an error that the health monitor knows."""
    key, row = subject
    error = key.partition(".")[0]
    if error not in ERRORS:
        help = suggest(error, ERRORS, "errors")
        yield Problem(row.path, f'unknown error "{error}"', help, at_key=True)


@rule("HEALTH-003", Context.rows)
def known_state(c: Context, subject: tuple[str, RowTable]) -> Problems:
    """The part after the dot of a row's key is a system state, initialising or running."""
    key, row = subject
    error, dot, state = key.partition(".")
    if dot and state not in STATES:
        help = suggest(state, STATES, "states")
        yield Problem(row.path, f'unknown state "{state}" of {error}', help, at_key=True)


@rule("HEALTH-004", Context.rows)
def row_says_something(c: Context, subject: tuple[str, RowTable]) -> Problems:
    """A row gives a level or an action, or both."""
    key, row = subject
    if row.path not in c.tables:
        yield Problem(row.path, f"the row of {key} says nothing", 'e.g. { action = "log" }')


@rule("HEALTH-005", Context.rows)
def process_level(c: Context, subject: tuple[str, RowTable]) -> Problems:
    """Process level is for errors after which the partition can go on and tell its own handler:
    deadline-missed, application-error, input-overflow, device-fault."""
    key, row = subject
    error = key.partition(".")[0]
    if row.level == "process" and error in ERRORS and error not in HANDLED_INSIDE:
        yield Problem(
            at(row, "level"),
            f"code cannot handle its own {error}",
            'level = "partition"; process level is for ' + ", ".join(HANDLED_INSIDE),
        )


@rule("HEALTH-006", Context.whole)
def default_level(c: Context, document: Document) -> Problems:
    """The default row is not of process level: it is also for errors that no code can handle."""
    row = document.health.default
    if row is not None and row.level == "process":
        message = "the default row is of process level"
        yield Problem(at(row, "level"), message, 'level = "partition"')


def _misfits(document: Document, level: str) -> Iterator[Deciding]:
    """Rows of this level and those their actions come from, where the two do not go together."""
    seen = set()
    for partition in document.partition:
        for error, state in itertools.product(Error, State):
            try:
                rows = deciding(document.health, partition, error, state)
                misfit = rows.level.level == level and rows.action.action not in FITTING[level]
            except UnreadableError:
                continue
            if misfit and (rows.level.path, rows.action.path) not in seen:
                seen.add((rows.level.path, rows.action.path))
                yield rows


def _misfit(rows: Deciding, message: str, help: str) -> Problem:
    """At the less general row, and where the other half comes from."""
    row = rows.first
    message = f"{row.path[-1]}: {message}"
    if rows.level is rows.action:
        return Problem(row.path, message, help)
    key, other = ("level", "action") if row is rows.level else ("action", "level")
    origin = ".".join(map(str, getattr(rows, other).path))
    return Problem(at(row, key), f"{message} (the {other} is that of {origin})", help)


@rule("HEALTH-007", Context.whole)
def process_action(c: Context, document: Document) -> Problems:
    """An error of process level neither stops the module nor is ignored: the partition's handler
    is told, and the action is for partitions without one."""
    for rows in _misfits(document, "process"):
        message = f"an error of process level ends in {rows.action.action}"
        help = "log, warm_restart, cold_restart or idle: for partitions without a handler"
        yield _misfit(rows, message, help)


@rule("HEALTH-008", Context.whole)
def module_action(c: Context, document: Document) -> Problems:
    """An error of module level is ignored, logged or stops the module: restarts and idle concern
    a partition, and a module does not restart."""
    for rows in _misfits(document, "module"):
        message = f"an error of module level ends in {rows.action.action} of a single partition"
        yield _misfit(rows, message, 'level = "partition", or action = "module_stop"')


@rule("HEALTH-014", Context.whole, "warning")
def partition_action(c: Context, document: Document) -> Problems:
    """An error that stops the module is of module level."""
    for rows in _misfits(document, "partition"):
        message = "an error of partition level stops the module"
        yield _misfit(rows, message, 'level = "module"')


@rule("HEALTH-009", Context.healths)
def known_partition(c: Context, health: PartitionHealthTable) -> Problems:
    """[health.partition.NAME] names a partition of the system."""
    known = c.document.partition
    if health.label not in known:
        help = suggest(health.label, known, "partitions")
        yield Problem(health.path, f'there is no partition "{health.label}"', help, at_key=True)


@rule("HEALTH-010", Context.healths)
def limit_range(c: Context, health: PartitionHealthTable) -> Problems:
    """A limit allows 0 to 16 restarts within a time longer than 0."""
    limit = health.limit
    if limit is None:
        return
    if readable(limit, "restarts") and not 0 <= limit.restarts <= RESTARTS_MAX:
        message = f"a limit of {limit.restarts} restarts"
        yield Problem(at(limit, "restarts"), message, f"0 to {RESTARTS_MAX}")
    if readable(limit, "within") and limit.within.ns == 0:
        yield Problem(at(limit, "within"), "a limit within no time", 'e.g. "1s"')


@rule("HEALTH-011", Context.healths)
def limit_ends(c: Context, health: PartitionHealthTable) -> Problems:
    """What follows the last allowed restart is not another one."""
    limit = health.limit
    if limit is not None and limit.then in (*_RESTARTS, "ignore", "log"):
        yield Problem(
            at(limit, "then"),
            f"{limit.then} does not end the restarts"
            if limit.then in _RESTARTS
            else f"{limit.then} lets a faulty partition go on",
            "idle or module_stop",
        )


@rule("HEALTH-012", Context.healths, "warning")
def limit_matters(c: Context, health: PartitionHealthTable) -> Problems:
    """A limit of restarts goes with an error that leads to a restart."""
    if health.limit is None or not health.limit.path:
        return
    table = c.document.health
    cells = [cell(table, health.label, e, s) for e in Error for s in State]
    restarts = (Action.WARM_RESTART, Action.COLD_RESTART)
    if not any(response.action in restarts for response in cells):
        yield Problem(
            health.limit.path,
            f"no error restarts {health.label}: its limit has no effect",
            "take limit out, or give an error a restart as its action",
            at_key=True,
        )


@rule("HEALTH-013", Context.healths, "warning")
def deadline_exists(c: Context, health: PartitionHealthTable) -> Problems:
    """A partition with a row for deadline-missed has a deadline."""
    partition = c.document.partition.get(health.label)
    if partition is None or c.written(*at(partition, "deadline")):
        return
    for key, row in health.rows.items():
        if key.partition(".")[0] == "deadline-missed":
            message = f"{health.label} has no deadline to miss"
            yield Problem(row.path, message, "give it a deadline, or take the row out", at_key=True)
