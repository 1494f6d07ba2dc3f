"""Channels against interfaces: what is resolved, and every finding with its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from kss.events import Event, Kind, Reason
from kss.message import encode
from kss.vm import Vm

from khs import config
from khs.errors import ConfigError, Finding
from khs.image import build, check
from khs.image.links import describe
from khs.image.wiring import MAX_MESSAGE, wire
from khs.monitor import load
from khs.monitor.ask import flow
from khs.toolchain import zig
from tests.image.systems import SYSTEM, load_system, write_system


def findings(
    folder: Path, changes: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
) -> list[Finding]:
    """Errors found after `changes` of the document's text and with other `files`."""
    text = SYSTEM
    for old, new in (changes or {}).items():
        assert old in text
        text = text.replace(old, new)
    write_system(folder, system=text)
    for name, content in (files or {}).items():
        (folder / name).write_text(content)
    return [each for each in config.check(folder, also=[check]) if each.severity == "error"]


def only(found: list[Finding], rule: str) -> Finding:
    assert [each.rule for each in found] == [rule], [each.words() for each in found]
    return found[0]


def line_of(finding: Finding) -> str:
    return Path(finding.file).read_text().splitlines()[finding.line - 1].strip()


def test_nothing_to_find(tmp_path: Path) -> None:
    assert findings(tmp_path) == []


def test_endpoints_and_sizes(tmp_path: Path) -> None:
    system = load_system(tmp_path)
    wiring, found = wire(system, load(system))
    assert found == []
    level, log, control = wiring.links
    assert [(r.endpoint.name, r.endpoint.riid) for r in level.readers] == [("level", 1)]
    assert [(r.endpoint.name, r.endpoint.riid) for r in log.readers] == [("journal", 0)]
    assert [(r.endpoint.name, r.endpoint.riid) for r in control.readers] == [("panel.control", 0)]
    assert (level.mid, log.mid, control.mid) == (1, 0, None)
    # Note: header, span of the text, the time; 31 characters and a zero
    assert log.message_size == 8 + 8 + 8 + 32
    assert wiring.max_message == 600


def test_unknown_interface(tmp_path: Path) -> None:
    # the interface is loaded for the channel, so KSS finds that it is missing
    found = findings(tmp_path, {'"demo.ILevel.Report"': '"demo.ILevle.Report"'})
    assert any(each.severity == "error" and "demo.ILevle" in each.message for each in found)


def test_unknown_method(tmp_path: Path) -> None:
    found = only(findings(tmp_path, {'"demo.ILog.Note"': '"demo.ILog.Nota"'}), "MSG-001")
    assert found.message == "interface demo.ILog has no method 'Nota'"
    assert found.help == "did you mean 'Note'?"
    assert line_of(found) == 'message = "demo.ILog.Nota"'


def test_unknown_endpoint(tmp_path: Path) -> None:
    found = only(findings(tmp_path, {'"panel.control"': '"control"'}), "MSG-002")
    assert found.message == "demo.Right, the class of 'right', has no endpoint 'control'"
    assert found.help == "did you mean 'panel.control'?"
    assert line_of(found) == 'endpoint = "control"'


TWO = "task class demo.Left\nendpoints { journal : demo.ILog\n diary : demo.ILog }\n"


def test_two_endpoints_of_one_interface(tmp_path: Path) -> None:
    found = only(findings(tmp_path, files={"demo/Left.edl": TWO}), "MSG-002")
    assert "has 2 endpoints of demo.ILog: journal, diary" in found.message
    assert found.help == "call the channel like the one it leads to: journal, diary"


def test_the_channels_name_says_which(tmp_path: Path) -> None:
    write_system(tmp_path, system=SYSTEM.replace("[channel.log]", "[channel.diary]"))
    (tmp_path / "demo" / "Left.edl").write_text(TWO)
    system = config.load(tmp_path)
    wiring, found = wire(system, load(system))
    assert found == []
    assert wiring.links[1].readers[0].endpoint.name == "diary"
    assert wiring.ports[0][1].riid == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("demo/ILog.idl", "package demo.ILog\ninterface { Note(in Handle door); }\n"),
        (
            "demo/IControl.idl",
            "package demo.IControl\ninterface { Set(in UInt32 value, out Handle h); }\n",
        ),
    ],
)
def test_handles_are_refused(tmp_path: Path, name: str, text: str) -> None:
    found = only(findings(tmp_path, files={name: text}), "MSG-003")
    assert "carries a handle" in found.message


