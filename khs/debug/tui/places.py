"""What people type at the prompts: points in time, addresses, breakpoints."""

from __future__ import annotations

import re

from khs.debug.stops import Position, Stop
from khs.debug.tui.drive import Driver, Move, Update
from khs.errors import KhsError

PROMPTS = {
    "filter": "filter: words that a row has, -word that it has not",
    "breakpoint": "breakpoint in {}: function, FILE:LINE or address; or PARTITION:PLACE",
    "memory": "memory of {} at: address, function or register",
    "go": "go to: 12.5 (ms), f 75 (frame), # 326 (event)",
}
_POINT = re.compile(r"(?P<kind>f|#|)\s*(?P<number>\d+(\.\d*)?)\s*(ms)?")


def to_tick(tick: int) -> Move:
    """Behind what happened at a tick."""

    def move(driver: Driver) -> Stop:
        return driver.target.go_to(Position(tick))

    return move


def answer(asked: str, text: str, driver: Driver, update: Update) -> Move | None:
    """What to do, None to look again. KhsError with what would be right."""
    if asked == "go":
        return _go(text, driver, update)
    if asked == "memory":
        driver.address = _address(text, driver, update)
    return None


def breakpoint_at(text: str, driver: Driver, update: Update) -> str:
    """Sets one at PLACE or PARTITION:PLACE, or takes it away; what was done, in words. KhsError
    with what would be right."""
    names, partition = driver.target.names, update.view.code.partition
    head, colon, rest = text.partition(":")
    if colon and head in names:
        partition, text = names.index(head), rest.strip()
        address = _found(text, driver, partition)
    else:
        address = _address(text, driver, update)
    done = "set" if driver.toggle(partition, address) else "taken away"
    return f"breakpoint {done}: {text} in {names[partition]}, {address:#x}"


def _address(text: str, driver: Driver, update: Update) -> int:
    code = update.view.code
    values = {name: value for name, value, _ in code.registers}
    return values[text] if text in values else _found(text, driver, code.partition)


def _found(text: str, driver: Driver, partition: int) -> int:
    found = driver.programs[partition].find(text)
    if found:
        return found[0]
    raise KhsError(f"{driver.target.names[partition]} has no function, line or address {text}")


def _go(text: str, driver: Driver, update: Update) -> Move:
    found = _POINT.fullmatch(text)
    if found is None:
        raise KhsError(f"'{text}' is no point in time: 12.5 (ms), f 75 (frame), # 326 (event)")
    kind, number = found["kind"], found["number"]
    clock = driver.stream.names.clock_hz
    if kind == "":
        whole, _, part = number.partition(".")
        ns = int(whole) * 1_000_000 + int(part.ljust(6, "0")[:6] or 0)
        return to_tick(-(-ns * clock // 1_000_000_000))
    if kind == "f":
        return _to_frame(int(float(number)), update)
    event, stream = int(float(number)), driver.stream
    row = next((row for row in update.rows if row.first <= event <= row.last), None)
    if row is None and event < stream.first:
        raise KhsError(f"event {event} is too far back: {stream.first} is the first kept here")
    if row is None:
        raise KhsError(f"event {event} has not happened yet: there are {stream.count} so far")
    return to_tick(row.tick)


def _to_frame(number: int, update: Update) -> Move:
    """Frames are counted from 0; those of other schedules are found by stepping."""

    def move(driver: Driver) -> Stop:
        target = driver.target
        stop = target.stop
        while target.status().frames < number:
            before = target.position
            stop = target.step_frame()
            if target.position == before or target.status().frames == update.view.frames:
                break
        while target.status().frames > number:
            stop = target.back_frame()
        return stop

    return move
