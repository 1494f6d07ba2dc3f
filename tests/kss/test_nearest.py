"""Which binding comes closest to an event that no rule is for."""

from __future__ import annotations

import re

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
request src=Einit { match dst=bank.Vault { grant () } }
response src=bank.Vault { match dst=bank.Teller { } }
"""


@pytest.mark.parametrize(
    ("event", "line", "words"),
    [
        (
            EventNames(Kind.REQUEST, "bank.Teller", "bank.Vault", endpoint="door", method="Close"),
            1,
            "method=Open",
        ),
        (
            EventNames(Kind.REQUEST, "bank.Vault", "bank.Vault", endpoint="back.bolt"),
            2,
            "src=bank.Teller",
        ),
        (
            EventNames(Kind.REQUEST, "Einit", "bank.Teller", endpoint="desk", method="Ring"),
            4,
            "dst=bank.Vault",
        ),
    ],
)
def test_nearest(load: Load, event: EventNames, line: int, words: str) -> None:
    sentence = load(POLICY).nearest(event)
    assert re.fullmatch(
        rf"nearest is .*security\.psl:{FIRST + line}, which wants {re.escape(words)}", sentence
    )


def test_no_rule_of_the_kind(load: Load) -> None:
    sentence = load(POLICY).nearest(EventNames(Kind.RESPONSE, "bank.Vault", "bank.Teller"))
    assert sentence == "the policy has no rule for response events"


def test_none_near(load: Load) -> None:
    sentence = load(POLICY).nearest(EventNames(Kind.REQUEST, "bank.Vault", "bank.Teller"))
    assert sentence == "none comes near: no request rule names anything of this event"


def test_misses_weigh_less_than_agreements(load: Load) -> None:
    policy = load("""
request src=Einit, dst=bank.Vault { grant () }
request src=bank.Teller, dst=bank.Vault, interface=bank.IDoor, endpoint=door, method=Open {
  grant () }
""")
    event = EventNames(
        Kind.REQUEST, "bank.Vault", "bank.Vault", "bank.IDoor", None, "door", "Close"
    )
    assert policy.nearest(event).endswith("which wants src=bank.Teller, method=Open")
    event = EventNames(Kind.REQUEST, "bank.Vault", "bank.Vault", "bank.IFront")
    assert policy.nearest(event).endswith("which wants src=Einit")


def test_a_choice_may_lead_to_nothing(load: Load) -> None:
    policy = load("request src=Einit { choice (true) { false : grant () _ : { } } }")
    sentence = policy.nearest(EventNames(Kind.REQUEST, "Einit", "bank.Vault"))
    assert sentence.endswith(f"security.psl:{FIRST}, whose choice led to none")