def test_calls_go_without_methods_with_handles(tmp_path: Path) -> None:
    """They are noted, and refused whatever the policy says; the others get through."""
    text = "package demo.IControl\ninterface { Set(in UInt32 value); Give(in Handle h); }\n"
    assert findings(tmp_path, files={"demo/IControl.idl": text}) == []
    (tmp_path / "security.psl").write_text(
        (tmp_path / "security.psl").read_text() + "\nrequest { grant () }\n"
    )
    system = config.load(tmp_path)
    (noted,) = [each for each in check(system) if each.rule == "MSG-003"]
    assert (noted.severity, line_of(noted)) == ("warning", 'endpoint = "panel.control"')
    assert "method Give carries a handle" in noted.message
    policy = load(system)
    wiring, _ = wire(system, policy)
    assert wiring.links[2].message_size == 16
    endpoint = policy.layout("demo.Right").endpoint("panel.control")
    assert endpoint is not None
    vm = Vm(policy.binary)
    names = policy.policy.classes
    judged = []
    for name in ("demo.Left", "demo.Right"):
        index = names.index(name)
        vm.judge(Event(Kind.EXECUTE, names.index("Einit"), index, 1, 10 + index))
    for method in endpoint.interface.methods:
        data = encode(method.request, {}, riid=endpoint.riid, mid=method.mid)
        ends = (names.index("demo.Left"), names.index("demo.Right"))
        decision = vm.judge(Event(Kind.REQUEST, *ends, 10 + ends[0], 10 + ends[1], data))
        judged.append((method.name, decision.granted, decision.reason))
    assert judged == [("Set", True, Reason.RULES), ("Give", False, Reason.MALFORMED)]
    policy_of_flow, links = describe(system)
    (path, *_) = flow(policy_of_flow, links, "left", "right", 1).json["paths"]
    (give,) = [way for way in path[0]["ways"] if way.get("method") == "Give"]
    assert "a handle: none is transferred between partitions" in give["stub"]


def test_largest_message(tmp_path: Path) -> None:
    most = MAX_MESSAGE - 16
    text = "package demo.ILog\ninterface { Note(in bytes<%d> data); }\n"
    assert findings(tmp_path, files={"demo/ILog.idl": text % most}) == []
    found = only(findings(tmp_path, files={"demo/ILog.idl": text % (most + 1)}), "MSG-004")
    assert found.message == f"its largest message has {MAX_MESSAGE + 1} bytes"


def test_every_channel_is_reported(tmp_path: Path) -> None:
    found = findings(tmp_path, {'"demo.ILog.Note"': '"demo.ILog.No"', '"panel.control"': '"x"'})
    assert [each.rule for each in found] == ["MSG-001", "MSG-002"]


# ---- programs ----------------------------------------------------------------------


def test_unknown_program(tmp_path: Path) -> None:
    found = only(findings(tmp_path, {'image = "left.elf"': 'program = "senser"'}), "PROG-002")
    assert found.message.startswith("there is no program 'senser' (looked at ")
    assert found.help == "did you mean 'sensor'?"
    assert line_of(found) == 'program = "senser"'


