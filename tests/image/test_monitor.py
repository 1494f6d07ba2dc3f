"""The facade to KSS: what KHS gets out of a policy, and how KSS's findings arrive."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from kss.message import encode
from kss.vm import PolicyRefusedError

from khs import config
from khs.engine import native
from khs.errors import ConfigError, Finding, KhsError
from khs.image import build, check
from khs.monitor import class_hash, load, survey
from khs.trace.message import decode
from tests.image.systems import POLICY, SYSTEM, load_system, write_system


def test_class_hash_is_what_the_vm_looks_for() -> None:
    digest = hashlib.sha256(b"kl.core.Core").digest()
    assert class_hash("kl.core.Core") == int.from_bytes(digest[:8], "little")


def test_layout_and_sizes(tmp_path: Path) -> None:
    policy = load(load_system(tmp_path))
    assert policy.binary[:4] == b"KSSP" and policy.state_size > 0
    assert [e.name for e in policy.layout("demo.Right").endpoints] == ["panel.control", "level"]
    assert policy.max_message("demo.Right", "panel.control") == 116
    assert policy.max_message("demo.Left", "journal") == 56
    with pytest.raises(KeyError):
        policy.layout("demo.Nobody")
    with pytest.raises(KeyError):
        policy.max_message("demo.Left", "nothing")
    interface = policy.interface("demo.ILog")
    assert interface and interface.method("Note")
    assert policy.interface("demo.Nothing") is None


def test_implicit_endpoints_are_added_where_they_are_missing_only(tmp_path: Path) -> None:
    policy = load(load_system(tmp_path))
    assert [e.name for e in policy.layout("demo.Left").endpoints] == ["journal"]


def test_a_policy_may_leave_implicit_endpoints_unnamed(tmp_path: Path) -> None:
    write_system(tmp_path)
    text = POLICY.replace("endpoint=level, method=Report", "interface=demo.ILevel")
    (tmp_path / "security.psl").write_text(text)
    policy = load(config.load(tmp_path))
    assert policy.layout("demo.Right").endpoint("level")


def test_alias_classes(tmp_path: Path) -> None:
    """`task class X : Y` describes X by the EDL of Y, which has the endpoints."""
    text = SYSTEM.replace('class = "demo.Left"', 'class = "demo.Recorder"')
    write_system(tmp_path, system=text)
    policy = POLICY.replace("demo.Left", "demo.Recorder").replace(
        "endpoint=level, method=Report", "interface=demo.ILevel"
    )
    policy = policy.replace("use EDL demo.Recorder", "task class demo.Recorder : demo.Left")
    (tmp_path / "security.psl").write_text(policy)
    loaded = load(config.load(tmp_path))
    assert [e.name for e in loaded.layout("demo.Recorder").endpoints] == ["journal"]


def test_describe(tmp_path: Path) -> None:
    policy = load(load_system(tmp_path))
    rules = policy.map["rules"]
    number = next(n for n, rule in enumerate(rules) if "value < 100" in rule["text"])
    line = rules[number]["line"]
    assert policy.describe(False, 0, number) == (
        f"denied by security.psl:{line}: assert (message.value < 100)"
    )
    assert policy.describe(True, 0, 0).startswith("granted by security.psl:8: grant ()")
    assert policy.describe(False, 1, 0xFFFFFFFF) == "denied: no rule matches"
    assert policy.describe(False, 3, 0xFFFFFFFF).startswith("denied: the message does not conform")


IDL = """package demo.IControl
const UInt32 Most = 3;
struct Pair { UInt16 a; UInt64 b; string<7> name; }
union Either { UInt8 small; Pair pair; bytes<5> raw; }
interface {
    Set(in UInt32 value, in SInt16 delta, in Either either, in sequence<Pair, Most> pairs,
        in array<UInt16, 4> row, in string<20> text, out bytes<100> old);
    Get(out Pair pair);
}
"""
VALUES: list[dict[str, Any]] = [
    {"value": 5, "delta": -7, "either": {"small": 9}, "row": [1, 2, 3, 4], "text": "hé"},
    {
        "value": 0xFFFFFFFF,
        "either": {"pair": {"a": 1, "b": 2**63, "name": "seven"}},
        "pairs": [{"a": n, "b": n * 1000, "name": "x" * n} for n in range(3)],
    },
    {"either": {"raw": "00ff"}, "text": "twenty characters ..."[:20]},
    {},
]


@pytest.mark.parametrize("values", VALUES, ids=["plain", "nested", "bytes", "nothing"])
def test_traces_decode_messages_by_the_map(tmp_path: Path, values: dict[str, Any]) -> None:
    """Encoded by KSS and decoded by a trace's reader, which knows the map alone."""
    write_system(tmp_path)
    (tmp_path / "demo" / "IControl.idl").write_text(IDL)
    policy = load(config.load(tmp_path))
    endpoint = policy.layout("demo.Right").endpoint("panel.control")
    assert endpoint
    data = encode(endpoint.interface.methods[0].request, values)
    (row,) = [each for each in policy.map["classes"] if each["name"] == "demo.Right"]
    layout = row["endpoints"][0]["methods"][0]["in"]
    empty = {
        "value": 0,
        "delta": 0,
        "either": {"small": 0},
        "pairs": [],
        "row": [0, 0, 0, 0],
        "text": "",
    }
    assert decode(layout, data) == {**empty, **values}


