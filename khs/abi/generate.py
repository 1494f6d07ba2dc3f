"""Writes everything that is derived from the hypercall table.

`python -m khs.abi.generate` writes the files; with `--check` it only names those that are not
current, and exits 1 if there are any.
"""

from __future__ import annotations

import sys
from pathlib import Path

from khs.abi import emit_core, emit_docs, emit_gdb, emit_python, emit_sdk
from khs.abi.table import Table, load

ROOT = Path(__file__).resolve().parents[2]


def outputs(table: Table) -> dict[str, str]:
    """Path under the repository -> content of every generated file."""
    files = {
        "khs/core/hypercall.h": emit_core.header(table),
        "partitions/sdk/include/khs/hypercall.h": emit_sdk.header(table),
        "khs/abi/hypercalls.py": emit_python.module(table),
        "docs/hypercalls.md": emit_docs.page(table),
    }
    for name in emit_gdb.FILES:
        files[f"khs/abi/syscalls/{name}"] = emit_gdb.syscalls(table)
    return files


def stale(root: Path = ROOT) -> list[str]:
    """Paths of generated files that are missing or not current."""
    found = []
    for name, content in outputs(load()).items():
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            found.append(name)
    return found


def write(root: Path = ROOT) -> list[str]:
    """Writes the files that are not current; returns their paths."""
    names = stale(root)
    contents = outputs(load())
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents[name], encoding="utf-8")
    return names


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print("usage: python -m khs.abi.generate [--check]", file=sys.stderr)
        return 2
    names = stale() if arguments else write()
    for name in names:
        print(f"{'not current' if arguments else 'written'}: {name}")
    return 1 if arguments and names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