def test_every_program_that_does_not_compile_is_reported(tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    text = SYSTEM
    for name in ("left", "right"):
        text = text.replace(f'image = "{name}.elf"', f'program = "{name}"')
        folder = tmp_path / "partitions" / name
        folder.mkdir(parents=True)
        (folder / "main.c").write_text(f"int main(void) {{ return {name}; }}\n")
    write_system(tmp_path, system=text)
    with pytest.raises(ConfigError) as caught:
        build(config.load(tmp_path))
    found = caught.value.findings
    assert [each.rule for each in found] == ["PROG-002", "PROG-002"]
    for each, name in zip(found, ("left", "right"), strict=True):
        assert f"main.c:1:25: error: use of undeclared identifier '{name}'" in each.message
        assert line_of(each) == f'program = "{name}"'


def test_given_programs_are_checked_without_building(tmp_path: Path) -> None:
    write_system(tmp_path)
    (tmp_path / "left.elf").write_bytes(b"no ELF")
    found = [each for each in config.check(tmp_path, also=[check]) if each.severity == "error"]
    assert line_of(only(found, "ELF-001")) == 'image = "left.elf"'
    assert found[0].message == f"{tmp_path / 'left.elf'}: this is no ELF file"


def test_without_the_compiler_one_finding_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SYSTEM
    for name in ("left", "right"):
        text = text.replace(f'image = "{name}.elf"', f'program = "{name}"')
        folder = tmp_path / "partitions" / name
        folder.mkdir(parents=True)
        (folder / "main.c").write_text("int main(void) { return 0; }\n")
    write_system(tmp_path, system=text)
    monkeypatch.setenv("KHS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(zig, "_installed", lambda: None)
    with pytest.raises(ConfigError) as caught:
        build(config.load(tmp_path))
    found = only([*caught.value.findings], "PROG-002")
    assert line_of(found) == 'program = "left"' and "pip install" in found.help


def test_a_new_partition_gets_all_its_findings_at_once(tmp_path: Path) -> None:
    """No EDL, no program, and a channel of the others is wrong, too."""
    changes = {
        "[region.frames]": '[partition.fresh]\nclass = "other.Fresh"\nprogram = "freshh"\n'
        "[region.frames]",
        '{{ partition = "right", start = "5ms", length = "3ms" }},': (
            '{{ partition = "right", start = "5ms", length = "3ms" }},\n'
            '  {{ partition = "fresh", start = "8ms", length = "1ms" }},'
        ),
        '"panel.control"': '"x"',
    }
    found = findings(tmp_path, changes)
    assert [each.rule for each in found] == ["POL-001", "PROG-002", "MSG-002"]
    assert line_of(found[0]) == 'class = "other.Fresh"'
    assert found[0].message.endswith("the class other.Fresh, and no EDL describes it")
    assert found[0].help == (
        f'write other/Fresh.edl ("task class other.Fresh") in {tmp_path}, '
        "and add to the policy: use EDL other.Fresh"
    )
    with pytest.raises(ConfigError) as caught:
        build(config.load(tmp_path))
    assert {each.rule for each in caught.value.findings} == {"POL-001", "PROG-002", "MSG-002"}


def test_a_misspelt_class_is_told_with_what_was_meant(tmp_path: Path) -> None:
    found = findings(tmp_path, {'class = "demo.Left"': 'class = "demo.Lefft"'})
    assert [each.rule for each in found] == ["POL-001"]
    assert found[0].help.startswith("did you mean 'demo.Left'? Else write demo/Lefft.edl ")


def test_a_class_that_the_policy_does_not_use_hides_nothing_else(tmp_path: Path) -> None:
    edl = "task class demo.Left\nendpoints { journal : demo.ILog }\n"
    changes = {'class = "demo.Left"': 'class = "demo.Fresh"', '"panel.control"': '"x"'}
    (tmp_path / "demo").mkdir()
    found = findings(tmp_path, changes, {"demo/Fresh.edl": edl.replace("Left", "Fresh")})
    assert [each.rule for each in found] == ["POL-001", "MSG-002"]
    assert found[0].help == "add to the policy: use EDL demo.Fresh"
    found = findings(tmp_path, changes, {"demo/Fresh.edl": "task class demo.Fresh endpoints {"})
    assert found[0].rule == "POL-001" and Path(found[1].file) == tmp_path / "demo/Fresh.edl"


def test_an_unreadable_policy_does_not_hide_programs(tmp_path: Path) -> None:
    found = findings(
        tmp_path, {'image = "left.elf"': 'program = "senser"'}, {"security.psl": "use use use"}
    )
    assert {"PROG-002"} < {each.rule for each in found}
