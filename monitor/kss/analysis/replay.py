"""Events carried out from the start, one after the other."""

from __future__ import annotations

import json
from typing import Any, Protocol, TypeAlias

from kss.api import Policy
from kss.errors import MessageError
from kss.evaluate import Evaluation, EventError
from kss.events import Decision, Event

Line: TypeAlias = dict[str, Any]  # an event as `kss eval` takes it
Saved: TypeAlias = tuple[Any, Evaluation]


class Engine(Protocol):
    """The reference interpreter or the policy VM."""

    def judge(self, event: Event) -> Decision: ...

    def reset(self) -> None: ...

    def snapshot(self) -> Any: ...

    def restore(self, snapshot: Any) -> None: ...

    def state(self) -> dict[str, dict[int, Any]]: ...


class Replay:
    """One policy and what judges by it."""

    def __init__(self, policy: Policy, engine: Engine) -> None:
        self.policy = policy
        self._engine = engine
        self._evaluation = Evaluation(policy, engine)

    def start(self) -> None:
        """Begins anew."""
        self._engine.reset()
        self._evaluation = Evaluation(self.policy, self._engine)

    def save(self) -> Saved:
        """Where it is."""
        return self._engine.snapshot(), self._evaluation.copy()

    def load(self, saved: Saved) -> None:
        """Back to where it was."""
        snapshot, evaluation = saved
        self._engine.restore(snapshot)
        self._evaluation = evaluation.copy()

    def judge(self, line: Line) -> bool | None:
        """Whether the next event is granted; None if it is no event of the policy."""
        try:
            return bool(self._evaluation.judge(line)["verdict"] == "granted")
        except (EventError, MessageError):
            return None

    @property
    def state(self) -> str:
        """Contexts and processes, as a text that is equal for equal ones."""
        return json.dumps([self._engine.state(), self._evaluation.processes], sort_keys=True)
