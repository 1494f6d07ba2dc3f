"""What a verdict on state costs, with few and with 100,000 keys: `python -m tests.vm.bench_state`,
with `monitor` on the path. Events come in turn, each about a key of its own."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from random import Random

from kss.compiler import compile_policy
from kss.events import Event, Kind
from kss.layout import Endpoint
from kss.models.hashset import HashSetConfig
from kss.models.integrity import MicConfig
from kss.models.staticmap import StaticMapConfig
from kss.own import tree as own
from kss.tree import Constant, Item, PolicyObject
from kss.types import TEXT, UINT32, UNIT, SetType, Type

from tests.vm.bench import WIDE
from tests.vm.build import DST, HERE, SRC, Builder, apply, classes, interface, place, unsigned
from tests.vm.conftest import VM, compile_c
from tests.vm.generate_records import shipped
from tests.vm.test_fuzz import pack_case

MANY = 100_000
TURNS = 4096  # events that are measured
CLIENT, SERVER, FILLER = range(3)
SERVED = Endpoint("s", 0, interface("bench.Service", WIDE), None)
ENTITIES = classes(("b.Client", [], []), ("b.Server", [SERVED], []), ("b.Filler", [], []))
N = place(WIDE.request, "n")


def request(src: int, n: int, src_sid: int = 5, dst_sid: int = 6) -> Event:
    message = struct.pack("<IHHII6Q", 0, 0, 0, n, 0, *[0] * 6)
    return Event(Kind.REQUEST, src, SERVER, src_sid, dst_sid, message)


class Scenario:
    """A policy with one object: what fills it, and what is measured."""

    def __init__(self, model: str, types: dict[str, Type], config: object) -> None:
        self.builder = Builder(ENTITIES)
        self.object = len(self.builder.objects)
        thing = PolicyObject("o", self.object, model, types, config, f"{config}", HERE)
        self.builder.objects.append(thing)
        self.setup: list[Event] = []
        self.turns: list[Event] = []

    def bind(self, src: int, *items: Item) -> None:
        self.builder.bind(Kind.REQUEST, *items, src=src, dst=SERVER, endpoint="s", method="Wide")

    def case(self, max_sids: int) -> bytes:
        data = compile_policy(self.builder.tree(), max_sids=max_sids)
        return pack_case(data, [*self.setup, *self.turns])


def turns(keys: list[int]) -> list[int]:
    return Random(2).choices(keys, k=TURNS)


def keys(count: int) -> list[int]:
    return Random(1).sample(range(1, 1 << 32), count)


def of_one_bucket(count: int) -> list[int]:
    """Keys that the hash function sends to one bucket: the worst there is."""
    return [n * 0x144CBC89 % (1 << 32) for n in range(1, count + 1)]


def with_set(entries: list[int], asked: list[int], rule: str) -> bytes:
    """`rule` on a set that has the entries."""
    made = Scenario("HashSet", {"Entry": UINT32}, HashSetConfig(UINT32, MANY + 1, 1))
    builder, thing = made.builder, made.object
    builder.bind(Kind.EXECUTE, builder.call(thing, "init", sid=DST))
    made.bind(FILLER, builder.call(thing, "add", sid=DST, entry=N))
    contains = builder.rule("assert", builder.ask(thing, "contains", sid=DST, entry=N))
    call = builder.call(thing, "add", sid=DST, entry=N)
    undone = builder.rule("assert", apply("pred.eq", N, unsigned(0)))
    made.bind(CLIENT, *{"contains": [contains], "add": [call], "undo": [call, undone]}[rule])
    made.setup = [Event(Kind.EXECUTE, CLIENT, SERVER, 5, 6)]
    made.setup += [request(FILLER, entry) for entry in entries]
    made.turns = [request(CLIENT, n) for n in asked]
    return made.case(64)


def with_flow(sids: list[int]) -> bytes:
    builder = Builder(ENTITIES)
    gate = builder.flow("gate", ["a", "b"], "a", a=["a", "b"], b=["a"])
    builder.bind(Kind.EXECUTE, builder.flow_rule(gate, "init", DST))
    rules = (builder.flow_rule(gate, "allow", DST, "a"), builder.flow_rule(gate, "enter", DST, "a"))
    builder.bind(Kind.REQUEST, *rules, dst=SERVER, endpoint="s", method="Wide")
    started = [Event(Kind.EXECUTE, CLIENT, SERVER, 5, sid) for sid in sids]
    asked = [request(CLIENT, 1, 5, sid) for sid in turns(sids)]
    return pack_case(compile_policy(builder.tree(), max_sids=len(sids)), [*started, *asked])


def with_mic(sids: list[int]) -> bytes:
    made = Scenario("Mic", {}, MicConfig(("low", "high"), ("a", "b"), False))
    builder, thing, unit = made.builder, made.object, Constant(None, UNIT)
    level = Constant("high", TEXT)
    execute = builder.call(thing, "execute", image=unit, target=DST, level=level, levelR=unit)
    builder.bind(Kind.EXECUTE, execute)
    made.bind(CLIENT, builder.call(thing, "invoke", source=SRC, target=DST))
    made.setup = [Event(Kind.EXECUTE, CLIENT, SERVER, 5, sid) for sid in sids]
    pairs = zip(turns(sids), reversed(turns(sids)), strict=True)
    made.turns = [request(CLIENT, 1, *pair) for pair in pairs]
    return made.case(len(sids))


def with_map(sids: list[int]) -> bytes:
    """A value set and compared, with ten keys."""
    names = tuple((f"key{n}", n) for n in range(10))
    made = Scenario("StaticMap", {"Value": UINT32}, StaticMapConfig(UINT32, names, len(sids)))
    builder, thing, key = made.builder, made.object, Constant("key7", TEXT)
    builder.bind(Kind.EXECUTE, builder.call(thing, "init", sid=DST))
    below = apply("pred.lt", builder.ask(thing, "get", sid=DST, key=key), unsigned(8))
    set_it = builder.call(thing, "set", sid=DST, key=key, value=N)
    made.bind(CLIENT, builder.rule("assert", below), set_it)
    made.setup = [Event(Kind.EXECUTE, CLIENT, SERVER, 5, sid) for sid in sids]
    made.turns = [request(CLIENT, 1, 5, sid) for sid in turns(sids)]
    return made.case(64)


def with_roles(sids: list[int]) -> bytes:
    """A permission that a junior role has."""
    roles, rights = ("junior", "senior", "other"), ("read", "write")
    settings: dict[str, own.Value] = {"roles": roles, "permissions": rights, "excludes": {}}
    own_only = {role: frozenset({role}) for role in roles}
    settings["juniors"] = {**own_only, "senior": frozenset(roles[:2])}
    settings["grants"] = {"junior": frozenset(rights)}
    made = Scenario("Record", {}, own.Config(shipped("rbac"), settings))
    builder, thing = made.builder, made.object
    role, right = Constant("senior", TEXT), Constant("read", TEXT)
    builder.bind(
        Kind.EXECUTE,
        builder.call(thing, "init", sid=DST),
        builder.call(thing, "assign", sid=DST, role=role),
    )
    made.bind(CLIENT, builder.call(thing, "check", sid=DST, permission=right))
    made.setup = [Event(Kind.EXECUTE, CLIENT, SERVER, 5, sid) for sid in sids]
    made.turns = [request(CLIENT, 1, 5, sid) for sid in turns(sids)]
    return made.case(len(sids))


def with_capabilities(sids: list[int]) -> bytes:
    """A right that was handed on once."""
    settings: dict[str, own.Value] = {"rights": ("read", "write"), "depth": 4}
    made = Scenario("Record", {}, own.Config(shipped("capability"), settings))
    builder, thing = made.builder, made.object
    some = Constant(("read",), SetType(TEXT))
    builder.bind(Kind.EXECUTE, builder.call(thing, "grant", sid=SRC, some=some), src=FILLER)
    builder.bind(Kind.EXECUTE, builder.call(thing, "delegate", sid=SRC, to=DST, some=some))
    made.bind(CLIENT, builder.call(thing, "check", sid=DST, right=Constant("read", TEXT)))
    first, *others = sids
    made.setup = [Event(Kind.EXECUTE, FILLER, SERVER, first, others[0])]
    made.setup += [Event(Kind.EXECUTE, CLIENT, SERVER, first, sid) for sid in others[1:]]
    made.turns = [request(CLIENT, 1, 5, sid) for sid in turns(others)]
    return made.case(len(sids))


def scenarios() -> Iterable[tuple[str, bytes]]:
    few, many, worst = keys(10), keys(MANY), of_one_bucket(MANY)
    others = keys(MANY + TURNS)[MANY:]
    yield "set of 10, contains", with_set(few, turns(few), "contains")
    yield "set of 100,000, contains", with_set(many, turns(many), "contains")
    yield "set of 100,000, contains not", with_set(many, others, "contains")
    yield "set of 100,000 of one bucket, contains", with_set(worst, turns(worst), "contains")
    yield "set of 100,000, added and undone", with_set(many, others, "undo")
    yield "flow of 10 SIDs, allow and enter", with_flow(few)
    yield "flow of 100,000 SIDs, allow and enter", with_flow(many)
    yield "mic of 10 SIDs, invoke", with_mic(few)
    yield "mic of 100,000 SIDs, invoke", with_mic(many)
    yield "rbac of 10 SIDs, check", with_roles(few)
    yield "rbac of 100,000 SIDs, check", with_roles(many)
    yield "capability of 10 SIDs, check", with_capabilities(few)
    yield "capability of 100,000 SIDs, check", with_capabilities(many)
    yield "map of 10 SIDs, get and set", with_map(few)
    yield "map of 10,000 SIDs, get and set", with_map(many[:10_000])


def measure(folder: Path) -> dict[str, float]:
    """Nanoseconds of one verdict, by scenario."""
    sources = [*sorted(VM.glob("*.c")), Path(__file__).with_name("bench.c")]
    program = compile_c(folder / "bench", sources, "-O2")
    made = dict(scenarios())
    file = folder / "bench.bin"
    file.write_bytes(b"".join(made.values()))
    command = [program, str(file), str(TURNS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    return {name: float(line.split()[0]) for name, line in zip(made, lines[:-1], strict=True)}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name, cost in measure(Path(folder)).items():
            print(f"{cost:9.2f} ns  {name}")
