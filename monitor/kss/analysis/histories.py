"""Examples that need a state: which events lead to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from kss.analysis import replay as replays
from kss.analysis.changing import asked, changing
from kss.analysis.compare import Verdicts
from kss.analysis.guard import Guard
from kss.analysis.observed import Observed
from kss.analysis.replay import Line, Replay

MOST_NUMBERS = 6  # of those that guards compare with
MOST_STATES = 120  # for one example
ALL_STATES = 2000  # for all
LONGEST = 6  # events before an example

History: TypeAlias = tuple[Line, ...]
Tries: TypeAlias = Mapping[Verdicts, Sequence[Line]]  # what may be judged so
Saved: TypeAlias = list[replays.Saved]
Shown: TypeAlias = dict[Verdicts, tuple[Line, History]]


class Histories:
    """Tries events on two policies, from the start and in states that other events lead to."""

    def __init__(self, replays: Sequence[Replay]) -> None:
        self._replays = replays
        self._changing: dict[tuple[tuple[str, ...], tuple[int, ...]], list[Line]] = {}
        self._left = ALL_STATES
        self.states = 0  # that the last example was looked for in

    def find(self, tries: Tries, guards: Sequence[Guard], known: Sequence[bool]) -> Shown:
        """Examples of these verdicts, those that are found first; `known` tells for each policy
        whether it has the interaction."""
        self.states = 0
        if not any(tries.values()):
            return {}
        for replay in self._replays:
            replay.start()
        return self._search(tries, self._events(guards), known)

    def _search(self, tries: Tries, events: Sequence[Line], known: Sequence[bool]) -> Shown:
        """Shorter histories first, until something is shown or there are no new states."""
        waiting: list[tuple[History, Saved]] = [((), self._save())]
        seen = {self._state()}
        for history, saved in waiting:  # grows on the way
            self.states += 1
            if shown := self._try(tries, history, saved, known):
                return shown
            for event in events if len(history) < LONGEST else ():
                if len(seen) >= MOST_STATES or self._left <= 0:
                    break
                self._load(saved)
                for replay in self._replays:
                    replay.judge(event)
                state = self._state()
                if state not in seen:
                    seen.add(state)
                    self._left -= 1
                    waiting.append(((*history, event), self._save()))
        return {}

    def _try(self, tries: Tries, history: History, saved: Saved, known: Sequence[bool]) -> Shown:
        shown: Shown = {}
        for way, lines in tries.items():
            for line in lines:
                if way not in shown and self._judged(line, saved, known) == way:
                    shown[way] = line, history
        return shown

    def _judged(self, line: Line, saved: Saved, known: Sequence[bool]) -> Verdicts | None:
        """The verdicts of both; None if the event is none for a policy that has the interaction."""
        self._load(saved)
        verdicts: list[bool] = []
        for replay, needed in zip(self._replays, known, strict=True):
            verdict = replay.judge(line)
            if verdict is None and needed:
                return None
            verdicts.append(bool(verdict))
        return verdicts[0], verdicts[1]

    def _save(self) -> Saved:
        return [replay.save() for replay in self._replays]

    def _load(self, saved: Saved) -> None:
        for replay, each in zip(self._replays, saved, strict=True):
            replay.load(each)

    def _state(self) -> str:
        return "\n".join(replay.state for replay in self._replays)

    def _events(self, guards: Sequence[Guard]) -> list[Line]:
        """What may change the objects that the guards ask, by either policy."""
        names: set[str] = set()
        seen = Observed()
        for replay, guard in zip(self._replays, guards, strict=True):
            things = replay.policy.tree.objects
            names |= asked(guard, things)
            seen.add(guard, things)
        if not names:
            return []
        key = (tuple(sorted(names)), tuple(sorted(seen.numbers))[:MOST_NUMBERS])
        if key not in self._changing:
            found = [
                line
                for replay in self._replays
                for line in changing(replay.policy.tree, key[0], key[1])
            ]
            self._changing[key] = [line for n, line in enumerate(found) if line not in found[:n]]
        return self._changing[key]
