"""`kss fmt`: only white space changes, once is enough, and it looks as one would write it."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from kss import cli
from kss.errors import Findings
from kss.format import LANGUAGES, format_source, language, roles
from kss.format.mask import masked
from kss.grammar.edl import parse_description
from kss.grammar.idl import parse_package
from kss.grammar.psl import parse_policy
from kss.grammar.tokens import IDL_OPERATORS, PSL_OPERATORS, tokenize
from kss.source import Source, read_source
from kss.syntax import Span

ROOT = Path(__file__).parents[2]
PARSERS: dict[str, Any] = {
    ".psl": parse_policy,
    ".edl": parse_description,
    ".cdl": parse_description,
    ".idl": parse_package,
}


def files_below(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and language(p.name))


# Those below khs/new are templates of another kind: `$package`.
OURS = [p for name in ("images", "monitor", "tests") for p in files_below(ROOT / name)]
OURS = [p for p in OURS if "wrong" not in p.parts]
CORPUS = files_below(Path(os.environ.get("KHS_CORPUS") or "/nonexistent"))

# What every rule of the layout is about, as nobody would write it.
ODD = {
    "odd.psl": """


/* first */ execute :kl.core.Execute
use  nk.base._ /* beside */ // and behind
@EXTERNAL@
  {% if BOARD == "x" %}
use EDL a.@NAME@
{% endif %}
// last of these



policy object  o:Flow{type State="a"|"b"   // which
  type Long = "aaaaaaaaaaaaaaaaaaaaaaaaa" | "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" | "cccccccccccccccccccccc" | -1
  type T = Set<{x:Map<UInt8,()>,y:[A,B]}>
  config={ /* none */ }
}
policy object p : M { config = { s : ["aaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbb", "cccccccccccccccccccc", "ddd"],
   t : [[1,2],
     {a:-1}], u : ["x", // one
     "y"] /* end */ } }
request src=a.B dst=c.D,
   // why
   endpoint=e.f { audit empty grant() /* 1 */
     deny (!(message.a<-1)&&~message.b == 3 .x|| x .y.[0].z - -1 >= size(message.t) ==> message.qqqqqqqqqqqqqqqqqqqqq == 1)

     /* two
          lines */ choice message.m { 0:grant() -1 : {deny() grant()} true:deny{a:[]} _:x.y"t" } }
request src=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.B, dst=ccccccccccccccccccccccccccccccccccccccccc.D endpoint=e { }
security{ // open

   assert(re.match{text:message.t,pattern:
```regex
  a  b
```
   ,x:1})
   /* before the end */

   // at the end
}
assert"t"{setup{a<-execute dst=a.B
   longer<-execute   src=a,dst=c.D}
   sequence{deny"no"a~>longer:e.F{x:1}
     any request src=a dst=longer method=F {}} finally{}}
// behind""",
    "odd.idl": """package a.I import b.T
const UInt8 M=2**2+(-1 <<3)|~4; // one
const SInt32 Longer=- -1;// two
typedef array<sequence<handle<a.I>,3>,M>N; struct S{UInt8 a;bytes<4>b;};union U{UInt8 a;}
interface{F( );G(in UInt8 a,/* c */ out array<array<UInt16,2>,3> bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, error SInt32 cccccccccccccc);
H(in UInt8 a, // one
in UInt8 b);}""",
    "odd.edl": "\n\nentity a.B components{c:d.E}//x\nsecurity a.I endpoints{ /* no */ }\n\n\n",
    "comment.psl": "// only this",
    "empty.psl": " \n\n",
}


def formatted(text: str, suffix: str) -> str:
    findings = Findings()
    found = format_source(Source("t" + suffix, text), suffix, findings)
    assert found is not None, findings.items
    return found


def content(text: str, suffix: str) -> list[str]:
    """Everything but white space: found with the comments made tokens, by a way of its own."""
    operators = PSL_OPERATORS if suffix == ".psl" else IDL_OPERATORS
    text = masked(text)
    found: list[str] = []
    tokens = tokenize(text, operators)
    at = 0
    for start, word in zip([*tokens.starts[:-1], len(text)], tokens.texts, strict=True):
        found += ["".join(text[at:start].split()), word]
        at = start + len(word)
    return found


def meaning(node: Any) -> Any:
    """A syntax tree without its places."""
    if isinstance(node, Span):
        return None
    if dataclasses.is_dataclass(node):
        fields = dataclasses.fields(node)
        return type(node).__name__, [meaning(getattr(node, field.name)) for field in fields]
    return [meaning(item) for item in node] if isinstance(node, (list, tuple)) else node


def tree(text: str, suffix: str) -> Any:
    findings = Findings()
    found = meaning(PARSERS[suffix](Source("t", masked(text)), findings))
    assert not findings.items
    return found


def must_hold(text: str, suffix: str) -> None:
    new = formatted(text, suffix)
    assert content(new, suffix) == content(text, suffix)
    assert formatted(new, suffix) == new
    assert tree(new, suffix) == tree(text, suffix)
    assert "\n\n\n" not in new and not new.startswith("\n") and " \n" not in new


