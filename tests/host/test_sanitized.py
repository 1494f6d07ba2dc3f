"""These tests again, with the host, the core and the policy VM under AddressSanitizer and
UndefinedBehaviorSanitizer, in a Python that has both preloaded. Unicorn itself is not checked.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.host import build_native

ROOT = Path(__file__).parents[2]
OVERFLOW = """
from tests.host import conftest
from khs.engine.native import library
code = b"\\x0f" * 5000
library().khs_host_scan(2, code, SIZE)
"""
#: After an abort in confinement the sanitizer wants to read /proc/self/maps, and gives up.
CANNOT = "not test_an_abort_of_the_engine_is_survived_in_confinement"
#: What was freed is kept for a while, to notice its use.
GROWS = "not test_open_and_close_leave_nothing and not test_leaving_the_instruction_set"
SUITES = {
    "every case": ["test_hostile.py", "-k", "test_case and -3]"],
    "restarts": ["test_exits.py", "-k", "restarts or beginning"],
    "isolated": ["test_isolate.py", "test_machine.py", "-k", CANNOT],
    "debugger": ["../debug/test_walk.py", "../debug/test_changes.py", "-k", "not -2] and not -3]"],
    "devices": ["../hil/test_hostile.py", "../hil/test_access.py", "-k", "7 or driver_does"],
    "timers, pins, CAN": ["../hil/test_hostile_models.py", "-k", "0-i or 1-i or 0-sja or snapshot"],
    "memory and aborts": ["test_memory.py", "test_guard.py", "-k", GROWS],
}


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    module = build_native()
    preload = module.sanitizers()
    if not preload:
        pytest.skip("this compiler has no sanitizers to preload")
    return {
        **os.environ,
        "LD_PRELOAD": preload,
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own
        "KHS_TEST_LIBRARY": str(module.build_sanitized()),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'monitor'}",
    }


@pytest.mark.parametrize("suite", SUITES)
def test_under_sanitizers(suite: str, environment: dict[str, str]) -> None:
    files = [f"tests/host/{word}" if word.endswith(".py") else word for word in SUITES[suite]]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, *files], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]


@pytest.mark.parametrize(("size", "report"), [(5000, ""), (5100, "heap-buffer-overflow")])
def test_the_sanitizer_would_notice(size: int, report: str, environment: dict[str, str]) -> None:
    code = OVERFLOW.replace("SIZE", str(size))
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert report in done.stderr
    assert (done.returncode == 0) == (not report), done.stderr
