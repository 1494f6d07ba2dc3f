"""The tables of the page."""

from __future__ import annotations

from collections.abc import Iterator

from khs.report.collect import Collected
from khs.report.html import Content, Html, join, table, tag
from khs.trace import events
from khs.trace.kinds import Reason
from khs.trace.names import Names
from khs.trace.summary import Group, Groups

_RULES = 2000


def about(found: Collected, key: str) -> str:
    """A word of the archive's manifest."""
    manifest = found.header.get("manifest")
    value = manifest.get(key) if isinstance(manifest, dict) else None
    return str(value) if isinstance(value, str | int) else f"unknown {key}"


def facts(found: Collected) -> Html:
    """What ran, and how much happened."""
    run = found.header.get("run")
    run = run if isinstance(run, dict) else {}
    hash_ = about(found, "sha256")
    rows: list[tuple[str, Content]] = [
        ("board", f"{about(found, 'board')}, {about(found, 'arch')}, {found.names.clock_hz} Hz"),
        ("engine", f"{run.get('engine', 'unknown')}, seed {run.get('seed', 'unknown')}"),
        ("archive", tag("code", hash_)),
        ("virtual time", f"{found.names.ms(found.drawn.end)} ms, {found.frames} major frames"),
        ("events", f"{found.events}"),
        ("verdicts", join((f"{found.granted} granted, ", _bad(found.denied, "denied")))),
    ]
    return tag("dl", *(tag("div", tag("dt", key), tag("dd", value)) for key, value in rows))


def partitions(found: Collected) -> Html:
    """A row each."""
    heads = ["partition", "class", "mode at the end", "own time, ms", "hypercalls"]
    heads += ["granted", "denied", "faults", "health events", "restarts"]
    rows = [
        (
            *(tag("b", each.name), each.class_name, each.mode, found.names.ms(each.ticks)),
            *(each.hypercalls, each.granted, _bad(each.denied), _bad(each.faults)),
            *(each.health, max(each.starts - 1, 0)),
        )
        for each in found.partitions
    ]
    more = len(found.names.partitions) - len(rows)
    return join((table("What each did", heads, rows, 7), _more(more, "partitions")))


def interactions(found: Collected) -> Html:
    """Who asked whom for what."""
    heads = ["from", "to", "event", "method", "granted", "denied"]
    rows = (
        (*key, granted, _bad(denied))
        for key, (granted, denied) in sorted(found.interactions.items())
    )
    more = _more(found.more_interactions, "verdicts of further kinds")
    return join((table("What was judged", heads, rows, 2), more))


# ---- what went wrong


def denials(found: Collected) -> Html:
    """Each distinct denial: what was asked, why not, the rule, or the one that came nearest."""
    rows = [
        tag(
            "article",
            tag("h3", _whose(group, found.names), " ", _times(group, found.names)),
            tag("p", group.what),
            tag("p", _sentence(group, found.names), class_="why"),
            _rule(group, found.names),
        )
        for group in found.summary.denials.values()
    ]
    more = _more(found.summary.untold["denied"], "denials of further kinds")
    return join((*(rows or [tag("p", "None.", class_="none")]), more))


def _sentence(group: Group, names: Names) -> str:
    event = group.first
    if not isinstance(event, events.Verdict):
        return group.why
    policy = names.policy_of(event)
    rule = policy.rule(event.rule)
    if event.reason is Reason.DEFAULT:
        found = policy.nearest(event)
        if found is None:
            return "No rule of the policy matches, and none comes near."
        wants = group.why.partition("which wants ")[2]
        want = f" It wants {wants}." if wants else ""
        return f"No rule of the policy matches. This one comes nearest.{want}"
    if rule is None:
        return f"{group.why[:1].upper()}{group.why[1:]}."
    if event.reason is Reason.ERROR:
        return "This rule could not be evaluated, so the answer is no:"
    return "This rule does not hold:"


def _rule(group: Group, names: Names) -> Html:
    """The rule that denied, or the nearest, with its place and its text."""
    event = group.first
    if not isinstance(event, events.Verdict):
        return Html("")
    policy = names.policy_of(event)
    default = event.reason is Reason.DEFAULT
    rule = policy.nearest(event) if default else policy.rule(event.rule)
    if rule is None or event.reason is Reason.MALFORMED:
        return Html("")
    place = f"{rule.get('file')}:{rule.get('line')}"
    words = " ".join(str(rule.get("text", "")).split())
    return tag("p", tag("span", place, class_="place"), " ", tag("code", words), class_="rule")


