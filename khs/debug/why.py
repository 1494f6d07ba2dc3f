"""Why a verdict of a run is what it is, asked again and again: what was judged before it is judged
once more only as far as the answer before did not get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from khs.policies import Recorded, of_run
from khs.runs import Plan
from khs.trace.events import Event, Verdict
from khs.trace.history import Telling
from khs.trace.names import Names

#: Lines of a policy around the rule that decided.
_AROUND = 1


@dataclass(frozen=True)
class Reason:
    """`told` is the document of `khs explain --json`."""

    told: dict[str, Any]

    @property
    def sentence(self) -> str:
        return str(self.told["sentence"])

    def decisive(self) -> dict[str, Any] | None:
        """The rule that denied it or could not be evaluated, or the first one that granted it."""
        rules = [rule for binding in self.told["bindings"] for rule in binding["rules"]]
        against = [rule for rule in rules if rule["result"] in ("denied", "failed")]
        granting = [rule for rule in rules if rule["result"] == "granted"]
        if self.told["verdict"] == "granted":
            return next(iter(granting), None)
        at = -1 if self.told["reason"] == "error" else 0
        return against[at] if against else None


class Reasons:
    """Explains the verdicts of one run. KhsError from every method if the policy's text is not at
    hand, or is another one by now."""

    def __init__(
        self,
        plan: Plan,
        system: Path,
        overlays: Sequence[Path] = (),
        policy_at: Sequence[str] = (),
    ) -> None:
        """`system` is the document that the plan's archive was built from; an archive's policies
        have no text to explain them with."""
        self._header = plan.header
        self._system, self._overlays = system, tuple(overlays)
        self._policy_at = tuple(policy_at)
        self._policies: Recorded | None = None
        self._judged: list[Event] = []

    def explain(
        self, events: Sequence[Event], going_on: Callable[[], bool] = lambda: True
    ) -> Reason | None:
        """Why the last of `events` was judged so; they are all verdicts and policy swaps of the run
        up to it. None if `going_on` says so meanwhile."""
        from khs.monitor.ask import Retelling

        verdict = events[-1]
        assert isinstance(verdict, Verdict)
        done = len(self._judged)
        if (
            not done
            or done > len(events) - 1
            or any(ours is not theirs for ours, theirs in zip(self._judged, events, strict=False))
        ):
            names = Names.from_header(self._header)
            self._names, self._telling, done = names, Telling(names), 0
            self._retelling = Retelling(self._load(), self._telling.processes)
            self._judged = []
        for event in events[done:-1]:
            if not going_on():
                return None
            self._judge(event)
        # The verdict itself changes the state, unless it could not be delivered: it is judged last,
        # and an answer about an earlier one begins anew.
        self._judge(verdict, anyway=True)
        told = self._retelling.answer(verdict.granted).json
        if verdict.trial:
            self._judged = []
        return Reason(told)

    def _judge(self, event: Event, anyway: bool = False) -> None:
        self._names.observe(event)
        line = self._telling.line(event)
        if line is not None and (anyway or not (isinstance(event, Verdict) and event.trial)):
            self._retelling.judge(line)
        self._judged.append(event)

    def _load(self) -> Recorded:
        if self._policies is None:
            self._policies = of_run(self._header, self._system, self._overlays, self._policy_at)
        return self._policies

    def excerpt(self, file: str, line: int) -> list[tuple[int, str]]:
        """Numbered lines of a policy around one, [] if the text is not at hand."""
        path = self._system.parent / file
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        first = max(line - 1 - _AROUND, 0)
        return list(enumerate(lines[first : line + _AROUND], first + 1))
