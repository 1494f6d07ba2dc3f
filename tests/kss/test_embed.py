"""libkss for others: what `make libkss` builds, `kss compile`, and the example program in C."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kss import cli
from kss.compiler import compile_policy
from kss.embed import header

from scripts import build_native
from tests.kss.cgen_tools import CXX, STRICT_CXX, needs_cxx
from tests.kss.conftest import LIB, PRELUDE, Load

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "monitor/examples/embed"
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion"]
ZIG = [sys.executable, "-m", "ziglang"]


@pytest.fixture(scope="module")
def libkss(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("libkss")
    files = build_native.build_libkss(folder)
    assert [file.name for file in files] == ["kss.h", "libkss.a", "libkss.so"]
    return folder


def kss(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["kss", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code if isinstance(end.value.code, int) else 0


@pytest.fixture
def example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """The example with what the commands in its README make."""
    folder = tmp_path / "embed"
    shutil.copytree(EXAMPLE, folder)
    monkeypatch.chdir(folder)
    assert kss(monkeypatch, "compile", "security.psl", "-I", "interfaces", "-o", "policy.h") == 0
    assert capsys.readouterr().err == ""
    generate = ["cgen", "plant.IDrive", "-I", "interfaces", "--class", "plant.Pump"]
    assert kss(monkeypatch, *generate, "-o", "plant_IDrive.h") == 0
    return folder


@needs_cxx
def test_the_headers_are_usable_from_cxx(example: Path, libkss: Path) -> None:
    source = example / "plant.cc"
    source.write_text(
        '#include "kss.h"\n#include "policy.h"\n#include "plant_IDrive.h"\n'
        "uint32_t pump() { return policy_class_plant_Pump + policy_image[0]; }\n"
        "const char *rule() { return policy_rules[0].file; }\n"
        "const char *value(char *text) { return policy_value(0, 1, text, 9); }\n"
        "const char *name() { return policy_classes[0]; }\n"
        'static_assert(alignof(plant_IDrive_Stop_req) == 8, "");\n'
        "kss_status verify() { return kss_verify(policy_image, policy_image_size, nullptr); }\n"
    )
    flags = [*STRICT_CXX, f"-I{libkss}", f"-I{example}"]
    command = [*CXX, *flags, "-c", str(source), "-o", str(example / "plant.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def compile_c(compiler: list[str], folder: Path, libkss: Path, library: str) -> str:
    """Builds the example and gives what it prints."""
    program = folder / "plant"
    flags = [*STRICT, f"-I{libkss}", f"-I{folder}"]
    command = [*compiler, *flags, str(folder / "main.c"), str(libkss / library), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ran = subprocess.run(
        [program], capture_output=True, text=True, env={"LD_LIBRARY_PATH": str(libkss)}
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


EXPECTED = """\
start panel: granted
  audit level 0: execute kl.core.Core#1 -> plant.Pump#3 granted
    pump.init granted (security.psl:28)
start pump: granted
  audit level 0: request plant.Panel#2 -> plant.Pump#3 granted
    pump.enter granted (security.psl:33)
start at 1200 rpm: delivered
its answer: delivered
  audit level 0: request plant.Panel#2 -> plant.Pump#3 denied
    pump.enter denied (security.psl:33)
start again: refused
  audit level 0: request plant.Panel#2 -> plant.Pump#3 granted
    pump.query running (security.psl:36)
    pump.enter granted (security.psl:37)
stop: delivered
its answer: delivered
  audit level 0: request plant.Panel#2 -> plant.Pump#3 denied
    base.assert denied (security.psl:32)
    pump.enter granted (security.psl:33)
start at 9000 rpm: refused
  audit level 0: request plant.Panel#2 -> plant.Pump#3 denied: malformed
half a message: refused
  audit level 0: request plant.Pump#3 -> plant.Pump#3 denied: no rule