def refusals(found: Collected) -> Html:
    """Hypercalls that the kernel refused before anybody was asked."""
    return _groups(
        found,
        found.summary.refusals,
        "refused",
        "Before any policy",
        ["hypercall", "why"],
    )


def faults(found: Collected) -> Html:
    """Machine events of guests."""
    return _groups(found, found.summary.faults, "fault", "Of guest programs", ["fault"])


def _groups(found: Collected, groups: Groups, heading: str, caption: str, told: list[str]) -> Html:
    heads = ["partition", *told, "first at, ms", "times"]
    rows: list[list[Content]] = []
    for group in groups.values():
        words = [group.what.removeprefix("fault").strip(), group.why][: len(told)]
        times = (_link(group, found.names), group.count + group.more)
        rows.append([_name(group, found.names), *words, *times])
    more = _more(found.summary.untold[heading], "of further kinds")
    return join((table(caption, heads, rows, 2), more))


def noted(found: Collected) -> Html:
    """Health events, restarts, swaps and switches in the order of time."""
    heads = ["at, ms", "partition", "event", "what"]
    rows = ((tag("a", ms, href=f"#t={ms}"), *rest) for ms, *rest in found.noted)
    return join((table("Events", heads, rows), _more(found.room_noted.left_out, "events")))


def console(found: Collected) -> Html:
    """What guests wrote."""
    if not found.lines:
        return tag("p", "None.", class_="none")
    lines = tag("pre", join(tag("span", line) for line in found.lines), tabindex=0)
    return join((lines, _more(found.room_lines.left_out, "lines")))


# ---- coverage


def coverage(found: Collected) -> Html:
    """The rules of each policy that was in force, with the verdicts that they decided."""
    hint = (
        "A verdict counts for the rule that decided it. What a rule that others decided after was "
        "asked, kss coverage counts: khs trace RUN --events | kss coverage POLICY --events -"
    )
    others = [f"{count} with the reason {why}" for why, count in sorted(found.undecided.items())]
    parts: list[Content] = [tag("p", hint, class_="hint")]
    if others:
        parts.append(tag("p", f"Verdicts that no rule known here decided: {', '.join(others)}."))
    return join((*parts, *(_policy(found, number) for number in sorted(found.in_force))))


def _policy(found: Collected, number: int) -> Html:
    if number >= len(found.names.maps) or not found.names.maps[number].rules:
        name = found.names.policy(number)
        return tag("p", f"Of the policy {name} the trace has no rules.", class_="none")
    rules = found.names.maps[number].rules
    decided = sum((number, at) in found.rules for at in range(len(rules)))
    share = f"{decided} of {len(rules)} rules decided something"
    heads = ["rule", "text", "granted", "denied"]
    rows = _rules(found, number)
    name = found.names.policy(number)
    whole = table(f"{name}: {share}", heads, rows, 2)
    return join((whole, _more(len(rules) - _RULES, "rules")))


def _rules(found: Collected, number: int) -> Iterator[list[Content]]:
    for at, rule in enumerate(found.names.maps[number].rules[:_RULES]):
        granted, denied = found.rules.get((number, at), (0, 0))
        place = f"{rule.get('file')}:{rule.get('line')}"
        words = tag("code", " ".join(str(rule.get("text", "")).split()))
        if granted or denied:
            yield [place, words, granted, _bad(denied)]
        else:
            yield [place, words, tag("em", "never"), tag("em", "never")]


# ---- parts


def _bad(count: int, word: str = "") -> Html:
    words = f"{count} {word}".strip()
    return tag("span", words, class_="denied" if count else None)


def _more(count: int, what: str) -> Html:
    return tag("p", f"And {count} {what}.", class_="hint") if count > 0 else Html("")


def _name(group: Group, names: Names) -> str:
    return names.partition(group.first.partition)


def _whose(group: Group, names: Names) -> Html:
    return tag("span", _name(group, names))


def _link(group: Group, names: Names) -> Html:
    ms = names.ms(group.first.tick)
    return tag("a", ms, href=f"#t={ms}")


def _times(group: Group, names: Names) -> Html:
    count = group.count + group.more
    words = "once, at " if count == 1 else f"{count} times, first at "
    return tag("small", words, _link(group, names), " ms")
