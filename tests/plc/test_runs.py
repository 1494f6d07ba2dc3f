"""The whole bench: a long day, the attack, the same attack with a policy that looks at messages alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from khs.image.archive import Archive, encode_inputs
from khs.trace import events
from khs.trace.kinds import FaultKind, HealthError, Reason
from khs.trace.names import Names
from khs.trace.text import code
from khs.trace.text import format as as_text
from tests.guests.systems import built
from tests.plc.benches import (
    ATTACK,
    BOARDS,
    CALL,
    CAMPAIGN,
    CLEARANCE,
    CRITICAL,
    FOLDER,
    FORGOTTEN,
    PERMISSIVE,
    TRIP,
    Played,
    module,
    opened,
    play,
)

#: All of the attack; the part of it that breaks the machine.
WHOLE, PART = 3000, 1600


@cache
def attacked(board: str, *overlays: Path) -> Played:
    frames = WHOLE if board == "sabrelite" and not overlays else PART
    return play(ATTACK, *overlays, board=board, frames=frames)


def sets(played: Played) -> list[str]:
    """What became of the calls of engineering, in order."""
    number = played.run.partitions.index("engineering")
    called, answers = False, []
    for event in played.run.events:
        if event.partition != number or not isinstance(event, events.Hypercall | events.Resume):
            continue
        if isinstance(event, events.Hypercall):
            called = event.number == CALL
        if called and event.code is not None:
            answers.append(code(event.code))
    return answers


# ---- a long day ------------------------------------------------------------------


def test_a_long_day_of_legitimate_changes() -> None:
    played = play(CAMPAIGN, frames=9000)
    result, said = played.run.result, played.run.console("engineering")

    assert sets(played) == ["OK"] * 122
    assert result.verdicts["denied"] == 0
    assert said.count("programme ended") == 6
    assert "step" not in said.replace("steps", "")
    assert not any(part.deadline_missed for part in result.partitions.values())
    assert "trip" not in played.run.console("safety")

    assert not played.broken
    assert played.most_vibration < TRIP / 2
    up = [moment for moment in played.history if 5_000 < moment.ms < 85_000]
    assert all(999 < moment.speed < 1191 for moment in up)
    assert all(moment.closed for moment in played.history if moment.ms > 120)
    assert played.history[-1].speed == pytest.approx(2, abs=1)


def test_runs_are_the_same_byte_for_byte() -> None:
    one, other = (play(ATTACK, frames=500) for _ in range(2))
    assert one.run.result.trace_sha256 == other.run.result.trace_sha256
    assert one.history == other.history


# ---- the attack ------------------------------------------------------------------


def test_the_attackers_messages_fit_the_programs() -> None:
    maker = module("plc_make_attack", FOLDER / "make_attack.py")
    for board in BOARDS:
        found = maker.functions(built("plc", board, (ATTACK,)).elfs["engineering"])
        for name, make in maker.MESSAGES.items():
            assert (FOLDER / f"attack-{name}.bin").read_bytes() == make(found), name


def test_the_manifest_names_what_make_attack_relies_on() -> None:
    """Numbers of partitions, ports and regions are places in system.toml."""
    maker = module("plc_make_attack", FOLDER / "make_attack.py")
    names = built("plc", "sabrelite", (ATTACK,)).names
    ports = names["ports"][names["partitions"].index("engineering")]
    assert [ports[n] for n in (maker.SETPOINT, maker.CONFIRM)] == ["setpoint", "confirm"]
    assert names["partitions"][maker.SAFETY] == "safety"
    own = [name for name in names["regions"] if "/" not in name]
    assert own == ["download", "drive", "protection"]


def test_the_attack_differs_in_bytes_from_outside_alone() -> None:
    plain, attack = (built("plc", "sabrelite", each) for each in ((), (ATTACK,)))
    differing = {name for name in plain.members if plain.members[name] != attack.members[name]}
    assert {"inputs.json", "inputs.bin"} <= differing
    assert differing <= {"inputs.json", "inputs.bin", "system.toml", "report.md"}


def test_the_policy_is_all_that_differs_between_the_two_attacks() -> None:
    strict, ranges = (built("plc", "sabrelite", (ATTACK, *more)) for more in ((), (PERMISSIVE,)))
    assert strict.elfs == ranges.elfs
    assert strict.inputs == ranges.inputs
    assert strict.memory == ranges.memory
    assert strict.policies != ranges.policies


def test_the_attack_is_within_all_ranges() -> None:
    """Those of ranges.psl, which is all of permissive.psl and a part of security.psl."""
    maker = module("plc_make_attack", FOLDER / "make_attack.py")
    assert all(0 <= s <= 14100 and not 3000 < s < 7500 for s, _ in maker.SEQUENCE)
    for name in ("security", "permissive"):
        assert "use ranges._" in (FOLDER / f"{name}.psl").read_text(encoding="utf-8")


@pytest.mark.parametrize("board", BOARDS)
def test_the_attack_is_denied_and_nothing_moves(board: str) -> None:
    played = attacked(board)
    # the run-up, then 1410, 2, 1064 Hz twice: where the drive is already, it may go
    became = ["OK", *["DENIED", "DENIED", "OK"] * 2]
    assert sets(played) == (became if board == "sabrelite" else became[:4])
    assert not played.broken
    assert played.most_vibration < TRIP / 2
    late = [moment for moment in played.history if moment.ms > 7_000]
    assert all(moment.speed == pytest.approx(1064, abs=1) for moment in late)
    for name in ("controller", "safety", "network"):
        part = played.run.result.partitions[name]
        assert (part.deadline_missed, part.faults, part.restarts) == (0, 0, 0), name


def test_denials_name_their_rules() -> None:
    archive = built("plc", "sabrelite", (ATTACK,))
    names = Names.from_header({"names": archive.names, "policies": list(archive.policy_maps)})
    denied = [v for v in attacked("sabrelite").run.of(events.Verdict) if not v.granted]
    lines = (FOLDER / "security.psl").read_text(encoding="utf-8").splitlines()
    step = 1 + next(n for n, text in enumerate(lines) if "assert (message.speed <=" in text)
    passage = 1 + next(n for n, text in enumerate(lines) if 'states : ["transit"] }' in text)
    assert [verdict.reason for verdict in denied] == [Reason.RULES] * 4
    for verdict, line in zip(denied, (step, passage) * 2, strict=True):
        assert f"security.psl:{line}" in as_text(verdict, names)


@pytest.mark.parametrize("board", BOARDS)
def test_without_rules_of_state_the_same_attack_breaks_the_machine(board: str) -> None:
    played = attacked(board, PERMISSIVE)
    taken = sets(played)
    assert taken[:4] == ["OK"] * 4
    assert played.run.result.verdicts["denied"] == 0
    assert played.broken


def test_the_safety_channel_trips_before_the_machine_breaks_and_it_does_not_help() -> None:
    played = attacked("sabrelite", PERMISSIVE)
    broke = next(moment for moment in played.history if moment.broken)
    ran = [moment for moment in played.history if 200 < moment.ms < broke.ms]
    opened = next(moment for moment in ran if not moment.closed)
    assert "trip: vibration" in played.run.console("safety")
    assert opened.ms + 2 < broke.ms
    assert CRITICAL[0] < broke.speed < CRITICAL[1]
    # up to the last passage nothing that a limit could tell from a permitted one
    before = [moment for moment in ran if moment.ms < opened.ms - 100]
    assert max(moment.vibration for moment in before) < TRIP
    assert max(moment.speed for moment in before) < 1432
    assert CLEARANCE > TRIP


def test_a_key_that_was_forgotten_helps_the_attacker_no_more() -> None:
    played = attacked("sabrelite", FORGOTTEN)
    assert sets(played) == ["OK", "DENIED", "DENIED", "OK"]
    assert played.history[-1].speed == pytest.approx(1064, abs=1)
    assert not played.broken


def test_the_rest_of_the_attack_gets_nowhere() -> None:
    """Forged words of safety, an end to safety and to all, its sensor overwritten."""
    played = attacked("sabrelite")
    refused = [
        (call.number, code(call.code))
        for call in played.run.of(events.Hypercall, "engineering")
        if call.code is not None and code(call.code) == "INVALID_CONFIG"
    ]
    assert refused == [(18, "INVALID_CONFIG"), (6, "INVALID_CONFIG"), (10, "INVALID_CONFIG")]
    (fault,) = played.run.of(events.Fault)
    assert fault.fault == FaultKind.WRITE
    assert fault.partition == played.run.partitions.index("engineering")
    (health,) = played.run.of(events.Health)
    assert health.error == HealthError.MEMORY_FAULT


# ---- whatever programme ----------------------------------------------------------


SPEEDS = (7500, 10640, 11000, 14100)


def hasty(dice: random.Random) -> str:
    """From one side to the other, again and again."""
    speed = dice.choice([dice.randrange(3001), *SPEEDS])
    return f"SPEED {speed} RAMP {dice.choice([100, 350, 400])}\nHOLD {dice.choice([0, 100])}\n"


def patient(dice: random.Random) -> str:
    """Tries every now and then, also when a rest ends."""
    speed = dice.choice([0, 10640])
    return f"SPEED {speed} RAMP {dice.choice([350, 400])}\nHOLD {dice.choice([50, 500, 4000])}\n"


def programmes(seed: int, archive: Archive, step: Callable[[random.Random], str]) -> Archive:
    """The station sends programmes at random: sound ones, of values within their ranges."""
    dice = random.Random(seed)
    names = archive.names["inputs"]
    rows = [row for row in archive.inputs if row[1] != names.index("station")]
    for second in (1, 2, 3, 4):
        text = "".join(step(dice) for _ in range(15)).encode()
        rows.append((second * archive.manifest["clock_hz"], names.index("station"), text))
    inputs_json, inputs_bin = encode_inputs(sorted(rows, key=lambda row: row[0]))
    return Archive(
        archive.manifest,
        {**archive.members, "inputs.json": inputs_json, "inputs.bin": inputs_bin},
    )


SEEDS = range(2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("step", "frames"), [(hasty, 1800), (patient, 5000)])
def test_no_programme_breaks_the_machine(
    seed: int, step: Callable[[random.Random], str], frames: int
) -> None:
    """With the key at transit all the time."""
    archive = programmes(seed, built("plc", "sabrelite", (FORGOTTEN,)), step)
    played = play(archive=archive, frames=frames)
    assert {"OK", "DENIED"} <= set(sets(played))
    assert not played.broken
    assert played.most_vibration < 0.8 * TRIP
    assert "trip" not in played.run.console("safety")
    if step is patient:
        assert passages(played) >= 2


def passages(played: Played) -> int:
    """How often the speed went through the middle of the critical range."""
    middle = sum(CRITICAL) / 2
    return sum((a.speed < middle) != (b.speed < middle) for a, b in pairwise(played.history))


def test_without_rules_of_state_most_programmes_break_it() -> None:
    archive = built("plc", "sabrelite", (FORGOTTEN, PERMISSIVE))
    broken = 0
    for seed in SEEDS:
        with opened(programmes(seed, archive, hasty)) as (machine, plant):
            machine.run(1800)
            broken += plant.broken
    assert broken > len(SEEDS) / 2
