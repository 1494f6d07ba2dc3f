"""A trace's verdicts, judged again by KSS from the lines that khs trace --events writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kss.api import load_policy
from kss.evaluate import Evaluation
from kss.reference import Reference

from khs import image, runs
from khs.resources import shipped
from khs.trace import Names, events
from khs.trace.events import Verdict
from khs.trace.lines import EventLines


@pytest.mark.parametrize("overlay", ["", "attack.toml"])
def test_kss_decides_as_the_kernel_did(overlay: str, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    folder = shipped("images") / "iot-gateway"
    overlays = [folder / overlay] if overlay else []
    archive = image.open_system(str(folder), overlays)
    plan = runs.plan(archive, frames=120, trace=tmp_path / "run.trace")
    runs.run(plan)
    policy = load_policy(folder / "security.psl", [folder / "interfaces"])
    evaluation, lines, denied = Evaluation(policy, Reference(policy.tree)), EventLines(), 0
    from khs.trace import Reader

    with Reader(tmp_path / "run.trace") as reader:
        names = Names.from_header(reader.header)
        for event in reader.events():
            names.observe(event)
            if not isinstance(event, Verdict):
                continue
            line = lines.line(event, names)
            assert line is not None
            (found,) = evaluation.lines([json.dumps(line)])
            assert found["verdict"] == ("granted" if event.granted else "denied"), line
            assert found["reason"] == event.reason.word
            denied += not event.granted
    assert (denied > 0) == bool(overlay)


def test_what_could_not_be_delivered_is_left_out() -> None:
    names = Names.from_header(
        {"names": {"partitions": ["a"], "schedules": [], "channels": []}, "policies": [{}]}
    )
    verdict = events.Verdict(
        0, None, False, 0, event=events.SecurityEvent.REQUEST, trial=True, granted=True,
        reason=events.Reason.RULES, sequence=0, source_class=0, destination_class=0, source_sid=3,
        destination_sid=4, source=0, destination=0, rule=None, calls=0, message=b"",
    )  # fmt: skip
    assert EventLines().line(verdict, names) is None
