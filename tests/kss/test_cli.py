"""The commands by what they print and the codes they exit with."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kss import cli
from kss.rules import RULES
from kss.trail import Trail
from typer import Typer
from typer.main import get_command
from typer.testing import CliRunner

import khs
from tests.kss.conftest import LIB, PRELUDE

POLICY = (
    PRELUDE
    + """
policy object life : Flow {
  type State = "idle" | "busy"
  config = { states : ["idle", "busy"], initial : "idle", transitions : { "idle" : ["busy"] } } }
execute { grant () }
execute dst=bank.Teller { life.init { sid : dst_sid } }
request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open {
  life.enter { sid : src_sid, state : "busy" }
  assert (message.items.[0].id == 1)
}
security src=bank.Vault, method=Clear { life.fini { sid : message.h.handle } }
"""
)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "security.psl"
    path.write_text(POLICY)
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object, stdin: str = "") -> int:
    monkeypatch.setattr("sys.argv", ["kss", *map(str, arguments)])
    monkeypatch.setattr(
        "sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode("utf-8", "surrogateescape")))
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code if isinstance(end.value.code, int) else 0


def test_what_is_no_file_is_told_as_what_it_is(
    tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (Path(os.devnull), "/dev/null is no regular file"),
        (tmp_path, f"{tmp_path} is a folder"),
        (
            tmp_path / "pipe",
            "pipe is a pipe, which cannot be read twice\n  help: write it to a file",
        ),
        (tmp_path / "none", f"there is no file {tmp_path}/none"),
        (Path("x" * 5000), "File name too long"),
    ):
        assert run(monkeypatch, "check", path) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize("name", [".", "..", "", "a..b", "a."])
def test_what_is_no_name_of_a_class_is_not_found(name: str, monkeypatch: Any, capsys: Any) -> None:
    assert run(monkeypatch, "layout", name) == 2
    assert f"there is no process class {name}" in capsys.readouterr().err
    assert run(monkeypatch, "cgen", name, "-o", os.devnull) == 2
    assert "defect" not in capsys.readouterr().err


class TestCheck:
    def test_fine(self, policy: Path, monkeypatch: Any, capsys: Any) -> None:
        assert run(monkeypatch, "check", policy, "-I", LIB) == 0
        assert capsys.readouterr().out == "0 errors, 0 warnings\n"
        assert run(monkeypatch, "check", policy, "-I", LIB, "--format", "json") == 0
        assert json.loads(capsys.readouterr().out) == {"ok": True, "findings": []}

    def test_findings(self, policy: Path, monkeypatch: Any, capsys: Any) -> None:
        policy.write_text(PRELUDE + "request src=bank.Teler { grant () }\n")
        assert run(monkeypatch, "check", policy, "-I", LIB, "--json") == 1
        shown = json.loads(capsys.readouterr().out)
        assert shown["ok"] is False
        assert shown["findings"] == [
            {
                "rule": "PSL-012",
                "severity": "error",
                "file": str(policy),
                "line": 7,
                "column": 13,
                "message": "unknown class bank.Teler",
                "help": "did you mean 'bank.Teller'?",
                "text": "bank.Teler",
            }
        ]
        assert run(monkeypatch, "check", policy, "-I", LIB) == 1
        text = capsys.readouterr().out.split("\n")
        assert text[0] == f"{policy}:7:13: error PSL-012: unknown class bank.Teler"
        assert text[1:] == [
            "    request src=bank.Teler { grant () }",
            "                ^^^^^^^^^^",
            "  help: did you mean 'bank.Teller'?",
            "1 error, 0 warnings",
            "",
        ]

    def test_warnings_alone_are_fine(self, policy: Path, monkeypatch: Any, capsys: Any) -> None:
        policy.write_text(PRELUDE + "execute { grant () } request method=Open { grant () }\n")
        assert run(monkeypatch, "check", policy, "-I", LIB, "--json") == 0
        shown = json.loads(capsys.readouterr().out)
        assert [(f["severity"], f["rule"]) for f in shown["findings"]] == [("warning", "PSL-019")]

    def test_no_such_file(self, monkeypatch: Any, capsys: Any) -> None:
        assert run(monkeypatch, "check", "nowhere.psl") == 2
        assert capsys.readouterr().err == "kss: error: there is no file nowhere.psl\n"

    @pytest.mark.parametrize("arguments", [["check"], ["chek", "x"], ["check", "--what"]])
    def test_usage(self, arguments: list[str], monkeypatch: Any, capsys: Any) -> None:
        assert run(monkeypatch, *arguments) == 2
        assert "Usage" in capsys.readouterr().err


class TestRules:
    def test_all(self, monkeypatch: Any, capsys: Any) -> None:
        assert run(monkeypatch, "rules") == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split("  ", 1) for line in lines] == [[rule, RULES[rule]] for rule in RULES]

    def test_some(self, monkeypatch: Any, capsys: Any) -> None:
        assert run(monkeypatch, "rules", "edl-00", "--json") == 0
        shown = json.loads(capsys.readouterr().out)["rules"]
        assert {row["rule"] for row in shown} == {r for r in RULES if r.startswith("EDL-00")}
        assert all(row["text"] == RULES[row["rule"]] for row in shown)

    def test_none(self, monkeypatch: Any, capsys: Any) -> None:
        assert run(monkeypatch, "rules", "PSL-12") == 2
        assert "there is no rule PSL-12\n  help: did you mean 'PSL-012'?" in capsys.readouterr().err


class TestLayout:
    @pytest.mark.parametrize("what", ["bank.Vault", LIB / "bank/Vault.edl"])
    def test_class(self, what: object, monkeypatch: Any, capsys: Any) -> None:
        include = ["-I", LIB] if isinstance(what, str) else []
        assert run(monkeypatch, "layout", what, *include) == 0
        golden = json.loads((Path(__file__).parent / "vault_layout.json").read_text())
        assert json.loads(capsys.readouterr().out) == golden

    def test_interface(self, monkeypatch: Any, capsys: Any) -> None:
        assert run(monkeypatch, "layout", LIB / "bank/IBolt.idl") == 0
        golden = json.loads((Path(__file__).parent / "vault_layout.json").read_text())
        offered = golden["endpoints"][0]
        assert json.loads(capsys.readouterr().out) == {
            key: offered[key] for key in ("interface", "methods")
        }

    def test_kernel(self, monkeypatch: Any, capsys: Any) -> None:
        assert run(monkeypatch, "layout", "kl.core.Core", "--json") == 0
        shown = json.loads(capsys.readouterr().out)
        console = shown["endpoints"][4]["methods"][0]
        assert console["in"] == {
            "size": 16,
            "arena": 256,
            "handles": 0,
            "fields": [{"name": "text", "offset": 8, "size": 8, "type": "bytes<256>"}],
        }
        assert console["error"] == {"size": 8, "arena": 0, "handles": 0, "fields": []}

    def test_unknown(self, monkeypatch: Any, capsys: Any) -> None:
        assert run(monkeypatch, "layout", "kl.core.Cor") == 2
        assert "did you mean 'kl.core.Core'?" in capsys.readouterr().err
        assert run(monkeypatch, "layout", "nowhere/X.edl") == 2


EVENTS = [
    {"event": "execute", "dst": "kl.core.Core"},
    {"event": "execute", "src": "Einit", "dst": "bank.Teller", "as": "first"},
    {"event": "execute", "src": "Einit", "dst": "bank.Teller", "as": "second"},
    {
        "event": "request",
        "src": "first",
        "dst": "bank.Vault",
        "endpoint": "door",
        "method": "Open",
        "message": {"items": [{"id": 1}], "raw": "0aff", "key": {"handle": "second", "rights": 1}},
    },
    {"event": "request", "src": "first", "dst": "bank.Vault", "endpoint": "door", "method": "Open"},
    {
        "event": "request",
        "src": "bank.Teller",
        "dst": "bank.Vault",
        "endpoint": "door",
        "method": "Open",
        "message": {},
    },
    {
        "event": "security",
        "src": "bank.Vault",
        "method": "Clear",
        "message": {"h": {"handle": "first"}},
    },
    {
        "event": "security",
        "src": "bank.Vault",
        "method": "Clear",
        "message": {"h": {"handle": "first"}},
    },
    {
        "event": "request",
        "src": "first",
        "dst": "bank.Vault",
        "component": "bank.Front",
        "method": "Turn",
    },
    {
        "event": "request",
        "src": "first",
        "dst": "bank.Vault",
        "endpoint": "door",
        "method": "Open",
        "message": {"pin": "123456789"},
    },
]


class TestEval:
    def test_verdicts(self, policy: Path, monkeypatch: Any, capsys: Any) -> None:
        lines = "\n".join(json.dumps(event) for event in EVENTS)
        arguments = ["eval", policy, "-I", LIB, "--events", "-", "--engine", "reference"]
        assert run(monkeypatch, *arguments, stdin=lines) == 0
        shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        verdicts = [
            (s["verdict"], s["reason"], "".join(rule["result"][0] for rule in s["rules"]))
            for s in shown
        ]
        assert verdicts == [
            ("granted", "rules", "g"),
            ("granted", "rules", "gg"),
            ("granted", "rules", "gg"),
            ("granted", "rules", "gg"),
            ("denied", "error", "df"),
            ("denied", "error", "gf"),
            ("granted", "rules", "g"),
            ("denied", "rules", "d"),
            ("denied", "default", ""),
            ("denied", "malformed", ""),
        ]
        assert shown[3]["rules"][0] == {
            "file": str(policy),
            "line": 14,
            "object": "life",
            "method": "enter",
            "result": "granted",
        }

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("{", "no JSON"),
            ("[]", "an event is a JSON object"),
            ("{}", "event is missing"),
            ('{"event": "reqest"}', "did you mean 'request'?"),
            ('{"event": "request", "source": 1}', "request events have no key source"),
            ('{"event": "request", "src": 1}', "src is a text"),
            ('{"event": "execute", "dst": "bank.Teler"}', "did you mean 'bank.Teller'?"),
            (
                '{"event": "request", "src": "bank.Teller", "dst": "x"}',
                "dst: no process or class x",
            ),
            (
                '{"event": "request", "src": "bank.Teller", "dst": "bank.Vault", "method": "Turn"}',
                "several methods Turn; name one endpoint: endpoint front.lock.bolt (component "
                "bank.Lock, interface bank.IBolt), endpoint front.bell (component bank.Front, ",
            ),
            (
                '{"event": "request", "src": "bank.Teller", "dst": "bank.Vault", "endpoint": "door",'
                ' "method": "Opn"}',
                "bank.Vault has no method Opn; did you mean 'Open'?",
            ),
            (
                '{"event": "request", "src": "bank.Teller", "dst": "bank.Vault", "endpoint": "door",'
                ' "method": "Open", "message": {"small": 256}}',
                "small: 256 does not fit UInt8",
            ),
            (
                '{"event": "security", "src": "bank.Vault", "method": "Clear",'
                ' "message": {"h": {"handle": "nobody"}}}',
                "no process or class nobody",
            ),
            ('{"event": "execute", "dst": "\udcff"}', "unknown class"),
            (
                '{"event": "execute", "dst": "Einit", "method": "Main"}',
                "method: a start is a call of kl.core.Execute, main, without parameters, not 'Main'",
            ),
            (
                '{"event": "execute", "dst": "Einit", "message": {"a": 1}}',
                "message: a start is a call of kl.core.Execute, main, without parameters",
            ),
            (
                '{"event": "execute", "dst": "Einit", "endpoint": "door"}',
                "execute events have no key endpoint: kl.core.Execute is at no endpoint",
            ),
            (
                '{"event": "security", "src": "bank.Vault", "dst": "Einit", "method": "Clear"}',
                "security events have no key dst: who is asked is the security monitor",
            ),
            (
                '{"event": "request", "src": "Einit", "dst": "bank.Vault", "as": "x"}',
                "request events have no key as: only execute starts a process",
            ),
            ('{"event": "execute", "dst": "Einit", "when": null}', "events have no key when"),
            ('{"event": null}', "event is missing"),
            (
                '{"event": "execute", "dst": "bank.Vault", "dst": "Einit"}',
                "no JSON: the key 'dst' is given twice",
            ),
            (
                '{"event": "security", "src": "bank.Vault", "method": "Clear",'
                ' "message": {"h": {"handle": 1, "rights": 1, "handle": 2}}}',
                "no JSON: the key 'handle' is given twice",
            ),
            ('{"event": NaN}', "no JSON: NaN is no number of JSON"),
            ("[" * 100_000, "no JSON: lists and objects nest more than 100 deep"),
            (
                '{"event": "execute", "dst": "Einit", "message": ' + "[" * 500 + "]" * 500 + "}",
                "no JSON: lists and objects nest more than 100 deep",
            ),
            (
                '{"event": "execute", "dst": ' + "9" * 5000 + "}",
                "no JSON: an integer of 5000 digits, at most 1000",
            ),
            (
                '{"event": "request", "src": "bank.Teller", "dst": "bank.Vault", "endpoint": "door",'
                ' "method": "Open", "message": {"pin": "x\\ud800"}}',
                "pin: U+D800, half of a surrogate pair, is no character of a text",
            ),
            (
                '{"event": "execute", "dst": "\\ud800", "as": "\\udfff"}',
                "dst: unknown class \ud800",
            ),
            (
                '{"event": "security", "src": "bank.Vault", "endpoint": "guard", "method": "Clear"}',
                "security events have no key endpoint",
            ),
            (
                '{"event": "request", "src": "bank.Teller", "dst": "bank.Vault", "endpoint": "door",'
                ' "component": "bank.Lock", "method": "Turn"}',
                "no method Turn with component bank.Lock and endpoint door; it is at endpoint front",
            ),
        ],
    )
    def test_lines_that_are_no_event(
        self, line: str, words: str, policy: Path, monkeypatch: Any, capsys: Any
    ) -> None:
        lines = f'{line}\n\n{{"event": "execute", "dst": "Einit"}}\n'
        arguments = ["eval", policy, "-I", LIB, "--events", "-", "--engine", "reference"]
        assert run(monkeypatch, *arguments, stdin=lines) == 2
        first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
        assert words in first["error"] and first["error"].startswith("line 1: ")
        assert second["verdict"] == "granted"

    @pytest.mark.parametrize("method", ["", "Open"])
    def test_what_explain_tells_of_an_event_is_one(
        self, method: str, policy: Path, monkeypatch: Any, capsys: Any
    ) -> None:
        """Selectors that an event does not have are null there, and absent here."""
        started = {"event": "execute", "src": "kl.core.Core", "dst": "bank.Vault"}
        asked = {"event": "request", "src": "Einit", "dst": "bank.Vault", "endpoint": "door"}
        event = json.dumps({**asked, "method": method} if method else started)
        assert run(monkeypatch, "explain", policy, "-I", LIB, "--event", event, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert None in told["event"].values()
        arguments = ["eval", policy, "-I", LIB, "--events", "-", "--engine", "reference"]
        assert run(monkeypatch, *arguments, stdin=json.dumps(told["event"])) == 0
        assert json.loads(capsys.readouterr().out)["verdict"] == told["verdict"]

    def test_a_start_may_name_the_method_that_it_is(
        self, policy: Path, monkeypatch: Any, capsys: Any
    ) -> None:
        named = {"interface": "kl.core.Execute", "method": "main", "message": {}}
        event = json.dumps({"event": "execute", "dst": "Einit", **named})
        arguments = ["eval", policy, "-I", LIB, "--events", "-", "--engine", "reference"]
        assert run(monkeypatch, *arguments, stdin=event) == 0
        assert json.loads(capsys.readouterr().out)["verdict"] == "granted"

    @pytest.mark.parametrize(
        "given",
        [
            {"endpoint": "front.lock.bolt"},
            {"endpoint": "front.lock.bolt", "component": "bank.Lock", "interface": "bank.IBolt"},
            {"endpoint": "bolt", "component": "front.lock"},
            {"component": "front.lock"},
            {"component": "front", "interface": "bank.IBolt"},
            {"component": "bank.Front"},
        ],
    )
    def test_how_a_method_is_named(
        self, given: dict[str, str], policy: Path, monkeypatch: Any, capsys: Any
    ) -> None:
        """Each of these leaves one method of bank.Vault."""
        policy.write_text(
            PRELUDE + "execute { grant () } request endpoint=front.lock.bolt { grant () }\n"
            "request component=bank.Front { grant () }"
        )
        event = {"event": "request", "src": "bank.Teller", "dst": "bank.Vault", "method": "Turn"}
        arguments = ["eval", policy, "-I", LIB, "--events", "-", "--engine", "reference"]
        assert run(monkeypatch, *arguments, stdin=json.dumps({**event, **given})) == 0
        shown = json.loads(capsys.readouterr().out)
        inner = "lock" in json.dumps(given)
        assert [rule["line"] for rule in shown["rules"]] == [7 if inner else 8]

    @pytest.mark.parametrize(
        "given",
        [
            {"method": "front.Clear"},
            {"method": "Clear", "component": "front"},
            {"method": "front.Clear", "component": "bank.Front"},
        ],
    )
    def test_how_a_security_method_is_named(
        self, given: dict[str, str], policy: Path, monkeypatch: Any, capsys: Any
    ) -> None:
        policy.write_text(PRELUDE + "execute { grant () } security method=front.Clear { grant () }")
        event = {"event": "security", "src": "bank.Vault", **given}
        arguments = ["eval", policy, "-I", LIB, "--events", "-", "--engine", "reference"]
        assert run(monkeypatch, *arguments, stdin=json.dumps(event)) == 0
        assert json.loads(capsys.readouterr().out)["verdict"] == "granted"

    def test_bad_policy_or_events(self, policy: Path, monkeypatch: Any, capsys: Any) -> None:
        arguments = ["eval", policy, "-I", LIB, "--engine", "reference", "--events"]
        assert run(monkeypatch, *arguments, policy.parent / "none") == 2
        policy.write_text("request {")
        assert run(monkeypatch, *arguments, "-") == 2
        assert "SRC-003" in capsys.readouterr().err


class TestCgen:
    def test_header(self, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
        path = tmp_path / "door.h"
        command = ["cgen", "bank.IDoor", "-I", LIB, "--class", "bank.Vault", "-o", path]
        assert run(monkeypatch, *command) == 0
        assert "#define bank_Vault_door_riid 3u" in path.read_text()
        again = tmp_path / "again.h"
        file = LIB / "bank/IDoor.idl"
        assert run(monkeypatch, "cgen", file, "--class", "bank.Vault", "-I", LIB, "-o", again) == 0
        assert again.read_text() == path.read_text()

    def test_bad_input(self, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
        assert run(monkeypatch, "cgen", "bank.IDoor", "-o", tmp_path / "x.h") == 2
        assert "there is no interface bank.IDoor" in capsys.readouterr().err
        where = tmp_path / "no" / "x.h"
        assert run(monkeypatch, "cgen", "bank.IDoor", "-I", LIB, "-o", where) == 2
        assert "cannot write" in capsys.readouterr().err


def test_defects_of_ours_exit_3(policy: Path, monkeypatch: Any, capsys: Any) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("kss.api.check", broken)
    assert run(monkeypatch, "check", policy) == 3
    assert "this is a defect of kss: ZeroDivisionError" in capsys.readouterr().err


def test_interrupted(policy: Path, monkeypatch: Any, capsys: Any) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kss.api.check", interrupted)
    assert run(monkeypatch, "check", policy) == 130
    assert capsys.readouterr().err == "kss: interrupted\n"


class TestErrorsAsJson:
    """With --json stdout is JSON even if the command cannot do its work."""

    COMMANDS = (
        ["check", "nowhere.psl", "--json"],
        ["check", "nowhere.psl", "--format", "json"],
        ["eval", "nowhere.psl", "--events", "-", "--json"],
        ["layout", "no.Where", "--json"],
        ["cgen", "no.Where", "-o", "x.h", "--json"],
    )

    @pytest.mark.parametrize("arguments", COMMANDS)
    def test_bad_input(self, arguments: list[str], monkeypatch: Any, capsys: Any) -> None:
        assert run(monkeypatch, *arguments) == 2
        shown = capsys.readouterr()
        document = json.loads(shown.out)
        assert document["ok"] is False
        assert arguments[1] in document["error"] and arguments[1] in shown.err

    def test_findings_where_a_policy_is_needed(
        self, policy: Path, monkeypatch: Any, capsys: Any
    ) -> None:
        policy.write_text(PRELUDE + "request src=bank.Teler { grant () }\n")
        arguments = ["eval", policy, "-I", LIB, "--events", "-", "--json"]
        assert run(monkeypatch, *arguments) == 2
        (finding,) = json.loads(capsys.readouterr().out)["findings"]
        assert (finding["rule"], finding["line"]) == ("PSL-012", 7)


def commands(group: Typer, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for each in group.registered_commands:
        yield (*path, str(each.name))
    for inner in group.registered_groups:
        assert inner.typer_instance
        yield from commands(inner.typer_instance, (*path, str(inner.name)))


class TestHelp:
    @pytest.mark.parametrize("path", list(commands(cli.app)), ids=" ".join)
    def test_examples_stand_each_on_a_line_of_80_columns(self, path: tuple[str, ...]) -> None:
        """As they are written: what is too long for its line cannot be copied."""
        command: Any = get_command(cli.app)
        for name in path:
            command = command.commands[name]
        examples = [
            line.strip()
            for block in (command.help or "").split("```")[1::2]
            for line in block.strip().split("\n")
        ]
        shown = CliRunner().invoke(cli.app, [*path, "-h"], env={"COLUMNS": "80"}).output
        lines = [line.strip() for line in shown.split("\n")]
        assert examples and all(example in lines for example in examples), shown

    def test_top(self, monkeypatch: Any, capsys: Any) -> None:
        for option in ("-h", "--help"):
            assert run(monkeypatch, option) == 0
            shown = " ".join(capsys.readouterr().out.split())
            assert "0 fine, 1 findings, 2 bad input or usage, 3 a defect of kss, 130" in shown
            assert "kss check security.psl -I interfaces" in shown

    def test_every_command_has_an_example(self, monkeypatch: Any, capsys: Any) -> None:
        from typer.main import get_command

        def commands(group: Any, *words: str) -> Iterator[tuple[str, ...]]:
            for name, command in group.commands.items():
                if hasattr(command, "commands"):
                    yield from commands(command, *words, name)
                else:
                    yield (*words, name)

        for words in commands(get_command(cli.app)):
            assert run(monkeypatch, *words, "-h") == 0
            lines = capsys.readouterr().out.splitlines()
            example = rf"  (echo .*\| )?kss {' '.join(words)} "
            assert [line for line in lines if re.match(example, line)], words

    def test_version_is_that_of_khs(self, monkeypatch: Any, capsys: Any) -> None:
        assert run(monkeypatch, "--version") == 0
        assert capsys.readouterr().out == f"kss {khs.__version__}\n"


def test_an_unknown_rule_is_told_with_every_beginning(monkeypatch: Any, capsys: Any) -> None:
    assert run(monkeypatch, "rules", "NOPE-1") == 2
    error = capsys.readouterr().err
    for beginning in {rule.partition("-")[0] for rule in RULES}:
        assert beginning in error


def test_a_reader_that_has_enough_of_a_trail_is_no_error(
    monkeypatch: Any, capsys: Any, tmp_path: Path
) -> None:
    with Trail(tmp_path / "trail.jsonl") as trail:
        trail.append({"decision": "denied"})

    def closed(record: object) -> str:
        raise BrokenPipeError

    monkeypatch.setattr("kss.trail.text.line", closed)
    monkeypatch.setattr("os.dup2", lambda *descriptors: None)
    monkeypatch.setattr("sys.stdout.fileno", lambda: 1, raising=False)
    assert run(monkeypatch, "audit", "show", tmp_path / "trail.jsonl") == 0
    assert "cannot read" not in capsys.readouterr().err
