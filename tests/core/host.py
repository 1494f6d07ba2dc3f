"""Runs the fake host: builds it, writes scripts, reads events."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def build(*, sanitize: bool) -> Path:
    """The fake host's program, with the core and the policy VM as they are now."""
    location = ROOT / "scripts" / "build_native.py"
    spec = importlib.util.spec_from_file_location("build_native", location)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_native"] = module
    spec.loader.exec_module(module)
    sources = sorted((ROOT / "tests" / "core" / "fake").glob("*.c"))
    name = "fake_host_sanitized" if sanitize else "fake_host"
    target = ROOT / "build" / "native" / name
    built: Path = module.build_program(target, sources, sanitize=sanitize)
    return built
