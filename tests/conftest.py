"""Property tests: the same examples on every run, new ones with `make fuzz`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A slow machine is no defect, and fixtures that the examples share are meant to be shared.
QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]

settings.register_profile("test", derandomize=True, deadline=None, suppress_health_check=QUIET)
settings.register_profile("fuzz", max_examples=2000, deadline=None, suppress_health_check=QUIET)
settings.load_profile("test")
