"""Property tests: the same examples on every run, new ones with `make fuzz`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

if "KHS_TEST_LIBRARY" in os.environ:  # see tests/host/test_sanitized.py
    vars(os).pop("RTLD_DEEPBIND", None)  # sanitizers do not work with it; capstone asks for it

# A slow machine is no defect, and fixtures that the examples share are meant to be shared.
QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]

settings.register_profile("test", derandomize=True, deadline=None, suppress_health_check=QUIET)
settings.register_profile("fuzz", max_examples=2000, deadline=None, suppress_health_check=QUIET)
settings.load_profile("test")
