"""KSS, the security monitor: policy language, models, reference interpreter, compiler, CLI.

kss.load             puts a policy in force and judges events, see `kss.monitor`
kss.api              policies, classes and message layouts, for kernels that embed KSS
kss.errors           what all of them raise
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kss.monitor import Call, Decision, Monitor, Replaced, RuleCall, Subject, load

__version__ = "0.1.0"

__all__ = ["Call", "Decision", "Monitor", "Replaced", "RuleCall", "Subject", "__version__", "load"]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    """Imports what is asked for only then: `import kss` stays quick."""
    if name in __all__:
        from kss import monitor

        return getattr(monitor, name)
    raise AttributeError(f"module 'kss' has no attribute {name!r}")
