"""How good the tests of a policy are.

coverage   what of a policy events reach
mutations  policies with one rule taken out or turned round
mutate     which of those mutations the tests of the policy notice
"""

from __future__ import annotations
