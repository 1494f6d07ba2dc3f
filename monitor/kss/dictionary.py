"""Dictionaries in a state block, as vm/dictionary.c lays them out: fixed capacity, keys and values
of some words each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

CLEAR_WRITES = 2
REMOVE_WRITES = 7
_USED = 0  # number of records ever used
_HEAD = 2  # words before the buckets
_SIDES, _KEY = 1, 3  # words of a record


def add_writes(key_words: int) -> int:
    """Most words that adding a key writes, but for the value."""
    return 5 + key_words


def words_of(capacity: int, key_words: int, value_words: int) -> int:
    """Words of state that a dictionary of this shape takes."""
    return _HEAD + capacity * (2 + _KEY + key_words + value_words)


def items(
    words: Sequence[int], capacity: int, key_words: int, value_words: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Keys and values, in no order that means anything. `words` starts with the dictionary."""
    first = _HEAD + 2 * capacity
    size = _KEY + key_words + value_words

    def record(link: int) -> int:
        return first + (link // 2 - 1) * size

    def home(key: int) -> int:
        hash = 0
        for word in words[key : key + key_words]:
            hash = (hash ^ hash >> 15 ^ word) * 0x9E3779B1 & 0xFFFFFFFF
        return hash * 2 * capacity >> 32

    for bucket in range(2 * capacity):
        root = words[_HEAD + bucket]
        used = 0 < root // 2 <= words[_USED]
        pending = [root] if used and home(record(root) + _KEY) == bucket else []
        while pending:
            link = pending.pop()
            at = record(link)
            if link % 2:
                pending += words[at + _SIDES : at + _SIDES + 2]
            else:
                middle = at + _KEY + key_words
                yield tuple(words[at + _KEY : middle]), tuple(words[middle : at + size])
