"""kss mutate"""

from __future__ import annotations

import sys

from kss.cli import common, options


def mutate(
    file: options.Policy,
    include: options.Include = None,
    stub: options.Stub = False,
    define: options.Define = None,
    max_sids: options.MaxSids = options.MAX_SIDS,
    as_json: options.Json = False,
) -> int:
    """Find rules that no test would miss.

    Takes each rule out in turn, and turns it round so that it denies what it granted, and runs the
    policy's tests (PAL) against every such policy. A change that no test notices is told: that
    rule is not tested, or it does not matter. Exits 1 if there is one.

        kss mutate security.psl -I interfaces
        kss mutate tests.psl -I interfaces --json
    """
    from kss.cli import inputs
    from kss.quality.mutate import mutate, passes

    policy = inputs.policy(file, include, define, stub)
    if not any(test_set.tests for test_set in policy.tests):
        raise common.BadInputError(f"{file} has no tests: assert {{ sequence {{ ... }} }}")
    if not passes(policy, max_sids):
        raise common.BadInputError(f"the tests of {file} fail already: see kss test {file}")
    score = mutate(policy, None if as_json else _progress, max_sids)
    if as_json:
        common.print_json(score.to_json())
    else:
        for each in score.survivors:
            print(f"{each.file}:{each.line}: {each.change}, and no test fails: {each.rule}")
        print(f"{score.killed} of {score.total} changes are noticed ({score.ratio:.0%})")
    return common.FINDINGS if score.survivors else common.OK


def _progress(done: int, total: int) -> None:
    """A line that stays one on a terminal; nothing in a log."""
    if sys.stderr.isatty():
        end = "\n" if done == total else "\r"
        print(f"kss: {done} of {total} changes", end=end, file=sys.stderr, flush=True)
