"""House rules as tests: who may import whom, how long things are, what no file may contain."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = {
    "khs/abi/hypercalls.py",
    "khs/core/hypercall.h",
    "partitions/sdk/include/khs/hypercall.h",
}
FREESTANDING = {"stdalign.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "limits.h"}
SOURCE_LINES, TEST_LINES, FUNCTION_LINES = 450, 700, 60

# Package -> what of KHS and KSS it may import, itself aside. Leaves are the ones with little.
MAY_IMPORT = {
    "khs.errors": set(),
    "khs.resources": set(),
    "khs.abi": set(),
    "khs.trace": {"khs.abi", "khs.errors", "khs.monitor"},
    "khs.report": {"khs.errors", "khs.trace"},
    "khs.config": {"khs.errors", "khs.resources"},
    "khs.toolchain": {"khs.config", "khs.errors", "khs.resources"},
    "khs.monitor": {"khs.config", "khs.errors", "kss"},
}
NOBODY_IMPORTS = "khs.cli"
FACADE = "khs.monitor"


@cache
def tracked() -> tuple[Path, ...]:
    """Files under version control, new ones included; every file outside a checkout."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = done.stdout.split("\n") if done.returncode == 0 else []
    paths = [ROOT / name for name in names if name]
    found = paths or [path for path in ROOT.rglob("*") if ".venv" not in path.parts]
    return tuple(sorted(path for path in found if path.is_file()))


def files(pattern: str, *folders: str) -> list[Path]:
    """Tracked files below `folders` whose name matches."""
    bases = [ROOT / folder for folder in folders] or [ROOT]
    return [
        path
        for path in tracked()
        if re.fullmatch(pattern, path.name) and any(path.is_relative_to(base) for base in bases)
    ]


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module(path: Path) -> str:
    """`khs.trace.file` for khs/trace/file.py, `kss.tree` for monitor/kss/tree.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "monitor" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Modules a file imports, anywhere in it; `from a import b` counts as a.b if that is one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_the_project_is_looked_at() -> None:
    assert len(files(r".*\.py", "khs")) > 20
    assert len(files(r".*\.[ch]", "khs/core")) > 5
    assert len(files(r".*\.[chS]", "partitions")) > 5


def test_the_monitor_works_on_its_own() -> None:
    wrong = [
        f"{short(path)} imports {name}"
        for path in files(r".*\.py", "monitor")
        for name in imports(path)
        if within(name, "khs")
    ]
    assert wrong == []


def test_the_kernel_meets_the_monitor_through_its_facade() -> None:
    wrong = [
        f"{short(path)} imports {name}"
        for path in files(r".*\.py", "khs")
        for name in imports(path)
        if within(name, "kss") and not within(module(path), FACADE)
    ]
    assert wrong == []


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_layers_import_only_what_is_below(package: str) -> None:
    own = [path for path in files(r".*\.py", "khs") if within(module(path), package)]
    assert own, package
    allowed = MAY_IMPORT[package] | {package}
    wrong = [
        f"{short(path)} imports {name}"
        for path in own
        for name in imports(path)
        if name.split(".")[0] in ("khs", "kss") and not any(within(name, each) for each in allowed)
    ]
    assert wrong == []


def test_nobody_imports_the_command_line() -> None:
    wrong = [
        f"{short(path)} imports {name}"
        for path in files(r".*\.py", "khs", "monitor")
        for name in imports(path)
        if within(name, NOBODY_IMPORTS)
        and not within(module(path), NOBODY_IMPORTS)
        and module(path) != "khs.__main__"
    ]
    assert wrong == []


def test_debugger_and_bench_hardware_do_not_know_each_other() -> None:
    for one, other in (("khs.debug", "khs.hil"), ("khs.hil", "khs.debug")):
        for path in files(r".*\.py", "khs"):
            if within(module(path), one):
                assert not [name for name in imports(path) if within(name, other)], short(path)


def includes(path: Path) -> Iterator[tuple[str, str]]:
    """("<", "stdint.h") or ('"', "core.h")."""
    text = path.read_text(encoding="utf-8")
    yield from re.findall(r'^\s*#\s*include\s*([<"])([^">]+)', text, re.MULTILINE)


@pytest.mark.parametrize(
    ("folder", "neighbours"),
    [("khs/core", ("khs/core", "monitor/vm")), ("monitor/vm", ("monitor/vm",))],
)
def test_the_trusted_base_includes_only_its_own_headers(
    folder: str, neighbours: tuple[str, ...]
) -> None:
    for path in files(r".*\.[ch]", folder):
        for bracket, name in includes(path):
            if bracket == "<":
                assert name in FREESTANDING, f"{short(path)} includes <{name}>"
                continue
            target = (path.parent / name).resolve()
            assert target.is_file(), f"{short(path)} includes {name}, which is not there"
            assert any(target.is_relative_to(ROOT / each) for each in neighbours), short(path)


def test_guest_programs_include_only_the_sdk() -> None:
    """Besides: freestanding headers, their own, their neighbours', and generated stubs."""
    for path in files(r".*\.[chS]", "partitions"):
        for bracket, name in includes(path):
            own = (path.parent / name).resolve()
            ours = own.is_file() and own.is_relative_to(ROOT / "partitions")
            sdk = (ROOT / "partitions/sdk/include" / name).is_file()
            neighbour = bool(list((ROOT / "partitions").glob(f"*/{name}")))
            stub = name.endswith(".idl.h")
            known = name in FREESTANDING or ours or sdk or neighbour or stub
            assert known, f"{short(path)} includes {bracket}{name}"


