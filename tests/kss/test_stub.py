"""Stub mode: names of files that are not there are taken on trust, and grant nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kss import cli
from kss.api import Policy, check_policy, load_policy
from kss.errors import DescriptionError, Finding
from kss.events import Event, Kind, Reason
from kss.message import encode

from tests.kss.conftest import Start

FILES = {
    "shop/Till.edl": """
task class shop.Till
components { log : acme.Log  bell : shop.Bell }
endpoints { drawer : shop.IDrawer  net : acme.INet }
""",
    "shop/Bell.cdl": "component shop.Bell\nendpoints { ring : shop.IDrawer }\n",
    "shop/IDrawer.idl": """
package shop.IDrawer
import acme.Types
import shop.Own
typedef sequence<acme, Most> Unknown;
interface {
    Open(in UInt32 sum, out Count rc);
    Fill(in UInt8 plain, in Money money, in bytes<Most + 1> raw, out Count rc);
}
""",
    "shop/Own.idl": "package shop.Own\ntypedef UInt16 Count;\nconst UInt8 Three = 3;\n",
}
PRELUDE = """
use nk.base._
use nk.flow._
use EDL kl.core.Core
use EDL Einit
use EDL shop.Till
use EDL acme.Vfs
"""


@pytest.fixture
def write(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path / "security.psl"


def check(path: Path, text: str, prelude: str = PRELUDE, **options: object) -> list[Finding]:
    path.write_text(prelude + text)
    found = check_policy(path, stub=True, **options)  # type: ignore[arg-type]
    return [finding for finding in found if finding.rule != "PSL-082"]


def test_query_and_flow_tell_what_is_not_known(
    write: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grant of a method whose types lack is none; nor is a class known whose file lacks."""
    write.write_text(PRELUDE + "request { grant () }\nresponse { grant () }\n")

    def kss(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["kss", *arguments, "-I", str(write.parent), "--stub"])
        with pytest.raises(SystemExit):
            cli.main()
        return capsys.readouterr().out

    rows = json.loads(kss("query", str(write), "--json", "--dst", "shop.Till"))["rows"]
    lacks = "the types of money and raw are not known: so every message is malformed, and denied"
    told = {
        (row["method"], row["verdict"], row["stub"]) for row in rows if row["kind"] == "request"
    }
    waits = "denied as long as files of shop.Till lack"
    assert told == {
        ("Fill", "granted", lacks),
        ("Open", "granted", None),
        (None, "not known", waits),
    }
    text = kss("query", str(write), "--dst", "shop.Till").splitlines()
    marked = [line.split()[4] for line in text if "granted, of a stub" in line]
    assert marked == ["bell.ring.Fill", "drawer.Fill"] and text.count(f"    {lacks}") == 2
    stubs = ["shop.Till is a stub in part: it may offer more than is told here"]
    stubs += [
        "acme.Vfs is a stub: its file is not there, what it offers is not known and not told here; "
        "what it asks of classes that are described is judged by the rules as ever"
    ]
    assert text[-2:] == stubs

    paths = kss("flow", str(write), "acme.Vfs", "shop.Till").splitlines()
    assert any(line.endswith(f"; {lacks}") for line in paths) and paths[-2:] == stubs
    document = json.loads(kss("flow", str(write), "acme.Vfs", "shop.Till", "--json"))
    assert list(document["stubs"]) == ["shop.Till", "acme.Vfs"]


