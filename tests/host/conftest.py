"""The library that is tested is that of the sources as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from khs.engine import native
from khs.engine.native import Host, Options
from tests.host.system import System, build, policy

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_native.py"
Load = Callable[..., Host]

if library := os.environ.get("KHS_TEST_LIBRARY"):  # see test_sanitized.py
    native.LIBRARY = Path(library)


@pytest.fixture(scope="session", autouse=True)
def _library() -> None:
    subprocess.run([sys.executable, SCRIPT], check=True)


@pytest.fixture
def load() -> Iterator[Load]:
    """Opens and boots systems; closes them afterwards."""
    hosts: list[Host] = []

    def make(system: System, options: Options | None = None, boot: bool = True) -> Host:
        config, memory = build(system)
        host = Host(config, memory, [policy()], options)
        hosts.append(host)
        if boot:
            host.boot()
        return host

    yield make
    for host in hosts:
        host.close()
