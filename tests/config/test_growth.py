"""The work of a check grows as the system does: counted in calls, not in seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from khs import config
from khs.errors import Finding

HEAD = """\
format = 1
[system]
name = "large"
board = "sabrelite"
policy = "security.psl"
[health]
default = { level = "partition", action = "log" }
"""


def sound(count: int) -> Iterator[str]:
    """Everything of which there may be many, each partition with some of all."""
    yield HEAD
    for name in ("first", "second"):
        yield f'[schedule.{name}]\nmajor_frame = "{count}us"\nwindows = [\n'
        for i in range(count):
            yield f'    {{ partition = "p{i}", start = "{i}us", length = "1us" }},\n'
        yield "]\n"
    for i in range(count):
        address = f'address = "0x{0x5000_0000 + i * 0x10000:x}"\n' if i % 2 else ""
        yield f"""\
[partition.p{i}]
class = "a.B"
program = "x"
period = "{count}us"
deadline = "{count}us"
privileges = ["schedule-switch"]
[region.r{i}]
size = "4KiB"
{address}map = {{ p{i} = "rw" }}
keep = true
[input.i{i}]
partition = "p{i}"
capacity = "64B"
depth = 2
messages = [{{ at = "1us", text = "x" }}]
[health.partition.p{i}]
"illegal-instruction" = {{ level = "partition", action = "log" }}
"""
        if i + 1 < count:
            yield f'[channel.c{i}]\nkind = "call"\nfrom = "p{i}"\nto = ["p{i + 1}"]\n'
            yield 'endpoint = "e"\n'


def wrong(count: int) -> Iterator[str]:
    """Many breaches of the rules that look at two things at once."""
    yield from sound(count)
    for i in range(count):
        yield f'[channel.again{i}]\nkind = "call"\nfrom = "p0"\nto = ["p1"]\nendpoint = "e"\n'
        yield f'[region.over{i}]\nsize = "64KiB"\naddress = "0x7000_0000"\nmap = {{ p{i} = "rw" }}\n'
        yield "keep = true\n"


def check(texts: Iterator[str], folder: Path) -> tuple[list[Finding], int]:
    """What is found, and the calls that it took."""
    (folder / "security.psl").write_text("use nk.base._\n")
    (folder / "system.toml").write_text("".join(texts))
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        found = config.check(folder)
    finally:
        sys.setprofile(before)
    return found, calls


@pytest.mark.parametrize(
    ("make", "rules"), [(sound, set()), (wrong, {"CHAN-014", "SPACE-011"})], ids=["sound", "wrong"]
)
def test_twice_the_system_is_twice_the_work(make: Any, rules: set[str], tmp_path: Path) -> None:
    check(make(20), tmp_path)  # what is made once, is
    found, small = check(make(60), tmp_path)
    assert {finding.rule for finding in found} == rules, [str(each) for each in found]
    _, large = check(make(120), tmp_path)
    assert large < 2.2 * small, (small, large)


def test_a_cycle_of_calls_among_many_calls_is_found(tmp_path: Path) -> None:
    ring = '[channel.back]\nkind = "call"\nfrom = "p9"\nto = ["p4"]\nendpoint = "e"\n'
    found, _ = check(iter([*sound(20), ring]), tmp_path)
    (finding,) = found
    assert finding.rule == "CHAN-015"
    assert "p9 -> p4 -> p5 -> p6 -> p7 -> p8 -> p9" in finding.message
