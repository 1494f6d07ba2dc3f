"""Compiles a policy tree to policy.bin, the binary that the policy VM verifies and runs."""

from __future__ import annotations

import hashlib

from kss import binary
from kss.codegen.assembler import TooComplexError
from kss.codegen.decisions import Decisions
from kss.codegen.items import Items
from kss.codegen.layouts import Layouts
from kss.codegen.objects import Objects, oversize
from kss.errors import DescriptionError
from kss.models.model import MAX_SIDS
from kss.recursion import deep_recursion
from kss.tree import PolicyTree

MAX_POOL = 1 << 20


def compile_policy(policy: PolicyTree, *, max_sids: int = MAX_SIDS) -> bytes:
    """The bytes of policy.bin: a pure function of its arguments.

    `max_sids` is the number of SIDs that one policy object can hold contexts for (1 to 2^20).
    Raises KssError if the policy exceeds what the format holds, ValueError for a bad `max_sids`.
    """
    if not 1 <= max_sids <= MAX_POOL:
        raise ValueError(f"max_sids is {max_sids}; it must be from 1 to {MAX_POOL}")
    if found := oversize(policy.objects, max_sids):
        raise DescriptionError([found])
    with deep_recursion():
        image = _image(policy, max_sids)
    if image.max_calls > binary.MAX_CALLS:
        most = f"at most {binary.MAX_CALLS} may match one event"
        raise TooComplexError(f"one event could call {image.max_calls} rules: {most}")
    if image.max_writes > binary.MAX_STATE:
        most = f"at most {binary.MAX_STATE} can be undone"
        raise TooComplexError(f"one event could change {image.max_writes} words of state: {most}")
    return binary.write(image)


def _image(policy: PolicyTree, max_sids: int) -> binary.Image:
    level = policy.audit_default[1]
    image = binary.Image(rules=len(policy.sites), max_sids=max_sids, audit_level=level)
    objects, layouts = Objects(policy), Layouts()
    hashes = {entity.name: class_hash(entity.name) for entity in policy.classes}
    Decisions(policy, Items(objects, policy.sites), layouts, image).fill(hashes)
    layouts.emit(image)
    objects.watch(policy, image)
    objects.emit(image)
    # A dead SID's contexts may be dropped before any program.
    image.max_writes += len(image.objects) * binary.DROP_WRITES
    names = [entity.name for entity in policy.classes]
    image.symbols = {"classes": names, **objects.symbols()}
    return image


def class_hash(name: str) -> int:
    """What `kss_find_class` takes: the first 8 bytes (little-endian) of SHA-256 of the name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
