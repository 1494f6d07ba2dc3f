"""What an imported solution becomes, file by file, and that it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from khs import config, image
from khs.errors import KhsError
from khs.importing import import_solution
from khs.importing.rules import RULES
from khs.new import add_method
from khs.resources import shipped
from khs.trace import events
from tests.guests.systems import BOARDS
from tests.importing.solutions import FILES, imported, play, write


@pytest.mark.parametrize("board", sorted(BOARDS.values()))
def test_it_runs_under_its_own_policy(bank: Path, board: str) -> None:
    done = imported(bank)
    played = play(done.folder, board)
    said = {name: played.console(name) for name in ("front", "back")}

    assert not played.of(events.Fault)
    for name in ("front", "back"):
        assert f"{name}-vault-door-lock, door.lock.Open: answered" in said[name]
        assert f"{name}-vault-door-lock, door.lock.Close: DENIED" in said[name]
        assert f"{name}-vault-ledger, ledger.Enter: answered" in said[name]
        assert f"{name}-vault-ledger, ledger.Open: answered" in said[name]
    assert "colleague, gossip.Say: answered" in said["back"]
    assert "colleague" not in said["front"]
    denials = [each for each in played.of(events.Verdict) if not each.granted]
    assert denials
    assert played.result.verdicts["denied"] == len(denials)
    assert all(part.restarts == 0 for part in played.result.partitions.values())


def test_files_are_copied_as_they_are(bank: Path) -> None:
    folder = imported(bank).folder
    for name, place in {
        "einit/src/rules/vault.psl": "policy/rules/vault.psl",
        "resources/edl/Teller.edl": "interfaces/bank/Teller.edl",
        "resources/edl/Vault.edl": "interfaces/bank/Vault.edl",
        "resources/Door.cdl": "interfaces/bank/Door.cdl",
        "resources/idl/Types.idl": "interfaces/bank/Types.idl",
    }.items():
        assert (folder / place).read_bytes() == FILES[name].encode(), place
    policy = (folder / "policy/security.psl").read_text()
    template = FILES["einit/src/security.psl.in"]
    assert policy == template.replace("@INIT_EXTERNAL_ENTITIES@", "use EDL kl.VfsNet")


def test_processes_become_partitions(bank: Path) -> None:
    system = config.load(imported(bank).folder)
    partitions = {each.name: each for each in system.partitions}
    assert list(partitions) == ["vault", "front", "back", "vfs-net"]
    assert partitions["front"].class_name == partitions["back"].class_name == "bank.Teller"
    assert partitions["front"].program == partitions["back"].program == "teller"
    assert partitions["front"].args == ("-v", 'a "b"')
    assert partitions["front"].env == {"MODE": "öffentlich"}
    (schedule,) = system.schedules
    assert len({window.length for window in schedule.windows}) == 1
    assert [window.partition for window in schedule.windows] == list(partitions)
    assert sum(window.length for window in schedule.windows) == schedule.major_frame


def test_connections_become_channels(bank: Path) -> None:
    system = config.load(imported(bank).folder)
    assert [(c.name, c.source, c.readers, c.endpoint) for c in system.channels] == [
        ("front-vault-door-lock", "front", ("vault",), "door.lock"),
        ("front-vault-ledger", "front", ("vault",), "ledger"),
        ("back-vault-door-lock", "back", ("vault",), "door.lock"),
        ("back-vault-ledger", "back", ("vault",), "ledger"),
        ("colleague", "back", ("front",), "gossip"),
    ]


def test_what_is_not_carried_over_is_told_with_its_place(tmp_path: Path) -> None:
    solution = write(
        tmp_path / "Bank",
        {
            "other/far/away/Vault.edl": "entity bank.Vault\n",
            "other/unused.psl": "use nk.base._\n",
            "sdk/Core.edl": "task class kl.core.Core\n",
            "sdk/notes.idl": "nothing\n",
            "old/system.toml": "",
            "old/init.yaml": "entities: []",
            ".git/init.yaml": "entities: []",
        },
    )
    (solution / "link.psl").symlink_to("/etc/passwd")
    (solution / "loop").symlink_to(solution)
    done = imported(solution)
    told = {item.split(": ")[0]: item for item in done.lost}
    for place, words in {
        "einit/src/init.yaml.in:3": "@INIT_Vault_ENTITY_CONNECTIONS@",
        "einit/src/init.yaml.in:5": "no-name is no name of an environment variable",
        "einit/src/init.yaml.in:12": "NET_ID of net/client.h carries nothing: kl.VfsNet",
        "einit/src/init.yaml.in:15": "teller-binary",
        "other/far/away/Vault.edl": "describes bank.Vault as resources/edl/Vault.edl does",
        "einit/src/init.yaml.in:10": "endpoint keys of bank.Vault has no channel: method Hand carries",
        "einit/src/init.yaml.in:19": "endpoint keys of bank.Vault has no channel: method Hand carries",
        "other/unused.psl": "is not part of",
        "sdk/Core.edl": "KHS has a kl.core.Core of its own",
        "sdk/notes.idl": "declares no class",
        "old": "a KHS system of its own",
        "link.psl": "links are not followed",
        "loop": "links are not followed",
    }.items():
        assert words in told[place], place
    assert len(told) == 13
    text = (done.folder / "import.md").read_text()
    assert all(f"- {item}\n" in text for item in done.lost)
    assert any("kl.VfsNet is not found: it is taken on trust" in item for item in done.trusted)
    assert all(f"- {item}\n" in text for item in done.trusted)
    assert "| front | bank.Teller | front | partitions/teller | einit/src/init.yaml.in:5 |" in text


def test_methods_with_handles_alone_are_left_out(tmp_path: Path) -> None:
    key = "package bank.IKey\ninterface { Hand(in Handle key); Turn(in UInt8 way); }\n"
    policy = FILES["einit/src/security.psl.in"] + "request dst=bank.Vault { grant () }\n"
    changes = {"resources/idl/IKey.idl": key, "einit/src/security.psl.in": policy}
    done = imported(write(tmp_path / "Bank", changes))
    said = "method Hand of endpoint keys carries a handle: channel front-vault-keys is without it"
    assert f"einit/src/init.yaml.in:10: {said}" in done.lost
    system = config.load(done.folder)
    assert "front-vault-keys" in [channel.name for channel in system.channels]
    for program in ("vault", "teller"):
        text = (done.folder / f"partitions/{program}/main.c").read_text()
        assert ("Turn" in text, "Hand" in text) == (True, False)
    noted = [each for each in image.check(system) if each.rule == "MSG-003"]
    assert [each.severity for each in noted] == ["warning", "warning"]  # front's and back's
    assert "method Hand carries a handle: the channel is without it" in noted[0].message
    pytest.importorskip("ziglang")
    image.build(system)


@pytest.mark.parametrize(
    ("kernel", "denied"),
    [
        ("request dst=kl.core.Core { grant () }", []),
        ("", ["SetMode", "Write", "SetMode", "SetMode"]),
        (
            "request dst=kl.core.Core, endpoint=partition.Partition {\n"
            "match src=bank.Teller { grant () }\nmatch src=bank.Vault { grant () deny () } }",
            ["Write", "SetMode", "SetMode"],
        ),
    ],
)
def test_what_the_policy_denies_the_programs_is_told(
    kernel: str, denied: list[str], tmp_path: Path
) -> None:
    """Else nothing would say why no program does anything."""
    policy = FILES["einit/src/security.psl.in"]
    grant = "request dst=kl.core.Core { grant () }"
    changed = {"einit/src/security.psl.in": policy.replace(grant, kernel)}
    done = imported(write(tmp_path / "Bank", changed))
    told = [rule.split("method=")[1].split()[0] for rule in done.denied]
    assert sorted(told) == sorted(denied)
    text = (done.folder / "import.md").read_text()
    assert ("## Denied by the policy" in text) == bool(denied)
    assert all(f"- {what}: `{rule}`\n" in text for rule, what in done.denied.items())
    if "deny" in kernel:
        assert any("SetMode by policy/security.psl:13" in what for what in done.denied.values())
        return
    with done.policy.open("a") as file:
        file.write("\n".join(done.denied) + "\n")
    assert not [each for each in image.check(config.load(done.folder)) if each.rule == "POL-004"]


def test_the_same_solution_gives_the_same_system(bank: Path) -> None:
    one, other = (import_solution(bank, bank.parent / name) for name in ("one", "other"))
    files = [[path.relative_to(done.folder) for path in done.files] for done in (one, other)]
    assert files[0] == files[1]
    assert [path.read_bytes() for path in one.files] == [path.read_bytes() for path in other.files]


def test_definitions_expand_every_template(tmp_path: Path) -> None:
    init = "entities:\n- name: @WHO@\n@REST@\n"
    solution = write(
        tmp_path / "Bank",
        {
            "einit/src/init.yaml.in": init,
            "resources/edl/Vault.edl": None,
            "resources/edl/Vault.edl.in": FILES["resources/edl/Vault.edl"].replace("door", "@D@"),
        },
    )
    rest = "- name: bank.Teller\n  connections:\n  - {target: bank.Vault, id: v}"
    done = imported(solution, defines={"WHO": "bank.Vault", "REST": rest, "D": "door"})
    assert [each.name for each in config.load(done.folder).partitions] == ["vault", "teller"]
    description = (done.folder / "interfaces/bank/Vault.edl").read_text()
    assert description == FILES["resources/edl/Vault.edl"]


def test_without_missing_files_nothing_is_trusted(tmp_path: Path) -> None:
    init = "entities:\n- name: bank.Vault\n"
    done = imported(write(tmp_path / "Bank", {"einit/src/init.yaml.in": init}))
    assert done.trusted == ()
    assert not config.load(done.folder).stub
    assert done.lost == ()


def test_services_of_another_kernel_may_be_named(tmp_path: Path) -> None:
    name = "einit/src/security.psl.in"
    rule = "request dst=kl.core.Core, endpoint=vmm.VMM, method=Allocate { grant () }\n"
    done = imported(write(tmp_path / "Bank", {name: FILES[name] + rule}))
    assert (
        f"{name}:15: kl.core.Core, as KSS describes it, has no endpoint vmm.VMM: trusted"
        in done.trusted
    )
    assert play(done.folder, frames=10).result.verdicts["granted"] > 0


def test_methods_are_added_to_what_was_imported(bank: Path) -> None:
    folder = imported(bank).folder
    added = add_method(folder, "bank.IGossip", "Whisper", "in UInt32 secret")
    assert {path.name for path in added.files} == {"IGossip.idl", "security.psl", "main.c"}


@pytest.mark.parametrize(("cards", "started"), [("no", False), ("yes", True)])
def test_conditions_know_what_is_defined(tmp_path: Path, cards: str, started: bool) -> None:
    """In every file: the init description, the policy, one that it includes, a description."""
    when = '{% if CARDS == "yes" %}'
    policy, init = FILES["einit/src/security.psl.in"], FILES["einit/src/init.yaml.in"]
    assert "@INIT_EXTERNAL_ENTITIES@" in policy
    changes = {
        "einit/src/security.psl.in": f"{policy}{when}\nuse EDL bank.Card\n{{% endif %}}\n",
        "einit/src/init.yaml.in": f"{init}\n{when}\n- name: bank.Card\n{{% endif %}}\n",
        "einit/src/rules/vault.psl": FILES["einit/src/rules/vault.psl"]
        + f"{when}\nrequest src=bank.Card {{ grant () }}\n{{% endif %}}\n",
        "resources/edl/Card.edl": "task class bank.Card\n"
        + f"{when}\nendpoints {{ ledger : bank.ILedger }}\n{{% endif %}}\n",
    }
    done = imported(write(tmp_path / "Bank", changes), defines={"CARDS": cards})
    names = {each.name for each in config.load(done.folder).partitions}
    assert ("card" in names) is started
    found = image.check(config.load(done.folder))
    assert [each for each in found if each.severity == "error"] == []
    policy = (done.folder / "policy/security.psl").read_text()
    assert ("use EDL bank.Card" in policy) is started
    assert "use EDL kl.VfsNet" in policy


def test_programs_may_be_given(bank: Path) -> None:
    """The others are scaffolded; the result says which is which."""
    given = bank.parent / "programs"
    (given / "vault/inner").mkdir(parents=True)
    (given / "README").write_text("no program")
    text = '#include <khs/khs.h>\nvoid main(void) { khs_ready(); khs_print("mine\\n"); }\n'
    (given / "vault/main.c").write_text(text)
    (given / "vault/inner/more.h").write_text("\n")
    done = imported(bank, programs=given)
    programs = done.folder / "partitions"
    assert (programs / "vault/main.c").read_text() == text
    assert (programs / "vault/inner/more.h").is_file()
    assert "scaffolded" in (programs / "teller/main.c").read_text()
    assert "- partitions/vault: given, no scaffold" in (done.folder / "import.md").read_text()
    assert "mine" in play(done.folder).console("vault")


def test_given_programs_are_those_of_classes(bank: Path) -> None:
    given = bank.parent / "programs"
    with pytest.raises(KhsError, match="--programs: there is no folder"):
        imported(bank, programs=given)
    (given / "valut").mkdir(parents=True)
    with pytest.raises(KhsError, match=r"valut is a program of no class\n  help: .*vault"):
        imported(bank, programs=given)
    assert not (bank.parent / "system").exists()


def test_a_folder_that_holds_something_is_left_alone(bank: Path) -> None:
    (bank.parent / "system").mkdir()
    imported(bank)
    with pytest.raises(KhsError, match="not empty"):
        imported(bank)
    assert sorted(path.name for path in bank.parent.iterdir()) == ["Bank", "system"]


def test_our_own_crossing(tmp_path: Path) -> None:
    crossing = shipped("images") / "traffic-light"
    done = import_solution(crossing, tmp_path / "system")
    copy = done.folder / "policy/security.psl"
    assert copy.read_bytes() == (crossing / "security.psl").read_bytes()
    assert (done.lost, done.trusted) == ((), ())
    system, own = config.load(done.folder), config.load(crossing)
    ends = {(c.name, c.source, c.readers, c.endpoint) for c in system.channels}
    assert ends == {(c.name, c.source, c.readers, c.endpoint) for c in own.channels}
    played = play(done.folder)
    assert not played.of(events.Fault)
    assert played.result.verdicts["granted"] > 50
    assert played.result.verdicts["denied"] > 0  # only diagnostics may use the console


def test_rules_are_documented() -> None:
    page = (shipped("docs") / "importing.md").read_text()
    for rule, text in RULES.items():
        assert f"| {rule} | {text} |" in page
