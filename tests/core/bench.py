"""What the core itself costs the host, without a CPU engine:

    python -m tests.core.bench [--count N]

Prints nanoseconds for a hypercall through khs_next and khs_returned, the best of five rounds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.core import systems
from tests.core.host import Call, Script, execute
from tests.core.systems import DATA, SAMPLING, WIDE, WIDE_SIZE, Channel, Partition, System

POLICY = (
    systems.STARTS
    + systems.KERNEL
    + "request src=test.A, dst=test.B { grant () }\n"
    + "request src=test.A, dst=test.C, interface=test.Wide {\n"
    + "    assert (message.v0 < 10 && message.low != 5)\n}\n"
)
A, B, C = (Partition(f"test.{letter}") for letter in "ABC")
CHANNELS = [Channel(SAMPLING, 0, to, WIDE, WIDE_SIZE) for to in ((1,), (1, 1), (2,))]
CASES = {
    "null hypercall": (Call.NOP,),
    "sampling write, 64 bytes, one reader, grant": (Call.PORT_WRITE, 0, DATA, WIDE_SIZE),
    "sampling write, 64 bytes, two readers, grant": (Call.PORT_WRITE, 1, DATA, WIDE_SIZE),
    "sampling write, 64 bytes, one reader, assert": (Call.PORT_WRITE, 2, DATA, WIDE_SIZE),
}


def measure(files: list[str], call: tuple[int, ...], count: int) -> float:
    """Nanoseconds of one hypercall."""
    words = [*call, *[0] * (7 - len(call))]
    mode = ["bench", *files, "--until", 100, "--steps", count, "--bench", *map(int, words)]
    return min(float(execute(mode, sanitize=False)) for _ in range(5))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2_000_000, help="hypercalls a round")
    options = parser.parse_args()
    system = System([A, B, C], [(10**6, [(0, 0, 10**6)])], CHANNELS)
    script = Script()
    script.start(0).poke(DATA, systems.wide(1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config").write_bytes(system.config())
        (folder / "policy").write_bytes(systems.policy(POLICY))
        (folder / "script").write_text(script.text())
        files = [str(folder / "config"), str(folder / "policy"), "--script", str(folder / "script")]
        for name, call in CASES.items():
            print(f"{measure(files, call, options.count):7.1f} ns  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
