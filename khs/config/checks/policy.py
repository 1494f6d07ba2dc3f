"""Rules about the policy and the interfaces."""

from __future__ import annotations

from collections.abc import Iterator

from khs.config.document import Document, Keys
from khs.config.rules import Context, Problem, Problems, at, rule


def _policies(document: Document) -> Iterator[tuple[Keys, str]]:
    system = document.system
    yield at(system, "policy"), system.policy
    yield from ((at(system, "policies", name), path) for name, path in system.policies.items())


@rule("POLICY-001", Context.whole)
def exists(c: Context, document: Document) -> Problems:
    """The policy and each further policy is a file. Without a policy the system does not boot."""
    for path, name in _policies(document):
        if not c.is_file(name):
            help = f"paths are relative to {c.root.name}/; no policy, no boot"
            yield Problem(path, f'there is no policy file "{name}"', help)


@rule("POLICY-002", Context.whole)
def has_content(c: Context, document: Document) -> Problems:
    """A policy file is not empty. With an empty policy the system does not boot."""
    for path, name in _policies(document):
        if c.is_file(name) and c.is_blank(name):
            help = (
                'a policy names classes ("use EDL Einit", "use EDL kl.core.Core", ...) and says '
                "what is granted; `khs new` writes one to begin with"
            )
            yield Problem(path, f'policy "{name}" is empty', help)


@rule("POLICY-003", Context.whole)
def include_exists(c: Context, document: Document) -> Problems:
    """A folder of `include` exists."""
    for index, name in enumerate(document.system.include):
        if not c.is_folder(name):
            yield Problem(
                at(document.system, "include", index),
                f'there is no folder "{name}"',
                f"paths are relative to {c.root.name}/",
            )


@rule("POLICY-004", Context.whole, "warning")
def swappable(c: Context, document: Document) -> Problems:
    """With further policies, some partition may swap them."""
    if document.system.policies and not any(
        "policy-swap" in p.privileges for p in document.partition.values()
    ):
        yield Problem(
            at(document.system, "policies"),
            "no partition may swap the policy: only `--policy-at` uses these",
            'give a partition privileges = ["policy-swap"] if that is not meant',
            at_key=True,
        )
