"""Interface descriptions: constants, types, classes and their numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kss.api import check
from kss.edl import Descriptions
from kss.errors import Findings, Location
from kss.events import Event, Kind
from kss.grammar.idl import parse_package
from kss.idl import Package, Reader
from kss.layout import EntityClass, Interface
from kss.message import encode
from kss.packages import Packages
from kss.source import Search, Source

from tests.kss.conftest import LIB, Load, Start


def package(text: str, directory: Path) -> Package:
    (directory / "P.idl").write_text(f"package P\n{text}")
    findings = Findings()
    found = Packages(Search([directory, LIB]), findings).load("P")
    assert found is not None and not findings.items, findings.items
    return found


def entity(name: str, *directories: Path) -> EntityClass:
    findings = Findings()
    found = Descriptions(Search([*directories, LIB]), findings).load_class(
        name, name, 0, Location("t", 1, 1)
    )
    assert found is not None, findings.items
    return found


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("1 << 4 | 1", 17),
        ("6 & 3 ^ 8 | 1", 11),
        ("7 / 2 - -7 / 2", 6),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("~0 & 0xFF", 255),
        ("0o17 + 0X1f", 46),
        ("-~-1", 0),
        ("100 >> 2 - 1", 50),
        ("007", 7),
        ("A * A", 9),
    ],
)
def test_integer_expressions(expression: str, value: int, tmp_path: Path) -> None:
    found = package(f"const SInt64 A = 3;\nconst SInt64 X = {expression};", tmp_path)
    assert found.constants["X"] == value


def test_words_are_names_elsewhere(tmp_path: Path) -> None:
    text = """
    struct struct { UInt8 in; bytes<3> bytes; }
    interface { interface(in UInt8 in, in struct struct, out array<UInt8, 2> error); const(); }
    """
    found = package(text, tmp_path).interface
    assert isinstance(found, Interface)
    assert [method.name for method in found.methods] == ["interface", "const"]
    assert [field.name for field in found.methods[0].request.fields] == ["in", "struct"]


def test_imports_reach_one_hop(tmp_path: Path) -> None:
    (tmp_path / "Q.idl").write_text("package Q\nimport bank.Types\nconst UInt8 Two = Max / 2;\n")
    found = package("import Q\nconst UInt8 Four = Two * 2;", tmp_path)
    assert found.constants == {"Four": 4}
    findings = Findings()
    (tmp_path / "R.idl").write_text("package R\nimport Q\nconst UInt8 X = Max;\n")
    Packages(Search([tmp_path, LIB]), findings).load("R")
    assert [finding.rule for finding in findings.items] == ["IDL-003"]


def test_numbers_of_endpoints_and_security_interfaces() -> None:
    vault = entity("bank.Vault")
    assert [(e.name, e.riid, e.component) for e in vault.endpoints] == [
        ("front.lock.bolt", 0, "bank.Lock"),
        ("front.bell", 1, "bank.Front"),
        ("back.bolt", 2, "bank.Lock"),
        ("door", 3, None),
        ("interface", 4, None),
    ]
    assert [(e.name, e.riid, e.component) for e in vault.security] == [
        ("front", 0, "bank.Front"),
        ("", 1, None),
    ]


def test_parts_in_any_order_and_old_words(tmp_path: Path) -> None:
    text = """entity bank.Old
    interfaces { security : bank.IBolt endpoints : bank.IBolt }
    security bank.IGuard
    components { components : bank.Lock }"""
    (tmp_path / "Old.edl").write_text(text)  # found by the last part of its name
    old = entity("bank.Old", tmp_path)
    assert [e.name for e in old.endpoints] == ["components.bolt", "security", "endpoints"]


def test_a_file_found_by_its_last_name_must_declare_the_whole(tmp_path: Path) -> None:
    (tmp_path / "Core.edl").write_text("task class other.Core\n")
    (tmp_path / "Vault.edl").write_text("task class other.Vault\n")
    assert len(entity("kl.core.Core", tmp_path).endpoints) == 8
    assert entity("bank.Vault", tmp_path).name == "bank.Vault"


def test_kernel_services() -> None:
    core = entity("kl.core.Core")
    assert [(e.riid, e.name, e.interface.name) for e in core.endpoints] == [
        (0, "partition.Partition", "kl.core.Partition"),
        (1, "schedule.Schedule", "kl.core.Schedule"),
        (2, "health.Health", "kl.core.Health"),
        (3, "module.Module", "kl.core.Module"),
        (4, "console.Console", "kl.core.Console"),
        (5, "policy.Policy", "kl.core.Policy"),
        (6, "task.Task", "kl.core.Task"),
        (7, "handle.Handle", "kl.core.Handle"),
    ]
    requests = {
        f"{e.interface.name.split('.')[-1]}.{m.name}": [
            (f.name, str(f.type)) for f in m.request.fields
        ]
        for e in core.endpoints[:6]
        for m in e.interface.methods
    }
    assert requests == {
        "Partition.SetMode": [("mode", "UInt32")],
        "Partition.Restart": [("target", "UInt32"), ("mode", "UInt32")],
        "Schedule.Switch": [("schedule", "UInt32")],
        "Health.Raise": [("error", "UInt32"), ("text", "bytes<128>")],
        "Module.Stop": [],
        "Console.Write": [("text", "bytes<256>")],
        "Policy.Swap": [("policy", "UInt32")],
        "Policy.Install": [("size", "UInt32")],
    }


def test_policies_look_at_handles_that_are_copied(load: Load, start: Start) -> None:
    policy = load(
        "request dst=kl.core.Core, endpoint=handle.Handle, method=Copy"
        " { assert (message.newRightsMask < message.inHandle.rights) }"
        "request dst=kl.core.Core, endpoint=handle.Handle, method=CreateUserObject"
        " { assert (message.type == 1 && message.rights < 8) }"
    )
    core = policy.layout("kl.core.Core").endpoints[7]
    copy = core.interface.methods[0]
    for rights, granted in ((3, True), (7, False)):
        values = {"inHandle": {"handle": 9, "rights": 7}, "newRightsMask": rights}
        message = encode(copy.request, values, riid=core.riid, mid=copy.mid)
        event = Event(Kind.REQUEST, policy.classes.index("bank.Teller"), 0, 2, 1, message)
        assert start(policy).judge(event).granted is granted


def test_port_endpoints_come_after_the_declared(load: Load) -> None:
    policy = load(
        "request dst=bank.Teller, endpoint=news, method=Turn { assert (message.angle < 9) }",
        extra_endpoints={
            "bank.Teller": {"news": "bank.IBolt", "old": "bank.IDoor"},
            "bank.Vault": {"in_box": "bank.IBolt"},
        },
        extra_classes=["Einit", "bank.Teller"],
    )
    assert [(e.name, e.riid) for e in policy.layout("bank.Teller").endpoints] == [
        ("news", 0),
        ("old", 1),
    ]
    assert policy.layout("bank.Vault").endpoints[-1].riid == 5


def test_classes_that_only_the_caller_names(load: Load) -> None:
    policy = load("", prelude="use EDL Einit\n", extra_classes=["bank.Teller", "Einit"])
    assert policy.classes == ("Einit", "bank.Teller")


def test_one_description_for_several_classes(load: Load) -> None:
    policy = load("task class bank.Clerk : bank.Vault\nexecute dst=bank.Clerk { grant () }")
    assert policy.classes[-1] == "bank.Clerk"
    assert policy.layout("bank.Clerk").endpoints == policy.layout("bank.Vault").endpoints


TOKENS = st.sampled_from(
    """package P import const typedef struct union interface UInt8 UInt32 Handle bytes string array
    sequence < > ( ) { } , ; = in out error x y 1 0 2 ** << / - ~ bank.Types Item Max""".split()
)


@settings(max_examples=150, deadline=None)
@given(st.lists(TOKENS, max_size=30).map(lambda words: " ".join(["package P", *words])))
def test_any_description_gives_a_package_or_located_findings(text: str) -> None:
    findings = Findings()
    described = parse_package(Source("P.idl", text), findings)
    assert described.sound == (not findings.failed)
    found = Package("P", Path("P.idl"))
    Reader(described, found, Packages(Search([LIB]), findings), findings).read()
    assert all(finding.line == 1 and finding.column >= 1 for finding in findings.items)


def test_each_cycle_of_types_is_told_once_with_its_way(tmp_path: Path) -> None:
    """And what only stands in the wrong order is told as that."""
    (tmp_path / "P.idl").write_text(
        "package P\nstruct A { B b; A a; Late l; }\nstruct B { C c; }\ntypedef array<A, 2> C;\n"
        "struct Late { UInt8 x; }\nunion D { sequence<E, 2> e; }\nunion E { D d; }\n"
    )
    found = check(tmp_path / "P.idl")
    assert [(f.rule, f.line, f.message) for f in found] == [
        ("IDL-016", 2, "A contains itself: A -> B -> C -> A"),
        ("IDL-016", 2, "A contains itself: A -> A"),
        ("IDL-002", 2, "Late is declared only further down"),
        ("IDL-016", 6, "D contains itself: D -> E -> D"),
    ]