def test_what_stub_classes_ask_of_others_is_judged_and_told(
    write: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule without src grants it to a class of which nothing is known: a reviewer sees that."""
    grants = "request dst=shop.Till, endpoint=drawer, method=Open { grant () }\n"
    write.write_text(PRELUDE + grants + "response { grant () }\n")
    where, events = ["-I", str(write.parent), "--stub"], write.parent / "events.jsonl"

    def kss(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["kss", arguments[0], str(write), *arguments[1:], *where])
        with pytest.raises(SystemExit):
            cli.main()
        return capsys.readouterr().out

    asked = {"src": "acme.Vfs", "dst": "shop.Till", "endpoint": "drawer", "method": "Open"}
    events.write_text(json.dumps({"event": "request", **asked}) + "\n")
    assert json.loads(kss("eval", "--events", str(events)))["verdict"] == "granted"
    judged = "what it asks of classes that are described is judged by the rules as ever"
    assert f"acme.Vfs is not found: it is taken on trust; {judged}" in kss("check")

    text = kss("query", "--dst", "shop.Till", "--method", "Open", "--granted")
    assert (
        text.count("(every class)") == text.count("\n    stub classes among them: acme.Vfs\n") > 0
    )
    denied = kss("query", "--dst", "shop.Till", "--method", "Fill", "--denied")
    assert "(every class)" in denied and "among them" not in denied
    found = json.loads(kss("query", "--json", "--method", "Open", "--granted"))["rows"]
    rows = [row for row in found if row["verdict"] == "granted"]
    told = {row["src"]: row["stub_peer"] for row in rows if row["kind"] == "request"}
    assert told == {"kl.core.Core": False, "Einit": False, "shop.Till": False, "acme.Vfs": True}


def test_what_rules_say_of_stubs_is_never_a_plain_no(
    write: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rule for a stub has a row, whatever is asked for; data may pass there and back."""

    def kss(*arguments: str) -> str:
        command = ["kss", *arguments, "-I", str(write.parent), "--stub"]
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit):
            cli.main()
        return capsys.readouterr().out

    head = PRELUDE.replace("use EDL shop.Till", "")
    grants = """
    request src=Einit, dst=acme.Vfs, endpoint=fs.File, method=Open { assert (message.a == 1) }
    response src=acme.Vfs, dst=Einit { grant () }
    request src=Einit, dst=kl.core.Core, endpoint=vmm.VMM, method=Map { grant () }
    request src=Einit, dst=kl.core.Core, endpoint=task.Task, method=Freeze { grant () }
    request src=kl.core.Core, dst=acme.Vfs { deny () }
    """
    write.write_text(head + grants)
    found = json.loads(kss("query", str(write), "--granted", "--kind", "request", "--json"))
    assert [
        (r["src"], r["dst"], r["endpoint"], r["method"], r["verdict"]) for r in found["rows"]
    ] == [
        ("Einit", "kl.core.Core", "vmm.VMM", "Map", "not known"),
        ("Einit", "kl.core.Core", "task.Task", "Freeze", "not known"),
        ("Einit", "acme.Vfs", "fs.File", "Open", "not known"),
    ]
    assert list(found["stubs"]) == ["kl.core.Core", "acme.Vfs"]
    assert "fs.File.Open" in kss("query", str(write), "--endpoint", "fs.File")
    there = kss("flow", str(write), "Einit", "acme.Vfs").splitlines()
    assert there[:2] == [
        "Einit -> acme.Vfs",
        f"    request fs.File.Open: not known, {write}:9; denied as long as files of acme.Vfs lack",
    ]
    back = kss("flow", str(write), "acme.Vfs", "Einit").splitlines()
    assert back[0] == "acme.Vfs -> Einit" and back[1].startswith("    response anything: not known")
    write.write_text(head)  # nothing is for it: certain
    assert kss("flow", str(write), "Einit", "acme.Vfs").startswith("no path")


def test_query_does_not_call_what_kss_ships_a_stub(
    write: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write.write_text("use nk.base._\nuse EDL kl.core.Core\nuse EDL Einit\nrequest { grant () }\n")
    monkeypatch.setattr("sys.argv", ["kss", "query", str(write), "--stub", "--granted"])
    with pytest.raises(SystemExit):
        cli.main()
    out = capsys.readouterr().out
    assert "granted" in out and "stub" not in out


def brief(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.rule, finding.text) for finding in found if finding.severity == "error"]


