"""A small bank to write policies about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kss.api import Policy, load_policy

LIB = Path(__file__).parent / "lib"
PRELUDE = """\
use nk.base._
use nk.flow._
use EDL kl.core.Core
use EDL Einit
use EDL bank.Teller
use EDL bank.Vault
"""

Load = Callable[..., Policy]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a policy text, by default after the usual inclusions."""

    def load(text: str, prelude: str = PRELUDE, **options: object) -> Policy:
        path = tmp_path / "security.psl"
        path.write_bytes((prelude + text).encode())
        return load_policy(path, [LIB], **options)  # type: ignore[arg-type]

    return load
