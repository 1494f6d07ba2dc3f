"""Policies to measure with, as a user would write them, and events for each."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from kss.api import Policy, load_policy
from kss.events import Event, Kind

INTERFACES = Path(__file__).parent / "policies"
MANY = 100_000
TURNS = 4096  # events that are judged in turn
CALLER = 5

_BEGIN = """\
use nk.base._
use nk.flow._
use nk.hashmap._
use nk.mic._
use EDL kl.core.Core
use EDL bench.Client
use EDL bench.Server
"""
_REQUEST = "request src=bench.Client, dst=bench.Server, endpoint=service, method=Act"


@dataclass(frozen=True)
class Scenario:
    """`events` are judged in turn after those of `setup`; all of either are granted, or with
    `denied` all of `events` denied. `most`: look-ups that a verdict may cost."""

    name: str
    policy: str
    events: Sequence[Event]
    setup: Sequence[Event] = field(default=(), repr=False)
    max_sids: int = 64
    most: float | None = None
    denied: bool = False


def load(text: str) -> Policy:
    """The policy of a text, behind what all begin with."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "security.psl"
        path.write_text(_BEGIN + text, encoding="utf-8")
        return load_policy(path, [INTERFACES])


def request(first: int = 1, second: int = 2, src: int = CALLER, dst: int = 6) -> Event:
    """A call with a message of 64 bytes."""
    message = struct.pack("<IHH2I6Q", 0, 0, 0, first, second, *range(6))
    return Event(Kind.REQUEST, 1, 2, src, dst, message)


def start(sid: int) -> Event:
    return Event(Kind.EXECUTE, 0, 2, 1, sid)


def keys(count: int) -> list[int]:
    """Different numbers of 32 bits, none of them 0."""
    return Random(1).sample(range(1, 1 << 32), count)


def turns(some: Sequence[int]) -> list[int]:
    return Random(2).choices(some, k=TURNS)


def bindings(count: int) -> str:
    """A policy of so many bindings, of which the last one decides on `request()`."""
    filler = (
        f"execute src=bench.Client, dst=bench.Client {{ assert (src_sid != {number}) }}\n"
        for number in range(count - 1)
    )
    return "".join(filler) + f"{_REQUEST} {{ assert (message.second == 2) }}\n"


FLOW = f"""\
policy object life : Flow {{ type State = "idle" | "busy"
  config = {{ states : ["idle", "busy"], initial : "idle"
           , transitions : {{ "idle" : ["idle", "busy"], "busy" : ["idle"] }} }} }}
execute {{ life.init {{ sid : dst_sid }} }}
{_REQUEST} {{
  life.allow {{ sid : dst_sid, states : ["idle"] }}
  life.enter {{ sid : dst_sid, state : "idle" }}
}}
"""
SET = f"""\
policy object known : HashSet {{
  type Entry = UInt32
  config = {{ set_size : {MANY + 1}, pool_size : 1 }}
}}
execute {{ known.init {{ sid : dst_sid }} }}
request src=bench.Server, dst=bench.Server, endpoint=service, method=Act {{
  known.add {{ sid : dst_sid, entry : message.first }}
}}
"""
CONTAINS = f"{_REQUEST} {{ assert (known.contains {{ sid : dst_sid, entry : message.first }}) }}\n"
UNDONE = f"{_REQUEST} {{ known.add {{ sid : dst_sid, entry : message.first }} deny () }}\n"
MIC = f"""\
policy object levels : Mic {{ config = {{ degrees : ["low", "high"], categories : ["a", "b"] }} }}
execute {{ levels.execute {{ image : (), target : dst_sid, level : "high", levelR : () }} }}
{_REQUEST} {{ levels.invoke {{ source : src_sid, target : dst_sid }} }}
"""


def _filled(entries: Sequence[int]) -> list[Event]:
    adding = [Event(Kind.REQUEST, 2, 2, 6, 6, request(entry).message) for entry in entries]
    return [start(6), *adding]


def scenarios() -> Iterator[Scenario]:
    """Every scenario, one after the other: the large ones take memory."""
    constant = f"execute {{ grant () }}\n{_REQUEST} {{ grant () }}\n"
    fields = f"{_REQUEST} {{ assert (message.first == 1) assert (message.second < 10) }}\n"
    few, many = keys(10), keys(MANY)
    others = keys(MANY + TURNS)[MANY:]
    yield Scenario("constant, no message", constant, [start(6)], most=3)
    yield Scenario("constant, 64-byte message", constant, [request()], most=3)
    yield Scenario("two asserts on message fields", fields, [request()], most=10)
    yield _stateful("Flow allow and enter", FLOW, few)
    yield _stateful("Flow allow and enter, 100,000 SIDs", FLOW, many)
    yield _in_set("HashSet contains", few, turns(few), CONTAINS)
    yield _in_set("HashSet contains, 100,000 entries", many, turns(many), CONTAINS)
    yield _in_set("HashSet added and rolled back, 100,000 entries", many, others, UNDONE, True)
    yield _stateful("Mic invoke", MIC, few)
    yield _stateful("Mic invoke, 100,000 SIDs", MIC, many)


def _stateful(name: str, policy: str, sids: list[int]) -> Scenario:
    events = [
        request(src=src, dst=dst) for src, dst in zip(turns(sids), turns(sids)[::-1], strict=True)
    ]
    return Scenario(name, policy, events, [start(sid) for sid in sids], len(sids), most=12)


def _in_set(
    name: str, entries: list[int], asked: Sequence[int], rule: str, denied: bool = False
) -> Scenario:
    events = [request(entry) for entry in asked]
    return Scenario(name, SET + rule, events, _filled(entries), most=12, denied=denied)
