"""Random guests in windows of many lengths: how their time is cut up cannot be seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from random import Random

from tests.host.cases import CASES
from tests.host.random_code import program
from tests.host.system import Arch
from tests.host.windows import Guest, Played, cut, play

#: Guests of a batch, which share a system.
BATCH = 12
TICKS = 420
#: Beside one of all ticks.
WINDOWS = (1, 3, 7, 60)


@dataclass(frozen=True)
class Difference:
    """A guest that could tell."""

    arch: Arch
    code: bytes
    #: What differed, by the length of the windows.
    what: dict[int, list[str]]

    def __str__(self) -> str:
        told = "; ".join(f"{', '.join(what)} in windows of {n}" for n, what in self.what.items())
        return f"{self.arch.name.lower()}, {self.code.hex()}: other {told}"


@dataclass(frozen=True)
class Batch:
    guests: int
    faults: int
    differences: list[Difference]


def code(arch: Arch, rng: Random) -> bytes:
    """Noise, hostile programs, pieces of the table of cases, or programs damaged here and there."""
    match rng.randrange(4):
        case 0:
            return rng.randbytes(rng.randrange(4, 120))
        case 1:
            return program(arch, rng.getrandbits(40), wild=True, length=rng.choice([3, 12, 30]))
        case 2:
            known = [case.code for case in CASES if case.arch is arch]
            noise = 0.3
            pieces = [
                rng.randbytes(rng.randrange(1, 9)) if rng.random() < noise else rng.choice(known)
                for _ in range(rng.randrange(1, 8))
            ]
            return b"".join(pieces)
    damaged = bytearray(program(arch, rng.getrandbits(40), length=12))
    for _ in range(rng.randrange(1, 6)):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    return bytes(damaged)


def batch(arch: Arch, seed: int) -> Batch:
    """The guests of the seed. Time in which one waits depends on its windows, of course."""
    rng = Random(f"{arch.name} {seed}")
    codes = [code(arch, rng) for _ in range(BATCH)]
    whole = play(arch, [Guest(each, [TICKS]) for each in codes])
    others = {n: play(arch, [Guest(each, cut(TICKS, n)) for each in codes]) for n in WINDOWS}
    found = list(_differences(arch, codes, whole, others))
    return Batch(len(codes), sum(each.faults for each in whole), found)


def _differences(
    arch: Arch, codes: list[bytes], whole: list[Played], others: dict[int, list[Played]]
) -> Iterator[Difference]:
    for number, wanted in enumerate(whole):
        seen = {n: played[number] for n, played in others.items()}
        if any(each.idle_ticks for each in (wanted, *seen.values())):
            continue
        what = {n: _what(wanted, each) for n, each in seen.items() if each != wanted}
        if what:
            yield Difference(arch, codes[number], what)


def _what(one: Played, other: Played) -> list[str]:
    names = [field.name for field in fields(Played)]
    return [name for name in names if getattr(one, name) != getattr(other, name)]