@pytest.mark.parametrize(
    "path", [*OURS, *CORPUS], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_real_files(path: Path) -> None:
    source = read_source(path, Findings())
    assert source is not None
    must_hold(source.text, language(path.name) or "")


@pytest.mark.parametrize("name", ODD)
def test_odd_files(name: str) -> None:
    must_hold(ODD[name], Path(name).suffix)


@pytest.mark.parametrize("name", ["odd.psl", "odd.idl"])
@pytest.mark.parametrize("step", [3, 7])
def test_comments_anywhere(name: str, step: int) -> None:
    """Between any two tokens, of every kind, also with its lines."""
    suffix, text = Path(name).suffix, masked(ODD[name])
    tokens = tokenize(text, PSL_OPERATORS if suffix == ".psl" else IDL_OPERATORS)
    comments = ["/* a */", "\n/* b */", "// c\n", "\n\n // d\n\n\n", "/* e\n  f */", " /*g*/\n"]
    pairs = {("<", "-"), ("~", ">")}  # the two halves of an arrow
    for first in range(step):
        parts, at = [], 0
        for index in range(first, len(tokens.starts) - 1, step):
            if tuple(tokens.kinds[index - 1 : index + 1]) in pairs:
                continue
            start = tokens.starts[index]
            parts += [text[at:start], comments[index // step % len(comments)]]
            at = start
        must_hold("".join([*parts, text[at:]]), suffix)


@pytest.mark.parametrize("width", [9, 40, 70, 83, 90, 101])
def test_names_of_any_length(width: int) -> None:
    for name, text in ODD.items():
        must_hold(
            text.replace("src=a", f"src={'a' * width}").replace("M>N", f"{'M' * width}>N"),
            Path(name).suffix,
        )


def test_deep_and_large() -> None:
    nested = "security { a " + "{ a : [" * 48 + "]}" * 48 + "}\n"
    must_hold(nested, ".psl")
    must_hold("security {\n" + "assert (" + "a.b == 1 && (" * 90 + "c" + ")" * 91 + "}", ".psl")
    many = ", ".join(f'"state_{number}"' for number in range(500))
    text = formatted(f"policy object o : Flow {{ config = {{ states : [{many}] }} }}", ".psl")
    assert max(map(len, text.split("\n"))) <= 100 and text.count("\n") < 100


SHAPES = {
    "bindings": (
        "request src = a.B\n{\n  match dst=c.D   { grant() }\n\n\n\n  match dst=e.F {deny( )}\n\n}\n",
        "request src=a.B {\n    match dst=c.D { grant () }\n\n    match dst=e.F { deny () }\n}\n",
    ),
    "selectors": (
        f"request src={'a' * 40}, dst={'b' * 40}, endpoint=c {{grant()}}",
        f"request src={'a' * 40}, dst={'b' * 40},\n        endpoint=c {{ grant () }}\n",
    ),
    "conditions": (
        f"error {{ assert (message.{'a' * 50} == 1&&message.{'b' * 40} < - 1) }}",
        f"error {{\n    assert (message.{'a' * 50} == 1 &&\n"
        f"            message.{'b' * 40} < -1)\n}}\n",
    ),
    "comments": (
        "use a._// one\nuse long._   // two\n// three\nuse b._ /* four */ use c._",
        "use a._    // one\nuse long._ // two\n// three\nuse b._\n/* four */ use c._\n",
    ),
    "blocks move": (
        "security {\n  /* a\n     b */\n  grant ()\n}",
        "security {\n    /* a\n       b */\n    grant ()\n}\n",
    ),
    "templates": (
        "@A@\n{%if X%}\nuse EDL a.@B@\n{% endif %}",
        "@A@\n{%if X%}\nuse EDL a.@B@\n{% endif %}\n",
    ),
    "regex": (
        "security { assert (re.match{text:a,pattern:```regex\n  x  \n\n\ny\n```}) }",
        "security { assert (re.match { text : a, pattern :\n```regex\n  x  \n\n\ny\n```\n}) }\n",
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name: str) -> None:
    text, wanted = SHAPES[name]
    assert formatted(text, ".psl") == wanted
    assert formatted(wanted, ".psl") == wanted


def test_interface_descriptions() -> None:
    wanted = "package a.I\n\nstruct S {\n    UInt8 a;\n}\n\ninterface {\n    F();\n}\n"
    assert formatted("package a.I\n\n\nstruct S{UInt8 a;}\n\ninterface{F ( ) ;}", ".idl") == wanted
    wanted = "task class a.B\n\nendpoints {\n    c : d.E\n}\n"
    assert formatted("task class a.B\n\nendpoints{c:d.E}", ".edl") == wanted


@pytest.mark.parametrize("path", [p for p in OURS if "images" in p.parts], ids=lambda p: p.name)
def test_what_we_ship_is_formatted(path: Path) -> None:
    text = path.read_text("utf-8")
    assert formatted(text, language(path.name) or "") == text


# ---- the command


def run(arguments: list[str], stdin: bytes, patch: pytest.MonkeyPatch) -> int:
    patch.setattr("sys.argv", ["kss", "fmt", *arguments])
    patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_files_are_rewritten_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    good, bad, crlf = Path("good.psl"), Path("bad.psl"), Path("crlf.idl")
    good.write_text("use a._\n")
    bad.write_text("use   a._\n")
    crlf.write_bytes(b"\xef\xbb\xbfpackage a\r\n")
    before = good.stat().st_mtime_ns
    files = ["good.psl", "bad.psl", "crlf.idl"]
    assert run(["--check", *files], b"", monkeypatch) == 1
    told = capsys.readouterr()
    assert "-use   a._\n+use a._\n" in told.out and "good.psl" not in told.out + told.err
    assert "crlf.idl: only line ends" in told.err
    assert bad.read_text() == "use   a._\n"
    assert run(files, b"", monkeypatch) == 0
    assert capsys.readouterr().out == "bad.psl\ncrlf.idl\n"
    assert bad.read_text() == "use a._\n" and crlf.read_bytes() == b"package a\n"
    assert good.stat().st_mtime_ns == before
    assert run(["--check", *files], b"", monkeypatch) == 0


def test_stdin(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert run(["-"], b"use  a._", monkeypatch) == 0
    assert capsys.readouterr().out == "use a._\n"
    assert run(["-", "--name", "x.idl"], b"package  a", monkeypatch) == 0
    assert capsys.readouterr().out == "package a\n"
    assert run(["-"], b"package  a", monkeypatch) == 2
    told = capsys.readouterr()
    assert told.out == "" and "stdin.psl:1:1: error SRC-003" in told.err


def test_broken_files_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """And the others are formatted nevertheless."""
    monkeypatch.chdir(tmp_path)
    Path("broken.psl").write_text("use  a._\nrequest {\n  grant\n}\n")
    Path("other.psl").write_text("use  a._")
    Path("init.yaml").write_text("entities:   []\n")
    assert run(["broken.psl", "init.yaml", "other.psl"], b"", monkeypatch) == 2
    told = capsys.readouterr()
    assert "broken.psl:4:1: error SRC-003" in told.err and "init.yaml: left as it is" in told.err
    assert Path("broken.psl").read_text().startswith("use  a._")
    assert Path("init.yaml").read_text() == "entities:   []\n"
    assert Path("other.psl").read_text() == "use a._\n"
    for name, data in ({"a.txt": b"", "b.psl": b"\xff"}).items():
        Path(name).write_bytes(data)
        assert run([name], b"", monkeypatch) == 2
    assert run(["none.psl"], b"", monkeypatch) == 2
    assert "cannot read none.psl" in capsys.readouterr().err


def test_json_tells_of_each_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {"good": "use a._\n", "bad": "use   a._\n", "wrong": "use =\n"}.items():
        Path(f"{name}.psl").write_text(text)
    assert run(["--json", "--check", "good.psl", "bad.psl"], b"", monkeypatch) == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["ok"] and told["findings"] == []
    assert told["files"][0] == {"file": "good.psl", "changed": False, "diff": ""}
    assert "-use   a._\n+use a._\n" in told["files"][1]["diff"] and told["files"][1]["changed"]
    assert run(["--json", "bad.psl", "wrong.psl"], b"", monkeypatch) == 2
    told = json.loads(capsys.readouterr().out)
    assert [(item["file"], item["changed"]) for item in told["files"]] == [
        ("bad.psl", True),
        ("wrong.psl", False),
    ]
    assert [(f["rule"], f["text"]) for f in told["findings"]] == [("SRC-003", "=")]
    assert Path("bad.psl").read_text() == "use a._\n" and Path("wrong.psl").read_text() == "use =\n"
    assert run(["--json", "-"], b"use  b._\n", monkeypatch) == 0
    assert json.loads(capsys.readouterr().out) == {
        "ok": True,
        "files": [{"file": "stdin.psl", "changed": True, "text": "use b._\n"}],
        "findings": [],
    }


def test_nothing_is_written_if_a_file_is_none_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.psl").write_text("use   a._\n")
    assert run(["bad.psl", "none.psl"], b"", monkeypatch) == 2
    assert Path("bad.psl").read_text() == "use   a._\n"


BRANCHES = """\
{% if A %}
request  src=a.A {
{% else %}
request  src=a.B {
{% endif %}
    grant()
}
"""


def test_branches_that_are_no_whole_parts_are_left_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.psl").write_text(BRANCHES)
    assert run(["a.psl"], b"", monkeypatch) == 2
    assert "a.psl: its branches of {% if %} are read one after" in capsys.readouterr().err
    assert Path("a.psl").read_text() == BRANCHES
    whole = "request { {% if A %} grant() {% else %} deny() {% endif %} }\n"
    Path("a.psl").write_text(whole)
    assert run(["a.psl"], b"", monkeypatch) == 0
    assert "{% if A %} grant () {% else %} deny ()" in Path("a.psl").read_text()


def test_a_file_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    once = roles.of_policy
    monkeypatch.setitem(
        LANGUAGES, ".psl", lambda source, found: parsed.append(source.name) or once(source, found)
    )
    assert formatted("use  a._\n", ".psl") == "use a._\n" and len(parsed) == 1