def test_each_missing_file_is_noted_once(write: Path) -> None:
    found = check(
        write,
        """
        execute { grant () }
        request dst=acme.Vfs { grant () }
        request dst=acme.Vfs, endpoint=any.thing, method=Whatever { grant () }
        request src=acme.Vfs, dst=shop.Till, component=acme.Log, method=Write { grant () }
        request src=acme.Driver dst=shop.Till, endpoint=log.entry { grant () }
        response src=acme.Driver, interface=acme.IDriver, method=Get { grant () }
        security src=acme.Driver, method=Register { grant () }
        """,
    )
    assert {finding.severity for finding in found} == {"note"}
    noted = [(finding.rule, finding.text) for finding in found]
    assert noted == [
        ("STUB-001", "acme.Log"),
        ("STUB-001", "acme.Types"),
        ("STUB-001", "acme.INet"),
        ("STUB-001", "acme.Vfs"),
        ("STUB-002", "acme.Driver"),
        ("STUB-005", "log.entry"),
        ("STUB-001", "acme.IDriver"),
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("request dst=shop.Tlil { grant () }", ("PSL-012", "shop.Tlil")),
        ("request dst=Eint { grant () }", ("PSL-012", "Eint")),
        ("request dst=shop.Till, endpoint=drawer, method=Opne { grant () }", ("PSL-016", "Opne")),
        ("request interface=shop.IDrawer, method=Opne { grant () }", ("PSL-016", "Opne")),
        (
            "request dst=shop.Till endpoint=drawer method=Open { assert (message.summ == 1) }",
            ("PSL-033", "message.summ"),
        ),
        (
            "request dst=shop.Till endpoint=drawer method=Fill { assert (message.plain) }",
            ("PSL-030", "message.plain"),
        ),
        ("request interface=shop.IDrawr { grant () }", ("PSL-013", "shop.IDrawr")),
        ("request dst=shop.Till component=shop.Bel { grant () }", ("PSL-014", "shop.Bel")),
        ("request dst=acme.Vfs { grnt () }", ("PSL-023", "grnt")),
        ("request dst=acme.Vfs { door.enter { sid : 1 } }", ("PSL-022", "door.enter")),
        ("execute dst=acme.Vfs, endpoint=x { grant () }", ("PSL-017", "endpoint")),
        ("request { assert (true + 1 == message.x) }", ("PSL-030", "1")),
        ("use nk.flaw._", ("PSL-003", "nk.flaw._")),
    ],
)
def test_what_is_known_is_checked(text: str, error: tuple[str, str], write: Path) -> None:
    assert brief(check(write, text)) == [error]


def test_without_stub_mode_the_same_is_wrong(write: Path) -> None:
    write.write_text(PRELUDE)
    rules = {f.rule for f in check_policy(write) if f.severity == "error"}
    assert rules == {"EDL-004", "EDL-005", "EDL-009", "IDL-011"}


def test_rules_that_hang_on_a_stub_are_noted(write: Path) -> None:
    text = """
    request dst=acme.Vfs, method=Read { assert (message.size < 10) }
    request dst=shop.Till endpoint=drawer method=Fill { assert (message.money == 1) grant () }
    request dst=kl.core.Core endpoint=task.Task method=Create { assert (message.size == 1) }
    """
    found = check(write, text)
    assert not brief(found)
    hanging = [finding.text for finding in found if finding.rule == "STUB-004"]
    assert hanging == [
        "assert (message.size < 10)",
        "assert (message.money == 1)",
        "assert (message.size == 1)",
    ]


def test_the_sdk_may_have_more_than_we_describe(write: Path) -> None:
    found = check(write, "request dst=kl.core.Core endpoint=vmm.VMM method=Map { grant () }")
    noted = [(f.text, f.help) for f in found if f.rule == "STUB-005"]
    assert [text for text, _ in noted] == ["vmm.VMM"]  # what it has is not known either
    found = check(write, "request dst=kl.core.Core endpoint=task.Tsak { grant () }")
    assert [f.help for f in found if f.rule == "STUB-005"] == ["did you mean 'task.Task'?"]


def test_what_a_class_may_have_is_noted_once_and_told_by_whose_it_is(write: Path) -> None:
    """KSS describes the kernel; a class of one's own lacks a component that is not there."""
    found = check(
        write,
        """
        request dst=kl.core.Core endpoint=vmm.VMM method=Map { grant () }
        response src=kl.core.Core endpoint=vmm.VMM method=Map { grant () }
        request dst=kl.core.Core endpoint=task.Task method=Freeze { grant () }
        request dst=shop.Till endpoint=log.entry method=Put { grant () }
        request src=Einit dst=shop.Till { match endpoint=log.entry { grant () } }
        """,
    )
    assert [finding.message for finding in found if finding.rule == "STUB-005"] == [
        "kl.core.Core, as KSS describes it, has no endpoint vmm.VMM: trusted",
        "kl.core.Core, as KSS describes it, has no method Freeze: trusted",
        "shop.Till has no endpoint log.entry in the files that are there: trusted",
    ]


def test_missing_parts_of_a_policy(write: Path) -> None:
    """They are noted by a check; to run such a policy is refused, for they may hold rules."""
    text = "use parts.more._\n  @EXTRA_RULES@  \n@INIT_EXTERNAL_ENTITIES@\nrequest { grant () }\n"
    found = check(write, text)
    noted = {f.text for f in found if f.rule == "STUB-003"}
    assert noted == {"parts.more._", "@EXTRA_RULES@", "@INIT_EXTERNAL_ENTITIES@"}
    with pytest.raises(DescriptionError) as error:
        load_policy(write, stub=True)
    refused = [f for f in error.value.findings if f.severity == "error"]
    assert {f.rule for f in refused} == {"PSL-009"} and len(refused) == 2