stop, asked by the pump itself: refused
"""


@pytest.mark.parametrize("library", ["libkss.a", "libkss.so"])
def test_the_example_with_the_hosts_compiler(example: Path, libkss: Path, library: str) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no cc")
    assert compile_c([compiler], example, libkss, library) == EXPECTED


def test_the_example_with_zig(example: Path, libkss: Path) -> None:
    pytest.importorskip("ziglang")
    assert compile_c([*ZIG, "cc"], example, libkss, "libkss.a") == EXPECTED


def test_a_spoilt_image_is_refused_by_the_example(example: Path, libkss: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no cc")
    text = (example / "policy.h").read_text()
    (example / "policy.h").write_text(
        text.replace("0x4b, 0x53, 0x53, 0x50", "0x4b, 0x53, 0x53, 0x51", 1)
    )
    with pytest.raises(AssertionError, match="does not verify: status 1 at offset 0"):
        compile_c([compiler], example, libkss, "libkss.a")


# ---- the library --------------------------------------------------------------------------------


def declared() -> set[str]:
    text = (ROOT / "monitor/vm/kss.h").read_text()
    found = re.findall(r"^(?!static)[a-z][a-z0-9_ *]*\b(kss_\w+)\(", text, re.MULTILINE)
    return set(found)


def test_it_exports_what_the_header_declares(libkss: Path) -> None:
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("there is no nm")
    command = [nm, "-D", "--defined-only", str(libkss / "libkss.so")]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {line.split()[-1] for line in lines} == declared()
    assert len(declared()) > 10


def test_it_needs_nothing_but_itself(libkss: Path) -> None:
    """No libc; compilers may ask for these four in any freestanding program."""
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("there is no nm")
    command = [nm, str(libkss / "libkss.a")]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    symbols = [line.split() for line in lines if line and ":" not in line]
    needed = {words[-1] for words in symbols if words[-2] == "U"}
    defined = {words[-1] for words in symbols if words[-2] in "TRD"}
    kept = {words[-1] for words in symbols if words[-2] in "bBC"}
    assert needed - defined <= {"memcpy", "memset", "memmove", "memcmp", "_GLOBAL_OFFSET_TABLE_"}
    assert all(name.startswith("kss_") for name in defined)
    assert kept == set(), "no state outside the caller's block"


def test_the_header_is_c_plus_plus_too(libkss: Path, tmp_path: Path) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++")
    source = tmp_path / "main.cc"
    source.write_text(
        '#include "kss.h"\nint main() { size_t at; return kss_verify("", 0, &at) == KSS_BAD_SIZE ? 0 : 1; }\n'
    )
    flags = ["-Wall", "-Wextra", "-Werror", f"-I{libkss}"]
    program = tmp_path / "program"
    subprocess.run([compiler, *flags, source, libkss / "libkss.a", "-o", program], check=True)
    assert subprocess.run([program]).returncode == 0


@pytest.mark.parametrize(
    "target", ["arm-freestanding-eabi", "x86-freestanding", "riscv64-freestanding"]
)
def test_the_vm_compiles_for_other_machines(target: str, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    flags = [*STRICT[:-1], "-ffreestanding", "-O2", "-target", target]
    for source in sorted((ROOT / "monitor/vm").glob("*.c"))[:4]:
        command = [*ZIG, "cc", *flags, "-c", str(source), "-o", str(tmp_path / "object.o")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


# ---- the policy as a header --------------------------------------------------------------------------------


def test_a_header_needs_a_name_in_c(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    policy = tmp_path / "security.psl"
    policy.write_text(PRELUDE + "execute { grant () }\n")
    output = tmp_path / "1st-policy.h"
    assert kss(monkeypatch, "compile", policy, "-I", LIB, "-o", output) == 2
    assert "1st-policy is no name in C: take letters, digits and _" in capsys.readouterr().err
    assert not output.exists()


def test_the_header_holds_the_image_and_odd_names(load: Load, tmp_path: Path) -> None:
    policy = load(
        'use nk.regex._\naudit profile p = { 0 : { re : { emit : ["select"] } } }\n'
        "audit default = p 0\nrequest dst=bank.Vault endpoint=door method=Open {\n"
        'choice (re.select { text : message.pin }) { "a\\\\?" : grant () "\\"b\\"" : grant () _ : deny () } }'
    )
    binary = compile_policy(policy.tree)
    text = header(policy, binary, "bank")
    (tmp_path / "bank.h").write_text(text)
    source = tmp_path / "main.c"
    source.write_text(
        '#include "bank.h"\n#include <stdio.h>\nint main(void) {\n'
        "    fwrite(bank_image, 1, bank_image_size, stdout);\n"
        "    for (uint32_t i = 0; i < sizeof bank_values / sizeof *bank_values; i++)\n"
        "        if (bank_values[i].rule != UINT32_MAX)\n"
        '            fprintf(stderr, "%s\\n", bank_values[i].text);\n'
        "    char text[11];\n"
        '    fprintf(stderr, "%s %s\\n", bank_value(0, 4294967295u, text, sizeof text), bank_classes[bank_class_bank_Vault]);\n'
        "    return 0;\n}\n"
    )
    build = [shutil.which("cc") or "cc", *STRICT[:4], str(source), "-o", str(tmp_path / "program")]
    subprocess.run(build, check=True)
    done = subprocess.run([tmp_path / "program"], capture_output=True, check=True)
    assert done.stdout == binary
    assert done.stderr.decode().splitlines() == ["a\\?", '"b"', "null", "4294967295 bank.Vault"]
