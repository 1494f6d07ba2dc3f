"""Damaged policies and descriptions: each gives a policy or located findings, soon.

A case takes a sound solution, damages some of its files (characters, tokens and lines taken out,
doubled, swapped, or put in from elsewhere) and checks it. Whatever else than findings comes out is
a defect: an exception, a place that is not in the file, a sound policy that does not compile, or
time without end.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from kss.api import check, load_policy
from kss.compiler import compile_policy
from kss.errors import Finding, KssError

SOUND = Path(__file__).parents[1] / "kss" / "lib"
MAIN = "security.psl"
SLOW_S = 20.0  # of processor time, on a slow and busy machine
SUFFIXES = (".psl", ".edl", ".cdl", ".idl", ".yaml")
_TOKEN = re.compile(r'\s+|\w+|"[^"\n]*"|==>|.', re.DOTALL)
_STRAYS = (
    *"(){}[]<>=:,.;&|!~+-*@\"'`\\/\0\t\u0430\u202e#", "```regex\n", "/*", "*/", "//", "{% if X %}",
    "{% else %}", "{% endif %}", "@X@", "==>", "&&", "||", ".[", "~>", "<-", "**", "<<", "use EDL ",
    "request ", "match ", "choice ", "assert ", "policy object ", "audit ", "task class ", "import ",
    "struct ", "typedef ", "interface ", "components ", "endpoints ", "security ", "- name: ",
    "_", "0x", "1e9", "-1", str(1 << 64), "9" * 70, "(" * 120, "{" * 120, "!" * 3000, "a." * 300,
)  # fmt: skip
_POLICY = """\
use nk.base._
use nk.flow._
use parts.more._
execute: kl.core.Execute
use EDL kl.core.Core
use EDL Einit
use EDL bank.Teller
use EDL bank.Vault
task class bank.Clerk : bank.Teller
@CLASSES@
type Small = UInt8 | UInt16
policy object life : Flow { type State = "new" | "used"
  config = { states : ["new", "used"], initial : "new", transitions : { "new" : ["used"] } } }
audit profile watch = { 0 : { base : { kss : ["denied"] }, life : { omit : ["new"] } }, 1 : {} }
audit default = watch 0
execute { grant () }
execute dst=bank.Teller { life.init { sid : dst_sid } }
{% if STRICT == "yes" %}
request src=bank.Clerk { deny () }
{% else %}
response, error { }
{% endif %}
request src=bank.Teller, dst=bank.Vault endpoint=door, method=Open {
  audit watch
  assert (message.amount < 10 && message.items.[0].id != 3 ==> !(message.delta == -1))
  assert (message.small + 1 == 5 || bool.any [true, message.wide == 0xFF])
  choice life.query { sid : src_sid } { "new" : grant () _ : { deny () } }
  match src=bank.Teller { life.enter { sid : src_sid, state : "used" } }
}
assert "vault" {
  setup { app <- execute dst=bank.Teller  vault <- execute dst=bank.Vault }
  sequence "open" { deny "x" app ~> vault : door.Open { amount : 11, raw : [1, 2] } }
  finally { any request src=app dst=vault endpoint=door method=Close {} }
}
""".replace("response, error { }", "response { grant () }")
_MORE = "error { grant () }\nsecurity src=bank.Vault, method=Clear { grant () }\n"
_INIT = """\
entities:
- name: bank.Teller
  task: app
  args: [-v, "x"]
  env: { A: "1" }
  connections:
  - target: bank.Vault
    id: { var: VAULT, include: vault.h }
