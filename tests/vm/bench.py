"""What a verdict costs: `python -m tests.vm.bench`, with `monitor` on the path.

Best of nine rounds, single thread. The bounds are loose: they catch a verdict that became several
times slower, on any machine.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from kss import layout
from kss.compiler import compile_policy
from kss.events import Event, Kind
from kss.layout import Endpoint
from kss.message import encode

from tests.vm.build import (
    DST,
    U32,
    U64,
    Builder,
    apply,
    classes,
    interface,
    method,
    place,
    unsigned,
)
from tests.vm.conftest import VM, compile_c
from tests.vm.test_fuzz import pack_case

WIDE = method("Wide", 0, [("n", U32), ("pad", U32), *((f"w{i}", U64) for i in range(6))])
TEXT = method("Text", 1, [("name", layout.String(63)), ("list", layout.Sequence(U32, 16))])
LONG = 4096
PATHS = method("Paths", 2, [("path", layout.String(LONG - 1))])
SERVICE = interface("bench.Service", WIDE, TEXT, PATHS)
ENTITIES = classes(
    ("bench.Client", [], []), ("bench.Server", [Endpoint("s", 0, SERVICE, None)], [])
)
wide = Event(Kind.REQUEST, 0, 1, 5, 6, encode(WIDE.request, {"n": 3}))
text = Event(
    Kind.REQUEST, 0, 1, 5, 6, encode(TEXT.request, {"name": "x" * 60, "list": [1] * 16}, mid=1)
)
started = Event(Kind.EXECUTE, 0, 1, 5, 6)


# What a pattern says does not matter: each byte of a text is one look-up in its table.
PATTERN = r"(/[A-Za-z0-9_\-]+(\.[a-z]+)?)+ & !(.*/(etc|dev)/.*)"
PATH = ("/srv/data_1.bin" * 300)[: LONG - 1]
paths = Event(Kind.REQUEST, 0, 1, 5, 6, encode(PATHS.request, {"path": PATH}, mid=2))


def bind(policy: Builder, *items: object, name: str = "Wide") -> Builder:
    policy.bind(Kind.EXECUTE, policy.grant())
    policy.bind(Kind.REQUEST, *items, dst=1, endpoint="s", method=name)  # type: ignore[arg-type]
    return policy


def small(policy: Builder, limit: int = 7) -> object:
    return policy.rule("assert", apply("pred.lt", place(WIDE.request, "n"), unsigned(limit)))


def with_flow(policy: Builder) -> Builder:
    gate = policy.flow("gate", ["a", "b"], "a", a=["b"], b=["a"])
    policy.bind(Kind.EXECUTE, policy.flow_rule(gate, "init", DST))
    a, b = ([policy.flow_rule(gate, "enter", DST, to)] for to in ("b", "a"))
    return bind(policy, policy.choice(policy.query(gate, DST), {"a": a, "b": b}))


def matched(policy: Builder) -> Builder:
    path = place(PATHS.request, "path")
    return bind(policy, policy.rule("assert", policy.matches(path, PATTERN)), name="Paths")


def chosen(policy: Builder, count: int) -> Builder:
    """A choice among many texts, the last of which is taken."""
    branches = {f"name{number:04}": [policy.grant()] for number in range(count)}
    branches["x" * 60] = [policy.grant()]
    return bind(policy, policy.choice(place(TEXT.request, "name"), branches), name="Text")


def scenarios() -> dict[str, tuple[Builder, list[Event]]]:
    one, ten, plain, words, none, long = (Builder(ENTITIES) for _ in range(6))
    return {
        "start, constant": (bind(plain, plain.grant()), [started]),
        "64-byte message, constant": (plain, [wide]),
        "64-byte message, no rule": (none, [wide]),
        "64-byte message, one rule": (bind(one, small(one)), [wide]),
        "64-byte message, ten rules": (bind(ten, *(small(ten) for _ in range(10))), [wide]),
        "64-byte message, state changes": (with_flow(Builder(ENTITIES)), [started, wide]),
        "string and sequence, constant": (bind(words, words.grant(), name="Text"), [text]),
        "choice of 10 texts": (chosen(Builder(ENTITIES), 10), [text]),
        "choice of 1,000 texts": (chosen(Builder(ENTITIES), 1000), [text]),
        "4-KiB text, constant": (bind(long, long.grant(), name="Paths"), [paths]),
        "4-KiB text, matched": (matched(Builder(ENTITIES)), [paths]),
    }


def measure(folder: Path) -> dict[str, float]:
    """Nanoseconds of one verdict, by scenario; of a look-up in a table of 4 KiB, and of a byte that
    is matched."""
    program = compile_c(
        folder / "bench", [*sorted(VM.glob("*.c")), Path(__file__).with_name("bench.c")], "-O2"
    )
    made = scenarios()
    cases = [pack_case(compile_policy(policy.tree()), events) for policy, events in made.values()]
    file = folder / "bench.bin"
    file.write_bytes(b"".join(cases))
    done = subprocess.run([program, str(file)], capture_output=True, text=True, check=True)
    costs = {
        name: float(line.split()[0])
        for name, line in zip([*made, "table look-up"], done.stdout.splitlines(), strict=True)
    }
    matching = costs["4-KiB text, matched"] - costs["4-KiB text, constant"]
    return {**costs, "byte of a text, matched": matching / LONG}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name, cost in measure(Path(folder)).items():
            print(f"{cost:9.2f} ns  {name}")
