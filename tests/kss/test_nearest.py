"""Which binding comes closest to an event that no rule is for."""

from __future__ import annotations

import pytest
from kss.api import EventNames
from kss.events import Kind

from tests.kss.conftest import PRELUDE, Load

FIRST = PRELUDE.count("\n") + 1
POLICY = """\
request src=bank.Teller, dst=bank.Vault {
  match endpoint=door, method=Open { grant () }
  match endpoint=back.bolt { choice (true) { true : grant () } }
}
request src=Einit { grant () }
response src=bank.Vault { match dst=bank.Teller { } }
"""


@pytest.mark.parametrize(
    ("event", "line", "words"),
    [
        (
            EventNames(Kind.REQUEST, "bank.Teller", "bank.Vault", endpoint="door", method="Close"),
            1,
            "method is Close, it selects Open",
        ),
        (
            EventNames(Kind.REQUEST, "bank.Vault", "bank.Vault", endpoint="back.bolt"),
            2,
            "src is bank.Vault, it selects bank.Teller",
        ),
        (
            EventNames(Kind.REQUEST, "bank.Vault", "bank.Teller"),
            4,
            "src is bank.Vault, it selects Einit",
        ),
    ],
)
def test_nearest(load: Load, event: EventNames, line: int, words: str) -> None:
    sentence = load(POLICY).nearest(event)
    assert f"security.psl:{FIRST + line} come closest: {words}" in sentence
    assert sentence.startswith("the request rules at ")


def test_no_rule_of_the_kind(load: Load) -> None:
    sentence = load(POLICY).nearest(EventNames(Kind.RESPONSE, "bank.Vault", "bank.Teller"))
    assert sentence == "the policy has no rule for response events at all"
