"""`kss query`: who may do what to whom."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kss.analysis.conditions import Conditions, Describer, places, sentence, to_json
from kss.analysis.decide import Verdict, verdict
from kss.analysis.guard import Guard, sites
from kss.analysis.guards import Guards, Wanted
from kss.analysis.interactions import Interaction
from kss.analysis.reach import Reach
from kss.analysis.unknown import unknown
from kss.layout import EntityClass
from kss.recursion import deep_recursion
from kss.stubs import JUDGED, OPAQUE, is_opaque, never_conforms
from kss.tree import PolicyTree

_NOTHING = Conditions((), "denied")


@dataclass(frozen=True, slots=True)
class Row:
    """An interaction and what becomes of it, for messages that conform to their interface.

    `conditions` are those of a conditional verdict, and of one that is denied because they never
    hold together. `rules` are the sites that matter, none if it is denied by default. `stub` tells
    which file is not there that it hangs on: of what is granted why it is denied all the same, for
    no message conforms; of what is not known, why.
    `never` tells of a denied one why its conditions never hold: no event leads to such a state.
    """

    interaction: Interaction
    verdict: Verdict
    conditions: Conditions
    rules: tuple[int, ...]
    stub: str = ""
    never: str = ""

    @property
    def by_default(self) -> bool:
        return not self.rules


class Query:
    """Asks one policy. With `any_state` it does not matter whether a state is ever reached."""

    def __init__(self, policy: PolicyTree, *, any_state: bool = False) -> None:
        self.describer = Describer(policy)
        self.classes = len(policy.classes)
        self._policy = policy
        self._guards = Guards(policy)
        self._any_state = any_state
        #: What --stub has taken on trust: class -> what is not known of it.
        self.stubs = {each.name: _unknown(each) for each in policy.classes if each.open}
        #: Classes without a file: who they are when they ask others is not known.
        self.stub_classes = tuple(each.name for each in policy.classes if _is_stub(each))

    def rows(
        self, wanted: Wanted | None = None, verdicts: Collection[Verdict] = tuple(Verdict)
    ) -> Iterator[Row]:
        """By kind, server, endpoint, method and peer; then what rules say of stubs. Raises
        UnknownNameError."""
        if wanted:
            wanted.check(self._policy)
        yield from (row for row in self._known(wanted) if row.verdict in verdicts)
        if Verdict.UNKNOWN in verdicts:
            yield from self._of_stubs(wanted or Wanted())

    def _known(self, wanted: Wanted | None) -> Iterator[Row]:
        known: dict[int, tuple[Guard, Verdict, Conditions, str]] = {}  # of equal peers, by id
        for interaction, guard in self._guards.all(wanted):
            if id(guard) not in known:
                with deep_recursion():
                    found, never = self._judged(guard)
                    conditions = self.describer.conditions(guard)
                    known[id(guard)] = guard, found, conditions, never
            _, found, conditions, never = known[id(guard)]
            if found is Verdict.UNKNOWN:
                stub = "a rule cannot be checked without the file of a stub: it denies"
            else:
                stub = "" if found is Verdict.DENIED else _stub(interaction)
            yield Row(interaction, found, conditions, tuple(sites(guard)), stub, never)

    def _of_stubs(self, wanted: Wanted) -> Iterator[Row]:
        for interaction, rules in unknown(self._policy).items():
            operation, peer = interaction.operation, interaction.peer
            if wanted.operation(operation) and (not peer or wanted.peer(operation, peer)):
                stub = f"denied as long as files of {operation.server.name} lack"
                yield Row(interaction, Verdict.UNKNOWN, _NOTHING, rules, stub)

    @cached_property
    def _reach(self) -> Reach:
        return Reach(self._policy, self._guards)

    def _judged(self, guard: Guard) -> tuple[Verdict, str]:
        """The verdict, and why it is denied if that is for want of a state."""
        if guard.refused is not None and self._policy.sites[guard.refused].method == "stub":
            return Verdict.UNKNOWN, ""
        found = verdict(guard, self._policy.objects)
        sure = found is not Verdict.CONDITIONAL or self._any_state
        rule = None if sure else self._reach.blocking(guard)
        if rule is None:
            return found, ""
        name, at = self._policy.objects[rule.object].name, self.describer.place(rule.site)
        what = f"{name}.{rule.method} of {at.file}:{at.line}"
        return Verdict.DENIED, f"no event leads {name} to a state in which {what} grants"

    def json(self, row: Row) -> dict[str, Any]:
        """As the command line prints it."""
        endpoint, peer = row.interaction.operation.endpoint, row.interaction.peer
        return {
            **row.interaction.json(),
            "interface": (endpoint.interface.name or None) if endpoint else None,
            "component": endpoint.component if endpoint else None,
            "verdict": row.verdict.value,
            "stub": row.stub or None,
            "stub_peer": bool(peer and _is_stub(peer)),
            "never": row.never or None,
            "condition": sentence(row.conditions) or None,
            "conditions": to_json(row.conditions),
            "rules": places(row.rules, self.describer),
        }


def _stub(interaction: Interaction) -> str:
    message = interaction.operation.message
    fields = [each for each in message.fields if never_conforms(each.type)] if message else []
    if not fields:
        return ""
    for each in fields:
        if is_opaque(each.type) and each.type != OPAQUE:
            return f"{each.type}: so every message is malformed, and denied"
    names = [each.name for each in fields]
    which = (
        f"the type of {names[0]} is" if len(names) == 1 else f"the types of {_listed(names)} are"
    )
    return f"{which} not known: so every message is malformed, and denied"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _is_stub(entity: EntityClass) -> bool:
    """Whether nothing at all is known of a class."""
    return entity.open and not (entity.endpoints or entity.security)


def _unknown(entity: EntityClass) -> str:
    if not _is_stub(entity):
        return "a stub in part: it may offer more than is told here"
    offers = "its file is not there, what it offers is not known and not told here"
    return f"a stub: {offers}; {JUDGED}"
