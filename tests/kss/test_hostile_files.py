"""Files that are large, deep or without end: findings, soon, and in little memory."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest
from kss.api import check, load_policy
from kss.compiler import compile_policy

from tests.kss.conftest import LIB, PRELUDE

OPEN = "request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open "
FLOW = (
    'policy object f%d : Flow { type State = "a" | "b" config = { states : ["a", "b"]'
    ', initial : "a", transitions : { "a" : ["b"] } } }\n'
)
SOON_S = 10.0  # of processor time: several times what it takes


def found(path: Path, text: str, name: str = "security.psl") -> list[str]:
    """The rules of the findings, each once in a row."""
    (path / name).write_text(text)
    start = time.process_time()
    findings = check(path / name, [LIB])
    assert time.process_time() - start < SOON_S
    rules = [finding.rule for finding in findings if finding.severity == "error"]
    return [rule for i, rule in enumerate(rules) if i == 0 or rules[i - 1] != rule]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("/* " * 1_000_000, ["SRC-003"]),
        ('"' * 1_000_001, ["SRC-003"]),
        ("```regex\n" * 100_001, ["SRC-003"]),
        ("request ; " * 200_000, ["SRC-003"]),
        ("\0" * 1_000_000, ["SRC-003"]),
        (f"request src={'a' * 1_000_000} {{ }}", ["SRC-003"]),
        (f"use EDL {'a.' * 200_000}B", ["SRC-003"]),
        (OPEN + "{ assert (" + "(" * 300_000 + "true) }", ["SRC-004"]),
        (OPEN + "{ assert (" + "[" * 98 + "true) }", ["SRC-003"]),
        (OPEN + "{ assert (" + "!" * 300_000 + "true) }", ["PSL-040"]),
        (OPEN + "{" + "match src=a { " * 5000, ["SRC-004"]),
        ("type T = " + "Set<" * 5000, ["SRC-004"]),
        ("type T = " + "(" * 99 + "UInt8" + ")" * 99, []),
        ("audit profile p = {" + ",".join(f"{i} : {{}}" for i in range(50_000)), ["SRC-003"]),
        ("".join(f"request dst=bank.Vaul{i} {{ }}\n" for i in range(20_000)), ["PSL-012"]),
        ("".join(f"use EDL bank.N{i}\n" for i in range(20_000)), ["EDL-009"]),
        ("use EDL bank.Vault\n" * 100_000, []),
    ],
    ids=range(17),
)
def test_texts(text: str, rules: list[str], tmp_path: Path) -> None:
    assert found(tmp_path, PRELUDE + text) == rules


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("".join(f"struct S{i + 1} {{ S{i} a; S{i} b; }}\n" for i in range(31)), ["IDL-008"]),
        ("".join(f"typedef sequence<S{i}, 3> S{i + 1};\n" for i in range(31)), ["IDL-008"]),
        ("typedef " + "array<" * 5000, ["SRC-004"]),
        (f"const UInt8 X = {'9' * 1_000_000};\n", ["IDL-006"]),
        (f"const UInt8 X = {'2 ** ' * 50_000}2;\n", ["IDL-006"]),
        (f"const UInt8 X = {'1 + ' * 100_000}1;\n", ["IDL-005"]),
        (f"const UInt8 X = {'(' * 5000}1;\n", ["SRC-004"]),
        (f"const UInt8 X = {'-' * 100_001}1;\n", ["IDL-005"]),
        ("struct W { " + "".join(f"UInt8 a{i}; " for i in range(50_000)) + "}\n", []),
        ("interface { " + "".join(f"D{i}(); " for i in range(70_000)) + "}\n", ["IDL-014"]),
    ],
    ids=range(10),
)
def test_interfaces(text: str, rules: list[str], tmp_path: Path) -> None:
    given = f"package bank.Bad\nstruct S0 {{ UInt8 a; }}\n{text}"
    assert found(tmp_path, given, "Bad.idl") == rules


def test_ten_thousand_objects(tmp_path: Path) -> None:
    text = PRELUDE + "execute { grant () }\n" + "".join(FLOW % i for i in range(10_000))
    text += "".join(
        f"execute dst=bank.Teller {{ f{i}.init {{ sid : dst_sid }} }}\n" for i in range(100)
    )
    assert found(tmp_path, text) == []
    policy = load_policy(tmp_path / "security.psl", [LIB])
    assert sum(thing.model == "Flow" for thing in policy.tree.objects) == 10_000
    start = time.process_time()
    assert compile_policy(policy.tree)
    assert time.process_time() - start < SOON_S


def test_a_hundred_megabytes_are_not_read(tmp_path: Path) -> None:
    """Nor kept: the process does not grow by what the file has."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in ("security.psl", "Bad.edl", "Bad.cdl", "Bad.idl", "init.yaml"):
        with (tmp_path / name).open("wb") as stream:
            stream.truncate(100 << 20)
        assert [f.rule for f in check(tmp_path / name, [LIB])] == ["SRC-006"]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 60 << 10, f"{grown} KiB"


def test_time_grows_with_the_text_and_no_faster(tmp_path: Path) -> None:
    """Calls of functions are counted, not seconds: machines are busy."""
    import sys

    def calls(count: int) -> int:
        path = tmp_path / "security.psl"
        rule = "{{ assert (message.amount != {} && message.items.[0].id < 7) }}\n"
        path.write_text(PRELUDE + "".join(OPEN + rule.format(i) for i in range(count)))
        number = 0

        def tick(*_: object) -> None:
            nonlocal number
            number += 1

        sys.setprofile(tick)
        try:
            policy = load_policy(path, [LIB])
        finally:
            sys.setprofile(None)
        assert len(policy.rules) == count
        return number

    few, many = calls(50), calls(500)
    assert many < 10.5 * few
