"""khs/abi/hypercalls.py: the table as the rest of the Python code reads it."""

from __future__ import annotations

import dataclasses
import json

from khs.abi import emit_c
from khs.abi.table import Table

HEAD = '''"""The hypercall table: numbers, arguments, codes, structs.

{note}.
"""

from __future__ import annotations

from khs.abi.table import Argument, Code, Field, Hypercall, Service, Struct
'''


def module(table: Table) -> str:
    """The whole module; rows are built, not parsed, when it is imported."""
    constants = [f'    "{name}": {value:#x},\n' for name, value in table.constants.items()]
    return "".join(
        [
            HEAD.format(note=emit_c.NOTE[0].upper() + emit_c.NOTE[1:]),
            _rows("HYPERCALLS", "Hypercall", table.hypercalls),
            _rows("CODES", "Code", table.codes),
            _rows("STRUCTS", "Struct", table.structs),
            _rows("SERVICES", "Service", table.services),
            "\nCONSTANTS: dict[str, int] = {\n",
            *constants,
            "}\n\nBY_NAME = {row.name: row for row in HYPERCALLS}\n",
        ]
    )


def _rows(name: str, kind: str, rows: tuple[object, ...]) -> str:
    body = "".join(f"    {_source(row)},\n" for row in rows)
    return f"\n{name}: tuple[{kind}, ...] = (\n{body})\n"


def _source(value: object) -> str:
    """Python source of a value; fields that have their default are left out."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple):
        return f"({''.join(_source(item) + ', ' for item in value)})"
    if not dataclasses.is_dataclass(value):
        return repr(value)
    shown = [
        f"{field.name}={_source(getattr(value, field.name))}"
        for field in dataclasses.fields(value)
        if getattr(value, field.name) != field.default
    ]
    return f"{type(value).__name__}({', '.join(shown)})"
