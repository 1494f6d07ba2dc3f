"""A small bank to write policies about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kss.api import Policy, load_policy
from kss.compiler import compile_policy
from kss.reference import Reference
from kss.vm import Vm

from tests.vm.conftest import library

__all__ = ["library"]  # libkss.so of the sources as they are

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


Start = Callable[..., Reference | Vm]


@pytest.fixture(params=["reference", "vm"])
def start(request: pytest.FixtureRequest) -> Start:
    """Starts an engine for a policy: what holds for one must hold for the other."""
    if request.param == "reference":
        return lambda policy, max_sids=64: Reference(policy.tree, max_sids=max_sids)
    path = request.getfixturevalue("library")
    return lambda policy, max_sids=64: Vm(compile_policy(policy.tree, max_sids=max_sids), path)