def test_bindings_tell_their_conditions(tmp_path: Path) -> None:
    bindings = load(load_system(tmp_path)).map["bindings"]
    assert bindings[0]["kind"] == "execute" and "src" not in bindings[0]
    (control,) = [each for each in bindings if each.get("endpoint") == "panel.control"]
    assert (control["src"], control["dst"]) == ("demo.Left", "demo.Right")
    assert control["method"] == "Set", "of the match section, together with the binding's own"
    assert control["file"] == "security.psl" and control["line"] == 10


def findings(folder: Path, policy: str, system: str = SYSTEM) -> list[Finding]:
    write_system(folder, system=system)
    (folder / "security.psl").write_text(policy)
    found = config.check(folder, also=[check])
    return [each for each in found if each.severity == "error"]


def test_class_that_the_policy_does_not_know(tmp_path: Path) -> None:
    text = POLICY.replace("use EDL demo.Left\n", "").replace("src=demo.Left, ", "")
    text = text.replace(
        "request src=demo.Right, dst=demo.Left, interface=demo.ILog { grant () }", ""
    )
    text = text.replace("endpoint=level, method=Report", "interface=demo.ILevel")
    found = findings(tmp_path, text)
    assert [each.rule for each in found] == ["POL-001"]
    assert found[0].message == "the policy security.psl does not know the class demo.Left"
    assert found[0].help == "add to the policy: use EDL demo.Left"
    line = (tmp_path / "system.toml").read_text().splitlines()[found[0].line - 1]
    assert line == 'class = "demo.Left"'


@pytest.mark.parametrize("name", ["kl.core.Core", "Einit"])
def test_kernel_and_einit_must_be_known(tmp_path: Path, name: str) -> None:
    unnamed = POLICY.replace(f"use EDL {name}\n", "").replace(f"request dst={name} {{", "request {")
    found = findings(tmp_path, unnamed)
    assert "POL-001" in [each.rule for each in found]
    assert any(name in each.message for each in found)


def test_findings_of_kss_keep_their_places(tmp_path: Path) -> None:
    found = findings(tmp_path, POLICY + "request src=demo.Nobody { grant () }\n")
    assert len(found) == 1
    assert found[0].file == str(tmp_path / "security.psl")
    assert found[0].line == POLICY.count("\n") + 1
    assert "demo.Nobody" in found[0].message


def test_all_findings_of_all_policies(tmp_path: Path) -> None:
    system = SYSTEM.replace(
        'policy = "security.psl"', 'policy = "security.psl"\npolicies = {{ b = "b.psl" }}'
    )
    write_system(tmp_path, system=system)
    (tmp_path / "security.psl").write_text(POLICY + "policy object x : Nothing { }\n")
    (tmp_path / "b.psl").write_text(POLICY + "request src=demo.Nobody { grant () }\n")
    policies, found = survey(config.load(tmp_path))
    assert policies == ()
    assert {Path(each.file).name for each in found} == {"security.psl", "b.psl"}
    with pytest.raises(ConfigError):
        build(config.load(tmp_path))


