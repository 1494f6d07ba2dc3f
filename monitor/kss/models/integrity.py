"""Integrity levels: how they are called and compared, and what the rules of Mic make of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kss.models.model import Contexts, Value


class Level(NamedTuple):
    """The place of a degree, and those of categories."""

    degree: int
    categories: frozenset[int] = frozenset()

    def is_below(self, other: Level) -> bool:
        return self.degree <= other.degree and self.categories <= other.categories


class Integrity(NamedTuple):
    """A context. `received`, of subjects only: the least level of data that they may receive."""

    level: Level
    received: Level | None = None


@dataclass(frozen=True, slots=True)
class MicConfig:
    """Degrees from the lowest; the levels of a chain have no categories."""

    degrees: tuple[str, ...]
    categories: tuple[str, ...]
    chain: bool

    def levels(self) -> Iterator[Level]:
        """All there are."""
        for degree in range(len(self.degrees)):
            for bits in range(1 << len(self.categories)):
                members = (i for i in range(len(self.categories)) if bits >> i & 1)
                yield Level(degree, frozenset(members))

    def name(self, level: Level) -> str:
        """`degree` in a chain, else `{a,b}/degree` with the categories sorted."""
        degree = self.degrees[level.degree]
        if self.chain:
            return degree
        listed = ",".join(sorted(self.categories[i] for i in level.categories))
        return f"{{{listed}}}/{degree}"

    def parse(self, text: str) -> Level | None:
        """The level of a name, also of a degree alone; None if there is no such level."""
        if text in self.degrees:
            return Level(self.degrees.index(text))
        listed, slash, degree = text.partition("}/")
        if self.chain or not slash or not listed.startswith("{"):
            return None
        return self.level(degree, [name.strip() for name in listed[1:].split(",") if name])

    def level(self, degree: str | None, categories: Sequence[str]) -> Level | None:
        """None if one of the names is unknown. Without a degree: the lowest."""
        known = degree is None or degree in self.degrees
        if not known or not set(categories) <= set(self.categories):
            return None
        place = self.degrees.index(degree) if degree is not None else 0
        return Level(place, frozenset(self.categories.index(name) for name in categories))

    def show(self, context: Integrity) -> dict[str, str]:
        shown = {"level": self.name(context.level)}
        return (
            shown if context.received is None else {**shown, "levelR": self.name(context.received)}
        )


class RuleCall:
    """One rule called, for the reference interpreter."""

    def __init__(self, config: MicConfig, contexts: Contexts, arguments: dict[str, Value]) -> None:
        self.config = config
        self.contexts = contexts
        self.arguments = arguments

    def granted(self, method: str) -> bool:
        if method in ("call", "read"):
            return self.receives()
        if method in ("invoke", "write"):
            return self.dominates("source", self.of("target"))
        return bool(getattr(self, method)())

    def of(self, name: str) -> Level | None:
        """The level of the SID that an argument is."""
        context = self.contexts.get(self.arguments[name])
        return context.level if context else None

    def given(self, name: str) -> Level | None:
        """The level that an argument is; None if it names none."""
        value = self.arguments[name]
        if isinstance(value, Level):
            return value
        parts = value if isinstance(value, dict) else {"degree": value, "categories": None}
        degree = (
            None if parts["degree"] is None else parts["degree"].decode("utf-8", "surrogateescape")
        )
        listed = [name.decode("utf-8", "surrogateescape") for name in parts["categories"] or ()]
        return self.config.level(degree, listed)

    def dominates(self, name: str, level: Level | None) -> bool:
        own = self.of(name)
        return own is not None and level is not None and level.is_below(own)

    def owners_dominate(self, level: Level | None) -> bool:
        """Source, driver and container, if there is one."""
        owners = ["source", "driver"]
        if self.arguments["container"] is not None:
            owners.append("container")
        return all(self.dominates(name, level) for name in owners)

    def assign(self, integrity: Integrity) -> bool:
        target = self.arguments["target"]
        if target not in self.contexts:
            return self.contexts.claim(target, integrity)
        self.contexts[target] = integrity
        return True

    def create(self) -> bool:
        level = self.of("source") if self.arguments["level"] is None else self.given("level")
        if level is None or not self.owners_dominate(level):
            return False
        return self.assign(Integrity(level))

    def delete(self) -> bool:
        level, container = self.of("target"), self.arguments["container"]
        if container is not None and container not in self.contexts:
            return False
        if not self.dominates("source", level) or not self.dominates("driver", level):
            return False
        del self.contexts[self.arguments["target"]]
        return True

    def upgrade(self) -> bool:
        old, level = self.of("target"), self.given("level")
        if old is None or level is None or old == level or not old.is_below(level):
            return False
        if not self.owners_dominate(level):
            return False
        return self.assign(self.contexts[self.arguments["target"]]._replace(level=level))

    def execute(self) -> bool:
        image, level, received = (self.arguments[name] for name in ("image", "level", "levelR"))
        own = self.of("image") if level is None else self.given("level")
        least = own if received is None else self.given("levelR")
        if own is None or least is None or not least.is_below(own):
            return False
        if image is not None and not self.dominates("image", own):
            return False
        return self.assign(Integrity(own, least))

    def receives(self) -> bool:
        """Whether data may flow from the target to the source."""
        source, target = self.contexts.get(self.arguments["source"]), self.of("target")
        if source is None or target is None:
            return False
        least = [level for level in source if level is not None]
        return any(level.is_below(target) for level in least)
