"""Types that policies name: in any order, of a bounded size."""

from __future__ import annotations

import pytest
from kss.errors import DescriptionError
from kss.types import IntegerType, TupleType, VariantType

from tests.kss.conftest import Load

SET = """
policy object ports : HashSet { type Entry = Pair config = { set_size : 2, pool_size : 2 } }
use nk.hashmap._
type Pair = [Small, Wide]
type Wide = UInt32
type Small = UInt8
execute { grant () }
"""


def test_types_are_declared_in_any_order(load: Load) -> None:
    (ports,) = [item for item in load(SET).tree.objects if item.name == "ports"]
    assert ports.types == {"Entry": TupleType((IntegerType(8, False), IntegerType(32, False)))}


def test_a_name_of_an_object_hides_one_of_the_policy(load: Load) -> None:
    text = SET.replace("type Entry = Pair", "type Entry = Small")
    (ports,) = [item for item in load(text).tree.objects if item.name == "ports"]
    assert ports.types == {"Entry": IntegerType(8, False)}


def test_a_long_variant(load: Load) -> None:
    names = [f'"s{number}"' for number in range(200)]
    text = (
        f"type Names = {' | '.join(names)}\n"
        "policy object life : Flow { type State = Names"
        f' config = {{ states : [{", ".join(names)}], initial : "s0", transitions : {{}} }} }}'
    )
    (life,) = [item for item in load(text).tree.objects if item.name == "life"]
    assert isinstance(life.types["State"], VariantType)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("".join(f"type T{i + 1} = [T{i}]\n" for i in range(120)), 1),  # from the inside
        ("".join(f"type T{i + 1} = [T{i}]\n" for i in reversed(range(120))), 1),
        ("".join(f"type T{i + 1} = T{i} | T{i}\n" for i in range(5000)), 1),
        ("type A = B type B = C type C = A", 1),
        ("type A = A", 1),
    ],
)
def test_types_have_bounds(text: str, count: int, load: Load) -> None:
    with pytest.raises(DescriptionError) as error:
        load(f"type T0 = UInt8\n{text}")
    rules = [finding.rule for finding in error.value.findings if finding.severity == "error"]
    assert rules == ["PSL-063"] * count