def test_no_file_is_too_long() -> None:
    for path in files(r".*\.(py|c|h|S)"):
        if short(path) in GENERATED:
            continue
        limit = TEST_LINES if path.is_relative_to(ROOT / "tests") else SOURCE_LINES
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= limit, f"{short(path)} has {lines} lines; {limit} are enough"


def test_functions_fit_on_a_screen() -> None:
    wrong = []
    for path in files(r".*\.py", "khs", "monitor", "scripts"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    wrong.append(f"{short(path)}: {node.name} has {lines} lines")
    assert wrong == []


def test_every_header_says_what_it_is_and_is_included_once() -> None:
    for path in files(r".*\.h", "khs", "monitor", "partitions"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith(("/*", "//")), f"{short(path)} begins with no comment"
        assert "#ifndef" in text or "#pragma once" in text, f"{short(path)} has no include guard"


def test_every_module_says_what_it_is() -> None:
    for path in files(r".*\.py", "khs", "monitor", "scripts"):
        text = path.read_text(encoding="utf-8")
        if text.strip():
            assert ast.get_docstring(ast.parse(text)), f"{short(path)} has no docstring"


def test_annotations_are_not_evaluated() -> None:
    for path in files(r".*\.py", "khs", "monitor"):
        text = path.read_text(encoding="utf-8")
        if "def " in text or "import " in text:
            assert "from __future__ import annotations" in text, short(path)


MACHINE = re.compile(rb"/(?:work|root|home/\w+|Users/\w+)/[\w.]")


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    for path in tracked():
        if path.suffix in (".bin", ".khs", ".png", ".elf") or path == Path(__file__):
            continue
        found = MACHINE.search(path.read_bytes())
        assert found is None, f"{short(path)}: {found[0].decode()}" if found else ""


def test_determinism_nothing_reads_the_clock_or_a_random_number() -> None:
    """Kernel, monitor, traces and everything that goes into an archive; but the writer of audit
    trails measures how long the disk takes, and benchmarks measure, on data with a seed."""
    measures = {("monitor/kss/trail/file.py", "time")}
    bench = "monitor/kss/bench/"
    banned = {"time", "random", "secrets", "uuid", "datetime"}
    folders = ("khs/trace", "khs/report", "khs/config", "khs/image", "khs/abi", "monitor/kss")
    for path in files(r".*\.py", *folders):
        for name in imports(path):
            allowed = name.split(".")[0] not in banned or (short(path), name) in measures
            allowed |= short(path).startswith(bench) and name in ("time", "random.Random", "random")
            assert allowed, f"{short(path)} imports {name}"
    for path in files(r".*\.[ch]", "khs/core", "monitor/vm"):
        found = re.search(r"\b(time|rand|clock)\s*\(", path.read_text(encoding="utf-8"))
        assert found is None, f"{short(path)}: {found[0] if found else ''}"
