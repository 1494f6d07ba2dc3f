"""What khs check --bench tells of plants without running them."""

from __future__ import annotations

from pathlib import Path

import pytest

from khs import runs
from khs.attached import attached
from khs.errors import ConfigError
from khs.hil import bench, checked
from khs.image import open_system
from tests.hil.test_bench import PYTHON, VESSEL, WIRED, archive, driven, play, write
from tests.hil.test_wires import BUS, DBC, NODE

UNCLEAR = [
    "from somewhere import Vessel\n",
    "from somewhere import *\n",
    "from somewhere import Base\nclass Vessel(Base): ...\n",
    "from khs.hil import Plant\nclass Vessel(Plant):\n  def __init__(self): setattr(self, 'x', 1)\n",
    "from khs.hil import Plant\nclass Vessel(Plant):\n  def __init__(self): fill(self)\n",
    "from khs.hil import Plant\nclass Vessel(Plant):\n  def __getattr__(self, name): return 1\n",
    "from khs.hil import Plant\n@some\nclass Vessel(Plant): ...\n",
    "import khs.hil\nclass Vessel(khs.hil.Plant): ...\nVessel = other(Vessel)\n",
]


@pytest.mark.parametrize("text", UNCLEAR)
def test_a_check_claims_nothing_that_a_text_does_not_tell(text: str, tmp_path: Path) -> None:
    made = write(tmp_path, PYTHON.replace("vessel.py", "vessel.py:Vessel") + WIRED)
    (tmp_path / "vessel.py").write_text(text)
    assert checked.check(made, archive()) == []


def test_a_check_finds_inherited_variables(tmp_path: Path) -> None:
    made = write(tmp_path, PYTHON.replace("vessel.py", "vessel.py:Hot") + WIRED)
    own = "\n\nclass Hot(Vessel):\n    duty: int = 3\n    def begin(self): self.more = 1\n"
    (tmp_path / "vessel.py").write_text(VESSEL + own)
    assert checked.check(made, archive()) == []
    (tmp_path / "vessel.py").write_text(VESSEL.replace("self.heat", "self.hot") + own)
    (found,) = checked.check(made, archive())
    assert (found.line, found.column) == (10, 1)
    assert 'no output "heat"' in found.message and '"more"' in found.help
    (tmp_path / "vessels.py").write_text(VESSEL.replace("self.heat", "self.hot"))
    (tmp_path / "vessel.py").write_text("from vessels import Vessel\n" + own)
    assert [each.message for each in checked.check(made, archive())] == [found.message]
    (tmp_path / "vessels.py").unlink()
    assert checked.check(made, archive()) == []
    (tmp_path / "vessel.py").write_text("class (:\n")
    (found,) = checked.check(made, archive())
    assert "vessel.py:1:7: SyntaxError" in found.message


def test_a_check_of_an_fmu_reads_its_description(drive: Path, tmp_path: Path) -> None:
    assert checked.check(driven(tmp_path, drive), archive()) == []
    for old, new, told in (
        ("setpoint", "setpiont", 'no input "setpiont"'),
        ("limit = 0.5", "limit = true", "limit is a number"),
        (str(drive), "none.fmu", "none.fmu: there is no such file"),
        (str(drive), "vessel.py", "vessel.py: "),
    ):
        made = driven(tmp_path, drive, lambda text, a=old, b=new: text.replace(a, b))  # type: ignore[misc]
        with pytest.raises(ConfigError) as caught:
            play(made)
        assert checked.check(made, archive()) == list(caught.value.findings)
        assert told in str(caught.value)


def test_a_check_reads_dbcs(tmp_path: Path) -> None:
    """A run tells the same, once for all signals."""
    can = open_system("can")
    for old, new, line, told in (
        ("field.dbc", "feld.dbc", 6, "feld.dbc: cannot be read"),
        ('"Ask"', '"Aks"', 10, "there is no message Aks"),
        ('"High"', '"Hihg"', 14, 'Say has no signal "Hihg"'),
    ):
        for name, text in (
            ("field.dbc", DBC),
            ("node.py", NODE),
            ("b.toml", BUS.replace(old, new)),
        ):
            (tmp_path / name).write_text(text)
        made = bench.read(tmp_path / "b.toml")
        (found,) = checked.check(made, can)
        assert (found.line, told in found.message) == (line, True), str(found)
        with pytest.raises(ConfigError) as caught:
            runs.run(runs.plan(can, frames=1, attached=attached(bench=made)))
        assert caught.value.findings == (found,)
