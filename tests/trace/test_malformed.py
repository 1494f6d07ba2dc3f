"""Malformed messages in a trace: what is wrong with each, found out again from its bytes."""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random
from typing import Any

import pytest
from kss.api import load_policy
from kss.compiler import compile_policy
from kss.defects import defect
from kss.events import Kind
from kss.message import encode
from kss.names import policy_map

from khs.monitor.messages import Conformance
from khs.trace import Names
from khs.trace.events import Verdict, decode
from khs.trace.history import Telling
from khs.trace.lines import EventLines
from khs.trace.summary import EXAMPLES, Summary
from khs.trace.verdicts import Verdicts
from tests.kss.conftest import LIB, PRELUDE

from .conftest import HEADER, make_record

NONE = 0xFFFF_FFFF
VALUES = {"pin": "12", "raw": b"xy", "items": [{"id": 1}, {"id": 2}], "either": {"number": 3}}


def denial(message: bytes, tick: int = 5) -> bytes:
    args = [1, 0 | 1 << 32, 0, NONE, 0 | 1 << 32]
    return make_record(6, tick=tick, code=3, args=args, data=message)


SHORT = denial(struct.pack("<IHHI", 0, 0, 0, 999))
FLAG = denial(struct.pack("<IHHII", 0, 0, 2, 999, 0))
BARE = denial(b"\0\0\0")


def test_different_defects_are_not_one_denial() -> None:
    """They agree in all that the kernel's record says but the message."""
    summary = Summary(Names.from_header(HEADER))
    summary(SHORT + FLAG + SHORT + BARE + FLAG + FLAG)
    told = {group.why.partition("interface: ")[2]: group for group in summary.denials.values()}
    assert {why: group.count for why, group in told.items()} == {
        "12 bytes, the constant part has 16": 2,
        "its header has flag 2, that of a request is 0": 3,
        "3 bytes, a header has 8": 1,
    }
    request = "request demo.Client -> demo.Server"
    assert [group.what for group in told.values()] == [
        f"{request} setpoint.Set [00 00 00 00 00 00 00 00 e7 03 00 00]",
        f"{request} setpoint.Set [00 00 00 00 00 00 02 00 e7 03 00 00 00 00 00 00]",
        f"{request} [00 00 00]",
    ]


def test_defects_that_differ_in_a_number_are_one() -> None:
    summary = Summary(Names.from_header(HEADER))
    summary(b"".join(denial(bytes(8 + n % 8)) for n in range(40)))
    (group,) = summary.denials.values()
    assert group.count == 40
    summary(b"".join(denial(struct.pack("<IHHII", 0, n, 0, 0, 0)) for n in range(1, 40)))
    assert len(summary.denials) == 1 + EXAMPLES  # of methods that there are not


def test_a_malformed_message_has_no_values_and_no_line() -> None:
    names = Names.from_header(HEADER)
    verdict = decode(FLAG)
    assert isinstance(verdict, Verdict)
    row = names.policy_of(verdict).to_json(verdict)
    wrong = "its header has flag 2, that of a request is 0"
    assert (row["method"], row["values"], row["defect"]) == ("Set", {}, wrong)
    assert EventLines().line(verdict, names) is None
    line = Telling(names).line(verdict)
    assert line is not None and str(line["malformed"]).endswith(wrong)
    verdicts, short = Verdicts(names), decode(SHORT)
    assert isinstance(short, Verdict)
    assert verdicts.judged(verdict).why != verdicts.judged(short).why


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("policy") / "security.psl"
    path.write_text(PRELUDE + "execute { grant () }\n")
    return load_policy(path, [LIB])


def test_it_says_what_the_reference_says(policy: Any) -> None:
    """Of messages of every class, sound ones that were changed here and there."""
    table = policy_map("p", policy, compile_policy(policy.tree), Path("/"))
    rng, seen = Random(1), set()
    vault = policy.layout("bank.Vault")
    endpoint = vault.endpoint("door")
    method = endpoint.interface.method("Open")
    for entity, row in zip(policy.tree.classes, table["classes"], strict=True):
        told = Conformance(row)
        for _ in range(300):
            data = bytearray(encode(method.request, VALUES, riid=endpoint.riid, mid=method.mid))
            for _ in range(rng.randrange(3)):
                data[rng.randrange(len(data))] = rng.choice((0, 1, 2, 5, 255))
            data = data[: rng.choice((len(data), len(data), rng.randrange(len(data))))]
            for kind in (Kind.REQUEST, Kind.RESPONSE, Kind.SECURITY):
                wrong = defect(entity, kind, bytes(data))
                found = told.defect(kind.name.lower(), bytes(data))
                assert found == wrong or (not wrong and "handles" in found)
                seen.add("".join(c for c in wrong if not c.isdigit())[-24:])
    assert len(seen) > 10


def test_what_carries_handles_says_so(policy: Any) -> None:
    table = policy_map("p", policy, compile_policy(policy.tree), Path("/"))
    names = [row["name"] for row in table["classes"]]
    endpoint = policy.layout("bank.Vault").endpoint("door")
    method = endpoint.interface.method("Open")
    assert method.request.handles
    data = encode(method.request, {}, riid=endpoint.riid, mid=method.mid)
    told = Conformance(table["classes"][names.index("bank.Vault")]).defect("request", data)
    assert told == "its method carries handles, and none is transferred"


@pytest.mark.parametrize(
    "change",
    [
        {"endpoints": 5},
        {"endpoints": [{}]},
        {"security": [None]},
        {"endpoints": [{"name": "a", "riid": 0, "interface": "i", "methods": [{"name": 1}]}]},
    ],
)
def test_a_map_that_makes_no_sense_tells_nothing(change: dict[str, Any]) -> None:
    row = {"name": "a.B", "endpoints": [], "security": [], **change}
    assert Conformance(row).defect("request", bytes(64)) == ""
    field = {"name": "f", "offset": -1, "size": 4, "type": "sequence<UInt8, 0>"}
    field["element"] = {"offset": 0, "size": 0, "type": "array<UInt8, 0>"}
    field["element"]["element"] = {"type": "UInt8"}
    kinds = {way: {"fields": [field]} for way in ("in", "out", "error")}
    method = {"name": "m", "mid": 0, **kinds}
    endpoint = {"name": "e", "riid": 0, "interface": "i", "methods": [method]}
    assert (
        Conformance({**row, "endpoints": [endpoint], "security": []}).defect("request", bytes(64))
        == ""
    )
