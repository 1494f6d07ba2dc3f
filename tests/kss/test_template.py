"""Template text: placeholders and conditions, with places of the file and not of what came out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kss.api import Policy, load_policy
from kss.errors import DescriptionError, Finding, Findings
from kss.source import MAX_FILE, Source
from kss.template import Template

from tests.kss.conftest import LIB


def expanded(text: str, **defines: str) -> Source:
    findings = Findings()
    source = Template(defines).expand(Source("t.psl", text), findings)
    assert not findings.items, findings.items
    return source


def wrong(text: str, **defines: str) -> list[str]:
    findings = Findings()
    Template(defines).expand(Source("t.psl", text), findings)
    assert all(finding.rule == "SRC-008" for finding in findings.items)
    return [f"{f.line}:{f.column} {f.message}" for f in findings.items]


def test_placeholders_within_names_and_on_lines_of_their_own() -> None:
    text = "use EDL demo.@MAIN@\n// by @WHO@, not @ANY@\n@LINES@\nrequest src=@A@@B@.C {\n"
    lines = "use EDL a.B\nuse EDL c.D"
    source = expanded(text, MAIN="App", WHO="me", LINES=lines, A="x", B="y")
    assert source.text == (f"use EDL demo.App\n// by me, not @ANY@\n{lines}\nrequest src=xy.C {{\n")


def test_what_a_name_stands_for_is_not_expanded_again() -> None:
    assert expanded("@A@", A="@B@{% if %}", B="x").text == "@B@{% if %}"


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('X == "a"', True),
        ("X == 'a'", True),
        ('"a" != X', False),
        ("X", True),
        ("Y", False),
        ("Z", False),
        ("not Z", True),
        ("not not X", True),
        ('X == "b" or X == "a"', True),
        ('X == "a" and Y == "b"', False),
        ('not (X == "b" and X == "a") and Y == ""', True),
        ('X == "b" or Y == "" and X == "a"', True),
        ("X == Y", False),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    text = expanded(f"a{{% if {condition} %}}b{{% else %}}c{{% endif %}}d", X="a", Y="").text
    assert text == ("abd" if holds else "acd")


def test_the_first_branch_that_holds() -> None:
    text = '{%if B=="x"%}1{% elif B == "y" %}2{% elif C == "?" %}3{%- else -%}4{% endif %}'
    assert [expanded(text, B=value, C="?").text for value in "xyz"] == ["1", "2", "3"]
    assert expanded(text, B="", C="").text == "4"
    assert expanded(text, B="y").text == "2"  # what comes after it is not asked


def test_conditions_within_conditions() -> None:
    text = '{% if A == "1" %}a{% if B %}b{% else %}c{% endif %}{% else %}{% if B %}d{% endif %}{% endif %}'
    found = [expanded(text, A=a, B=b).text for a in "12" for b in ("1", "")]
    assert found == ["ab", "ac", "d", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('x\n {% if A == "a" %}', "2:2 {% if %} is not closed"),
        ("{% endif %}", "1:1 {% endif %} without {% if %}"),
        ("{% else %}", "1:1 {% else %} without {% if %}"),
        ("{% if A %}{% else %}{% elif A %}{% endif %}", "1:21 {% elif %} after {% else %}"),
        ('{% if U == "a" %}{% endif %}', "1:1 U is not defined; give it with --define U=TEXT"),
        ("{% for x in y %}", "1:1 unknown tag 'for'"),
        ("{% if %}{% endif %}", "1:1 the condition is missing or ends too early"),
        ('{% if "a" %}{% endif %}', "1:1 a text is no condition: compare it with a name"),
        ("{% if A = B %}{% endif %}", "1:1 unexpected = in the condition"),
        ("{% if A == %}{% endif %}", "1:1 the condition is missing or ends too early"),
        ("{% if (A %}{% endif %}", "1:1 ')' is missing in the condition"),
        ("{% if 1 %}{% endif %}", "1:1 unexpected 1 in the condition"),
        ("{% if A B %}{% endif %}", "1:1 unexpected B in the condition"),
        ("{% if A\n%}", "1:1 the tag is not closed on its line"),
        (f"{{% if {'(' * 99}A %}}{{% endif %}}", "1:1 parentheses are nested"),
        ("{% if A %}" * 51 + "{% endif %}" * 50, "1:501 conditions are nested"),
    ],
)
def test_wrong_conditions(text: str, message: str) -> None:
    (found,) = wrong(text, A="a")
    assert found.startswith(message)


def test_a_conditional_text_must_not_explode() -> None:
    findings = Findings()
    template = Template({"A": "x" * (MAX_FILE // 8)})
    assert template.expand(Source("t", "@A@" * 9), findings).text == ""
    assert [finding.rule for finding in findings.items] == ["SRC-006"]


@given(st.text(alphabet='a@{%}" \nAB=ifelsnd', max_size=60), st.text(max_size=5))
def test_places_are_those_of_the_file(text: str, value: str) -> None:
    """What is copied stands where it stood; what is put in stands where its placeholder stood."""
    findings = Findings()
    source = Template({"A": value, "B": ""}, lenient=True).expand(Source("t", text), findings)
    lines = text.split("\n")
    for index, character in enumerate(source.text):
        at = source.position(index)
        found = lines[at.line - 1] + "\n"
        assert found[at.column - 1] == character or found[at.column - 1] == "@"
    for finding in findings.items:
        assert lines[finding.line - 1][finding.column - 1] in "{@"


# ---- in whole policies


POLICY = """\
use nk.base._
@CLASSES@
execute { grant () }
{% if STRICT == "yes" %}
request src=bank.@WHO@ { grant ( }
{% else %}
request src=bank.@WHO@, dst=bank.Vault, endpoint=door, method=Open {
  assert (message.amount < @LIMIT@ && message.pim) }
{% endif %}
"""
CLASSES = "use EDL kl.core.Core\nuse EDL Einit\nuse EDL bank.Teller\nuse EDL bank.Vault"


def load(path: Path, text: str, **defines: str) -> Policy:
    (path / "security.psl").write_text(text)
    defines = {"CLASSES": CLASSES, "WHO": "Teller", "STRICT": "no", "LIMIT": "10", **defines}
    return load_policy(path / "security.psl", [LIB], defines=defines)


def finding(path: Path, text: str, **defines: str) -> Finding:
    with pytest.raises(DescriptionError) as error:
        load(path, text, **defines)
    (found,) = error.value.findings
    return found


def test_findings_are_told_of_the_users_file(tmp_path: Path) -> None:
    assert load(tmp_path, POLICY.replace("message.pim", "true")).rules[1].line == 8
    found = finding(tmp_path, POLICY)
    assert (found.rule, found.line, found.column) == ("PSL-033", 8, 39)
    found = finding(tmp_path, POLICY.replace("message.pim", "true"), LIMIT="true")
    assert (found.rule, found.line, found.column, found.text) == ("PSL-030", 8, 28, "true")
    found = finding(tmp_path, POLICY, STRICT="yes")
    assert (found.rule, found.line, found.column) == ("SRC-003", 5, 34)
    sound = POLICY.replace("message.pim", "true")
    found = finding(tmp_path, sound, CLASSES=f"{CLASSES}\nuse EDL bank.Valut")
    assert (found.rule, found.line, found.column) == ("EDL-009", 2, 1)
    found = finding(tmp_path, sound, WHO="Tiler")
    assert (found.rule, found.line, found.column) == ("PSL-012", 7, 13)
    assert found.text == "bank.Tiler"


def test_interfaces_are_templates_too(tmp_path: Path) -> None:
    (tmp_path / "Safe.edl").write_text("task class bank.Safe\nendpoints { @NAME@ : bank.ISafe }\n")
    text = "package bank.ISafe\ninterface { Lock(in UInt@BITS@ x); }\n"
    (tmp_path / "ISafe.idl").write_text(text)
    policy = "use nk.base._\nuse EDL bank.Safe\nexecute { grant () }\n"
    (endpoint,) = load(tmp_path, policy, NAME="door", BITS="16").layout("bank.Safe").endpoints
    assert (endpoint.name, endpoint.interface.methods[0].request.size) == ("door", 16)
    found = finding(tmp_path, policy, NAME="door", BITS="12")
    assert (found.rule, found.line, found.column) == ("IDL-002", 2, 21)
