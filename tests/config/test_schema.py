"""The JSON Schema."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from khs import config

SYSTEMS = Path(__file__).parents[1] / "data" / "systems"
VALID = sorted((SYSTEMS / "valid").glob("*.toml"))
COMPLETE = SYSTEMS / "valid" / "complete.toml"


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = config.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_schema_accepts(path: Path, validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(tomllib.loads(path.read_text(encoding="utf-8")))
    validator.validate(tomllib.loads(config.resolve(path)))


#: Rules that ask for no more than form; some of the files are wrong beyond it,
#: or in their boards' files.
FORM = ("FORMAT", "HEALTH-003", "KEY", "SPACE-001", "SPACE-002", "UNIT-001", "UNIT-002", "UNIT-003")
BEYOND = {
    "KEY-003-boolean_for_an_interrupt",
    "KEY-003-text_among_interrupts",
    "UNIT-001-time_too_long",
    "UNIT-001-parts_of_a_nanosecond",
    "UNIT-003-address_of_more_than_64_bits",
}
MALFORMED = [
    path
    for path in sorted(SYSTEMS.glob("*.toml"))
    if path.name.startswith(FORM) and path.stem not in BEYOND
]


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.stem)
def test_schema_refuses(path: Path, validator: jsonschema.Draft202012Validator) -> None:
    assert not validator.is_valid(tomllib.loads(path.read_text(encoding="utf-8")))


def test_schema_refuses_unknown_keys_everywhere(validator: jsonschema.Draft202012Validator) -> None:
    data = tomllib.loads(COMPLETE.read_text(encoding="utf-8"))
    free = {"policies", "env", "map", "schedule", "partition", "region", "channel", "input"}
    count = 0
    for table in list(tables(data, free)):
        table["unknwon"] = {}
        assert not validator.is_valid(data), table
        del table["unknwon"]
        count += 1
    assert count > 30 and validator.is_valid(data)


def tables(value: Any, free: set[str], name: str = "") -> Any:
    """Every table whose keys are fixed."""
    if isinstance(value, dict):
        if name not in free:
            yield value
        for key, inner in value.items():
            yield from tables(inner, free, key)
    elif isinstance(value, list):
        for inner in value:
            yield from tables(inner, free)
