"""Whatever is done to a trail behind its back is found."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from kss.trail import Trail, TrailError, verify
from kss.trail.chain import FIRST, ChainError, read


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    path = tmp_path / "audit.jsonl"
    with Trail(path, begin={"by": "test"}) as opened:
        for number in range(5):
            assert opened.append({"record": "n", "n": number, "text": "ключ\x00\n"})
    return path


def test_the_form_can_be_checked_without_kss(trail: Path) -> None:
    prev = FIRST
    for seq, line in enumerate(trail.read_text("ascii").splitlines()):
        record = json.loads(line)
        given = record.pop("hash")
        body = json.dumps(record, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(body.encode()).hexdigest() == given
        assert (record["seq"], record["prev"]) == (seq, prev)
        prev = given
    assert seq == 5
    assert verify(trail).head == prev
    assert [record["n"] for record in read(trail) if "n" in record] == [0, 1, 2, 3, 4]


def test_a_second_run_continues_the_chain(trail: Path) -> None:
    with Trail(trail) as opened:
        opened.append({"record": "n", "n": 5})
    assert verify(trail).ok
    assert [record["seq"] for record in read(trail)] == list(range(8))


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_every_flipped_bit_is_found(trail: Path) -> None:
    data = trail.read_bytes()
    for at in range(len(data) - 1):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        trail.write_bytes(changed)
        checked = verify(trail)
        assert not checked.ok, (at, data[at : at + 1])
        assert checked.line == data.count(b"\n", 0, at) + 1


@pytest.mark.parametrize("number", range(5))
def test_a_missing_line_is_found(trail: Path, number: int) -> None:
    lines = lines_of(trail)
    trail.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
    assert verify(trail).line == number + 1


def test_lines_put_in_twice_or_swapped_are_found(trail: Path) -> None:
    lines = lines_of(trail)
    trail.write_bytes(b"".join([*lines[:3], lines[2], *lines[3:]]))
    assert verify(trail).line == 4
    trail.write_bytes(b"".join([lines[0], lines[2], lines[1], *lines[3:]]))
    assert verify(trail).line == 2
    assert "does not follow the one before it" in verify(trail).message


def test_a_cut_end_is_found_by_the_hash_noted_elsewhere(trail: Path) -> None:
    head = verify(trail).head
    assert verify(trail, head).ok
    lines = lines_of(trail)
    trail.write_bytes(b"".join(lines[:-1]))
    assert verify(trail).ok
    checked = verify(trail, head)
    assert not checked.ok
    assert f"no record has the hash {head}" in checked.message


@pytest.mark.parametrize("content", [b"", b'{"audit":1,"prev":"000'])
def test_a_trail_without_a_record_is_none(trail: Path, content: bytes) -> None:
    """Whoever can empty the file cannot make it look like a short run."""
    trail.write_bytes(content)
    checked = verify(trail)
    assert (checked.ok, checked.line, checked.torn) == (False, 1, len(content))
    assert "no record is in it" in checked.message
    with pytest.raises(ChainError, match=r"audit\.jsonl:1: no record is in it"):
        list(read(trail))


def test_a_rewritten_line_needs_the_canonical_form(trail: Path) -> None:
    lines = lines_of(trail)
    record = json.loads(lines[0])
    del record["hash"]
    body = json.dumps(record).encode()  # spaces
    line = body[:-1] + f',"hash":"{hashlib.sha256(body).hexdigest()}"}}\n'.encode()
    trail.write_bytes(line + b"".join(lines[1:]))
    assert verify(trail).line == 1
    assert "canonical" in verify(trail).message


def test_reading_stops_at_the_first_wrong_record(trail: Path) -> None:
    lines = lines_of(trail)
    trail.write_bytes(b"".join([*lines[:2], lines[2].replace(b'"n":1', b'"n":7'), *lines[3:]]))
    records = read(trail)
    assert [next(records)["seq"], next(records)["seq"]] == [0, 1]
    with pytest.raises(ChainError, match=r"audit\.jsonl:3: the record is not the one"):
        next(records)


def test_a_damaged_end_is_not_built_upon(trail: Path) -> None:
    data = trail.read_bytes()
    trail.write_bytes(data[:-3] + b"}}\n")
    with pytest.raises(TrailError, match="the last record does not verify"):
        Trail(trail)
    assert trail.read_bytes() == data[:-3] + b"}}\n"


@pytest.mark.parametrize("content", [b"my notes", b'{"a": 1}\n', b"\x00" * 100])
def test_other_files_are_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(TrailError, match="is no audit trail: name another file"):
        Trail(path)
    assert path.read_bytes() == content
    assert not verify(path).ok or verify(path).torn == len(content)


def test_one_writer_at_a_time(trail: Path) -> None:
    with Trail(trail), pytest.raises(TrailError, match="in use by another process"):
        Trail(trail)
    Trail(trail).close()
