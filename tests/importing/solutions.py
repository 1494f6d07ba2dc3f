"""A solution of our own, and what imports are looked at with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from khs import config, image
from khs.importing import Imported, import_solution
from tests.guests.systems import Run, run

FILES: dict[str, str] = {
    "einit/src/init.yaml.in": """\
entities:
- name: bank.Vault
@INIT_Vault_ENTITY_CONNECTIONS@

- name: bank.Teller
  task: front
  args: ["-v", "a \\"b\\""]
  env: { MODE: "öffentlich", "no-name": x }
  connections:
  - target: bank.Vault
    id: vault
  - target: kl.VfsNet
    id: { var: NET_ID, include: net/client.h }

- name: bank.Teller
  task: back
  path: teller-binary
  connections:
  - target: bank.Vault
    id: vault
  - target: front
    id: colleague
""",
    "einit/src/security.psl.in": """\
execute: kl.core.Execute
use nk.base._
use nk.basic._
use rules.vault._
use EDL Einit
use EDL kl.core.Core
use EDL bank.Teller
use EDL bank.Vault
@INIT_EXTERNAL_ENTITIES@
execute { grant () }
request dst=kl.core.Core { grant () }
request dst=bank.Teller { grant () }
response { grant () }
error { grant () }
""",
    "einit/src/rules/vault.psl": """\
request src=bank.Teller, dst=bank.Vault, endpoint=door.lock {
    match method=Open { grant () }
    match method=Close { assert (message.code != 0) }
}
request src=bank.Teller, dst=bank.Vault, endpoint=ledger { grant () }
""",
    "resources/edl/Vault.edl": """\
// The vault. // task class bank.Wrong
task class bank.Vault
components { door : bank.Door }
endpoints { ledger : bank.ILedger keys : bank.IKey }
""",
    "resources/idl/IKey.idl": "package bank.IKey\ninterface { Hand(in Handle key); }\n",
    "resources/edl/Teller.edl": "entity bank.Teller\r\nendpoints { gossip : bank.IGossip }\r\n",
    "resources/Door.cdl": "component bank.Door\nendpoints { lock : bank.ILock }\n",
    "resources/idl/ILock.idl": """\
package bank.ILock
interface {
    Open(in UInt32 code, out UInt8 done, error UInt32 reason);
    Close(in UInt32 code);
}
""",
    "resources/idl/ILedger.idl": """\
package bank.ILedger
import bank.Types
interface {
    Enter(in Entry entry, in sequence<Entry, 8> more, in bytes<40> seal, out string<20> receipt);
    Open(in Either either, in array<UInt16, 3> three, out sequence<UInt8, 5000> all);
}
""",
    "resources/idl/Types.idl": """\
package bank.Types
struct Entry { UInt64 amount; string<30> who; }
union Either { UInt8 small; Entry large; }
""",
    "resources/idl/IGossip.idl": "package bank.IGossip\ninterface { Say(in string<9> auto); }\n",
}


def write(folder: Path, changes: Mapping[str, str | None] | None = None) -> Path:
    """The solution with some of its files changed, or left out."""
    for name, text in {**FILES, **(changes or {})}.items():
        if text is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
    return folder


def imported(solution: Path, **options: object) -> Imported:
    """Into a folder beside it."""
    return import_solution(solution, solution.parent / "system", **options)  # type: ignore[arg-type]


def play(folder: Path, board: str = "sabrelite", frames: int = 60) -> Run:
    """Checks without errors, builds and runs."""
    pytest.importorskip("ziglang")
    system = config.load(folder, board=board)
    assert [each for each in image.check(system) if each.severity == "error"] == []
    return run(image.build(system), frames)