- name: bank.Vault
"""
_DEFINES = {"CLASSES": "// none\n", "STRICT": "no"}

Damage = Callable[[Random, list[str], list[str]], None]


def lay_out(folder: Path) -> None:
    """A sound solution: two policy files, classes, interfaces, an init description."""
    shutil.copytree(SOUND, folder, dirs_exist_ok=True)
    (folder / "parts").mkdir(exist_ok=True)
    (folder / "parts" / "more.psl").write_text(_MORE)
    (folder / MAIN).write_text(_POLICY)
    (folder / "init.yaml").write_text(_INIT)


def cases(seed: int, folder: Path) -> Iterator[list[str]]:
    """What is wrong with case `seed`, `seed` + 1, ... (nothing, as a rule)."""
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        lay_out(folder)
        yield _case(Random(seed), folder)
        seed += 1


def _case(random: Random, folder: Path) -> list[str]:
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    words = [word for path in files for word in _TOKEN.findall(path.read_text())]
    for path in random.sample(files, random.choice((1, 1, 2, 3))):
        _damage(random, path, words)
    start = time.process_time()
    try:
        found = _check(random, folder)
    except Exception as error:  # that is what is looked for
        return [f"{type(error).__name__}: {error}"]
    seconds = time.process_time() - start
    wrong = [defect for finding in found if (defect := _misplaced(finding, folder))]
    return [*wrong, f"took {seconds:.1f} s"] if seconds > SLOW_S else wrong


def _check(random: Random, folder: Path) -> list[Finding]:
    stub = random.random() < 0.5
    found = list(check(folder / MAIN, defines=_DEFINES, stub=stub))
    found += check(folder / "init.yaml", defines=_DEFINES, stub=stub)
    if any(finding.severity == "error" for finding in found):
        return found
    try:
        compile_policy(load_policy(folder / MAIN, defines=_DEFINES, stub=stub).tree)
    except KssError as error:
        found += error.findings
    return found


def _misplaced(finding: Finding, folder: Path) -> str:
    """What is wrong with a finding's place, "" if nothing is."""
    path = Path(finding.file)
    if not path.is_file() or not finding.message or not finding.rule:
        return f"a finding of nothing: {finding}"
    lines = path.read_bytes().decode("utf-8-sig", "replace").replace("\r\n", "\n").split("\n")
    if not 1 <= finding.line <= len(lines):
        return f"a line that is not there: {finding}"
    if not 1 <= finding.column <= len(lines[finding.line - 1]) + 1:
        return f"a column that is not there: {finding}"
    return ""


# ---- damage


def _damage(random: Random, path: Path, words: list[str]) -> None:
    tokens = _TOKEN.findall(path.read_text())
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        random.choice(_DAMAGES)(random, tokens, words)
    data = "".join(tokens).encode("utf-8", "surrogatepass")
    if random.random() < 0.05:
        data = _bytes(random, data)
    path.write_bytes(data)


def _take_out(random: Random, tokens: list[str], _: list[str]) -> None:
    at = random.randrange(len(tokens) + 1)
    del tokens[at : at + random.choice((1, 1, 2, 10))]


def _double(random: Random, tokens: list[str], _: list[str]) -> None:
    at = random.randrange(len(tokens) + 1)
    tokens[at:at] = tokens[at : at + random.choice((1, 2, 10, 100))] * random.choice((1, 1, 50))


def _swap(random: Random, tokens: list[str], _: list[str]) -> None:
    if len(tokens) > 1:
        a, b = random.randrange(len(tokens)), random.randrange(len(tokens))
        tokens[a], tokens[b] = tokens[b], tokens[a]


def _replace(random: Random, tokens: list[str], words: list[str]) -> None:
    if tokens:
        tokens[random.randrange(len(tokens))] = random.choice(words)


def _put_in(random: Random, tokens: list[str], words: list[str]) -> None:
    word = random.choice((random.choice(_STRAYS), random.choice(words)))
    tokens.insert(random.randrange(len(tokens) + 1), word)


_DAMAGES: tuple[Damage, ...] = (_take_out, _double, _swap, _replace, _put_in, _put_in)


def _bytes(random: Random, data: bytes) -> bytes:
    """As other systems write files, or no text at all."""
    at = random.randrange(len(data) + 1)
    return random.choice(
        (
            b"\xef\xbb\xbf" + data,
            data.replace(b"\n", b"\r\n"),
            data.replace(b"\n", b"\r"),
            data.decode("utf-8", "replace").encode("utf-16"),
            data[:at] + bytes([random.randrange(256)]) + data[at:],
            data[:at],
            b"",
        )
    )