def test_policies_must_agree_on_endpoints(tmp_path: Path) -> None:
    """One config.bin serves every policy."""
    system = SYSTEM.replace(
        'policy = "security.psl"', 'policy = "security.psl"\npolicies = {{ b = "b.psl" }}'
    )
    write_system(tmp_path, system=system)
    other = POLICY.replace("use EDL demo.Right", "task class demo.Right : demo.Wide")
    (tmp_path / "b.psl").write_text(other)
    (tmp_path / "demo" / "Wide.edl").write_text(
        "task class demo.Wide\ncomponents { panel : demo.Panel }\n"
        "endpoints { first : demo.ILog\n second : demo.ILog }\n"
    )
    found = config.check(tmp_path, also=[check])
    errors = [each for each in found if each.severity == "error"]
    assert [each.rule for each in errors] == ["POL-002"], [each.words() for each in errors]
    assert "with policy b" in errors[0].message


def test_a_library_that_does_not_fit_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No finding, because nothing is wrong with the policy."""

    def refuse(_: bytes) -> None:
        raise PolicyRefusedError(1, 0x78)

    monkeypatch.setattr("khs.monitor.vm_state_size", refuse)
    with pytest.raises(KhsError, match=r"policy security\.psl: the binary policy does not verify"):
        build(load_system(tmp_path))


@pytest.mark.parametrize(
    ("starts", "found"),
    [
        ("execute { grant () }", []),
        (
            "execute dst=kl.core.Core { grant () } execute src=demo.Left { grant () }\n"
            "execute src=Einit { match dst=demo.Left { grant () } }",
            [("POL-003", "Einit"), ("POL-003", "partition right")],
        ),
        ("", [("PSL-082", "nothing starts")]),
    ],
)
def test_what_cannot_start_is_told(starts: str, found: list[Any], tmp_path: Path) -> None:
    write_system(tmp_path)
    (tmp_path / "security.psl").write_text(POLICY.replace("execute { grant () }", starts))
    told = check(config.load(tmp_path))
    assert {each.severity for each in told} <= {"warning"}
    assert [each.rule for each in told] == [rule for rule, _ in found]
    for finding, (_, words) in zip(told, found, strict=True):
        assert words in finding.message
    if len(found) > 1:
        assert Path(told[1].file).name == "system.toml"
        assert told[1].help == "add to the policy: execute src=Einit, dst=demo.Right { grant () }"


@pytest.mark.parametrize(
    ("rules", "help"),
    [
        ("", "add to the policy: request src=demo.Left, dst=kl.core.Core, "),
        ("request src=demo.Left, dst=kl.core.Core { deny () }", "security.psl:{last} denies it"),
        ("request src=demo.Left, dst=kl.core.Core { assert (src_sid == 77) }", ""),
    ],
)
def test_who_never_gets_normal_mode_is_told(rules: str, help: str, tmp_path: Path) -> None:
    """A partition without a period may do without."""
    text = "".join(line for line in POLICY.splitlines(True) if "kl.core.Core {" not in line)
    text += rules
    write_system(tmp_path)
    (tmp_path / "security.psl").write_text(text)
    told = [each for each in check(config.load(tmp_path)) if each.rule == "POL-004"]
    if not help:
        assert told == []
        return
    (only,) = told
    assert (only.severity, "demo.Left: left stays" in only.message) == ("warning", True)
    last = len(text.splitlines())
    assert only.help.startswith(help.format(last=last))


def test_an_old_library_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    native.library()  # loads what it needs itself; it keeps the policy VM's functions to itself
    monkeypatch.setenv("KSS_LIBRARY", str(native.LIBRARY))
    with pytest.raises(KhsError, match=r"older than this program and has no kss_\w+") as caught:
        build(load_system(tmp_path))
    assert "help: libkss.so may be older than khs: make setup" in str(caught.value)
