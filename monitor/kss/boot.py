"""Whether a policy lets anything start: warnings, for nothing else is wrong with one that does not.

A system boots by execute events: the kernel starts itself, then Einit, and Einit the others.
"""

from __future__ import annotations

from collections.abc import Mapping

from kss.errors import Findings, Location
from kss.nearest import Section, sections
from kss.tree import PolicyTree

KERNEL = "kl.core.Core"
EINIT = "Einit"


def starts(known: tuple[Section, ...], src: str | None, dst: str) -> bool:
    """Whether a rule is called when `src` (None: anybody) starts `dst`."""
    return any(
        section.kind == "execute"
        and section.selectors.get("dst") in (None, dst)
        and (src is None or section.selectors.get("src") in (None, src))
        for section in known
    )


def warn(
    policy: PolicyTree, main: Location, places: Mapping[str, Location], findings: Findings
) -> None:
    """Reports a policy without rules, and classes that nobody can start; `places` tells where
    classes are declared, `main` is the start of the policy."""
    known = sections(policy)
    grant = f"execute src={KERNEL}, dst={KERNEL} {{ grant () }}, and so on"
    if not known:
        message = "the policy has no rule: everything is denied, the kernel's own start first"
        findings.warning("PSL-081", main, message, grant)
    elif all(section.kind != "execute" for section in known):
        message = "no rule is for execute events: nothing starts, not even the kernel"
        findings.warning("PSL-082", main, message, grant)
    else:
        for entity in policy.classes:
            name = entity.name
            src = KERNEL if name in (KERNEL, EINIT) else None
            if not starts(known, src, name):
                at = places.get(name, main)
                message = f"no rule is for the start of {name}: it is denied"
                help = f"execute src={src or EINIT}, dst={name} {{ grant () }}"
                findings.warning("PSL-082", at, message, help, name)