def test_what_lacks_in_a_description_is_noted(write: Path) -> None:
    bell = write.parent / "shop" / "Bell.cdl"
    bell.write_text(bell.read_text() + "@MORE@\n")
    (note,) = [f for f in check(write, "execute { grant () }") if f.rule == "STUB-003"]
    assert (Path(note.file).name, note.line, note.text) == ("Bell.cdl", 3, "@MORE@")
    with pytest.raises(DescriptionError):
        load_policy(write, stub=True)


def test_placeholders_elsewhere_are_errors(write: Path) -> None:
    assert brief(check(write, "request dst=acme.@X@ { grant () }")) == [("SRC-005", "@X@")]


def test_a_fragment_is_checked(write: Path) -> None:
    """A file that others include need not name nk.base, nor declare every class."""
    text = "use EDL shop.Till\nrequest src=acme.App dst=shop.Till { grant () }\n"
    found = check(write, text, prelude="")
    assert not brief(found)
    assert {"STUB-006", "STUB-002"} <= {finding.rule for finding in found}


# ---- at run time


@pytest.fixture
def policy(write: Path) -> Policy:
    write.write_text(
        PRELUDE
        + """
        execute { grant () }
        request { grant () }
        response { grant () }
        request dst=shop.Till endpoint=drawer method=Open { assert (message.sum < 10) }
        request dst=acme.Vfs, endpoint=fs.File { assert (message.size < 10) }
        response src=acme.Vfs { grant () }
        request src=acme.Vfs, method=Open { assert (message.whatever == 1) }
        request dst=shop.Till, interface=acme.IOther { deny () }
        """
    )
    return load_policy(write, stub=True)


def index(policy: Policy, name: str) -> int:
    return policy.classes.index(name)


def ask(policy: Policy, src: str, dst: str, data: bytes, kind: Kind = Kind.REQUEST) -> Event:
    return Event(kind, index(policy, src), index(policy, dst), 1, 2, data)


def message(policy: Policy, endpoint: str, method: str, **values: object) -> bytes:
    found = policy.layout("shop.Till").endpoint(endpoint)
    assert found is not None
    called = found.interface.method(method)
    assert called is not None
    return encode(called.request, values, riid=found.riid, mid=called.mid)


def test_known_methods_work(policy: Policy, start: Start) -> None:
    engine = start(policy)
    for amount, granted in ((9, True), (10, False)):
        data = message(policy, "drawer", "Open", sum=amount)
        assert engine.judge(ask(policy, "Einit", "shop.Till", data)).granted is granted


def test_a_stub_grants_nothing(policy: Policy, start: Start) -> None:
    """Whatever is sent to a stub or by it, and every message with a value of unknown type."""
    engine = start(policy)
    for data in (bytes(8), bytes(64), message(policy, "drawer", "Open", sum=1)):
        for src, dst in (("Einit", "acme.Vfs"), ("acme.Vfs", "Einit")):
            for kind in (Kind.REQUEST, Kind.RESPONSE, Kind.ERROR):
                decision = engine.judge(ask(policy, src, dst, data, kind))
                assert not decision.granted
                if dst == "acme.Vfs" or kind is not Kind.REQUEST:
                    assert decision.reason is Reason.MALFORMED
    fill = message(policy, "drawer", "Fill", plain=1)
    decision = engine.judge(ask(policy, "Einit", "shop.Till", fill))
    assert (decision.granted, decision.reason) == (False, Reason.MALFORMED)


def test_a_rule_that_cannot_be_checked_denies(policy: Policy, start: Start) -> None:
    """`request { grant () }` alone would grant this."""
    engine = start(policy)
    data = message(policy, "drawer", "Open", sum=1)
    assert engine.judge(ask(policy, "Einit", "shop.Till", data)).granted
    decision = engine.judge(ask(policy, "acme.Vfs", "shop.Till", data))
    assert (decision.granted, decision.reason) == (False, Reason.RULES)
    denied = policy.rules[decision.calls[-1][0]]
    assert (denied.text, denied.method) == ("assert (message.whatever == 1)", "stub")
