"""Models are registered alike on all sides; a new one is a Python file, a C file and a line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kss.codegen.object import ObjectCode
from kss.models import MODELS

from tests.vm.conftest import ROOT, VM, compile_c


def c_models(folder: Path = VM) -> list[str]:
    """The names in vm/models.c."""
    table = re.search(
        r"#define MODELS\(line\) \\\n((?:.*\\\n)*.*\n)", (folder / "models.c").read_text()
    )
    assert table
    return re.findall(r"line\((\w+)\)", table[1])


def codes() -> list[type[ObjectCode]]:
    return sorted(ObjectCode.__subclasses__(), key=lambda code: code.number)


def test_models_are_numbered_as_in_the_vm() -> None:
    assert {model.code for model in MODELS.values() if model.code} <= set(codes())
    names = [code.__name__.removesuffix("Code").lower() for code in codes()]
    assert names == c_models()
    assert [code.number for code in codes()] == list(range(len(names)))


@pytest.mark.parametrize("code", codes(), ids=lambda code: code.__name__)
def test_methods_are_numbered_as_in_the_vm(code: type[ObjectCode]) -> None:
    source = (VM / f"model_{c_models()[code.number]}.c").read_text()
    enum = re.search(r"enum \{([^{}]*), METHODS \};", source)
    assert enum
    assert [name.strip().lower() for name in enum[1].split(",")] == list(code.METHODS)


POLICY = """\
use nk.base._
use nk.counter._
use EDL kl.core.Core
use EDL Einit
use EDL toy.Server
policy object uses : Counter { config = 2 }
execute { grant () }
request dst=toy.Server, endpoint=door, method=Knock {
  choice (uses.beginning { text : message.name }) {
    "ab" : uses.count { sid : src_sid }
    "a" : assert (uses.used { sid : src_sid } == 1)
    _ : choice (uses.used { sid : src_sid }) { 0 : deny () 2 : grant () }
  }
}
"""
SOURCES = {
    "security.psl": POLICY,
    "toy/Server.edl": "task class toy.Server\nendpoints { door : toy.IDoor }\n",
    "toy/IDoor.idl": "package toy.IDoor\ninterface { Knock(in string<8> name); }\n",
}
NAMES = ["x", "a", "abc", "a", "x", "ab", "abc", "b", "", "abcdefgh"]
VERDICTS = "denied denied granted granted denied granted denied granted granted denied".split()


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """KSS with one model more; the environment to run it in."""
    root = tmp_path_factory.mktemp("extended")
    ours = Path(__file__).parent / "model"
    shutil.copytree(
        ROOT / "monitor/kss", root / "kss", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(VM, root / "vm")
    models = c_models()
    code = (ours / "counter.py").read_text().replace("number = 0 ", f"number = {len(models)} ")
    (root / "kss/models/counter.py").write_text(code)
    shutil.copy(ours / "model_counter.c", root / "vm")
    last = f"line({models[-1]})"
    table = (root / "vm/models.c").read_text()
    (root / "vm/models.c").write_text(table.replace(last, f"{last} \\\n    line(counter)"))
    library = root / "libkss.so"
    compile_c(library, sorted((root / "vm").glob("*.c")), "-ffreestanding", "-fPIC", "-shared")
    for name, text in SOURCES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return {**os.environ, "PYTHONPATH": str(root), "KSS_LIBRARY": str(library)}


def kss(environment: dict[str, str], *arguments: str, stdin: str = "") -> tuple[int, str]:
    command = [sys.executable, "-m", "kss", *arguments]
    root = environment["PYTHONPATH"]
    done = subprocess.run(
        command, env=environment, cwd=root, input=stdin, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


class TestNewModel:
    @pytest.mark.parametrize("engine", ["vm", "reference"])
    def test_judges(self, engine: str, extended: dict[str, str]) -> None:
        knock = {"event": "request", "src": "Einit", "dst": "toy.Server", "method": "Knock"}
        events = "\n".join(json.dumps({**knock, "message": {"name": name}}) for name in NAMES)
        arguments = ("eval", "security.psl", "--events", "-", "--engine", engine)
        code, output = kss(extended, *arguments, stdin=events)
        assert code == 0, output
        assert [json.loads(line)["verdict"] for line in output.splitlines()] == VERDICTS

    @pytest.mark.parametrize(
        ("old", "new", "finding"),
        [
            ('"ab" :', '"" :', "PSL-050: every text begins with nothing"),
            ("text : message.name", 'text : "a"', "PSL-028: a text of the message is needed"),
        ],
    )
    def test_is_checked(self, old: str, new: str, finding: str, extended: dict[str, str]) -> None:
        path = Path(extended["PYTHONPATH"]) / "wrong.psl"
        path.write_text(POLICY.replace(old, new))
        code, output = kss(extended, "check", "wrong.psl")
        assert code == 1 and finding in output
